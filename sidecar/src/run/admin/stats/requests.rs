//! Istio's standard metrics of requests.

use outrigger_core::snapshot::telemetry::Metric;
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value};
use outrigger_telemetry::metrics::{Collected, Told};

/// All series.
pub(super) fn add(sheet: &mut Sheet, collected: &Collected) {
    collected.told(|metric, labels, told| {
        let (family, help) = match metric {
            Metric::Requests => ("istio_requests_total", "Requests"),
            Metric::Duration => (
                "istio_request_duration_milliseconds",
                "From the first byte of a request to the last of its response",
            ),
            Metric::RequestBytes => ("istio_request_bytes", "Bytes of bodies of requests"),
            Metric::ResponseBytes => ("istio_response_bytes", "Bytes of bodies of responses"),
            Metric::RequestMessages => (
                "istio_request_messages_total",
                "Messages that gRPC calls sent",
            ),
            Metric::ResponseMessages => (
                "istio_response_messages_total",
                "Messages that answered gRPC calls",
            ),
        };
        let value = match told {
            Told::Count(count) => Value::Counter(count),
            Told::Micros(distribution) => Value::Micros(distribution),
            Told::Bytes(distribution) => Value::Bytes(distribution),
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
