//! HTTP/2 on the wire, without IO: bytes to streams of heads and body parts and back, for both roles.
//!
//! Owns the grammar and the rules of RFC 9113, of its header compression (RFC 7541) and of extended CONNECT (RFC 8441).
//! Knows no route, no policy, no clock and no socket. What a head means is [`message`](crate::message)'s, so that a request
//! that came by one version leaves by the other as it is.
//!
//! A [`Connection`] understands the bytes of its peer at once, and says which streams have news. What came is taken from a
//! stream when its owner has room for it; what is to be sent waits in the stream until it is its turn and the peer has
//! given credit. What a peer may make us hold or do is bounded by [`Limits`].

mod closed;
mod code;
mod connection;
mod controls;
mod endings;
mod frame;
mod guard;
pub mod heads;
pub mod hpack;
mod late;
mod limits;
mod look_ahead;
mod parts;
mod read;
mod read_data;
mod read_heads;
mod refusals;
mod role;
mod send;
mod settings;
mod stream;
mod stream_id;
mod streams;
mod table;
mod timers;
mod turns;
mod unread;
mod window;
mod write;

pub use code::{Code, Fatal};
pub use connection::{Connection, Event};
pub(crate) use frame::PREFACE;
pub use heads::HeadLimits;
pub use limits::{Counts, KeepAlive, Limits, Rate, Report};
