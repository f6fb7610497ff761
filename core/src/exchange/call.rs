//! How far the request being served has come, in both directions.

use crate::http1::RequestFacts;
use crate::message::Headers;
use crate::time::Instant;

/// The request's body, from the client to the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RequestBody {
    /// Being forwarded as it arrives.
    Streaming,
    /// Complete, or there was none.
    #[default]
    Complete,
}

/// The response, from the endpoint to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Response {
    /// No head yet.
    #[default]
    Awaited,
    /// Its head is on its way to the client.
    Streaming {
        /// Whether the client's connection can carry another request afterwards.
        keep_alive: bool,
        /// Whether the endpoint's connection can carry another request afterwards.
        reusable: bool,
        /// Ends when the endpoint closes; a client that cannot see that must see a reset if it is cut.
        until_close: bool,
    },
}

/// One request and its response.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// What the codec learned from the head.
    pub(super) facts: RequestFacts,
    pub(super) request_body: RequestBody,
    pub(super) response: Response,
    /// Trailers read and not yet written.
    pub(super) trailers: Option<Headers>,
    /// The protocol of a 101.
    pub(super) switched_to: Option<Box<str>>,
    /// When the last byte of the request arrived.
    pub(super) request_complete: Option<Instant>,
    /// When the whole request must be over.
    pub(super) route_deadline: Option<Instant>,
}
