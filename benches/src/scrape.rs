//! Metrics as they are asked for: requests to all services, and the page that tells of them.

use std::sync::Arc;

use outrigger_core::decision::{Attempt, AttemptEnd, Details, Picked, PickedBy, Record};
use outrigger_core::message::ResponseHead;
use outrigger_core::peer::{ExchangeId, ListenerKind, Peer};
use outrigger_core::snapshot::{ClusterId, Snapshot};
use outrigger_core::time::Instant;
use outrigger_core::worker::Facts;
use outrigger_runtime::{Ended, Sink};
use outrigger_telemetry::Telemetry;
use outrigger_telemetry::exposition::{Form, Page, Scope, Sheet, Stat, Value, label_text};
use outrigger_telemetry::metrics::Told;

/// Stats of a cluster besides its times, as many as the program tells.
const STATS: usize = 40;

/// Tells a worker's sink of one request to each service.
pub fn ask_all(sink: &mut dyn Sink, snapshot: &Arc<Snapshot>) {
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 15_001));
    for (id, _) in (0..).map(ClusterId).zip(snapshot.clusters.iter()) {
        let mut record: Record = Record::default();
        record.status = 200;
        record.details = Details::ViaUpstream;
        record.ended = Instant::from_millis(u64::from(id.0 % 50));
        record.attempts.push(Attempt {
            cluster: Some(id),
            endpoint: 0,
            picked: Picked::simply(PickedBy::Only),
            reused: true,
            began: Instant::ZERO,
            ended: record.ended,
            end: AttemptEnd::Response(200),
            followed: outrigger_core::decision::Followed::Nothing,
            ejected: None,
        });
        sink.on_end(&Ended {
            id: ExchangeId::default(),
            record: &record,
            snapshot,
            response: &ResponseHead::default(),
            peer: Peer {
                remote: local,
                local,
                original: None,
                listener: ListenerKind::Outbound,
            },
            listener: Some(0),
            facts: &Facts::CLEAR,
            client_tls: None,
            now: record.ended,
        });
    }
}

/// What is told when metrics are asked for.
#[must_use]
pub fn page(telemetry: &Telemetry, snapshot: &Snapshot) -> Page {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let collected = telemetry.collect(snapshot);
    let mut sheet = Sheet::new(Form::Prometheus, None, false);
    for cluster in snapshot.clusters.iter() {
        let labels = label_text(&[("cluster_name", &cluster.name)]);
        let scope = Scope {
            text: "cluster",
            family: "envoy_cluster",
            labels: &labels,
        };
        for at in 0..STATS {
            let stat = Stat::new(NAMES[at % NAMES.len()], "a stat");
            sheet.add(&scope, stat, Value::Counter(at as u64));
        }
        if let Some(requests) = collected.clusters.get(&*cluster.name) {
            let stat = Stat::new("upstream_rq_time", "times");
            sheet.add(&scope, stat, Value::Micros(&requests.time));
        }
    }
    collected.told(|metric, labels, told| {
        use outrigger_core::snapshot::telemetry::Metric;
        let family = match metric {
            Metric::Requests => "istio_requests_total",
            Metric::Duration => "istio_request_duration_milliseconds",
            Metric::RequestBytes => "istio_request_bytes",
            Metric::ResponseBytes => "istio_response_bytes",
            Metric::RequestMessages => "istio_request_messages_total",
            Metric::ResponseMessages => "istio_response_messages_total",
            Metric::ConnectionsOpened => "istio_tcp_connections_opened_total",
            Metric::ConnectionsClosed => "istio_tcp_connections_closed_total",
            Metric::BytesSent => "istio_tcp_sent_bytes_total",
            Metric::BytesReceived => "istio_tcp_received_bytes_total",
        };
        let value = match told {
            Told::Count(count) => Value::Counter(count),
            Told::Micros(distribution) => Value::Micros(distribution),
            Told::Bytes(distribution) => Value::Bytes(distribution),
        };
        let scope = Scope {
            text: family,
            family,
            labels,
        };
        sheet.add(&scope, Stat::new("", "requests"), value);
    });
    sheet.finish()
}
