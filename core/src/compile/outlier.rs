//! DestinationRule `outlierDetection`, with Istio's defaults filled in.

use core::num::NonZeroU32;

use crate::cluster::OutlierDetection;
use crate::config::destination_rule;
use crate::time::Duration;

/// Errors in a row when nobody says otherwise (Envoy).
const CONSECUTIVE: u32 = 5;

/// Between sweeps when nobody says otherwise.
const INTERVAL: Duration = Duration::from_secs(10);

/// The first ejection when nobody says otherwise.
const BASE_EJECTION_TIME: Duration = Duration::from_secs(30);

/// The share of endpoints that may be out when nobody says otherwise, in percent.
const MAX_EJECTION_PERCENT: u8 = 10;

/// Settings that validation let through.
#[must_use]
pub(super) fn detection(written: &destination_rule::OutlierDetection) -> Box<OutlierDetection> {
    let split = written.split_external_local_origin_errors;
    let local_origin = written.consecutive_local_origin_failures;
    let codes = written.http_error_codes.iter();
    let mut error_codes: Vec<u16> = codes.filter_map(|c| u16::try_from(*c).ok()).collect();
    error_codes.sort_unstable();
    Box::new(OutlierDetection {
        consecutive_5xx: threshold(written.consecutive_5xx_errors.unwrap_or(CONSECUTIVE)),
        consecutive_gateway: threshold(written.consecutive_gateway_errors.unwrap_or(0)),
        split_local_origin: split,
        consecutive_local_origin: threshold(local_origin.unwrap_or(CONSECUTIVE)).filter(|_| split),
        error_codes: error_codes.into(),
        interval: duration(written.interval, INTERVAL),
        base_ejection_time: duration(written.base_ejection_time, BASE_EJECTION_TIME),
        max_ejection_percent: percent(written.max_ejection_percent).unwrap_or(MAX_EJECTION_PERCENT),
        min_health_percent: percent(written.min_health_percent).unwrap_or(0),
    })
}

/// Zero turns a detector off.
const fn threshold(written: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(written)
}

/// Zero has passed no validation.
fn duration(written: Option<Duration>, default: Duration) -> Duration {
    written.filter(|d| !d.is_zero()).unwrap_or(default)
}

/// A percentage above zero.
fn percent(written: i32) -> Option<u8> {
    let percent = u8::try_from(written.min(100)).ok();
    percent.filter(|percent| *percent > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::from_yaml;

    /// What a traffic policy's block becomes.
    fn compiled(block: &str) -> OutlierDetection {
        let text = format!(
            "kind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: a}}\nspec: {{hosts: [a.test], \
             resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 10.0.0.1}}]}}\n\
             ---\nkind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata: {{name: a}}\n\
             spec: {{host: a.test, trafficPolicy: {{outlierDetection: {block}}}}}\n"
        );
        let snapshot = from_yaml(&text).snapshot;
        let mut clusters = snapshot.clusters.iter();
        let cluster = clusters.find(|c| &*c.host == "a.test").unwrap();
        *cluster.outlier_detection.clone().unwrap()
    }

    #[test]
    fn defaults_are_filled_in() {
        let absent = compiled("{}");
        let want = OutlierDetection {
            consecutive_5xx: NonZeroU32::new(5),
            consecutive_gateway: None,
            split_local_origin: false,
            consecutive_local_origin: None,
            error_codes: Box::default(),
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_percent: 10,
            min_health_percent: 0,
        };
        assert_eq!(absent, want);
        let zero = compiled("{consecutive5xxErrors: 0, maxEjectionPercent: 0}");
        let no_5xx = OutlierDetection {
            consecutive_5xx: None,
            ..want.clone()
        };
        assert_eq!(zero, no_5xx);
        let split = compiled("{splitExternalLocalOriginErrors: true, minHealthPercent: 30}");
        let with_split = OutlierDetection {
            split_local_origin: true,
            consecutive_local_origin: NonZeroU32::new(5),
            min_health_percent: 30,
            ..want.clone()
        };
        assert_eq!(split, with_split);
        let all = compiled(
            "{consecutiveGatewayErrors: 2, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 100, \
             outlierDetectionHttpErrorCodes: [503, 429]}",
        );
        let everything = OutlierDetection {
            consecutive_gateway: NonZeroU32::new(2),
            error_codes: [429, 503].into(),
            interval: Duration::from_secs(1),
            base_ejection_time: Duration::from_secs(2),
            max_ejection_percent: 100,
            ..want
        };
        assert_eq!(all, everything);
    }
}
