//! Faults that are injected (`envoy.extensions.filters.http.fault.v3`).

use prost::Message;
use prost_types::Duration;

/// The full name of [`HttpFault`].
pub const FAULT: &str = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault";

/// What the filter is called; routes set it by that.
pub const FAULT_FILTER: &str = "envoy.filters.http.fault";

/// `MILLION` of `FractionalPercent`'s denominators.
const MILLION: i32 = 2;

/// What is done to some requests.
#[derive(Clone, PartialEq, Message)]
pub struct HttpFault {
    /// They wait first.
    #[prost(message, optional, tag = "1")]
    pub delay: Option<FaultDelay>,
    /// They are answered.
    #[prost(message, optional, tag = "2")]
    pub abort: Option<FaultAbort>,
}

/// A delay.
#[derive(Clone, PartialEq, Message)]
pub struct FaultDelay {
    /// How long.
    #[prost(message, optional, tag = "3")]
    pub fixed_delay: Option<Duration>,
    /// For which share of requests.
    #[prost(message, optional, tag = "4")]
    pub percentage: Option<FractionalPercent>,
}

/// An answer: one of the two, the other is 0.
#[derive(Clone, PartialEq, Message)]
pub struct FaultAbort {
    /// A status of HTTP.
    #[prost(uint32, tag = "2")]
    pub http_status: u32,
    /// For which share of requests.
    #[prost(message, optional, tag = "3")]
    pub percentage: Option<FractionalPercent>,
    /// A status of gRPC.
    #[prost(uint32, tag = "5")]
    pub grpc_status: u32,
}

/// A share.
#[derive(Clone, PartialEq, Message)]
pub struct FractionalPercent {
    /// So many.
    #[prost(uint32, tag = "1")]
    pub numerator: u32,
    /// Of so many.
    #[prost(int32, tag = "2")]
    pub denominator: i32,
}

impl FractionalPercent {
    /// So many of a million.
    #[must_use]
    pub const fn millionths(numerator: u32) -> Self {
        Self {
            numerator,
            denominator: MILLION,
        }
    }
}
