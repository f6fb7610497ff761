//! When endpoints are ejected (DestinationRule `outlierDetection`).

use core::num::NonZeroU32;

use crate::time::Duration;

/// Settings of a cluster's ejection, defaults filled in. A threshold of `None` never fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    /// Errors in a row (`consecutive5xxErrors`, 5 when absent).
    pub consecutive_5xx: Option<NonZeroU32>,
    /// 502, 503 and 504 in a row (`consecutiveGatewayErrors`, off when absent).
    pub consecutive_gateway: Option<NonZeroU32>,
    /// Whether failures that no response tells of are counted on their own; otherwise they count as 503 and 504.
    pub split_local_origin: bool,
    /// Such failures in a row (`consecutiveLocalOriginFailures`, 5 when absent); only with the split.
    pub consecutive_local_origin: Option<NonZeroU32>,
    /// The statuses that are errors, sorted; when empty, every 5xx is one.
    pub error_codes: Box<[u16]>,
    /// From one sweep to the next (10 s when absent). Above zero.
    pub interval: Duration,
    /// How long the first ejection lasts (30 s when absent).
    pub base_ejection_time: Duration,
    /// The share of endpoints that may be out at a time, 1 to 100 (10 when absent or 0).
    pub max_ejection_percent: u8,
    /// Below this share of healthy endpoints health is ignored, 0 to 100; 0 never.
    pub min_health_percent: u8,
}
