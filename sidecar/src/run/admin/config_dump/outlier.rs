//! How `/config_dump` shows the ejection of a cluster.

use outrigger_core::cluster::OutlierDetection;
use serde_json::{Value, json};

use super::duration;

/// By Envoy's names; what is off is null.
pub(super) fn detection(detection: &OutlierDetection) -> Value {
    json!({
        "consecutive_5xx": detection.consecutive_5xx,
        "consecutive_gateway_failure": detection.consecutive_gateway,
        "split_external_local_origin_errors": detection.split_local_origin,
        "consecutive_local_origin_failure": detection.consecutive_local_origin,
        "error_codes": detection.error_codes,
        "interval": duration(detection.interval),
        "base_ejection_time": duration(detection.base_ejection_time),
        "max_ejection_time": duration(detection.max_ejection_time),
        "max_ejection_percent": detection.max_ejection_percent,
        "always_eject_one_host": detection.always_eject_one,
        "healthy_panic_threshold": detection.min_health_percent,
        "success_rate": detection.success_rate.map(|s| json!({
            "minimum_hosts": s.minimum_hosts,
            "request_volume": s.request_volume,
            "stdev_factor": s.stdev_factor,
            "enforcing": s.enforcing,
        })),
        "failure_percentage": detection.failure_percentage.map(|f| json!({
            "threshold": f.threshold,
            "minimum_hosts": f.minimum_hosts,
            "request_volume": f.request_volume,
            "enforcing": f.enforcing,
        })),
    })
}
