//! Istio's standard metrics of requests, and of connections that are not HTTP.

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
            Metric::ConnectionsOpened => (
                "istio_tcp_connections_opened_total",
                "Connections that are not HTTP and were begun",
            ),
            Metric::ConnectionsClosed => (
                "istio_tcp_connections_closed_total",
                "Connections that are not HTTP and have ended",
            ),
            Metric::BytesSent => (
                "istio_tcp_sent_bytes_total",
                "Bytes to clients on connections that are not HTTP",
            ),
            Metric::BytesReceived => (
                "istio_tcp_received_bytes_total",
                "Bytes from clients on connections that are not HTTP",
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
