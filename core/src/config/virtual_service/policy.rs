//! Retries, faults and mirrors of an HTTP route, as written.

use super::destination::Destination;
use crate::time::Duration;

/// A share of requests: 0 to 100, finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Percent {
    /// In percent.
    pub value: f64,
}

/// How failed requests are tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRetry {
    /// Tries after the first; zero turns retries off.
    pub attempts: i32,
    /// For each try.
    pub per_try_timeout: Option<Duration>,
    /// Conditions separated by commas; empty is Istio's default list.
    pub retry_on: String,
    /// Spill over to localities of lower priority.
    pub retry_remote_localities: Option<bool>,
    /// Avoid hosts that were tried; absent means yes unless the route hashes.
    pub retry_ignore_previous_hosts: Option<bool>,
    /// Base of the back-off; absent is 25 ms.
    pub backoff: Option<Duration>,
}

/// Faults injected before forwarding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpFaultInjection {
    /// Wait first.
    pub delay: Option<FaultDelay>,
    /// Answer instead of forwarding.
    pub abort: Option<FaultAbort>,
}

/// An injected delay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultDelay {
    /// Deprecated share in whole percent; used only without `percentage`.
    pub percent: i32,
    /// How long; absent is an error.
    pub kind: Option<FaultDelayKind>,
    /// The share of requests; with `percent` absent too, none.
    pub percentage: Option<Percent>,
}

impl FaultDelay {
    /// The share of requests in percent: `percentage`, else the deprecated `percent`, else none.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.percentage
            .map_or_else(|| f64::from(self.percent), |share| share.value)
    }
}

/// How long an injected delay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultDelayKind {
    /// `fixedDelay`.
    Fixed(Duration),
    /// `exponentialDelay`, which Istio refuses.
    Exponential(Duration),
}

/// An injected answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultAbort {
    /// What is answered; absent injects nothing.
    pub error: Option<AbortError>,
    /// The share of requests; absent means none.
    pub percentage: Option<Percent>,
    /// Removed from Istio, which ignores it; honoured here when `percentage` is absent.
    pub percent: Option<i32>,
}

impl FaultAbort {
    /// The share of requests in percent: `percentage`, else the removed `percent`, else none.
    #[must_use]
    pub fn share(&self) -> f64 {
        match (self.percentage, self.percent) {
            (Some(share), _) => share.value,
            (None, Some(percent)) => f64::from(percent),
            (None, None) => 0.0,
        }
    }
}

/// What an injected abort answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbortError {
    /// `httpStatus`.
    HttpStatus(i32),
    /// `grpcStatus`, by name.
    GrpcStatus(String),
    /// `http2Error`, which Istio refuses.
    Http2Error(String),
}

/// One entry of `http[].mirrors`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpMirrorPolicy {
    /// Where copies go.
    pub destination: Destination,
    /// Share of requests that are copied; absent is all.
    pub percentage: Option<Percent>,
}

impl HttpMirrorPolicy {
    /// The share of requests in percent.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.percentage.map_or(100.0, |share| share.value)
    }
}
