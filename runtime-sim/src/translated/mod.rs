//! Peers that speak HTTP/1 played over HTTP/2: the same script is one end of either version.
//!
//! What a peer says in HTTP/1 is understood and said to the sidecar in HTTP/2, and what the sidecar says is told to the peer
//! in HTTP/1, with core's codecs in the roles that the sidecar does not have. So a peer that was written for one version
//! tells whether the other one is the same proxy. The mapping:
//!
//! | in HTTP/1 | in HTTP/2 |
//! |---|---|
//! | a client's connection | a connection, one stream after the other; a request that is pipelined waits for its turn |
//! | a service's connection | a place for one stream at a time on a connection. A stream takes the place that became free last; when none is free, the service accepts another connection for it |
//! | `Upgrade`, CONNECT | extended CONNECT (RFC 8441), CONNECT; the end of one direction is END_STREAM |
//! | a client ends or resets its connection | the connection ends so; in a tunnel, after END_STREAM |
//! | a service ends or resets its connection within a response | the connection ends so, or where it has other streams the stream is reset |
//! | a service ends an idle connection | the connection ends, unless it has streams |
//! | the sidecar closes a client's connection within a response | CANCEL |
//! | it resets it | any other code |
//! | it takes no more of a request that was answered, and closes | NO_ERROR |
//! | `Connection: close` of a client or service | the next stream is one for another connection of the peer; nothing is said |
//! | `Connection: close` of the sidecar, which then closes | GOAWAY before the response, and the same after it |
//! | the sidecar closes a service's connection | the end of the connection, or a reset of the stream |
//! | it resets it in a tunnel | a reset of the stream |
//! | a peer that does not read | it gives no credit |
//!
//! A service decides by what it hears first (RFC 9113 §3.3): where the sidecar speaks HTTP/1, its peer is left alone. What
//! has no words in HTTP/2 (a head that is no head, a body that is cut by half) is not said, and is a complaint.

mod client;
mod http1;
mod link;
mod place;
mod service;
mod streams;

#[cfg(test)]
mod tests;

pub use client::TranslatedClient;
pub use service::TranslatedService;
