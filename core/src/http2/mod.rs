//! HTTP/2 on the wire, without IO: bytes to streams of heads and body parts and back, for both roles.
//!
//! Owns the grammar and the rules of RFC 9113, of its header compression (RFC 7541) and of extended CONNECT (RFC 8441).
//! Knows no route, no policy, no clock and no socket. What a head means is [`message`](crate::message)'s, so that a request
//! that came by one version leaves by the other as it is.

pub mod heads;
pub mod hpack;
