//! HTTP/1.1 on the wire, without IO: bytes to heads, bodies and back, for both roles.
//!
//! Owns the grammar (RFC 9112), the framing of messages, what is refused as ambiguous, and the hop-by-hop fields. Knows no
//! route, no policy, no clock and no socket. [`Reader`] turns the bytes of one side of a connection into heads and body
//! parts; [`Writer`] turns heads and body parts into bytes. A connection to a client is a `Reader::requests` with a
//! `Writer`, a connection to an upstream a `Reader::responses` with a `Writer`; whose turn it is and what becomes of a
//! refusal is the business of the exchange that owns them.
//!
//! Whatever a reader accepts, a writer says again in exactly one way: one framing, one line end, no folded lines, no
//! control characters, no hop-by-hop field. That is why two parsers around us can never disagree about our bytes.

mod authority;
mod chunked;
mod field_lines;
mod framing;
mod hop_by_hop;
mod limits;
mod lines;
mod look_ahead;
mod number;
mod reader;
mod refusals;
mod request_head;
mod response_head;
mod target;
mod write_fields;
mod writer;

pub use authority::is_authority;
pub use framing::{BodyLength, Framing};
pub use limits::{Limits, MAX_FIELDS};
pub use look_ahead::Heads;
pub use reader::{Eof, Part, Reader};
pub use request_head::RequestFacts;
pub use response_head::{Asked, ResponseFacts};
pub use writer::{Reply, Writer};
