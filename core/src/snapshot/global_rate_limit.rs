//! Global rate limits (Envoy's `envoy.filters.http.ratelimit`): which service is asked about a request, and what follows from
//! its answer.

use http::StatusCode;

use super::header_ops::HeaderOps;
use super::origin::Origin;
use super::resilience::PerMillion;
use super::route::DestinationCluster;
use crate::message::FieldName;
use crate::time::Duration;

/// One global rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalRateLimit {
    /// What sets it up.
    pub origin: Origin,
    /// What the service knows its limits by.
    pub domain: Box<str>,
    /// Where the service is.
    pub cluster: DestinationCluster,
    /// What calls say as their host.
    pub authority: Box<str>,
    /// Fields that calls have besides.
    pub metadata: Box<[(FieldName, Box<str>)]>,
    /// How long an answer may take; `None` is for ever.
    pub timeout: Option<Duration>,
    /// The share of requests that it is asked about.
    pub enabled: PerMillion,
    /// Of those that are over a limit, the share that is refused.
    pub enforced: PerMillion,
    /// Of those that it could not be asked about, the share that is refused.
    pub denied_on_failure: PerMillion,
    /// What a refused request is answered with, 400 to 599.
    pub status: StatusCode,
    /// What a refused gRPC request is answered with; by the status when absent.
    pub grpc_status: Option<u8>,
    /// What a request is answered with that is refused because the service could not be asked.
    pub status_on_error: StatusCode,
    /// Responses say what the service says is left (`x-ratelimit-…`).
    pub tells_clients: bool,
    /// Refusals say that they are such (`x-envoy-ratelimited`).
    pub says_limited: bool,
    /// Run on the answer to a refused request.
    pub response: HeaderOps,
}
