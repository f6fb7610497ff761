//! Istio's standard metrics of requests.

use outrigger_core::snapshot::telemetry::Metric;
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value};
use outrigger_telemetry::metrics::Collected;

/// All series.
pub(super) fn add(sheet: &mut Sheet, collected: &Collected) {
    collected.told(|metric, labels, sum| {
        let (family, help, value) = match metric {
            Metric::Requests => (
                "istio_requests_total",
                "Requests",
                Value::Counter(sum.requests),
            ),
            Metric::Duration => (
                "istio_request_duration_milliseconds",
                "From the first byte of a request to the last of its response",
                Value::Micros(&sum.duration),
            ),
            Metric::RequestBytes => (
                "istio_request_bytes",
                "Bytes of bodies of requests",
                Value::Bytes(&sum.request_bytes),
            ),
            Metric::ResponseBytes => (
                "istio_response_bytes",
                "Bytes of bodies of responses",
                Value::Bytes(&sum.response_bytes),
            ),
        };
        let text = format!("{family}{{{labels}}}");
        let scope = Scope {
            text: &text,
            family,
            labels,
        };
        sheet.add(&scope, Stat::new("", help), value);
    });
}
