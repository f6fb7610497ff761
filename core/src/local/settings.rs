//! What a worker goes by that does not come from Istio resources: limits and times, with their defaults.
//!
//! What each limit stops, and the option of `run` that sets it, is in `docs/limits.md`.

use serde::{Deserialize, Serialize};

use super::tokens::TokenLimits;
use crate::http1;
use crate::http2;
use crate::jose::CheckSignature;
use crate::peer::ToldClients;
use crate::snapshot::Http2Options;
use crate::time::Duration;

/// Whoever checks signatures of tokens, if there is anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signatures(pub Option<CheckSignature>);

/// There is one way to check a signature, so two that do are the same.
impl PartialEq for Signatures {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

impl Eq for Signatures {}

/// Settings of a worker that do not come from Istio resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// From the first byte of a head to its last; then 408. `None` waits for ever.
    pub request_head_timeout: Option<Duration>,
    /// From a client's connection to what is known of it beneath HTTP: a TLS handshake, or the first byte that shows clear text;
    /// then it is closed. `None` waits for ever. (Envoy's `transport_socket_connect_timeout`, which Istio sets to 15 s.)
    pub tls_handshake_timeout: Option<Duration>,
    /// From a client's connection to a port of which nobody says what is spoken, to bytes that tell; then it is not HTTP, and may
    /// wait for its server to speak first. What the mesh says goes before (`protocolDetectionTimeout`). `None` waits for ever.
    #[serde(skip, default = "protocol_detection_timeout")]
    pub protocol_detection_timeout: Option<Duration>,
    /// As many first bytes are looked at; a connection that has not told by them what is spoken is not HTTP.
    #[serde(skip, default = "max_sniffed_bytes")]
    pub max_sniffed_bytes: usize,
    /// The longest header of the PROXY protocol (version 2) that is read, in bytes; who sends a longer one is refused.
    #[serde(skip, default = "max_proxy_header_bytes")]
    pub max_proxy_header_bytes: usize,
    /// A client connection without a request is closed after this (Envoy's default: one hour).
    pub idle_timeout: Option<Duration>,
    /// The same while the machine is full, where that is less.
    #[serde(skip, default = "overloaded_idle_timeout")]
    pub overloaded_idle_timeout: Duration,
    /// For how long nothing of a request or its response may move; then 408, 504 or a reset. `None` is for ever (Istio's
    /// default). A rule may have its own.
    pub stream_idle_timeout: Option<Duration>,
    /// For how long nothing may move while a client owes some of a request whose head has come; then 408. `None` is for ever. Streams
    /// of HTTP/2 that do not say how long their body is are let be.
    #[serde(skip, default = "some_minutes")]
    pub request_body_timeout: Option<Duration>,
    /// For how long a client of HTTP/1 may take nothing of what is written to it; then its connection is reset. `None` is for ever.
    #[serde(skip, default = "some_minutes")]
    pub unread_timeout: Option<Duration>,
    /// How long we read on after the last response, so that the client sees it rather than a reset (Envoy's
    /// `delayed_close_timeout`).
    pub linger: Duration,
    /// The largest request body taken, in bytes; a longer one is answered 413. `None` is unlimited.
    pub max_request_body: Option<u64>,
    /// Bytes that the connections of the worker may hold in memory together before those that hold most are not read any
    /// more. `None` is unlimited.
    pub max_buffered_bytes: Option<u64>,
    /// What clients may send in HTTP/1 that is no body.
    #[serde(skip, default = "requests")]
    pub requests: &'static http1::Limits,
    /// The same of endpoints.
    #[serde(skip, default = "responses")]
    pub responses: &'static http1::Limits,
    /// Interim responses (1xx) to one request, of all its attempts. An endpoint that sends more never means to answer.
    #[serde(skip, default = "max_interim_responses")]
    pub max_interim_responses: u32,
    /// Tokens (JWT) of a request, and bytes of each.
    #[serde(skip)]
    pub token_limits: TokenLimits,
    /// What clients that speak HTTP/2 may do, and make us do.
    pub client_streams: http2::Limits,
    /// The same of endpoints.
    pub endpoint_streams: http2::Limits,
    /// Exchanges know where bodies lie in what is read and in what is to be written: for a recording that leaves them out.
    pub tells_bodies: bool,
    /// Accepted tokens that a worker keeps, so that each is checked once; 0 keeps none.
    pub max_cached_tokens: usize,
    /// How signatures of tokens are checked: core has no cryptography. Without it no token is accepted.
    #[serde(skip)]
    pub signatures: Signatures,
    /// Who is told in responses what was decided, if a request asks for it (`x-outrigger-explain: 1`).
    pub told_clients: ToldClients,
}

/// Recordings do not hold it: a run that is recorded has the default.
const fn protocol_detection_timeout() -> Option<Duration> {
    Some(Duration::from_secs(1))
}

/// As above.
const fn max_sniffed_bytes() -> usize {
    16 * 1024
}

/// As above.
const fn max_proxy_header_bytes() -> usize {
    crate::proxy_protocol::MOST
}

/// As above.
const fn some_minutes() -> Option<Duration> {
    Some(Duration::from_secs(300))
}

/// As above.
const fn requests() -> &'static http1::Limits {
    &http1::Limits::REQUEST
}

/// As above.
const fn responses() -> &'static http1::Limits {
    &http1::Limits::RESPONSE
}

/// As above.
const fn max_interim_responses() -> u32 {
    1000
}

/// As above.
const fn overloaded_idle_timeout() -> Duration {
    Duration::from_secs(5)
}

impl WorkerSettings {
    /// What an endpoint may do on a connection of a cluster that has these options.
    pub(crate) fn endpoint_streams(&self, options: &Http2Options) -> http2::Limits {
        let keepalive = options.keepalive.map(|keepalive| http2::KeepAlive {
            interval: keepalive.interval,
            timeout: keepalive.timeout,
        });
        http2::Limits {
            keepalive,
            ..self.endpoint_streams
        }
    }
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            request_head_timeout: Some(Duration::from_secs(60)),
            tls_handshake_timeout: Some(Duration::from_secs(15)),
            protocol_detection_timeout: protocol_detection_timeout(),
            max_sniffed_bytes: max_sniffed_bytes(),
            max_proxy_header_bytes: max_proxy_header_bytes(),
            idle_timeout: Some(Duration::from_secs(3600)),
            overloaded_idle_timeout: overloaded_idle_timeout(),
            stream_idle_timeout: None,
            request_body_timeout: some_minutes(),
            unread_timeout: some_minutes(),
            linger: Duration::from_secs(1),
            max_request_body: None,
            max_buffered_bytes: Some(256 * 1024 * 1024),
            requests: requests(),
            responses: responses(),
            max_interim_responses: max_interim_responses(),
            token_limits: TokenLimits::default(),
            client_streams: http2::Limits::SERVER,
            endpoint_streams: http2::Limits::CLIENT,
            tells_bodies: false,
            max_cached_tokens: 1000,
            signatures: Signatures::default(),
            told_clients: ToldClients::default(),
        }
    }
}
