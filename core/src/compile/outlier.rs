//! DestinationRule `outlierDetection`, with Istio's defaults filled in, and the annotations that go with it.

use core::num::NonZeroU32;

use crate::cluster::{FailurePercentage, OutlierDetection, SuccessRate};
use crate::config::destination_rule;
use crate::time::Duration;

/// Settings that validation let through.
#[must_use]
pub(super) fn detection(
    written: &destination_rule::OutlierDetection,
    extensions: Option<&destination_rule::Extensions>,
) -> Box<OutlierDetection> {
    let default = OutlierDetection::default();
    let split = written.split_external_local_origin_errors;
    // Envoy's default, which Istio leaves alone.
    let local_origin = written.consecutive_local_origin_failures.unwrap_or(5);
    let codes = written.http_error_codes.iter();
    let mut error_codes: Vec<u16> = codes.filter_map(|c| u16::try_from(*c).ok()).collect();
    error_codes.sort_unstable();
    let base_ejection_time = duration(written.base_ejection_time, default.base_ejection_time);
    Box::new(OutlierDetection {
        consecutive_5xx: written
            .consecutive_5xx_errors
            .map_or(default.consecutive_5xx, NonZeroU32::new),
        consecutive_gateway: NonZeroU32::new(written.consecutive_gateway_errors.unwrap_or(0)),
        split_local_origin: split,
        consecutive_local_origin: NonZeroU32::new(local_origin).filter(|_| split),
        error_codes: error_codes.into(),
        interval: duration(written.interval, default.interval),
        base_ejection_time,
        max_ejection_time: default.max_ejection_time.max(base_ejection_time),
        max_ejection_percent: percent(written.max_ejection_percent)
            .unwrap_or(default.max_ejection_percent),
        always_eject_one: extensions.is_some_and(|e| e.always_eject_one_host),
        min_health_percent: percent(written.min_health_percent).unwrap_or(0),
        success_rate: extensions
            .and_then(|e| e.success_rate_ejection)
            .map(|s| SuccessRate {
                minimum_hosts: s.minimum_hosts,
                request_volume: s.request_volume,
                stdev_factor: s.stdev_factor,
                enforcing: whole_percent(s.enforcing),
            }),
        failure_percentage: extensions
            .and_then(|e| e.failure_percentage_ejection)
            .map(|f| FailurePercentage {
                threshold: whole_percent(f.threshold),
                minimum_hosts: f.minimum_hosts,
                request_volume: f.request_volume,
                enforcing: whole_percent(f.enforcing),
            }),
    })
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

/// Reading has seen to it that there is no more than a hundred.
fn whole_percent(read: u32) -> u8 {
    u8::try_from(read).map_or(100, |percent| percent.min(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::from_yaml;

    /// What a traffic policy's block becomes.
    fn compiled(block: &str) -> OutlierDetection {
        annotated("{}", block)
    }

    fn annotated(annotations: &str, block: &str) -> OutlierDetection {
        let text = format!(
            "kind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: a}}\nspec: {{hosts: [a.test], \
             resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 10.0.0.1}}]}}\n\
             ---\nkind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata: {{name: a, annotations: {annotations}}}\n\
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
        let want = OutlierDetection::default();
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

    #[test]
    fn annotations_turn_on_what_istio_leaves_off() {
        let off = compiled("{}");
        let on = annotated(
            "{outrigger.dev/success-rate-ejection: 'true', outrigger.dev/failure-percentage-ejection: 'true', \
             outrigger.dev/always-eject-one-host: 'true'}",
            "{}",
        );
        let want = OutlierDetection {
            always_eject_one: true,
            success_rate: Some(SuccessRate {
                minimum_hosts: 5,
                request_volume: 100,
                stdev_factor: 1900,
                enforcing: 100,
            }),
            failure_percentage: Some(FailurePercentage {
                threshold: 85,
                minimum_hosts: 5,
                request_volume: 50,
                enforcing: 100,
            }),
            ..off
        };
        assert_eq!(on, want);
        let written = annotated(
            "{outrigger.dev/success-rate-ejection: 'minimum_hosts=2, request_volume=3, stdev_factor=4, enforcing=0', \
             outrigger.dev/failure-percentage-ejection: 'threshold=5, minimum_hosts=6, request_volume=7, enforcing=8'}",
            "{baseEjectionTime: 301s}",
        );
        assert_eq!(
            written.success_rate,
            Some(SuccessRate {
                minimum_hosts: 2,
                request_volume: 3,
                stdev_factor: 4,
                enforcing: 0,
            })
        );
        assert_eq!(
            written.failure_percentage,
            Some(FailurePercentage {
                threshold: 5,
                minimum_hosts: 6,
                request_volume: 7,
                enforcing: 8,
            })
        );
        assert_eq!(written.max_ejection_time, Duration::from_secs(301));
    }
}
