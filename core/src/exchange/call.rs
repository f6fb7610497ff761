//! How far the request being served has come, in both directions.

use super::replay::{Replay, STALE_LIMIT};
use crate::message::Headers;
use crate::request::Later;
use crate::stream::Begins;
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
    Streaming,
}

/// One request and its response.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// What the head says of the rest.
    pub(super) begins: Begins,
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
    pub(super) delayed: Option<(Instant, Later)>,
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
    pub(super) fn restart(&mut self, begins: Begins) {
        let mut replay = core::mem::take(&mut self.replay);
        replay.begin(STALE_LIMIT);
        *self = Self {
            begins,
            replay,
            ..Self::default()
        };
    }
}
