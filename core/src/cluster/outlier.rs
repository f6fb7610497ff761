//! When endpoints are ejected (DestinationRule `outlierDetection`, and annotations for what Istio never turns on).

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
    /// How long the longest one lasts: 300 s, or the first one if that is longer (Envoy's default; Istio has no field).
    pub max_ejection_time: Duration,
    /// The share of endpoints that may be out at a time, 1 to 100 (10 when absent or 0).
    pub max_ejection_percent: u8,
    /// Whether one may be out whatever the share.
    pub always_eject_one: bool,
    /// Below this share of healthy endpoints health is ignored, 0 to 100; 0 never.
    pub min_health_percent: u8,
    /// Ejects, with each sweep, those that succeed less often than the others; `None` never.
    pub success_rate: Option<SuccessRate>,
    /// Ejects, with each sweep, those that fail too often; `None` never.
    pub failure_percentage: Option<FailurePercentage>,
}

/// Envoy's success-rate detector. What it finds without the split in responses and failures to get one, it finds with the
/// split in each of them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// It does nothing unless so many endpoints had enough results.
    pub minimum_hosts: u32,
    /// How many results of an interval are enough.
    pub request_volume: u32,
    /// How many standard deviations below the mean is too low, in thousandths.
    pub stdev_factor: u32,
    /// The chance that what is found is done, in percent.
    pub enforcing: u8,
}

/// Envoy's failure-percentage detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// The share of failures that is too many, in percent.
    pub threshold: u8,
    /// It does nothing unless so many endpoints had enough results.
    pub minimum_hosts: u32,
    /// How many results of an interval are enough.
    pub request_volume: u32,
    /// The chance that what is found is done, in percent.
    pub enforcing: u8,
}

/// What `outlierDetection: {}` means.
impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: NonZeroU32::new(5),
            consecutive_gateway: None,
            split_local_origin: false,
            consecutive_local_origin: None,
            error_codes: Box::default(),
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_percent: 10,
            always_eject_one: false,
            min_health_percent: 0,
            success_rate: None,
            failure_percentage: None,
        }
    }
}

impl OutlierDetection {
    /// Whether results are counted for a detector that looks at rates.
    #[must_use]
    pub const fn looks_at_rates(&self) -> bool {
        self.success_rate.is_some() || self.failure_percentage.is_some()
    }
}
