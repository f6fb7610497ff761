//! Istio's standard metrics of requests.

use std::collections::HashMap;
use std::sync::Arc;

use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value};
use outrigger_telemetry::metrics::SeriesSum;

/// All series, by the text of their labels.
pub(super) fn add(sheet: &mut Sheet, series: &HashMap<Arc<str>, SeriesSum>) {
    for (labels, sum) in series {
        let mut add = |family: &'static str, help: &'static str, value: Value<'_>| {
            let text = format!("{family}{{{labels}}}");
            let scope = Scope {
                text: &text,
                family,
                labels,
            };
            sheet.add(&scope, Stat::new("", help), value);
        };
        add(
            "istio_requests_total",
            "Requests",
            Value::Counter(sum.requests),
        );
        add(
            "istio_request_duration_milliseconds",
            "From the first byte of a request to the last of its response",
            Value::Micros(&sum.duration),
        );
        add(
            "istio_request_bytes",
            "Bytes of bodies of requests",
            Value::Bytes(&sum.request_bytes),
        );
        add(
            "istio_response_bytes",
            "Bytes of bodies of responses",
            Value::Bytes(&sum.response_bytes),
        );
    }
}
