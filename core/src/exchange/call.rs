//! How far the request being served has come, in both directions.

use super::replay::{Replay, STALE_LIMIT};
use crate::http1::RequestFacts;
use crate::message::Headers;
use crate::time::{Duration, Instant};

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
        /// Its length is not known beforehand. A client of HTTP/1.0 gets no chunks, so it takes the end of its
        /// connection for the end of the body, and must see a reset if that is cut.
        unsized_body: bool,
    },
}

/// One request and its response.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// What the codec learned from the head.
    pub(super) facts: RequestFacts,
    pub(super) request_body: RequestBody,
    pub(super) response: Response,
    /// The body as far as it arrived.
    pub(super) replay: Replay,
    /// Trailers of the request.
    pub(super) request_trailers: Option<Headers>,
    /// Trailers of the response, read and not yet written.
    pub(super) trailers: Option<Headers>,
    /// A 1xx was sent to the client; Envoy gives up retrying then.
    pub(super) interim_sent: bool,
    /// An injected delay holds the request until then.
    pub(super) delayed_until: Option<Instant>,
    /// The protocol of a 101.
    pub(super) switched_to: Option<Box<str>>,
    /// When the last byte of the request arrived.
    pub(super) request_complete: Option<Instant>,
    /// When the whole request must be over.
    pub(super) route_deadline: Option<Instant>,
    /// For how long nothing may move.
    pub(super) idle_timeout: Option<Duration>,
    /// When a gRPC call to the application must be over.
    pub(super) duration_deadline: Option<Instant>,
}

impl Call {
    /// Another request begins; the memory of the last one's body is kept.
    pub(super) fn restart(&mut self, facts: RequestFacts) {
        let mut replay = core::mem::take(&mut self.replay);
        replay.begin(STALE_LIMIT);
        *self = Self {
            facts,
            replay,
            ..Self::default()
        };
    }
}
