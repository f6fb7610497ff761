//! HTTP/1.1 on the wire, without IO: bytes to heads, bodies and back, for both roles.
//!
//! Owns the grammar (RFC 9112), the framing of messages, what is refused as ambiguous, and the hop-by-hop fields. Knows no
//! route, no policy, no clock and no socket. [`Reader`] turns the bytes of one side of a connection into heads and body
//! parts; [`Writer`] turns heads and body parts into bytes. [`Server`] and [`Client`] are one of each, for a connection to
//! a client and for one to an endpoint, and know whose turn it is; what becomes of a refusal is the business of whoever
//! owns them.
//!
//! Whatever a reader accepts, a writer says again in exactly one way: one framing, one line end, no folded lines, no
//! control characters, no hop-by-hop field. That is why two parsers around us can never disagree about our bytes.

mod authority;
mod chunked;
mod client;
mod field_lines;
mod framing;
mod hop_by_hop;
mod limits;
mod lines;
mod look_ahead;
mod number;
mod plain;
mod reader;
mod refusals;
mod request_head;
mod response_head;
mod server;
mod target;
pub mod websocket;
mod write_fields;
mod writer;

pub use authority::is_authority;
pub(crate) use authority::is_authority_with_port;
pub use client::Client;
pub(crate) use field_lines::may_be_trailer;
pub use framing::{Asked, Framing};
pub(crate) use hop_by_hop::{is_hop_by_hop, trim};
pub use limits::{Limits, MAX_FIELDS};
pub use look_ahead::Heads;
pub(crate) use number::decimal;
pub use reader::Reader;
pub use request_head::RequestFacts;
pub use response_head::ResponseFacts;
pub use server::Server;
pub(crate) use write_fields::put_escaped;
pub use writer::{Reply, Writer};
