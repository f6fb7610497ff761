//! Header blocks to heads and back (RFC 9113 §8): what a block must have, must not have, and what it means in any version.
//!
//! A head that was read here is the same value as one that came by HTTP/1, and either is written from it: the authority and
//! the path stand where they always stand, cookies are one field, no field concerns a connection. What opens a stream to
//! another protocol (RFC 8441) is `GET` with [`Begins::upgrade`](crate::stream::Begins), and its answer a 101, as in HTTP/1.
//!
//! Two kinds of faults are told apart. A malformed message is [`Refused`](crate::decision::Refused): its stream ends, others
//! go on (RFC 9113 §8.1.1). A block that cannot be read is a [`CompressionError`](super::hpack::CompressionError): the
//! connection ends.

mod fields;
mod limits;
mod refusals;
mod request;
mod response;
mod trailers;
mod write;

pub use limits::HeadLimits;
pub use request::read_request;
pub use response::{Asked, read_response};
pub use trailers::read_trailers;
pub use write::{write_request, write_response, write_trailers};

#[cfg(test)]
mod fixture;
