//! What a DestinationRule may say beyond Istio's fields, by annotation (`docs/extensions.md`). It holds for the whole
//! service: every port and subset.

use crate::config::annotations::{Annotations, Setting};
use crate::config::code::Code;
use crate::snapshot::AdaptiveConcurrency;
use crate::time::Duration;

/// The annotations of a DestinationRule; what is absent is off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extensions {
    /// `outrigger.dev/retry-budget`: retries as a share of requests over time (linkerd, Finagle).
    pub retry_budget: Option<TokenRetryBudget>,
    /// `outrigger.dev/adaptive-concurrency`: a limit of requests under way that follows response times (Envoy, Netflix).
    pub adaptive_concurrency: Option<AdaptiveConcurrency>,
    /// `outrigger.dev/load-balancer`: a way to pick endpoints in place of `LEAST_REQUEST`.
    pub load_balancer: Option<ExtendedLb>,
    /// `outrigger.dev/hash-balance-factor`: how much of its fair share an endpoint may have, in percent (Envoy).
    pub hash_balance_factor: Option<u32>,
    /// `outrigger.dev/success-rate-ejection`: ejects who succeeds less often than the others (Envoy).
    pub success_rate_ejection: Option<SuccessRateEjection>,
    /// `outrigger.dev/failure-percentage-ejection`: ejects who fails too often (Envoy).
    pub failure_percentage_ejection: Option<FailurePercentageEjection>,
    /// `outrigger.dev/always-eject-one-host`: one may be out whatever `maxEjectionPercent` says (Envoy).
    pub always_eject_one_host: bool,
}

impl Extensions {
    /// Whether something is set that acts only together with `outlierDetection`.
    #[must_use]
    pub const fn needs_outlier_detection(&self) -> bool {
        self.success_rate_ejection.is_some()
            || self.failure_percentage_ejection.is_some()
            || self.always_eject_one_host
    }
}

/// Envoy's success-rate detector, under the names of its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRateEjection {
    /// Endpoints that must have had enough results.
    pub minimum_hosts: u32,
    /// Results of an interval that are enough.
    pub request_volume: u32,
    /// Standard deviations below the mean, in thousandths.
    pub stdev_factor: u32,
    /// Percent.
    pub enforcing: u32,
}

/// Envoy's failure-percentage detector, under the names of its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailurePercentageEjection {
    /// Percent.
    pub threshold: u32,
    /// Endpoints that must have had enough results.
    pub minimum_hosts: u32,
    /// Results of an interval that are enough.
    pub request_volume: u32,
    /// Percent.
    pub enforcing: u32,
}

/// A way to pick endpoints that Istio has no name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedLb {
    /// `PEAK_EWMA`: by response time and requests in flight (Finagle, linkerd).
    PeakEwma,
}

/// A budget of retries that requests pay into and retries draw from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenRetryBudget {
    /// Retries for each request, 0 to 1000.
    pub ratio: f64,
    /// Retries a second that are allowed whatever the ratio.
    pub min_per_second: u32,
    /// How long a request's deposit lasts.
    pub ttl: Duration,
}

/// Reads them.
pub(super) fn read(all: &mut Annotations<'_, '_>) -> Extensions {
    Extensions {
        retry_budget: all.read("retry-budget", retry_budget),
        adaptive_concurrency: all.read("adaptive-concurrency", adaptive_concurrency),
        load_balancer: all.read("load-balancer", load_balancer).flatten(),
        hash_balance_factor: all
            .read("hash-balance-factor", hash_balance_factor)
            .flatten(),
        success_rate_ejection: all.read("success-rate-ejection", success_rate),
        failure_percentage_ejection: all.read("failure-percentage-ejection", failure_percentage),
        always_eject_one_host: all.flag("always-eject-one-host"),
    }
}

/// Defaults are Envoy's.
fn success_rate(setting: &mut Setting<'_, '_>) -> SuccessRateEjection {
    SuccessRateEjection {
        minimum_hosts: setting.count("minimum_hosts", 0, u32::MAX).unwrap_or(5),
        request_volume: setting.count("request_volume", 0, u32::MAX).unwrap_or(100),
        stdev_factor: setting.count("stdev_factor", 0, u32::MAX).unwrap_or(1900),
        enforcing: setting.count("enforcing", 0, 100).unwrap_or(100),
    }
}

/// Defaults are Envoy's, but for `enforcing`: whoever writes the annotation wants it done.
fn failure_percentage(setting: &mut Setting<'_, '_>) -> FailurePercentageEjection {
    FailurePercentageEjection {
        threshold: setting.count("threshold", 0, 100).unwrap_or(85),
        minimum_hosts: setting.count("minimum_hosts", 0, u32::MAX).unwrap_or(5),
        request_volume: setting.count("request_volume", 0, u32::MAX).unwrap_or(50),
        enforcing: setting.count("enforcing", 0, 100).unwrap_or(100),
    }
}

/// Bounds are Envoy's defaults, the initial limit is Netflix's.
fn adaptive_concurrency(setting: &mut Setting<'_, '_>) -> AdaptiveConcurrency {
    let min = setting.count("min", 1, 1_000_000).unwrap_or(3);
    let max = setting.count("max", 1, 1_000_000).unwrap_or(1000);
    if max < min {
        let message = format!("max is {max}, and min is {min}");
        setting
            .report()
            .raise(Code::InvalidAnnotation, message, "max is min at least");
    }
    let max = max.max(min);
    let initial = setting.count("initial", 1, 1_000_000).unwrap_or(20);
    AdaptiveConcurrency {
        min,
        max,
        initial: initial.clamp(min, max),
        buffer: setting.ratio("buffer", 10.0).unwrap_or(0.5),
        interval: setting
            .duration("interval")
            .unwrap_or(Duration::from_secs(10)),
        window: setting.count("window", 1, 100_000).unwrap_or(50),
    }
}

/// Defaults are tower's, which are linkerd's.
fn retry_budget(setting: &mut Setting<'_, '_>) -> TokenRetryBudget {
    TokenRetryBudget {
        ratio: setting.ratio("ratio", 1000.0).unwrap_or(0.2),
        min_per_second: setting.count("min", 0, 1_000_000).unwrap_or(10),
        ttl: setting.duration("ttl").unwrap_or(Duration::from_secs(10)),
    }
}

fn load_balancer(setting: &mut Setting<'_, '_>) -> Option<ExtendedLb> {
    let named = setting.word(&[("PEAK_EWMA", ExtendedLb::PeakEwma)]);
    if setting.is_empty() {
        let message = "no load balancer is named";
        let help = "write `PEAK_EWMA`";
        setting
            .report()
            .raise(Code::InvalidAnnotation, message, help);
    }
    named
}

/// Envoy takes no factor below 100; whoever wants more than a hundred times the fair share wants no bound.
fn hash_balance_factor(setting: &mut Setting<'_, '_>) -> Option<u32> {
    setting.lone_count(100, 10_000)
}
