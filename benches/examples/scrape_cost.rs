//! What it costs to add up and write the metrics of a thousand services that were all asked, on two workers: CPU of the thread
//! that does it. The stats of clusters are as many as the program tells.
//!
//! `cargo run --release -p outrigger-benches --example scrape_cost`

use std::fs;
use std::sync::Arc;

use outrigger_benches::scenario::{many_services, snapshot};
use outrigger_core::decision::{Attempt, AttemptEnd, Details, Picked, PickedBy, Record};
use outrigger_core::message::ResponseHead;
use outrigger_core::peer::{ExchangeId, ListenerKind, Peer};
use outrigger_core::snapshot::{ClusterId, Snapshot};
use outrigger_core::time::Instant;
use outrigger_core::worker::Facts;
use outrigger_runtime::{Ended, Sink};
use outrigger_telemetry::exposition::{Form, Page, Scope, Sheet, Stat, Value, label_text};
use outrigger_telemetry::metrics::{MetricsSettings, Told};
use outrigger_telemetry::{Settings, Telemetry};

const ROUNDS: usize = 9;

/// Stats of a cluster besides its times.
const STATS: usize = 40;

fn main() {
    let snapshot = snapshot(&many_services(1000));
    let telemetry = Telemetry::start(Settings {
        metrics: Some(MetricsSettings::default()),
        ..Settings::default()
    });
    let sinks = telemetry.sinks();
    let sinks = sinks.as_ref();
    let workers = (0..2).filter_map(|worker| Some(sinks?.sink(worker, 1)));
    for mut worker in workers.collect::<Vec<_>>() {
        ask_all(&mut *worker, &snapshot);
    }
    let mut rounds: Vec<(u64, usize)> = (0..ROUNDS)
        .map(|_| {
            let before = on_cpu();
            let page = page(&telemetry, &snapshot);
            let bytes = page.map(|piece| piece.len()).sum();
            (on_cpu() - before, bytes)
        })
        .collect();
    rounds.sort_unstable();
    let (nanos, bytes) = rounds[ROUNDS / 2];
    println!("{:.1} ms of CPU, {bytes} bytes", nanos as f64 / 1e6);
}

fn ask_all(sink: &mut dyn Sink, snapshot: &Arc<Snapshot>) {
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

fn page(telemetry: &Telemetry, snapshot: &Snapshot) -> Page {
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

/// How long this thread has been on a CPU; what else runs on the machine does not count.
fn on_cpu() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    first
        .and_then(|nanos| nanos.parse().ok())
        .unwrap_or_default()
}
