//! What workers count together.

use std::sync::Arc;
use std::time::Duration;

use outrigger_core::compile::from_yaml;
use outrigger_core::decision::{Connection, Record, ToldBy};
use outrigger_core::message::ResponseHead;
use outrigger_core::peer::{ExchangeId, ListenerKind, Peer, PeerCertificate, TlsFacts, TlsVersion};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::Facts;
use outrigger_runtime::Ended;

use super::{Metrics, MetricsSettings, Told, WorkerMetrics};

const REMOVES: &str = "apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: t}
spec: {metrics: [{overrides: [{tagOverrides: {response_flags: {operation: REMOVE}}}]}]}
";

fn snapshot(text: &str, revision: u64) -> Arc<Snapshot> {
    let mut snapshot = from_yaml(text).snapshot;
    snapshot.revision = revision;
    Arc::new(snapshot)
}

/// Lets so many requests end with a status.
fn count(worker: &mut WorkerMetrics, snapshot: &Arc<Snapshot>, status: u16, times: u64) {
    count_at(worker, snapshot, status, times, Instant::ZERO);
}

fn count_at(
    worker: &mut WorkerMetrics,
    snapshot: &Arc<Snapshot>,
    status: u16,
    times: u64,
    now: Instant,
) {
    let mut record: Record = Record::default();
    record.status = status;
    for _ in 0..times {
        end(worker, snapshot, &record, now);
    }
}

/// What the first listener's worker tells of one that has ended.
fn end(worker: &mut WorkerMetrics, snapshot: &Arc<Snapshot>, record: &Record, now: Instant) {
    worker.count(&ended(snapshot, record, now));
}

/// What is told of one.
fn ended<'a>(snapshot: &'a Arc<Snapshot>, record: &'a Record, now: Instant) -> Ended<'a> {
    static NO_RESPONSE: std::sync::LazyLock<ResponseHead> =
        std::sync::LazyLock::new(ResponseHead::default);
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    Ended {
        id: ExchangeId::default(),
        record,
        snapshot,
        response: &NO_RESPONSE,
        peer: Peer {
            remote: local,
            local,
            original: None,
            listener: ListenerKind::Outbound,
        },
        listener: Some(0),
        facts: &Facts::CLEAR,
        client_tls: None,
        now,
    }
}

/// What is no request is counted as none, and what a limit made one of TCP is counted.
#[test]
fn connections_that_did_not_tell_what_they_are() {
    let metrics = Arc::new(Metrics::new(MetricsSettings::default()));
    let mut worker = WorkerMetrics::new(&metrics, 0);
    let one = snapshot("", 1);
    for (told_by, silent, long) in [
        (ToldBy::Destination, 0, 0),
        (ToldBy::Tls, 0, 0),
        (ToldBy::FirstBytes, 0, 0),
        (ToldBy::Silence, 1, 0),
        (ToldBy::Length, 1, 1),
        (ToldBy::Silence, 2, 1),
    ] {
        let mut record: Record = Record::default();
        record.connection = Some(Box::new(Connection {
            destination: ([10, 0, 0, 1], 5432).into(),
            to: "10.0.0.1:5432".into(),
            told_by,
            server_name: None,
        }));
        end(&mut worker, &one, &record, Instant::ZERO);
        let listener = &metrics.collect(&one).listeners[0];
        let seen = (listener.silent, listener.long, listener.codes.total());
        assert_eq!(seen, (silent, long, 0), "{told_by:?}");
    }
}

/// A connection is counted while it lasts, once as opened and once as closed, and its bytes once; one that was never counted
/// before it ends is both at once.
#[test]
fn connections_are_counted_while_they_last() {
    let metrics = Arc::new(Metrics::new(MetricsSettings::default()));
    let mut worker = WorkerMetrics::new(&metrics, 0);
    let (one, two) = (snapshot("", 1), snapshot("", 2));
    let mut record: Record = Record::default();
    record.connection = Some(Box::new(Connection {
        destination: ([10, 0, 0, 1], 5432).into(),
        to: "10.0.0.1:5432".into(),
        told_by: ToldBy::Destination,
        server_name: None,
    }));
    let mut told = |snapshot: &Arc<Snapshot>, received, sent, ends| {
        (record.bytes_received, record.bytes_sent) = (received, sent);
        if ends {
            end(&mut worker, snapshot, &record, Instant::ZERO);
        } else {
            worker.go_on(&ended(snapshot, &record, Instant::ZERO));
        }
        let mut counts = Vec::new();
        metrics.collect(snapshot).told(|_, labels, told| {
            assert!(labels.contains("request_protocol=\"tcp\""), "{labels}");
            assert!(labels.contains("response_flags=\""), "{labels}");
            assert!(!labels.contains("response_code"), "{labels}");
            if let Told::Count(count) = told {
                counts.push(count);
            }
        });
        counts
    };
    // Opened, closed, to clients, from clients.
    assert_eq!(told(&one, 3, 10, false), [1, 0, 10, 3]);
    assert_eq!(told(&one, 3, 10, false), [1, 0, 10, 3]);
    // It began with another configuration than others, and is counted on.
    assert_eq!(told(&two, 5, 10, false), [1, 0, 10, 5]);
    assert_eq!(told(&one, 7, 30, true), [1, 1, 30, 7]);
    // Its name is free for another one.
    assert_eq!(told(&two, 1, 2, true), [2, 2, 32, 8]);
}

/// The requests of each series, in order, and whether it says flags.
fn requests(metrics: &Metrics, snapshot: &Snapshot) -> Vec<(u64, bool)> {
    let mut all = Vec::new();
    metrics.collect(snapshot).told(|_, labels, told| {
        if let Told::Count(requests) = told {
            all.push((requests, labels.contains("response_flags")));
        }
    });
    all.sort_unstable();
    all
}

#[test]
fn workers_count_together_before_anybody_has_asked() {
    let metrics = Arc::new(Metrics::new(MetricsSettings::default()));
    let mut workers = [0, 1].map(|number| WorkerMetrics::new(&metrics, number));
    let one = snapshot("", 1);
    for (worker, times) in workers.iter_mut().zip([2, 3]) {
        count(worker, &one, 200, times);
        count(worker, &one, 503, 1);
    }
    assert_eq!(requests(&metrics, &one), [(2, true), (5, true)]);
    // Another configuration with the same rules goes on, before and after somebody asks.
    let two = snapshot("", 2);
    for worker in &mut workers {
        count(worker, &two, 200, 1);
    }
    assert_eq!(requests(&metrics, &two), [(2, true), (7, true)]);
}

#[test]
fn series_begin_anew_when_rules_change() {
    let metrics = Arc::new(Metrics::new(MetricsSettings::default()));
    let mut workers = [0, 1].map(|number| WorkerMetrics::new(&metrics, number));
    let (one, two) = (snapshot("", 1), snapshot(REMOVES, 2));
    for worker in &mut workers {
        count(worker, &one, 200, 1);
    }
    assert_eq!(requests(&metrics, &one), [(2, true)]);
    for worker in &mut workers {
        count(worker, &two, 200, 4);
    }
    // One that outlasted its configuration is counted by rules that hold no more.
    count(&mut workers[0], &one, 200, 1);
    assert_eq!(requests(&metrics, &two), [(8, false)]);
}

/// Sets of labels end when nothing has been counted under them for long enough, and begin anew; others go on.
#[test]
fn idle_series_end() {
    let metrics = Arc::new(Metrics::new(MetricsSettings {
        series_idle: Some(Duration::from_secs(60)),
        ..MetricsSettings::default()
    }));
    let mut workers = [0, 1].map(|number| WorkerMetrics::new(&metrics, number));
    let one = snapshot("", 1);
    for worker in &mut workers {
        count_at(worker, &one, 200, 1, Instant::ZERO);
        count_at(worker, &one, 503, 5, Instant::ZERO);
    }
    count_at(&mut workers[1], &one, 200, 1, Instant::from_millis(50_000));
    for (at, ended) in [(60_000, false), (60_001, true), (110_000, false)] {
        assert_eq!(metrics.end_idle(Instant::from_millis(at)), ended, "{at}");
    }
    assert_eq!(
        requests(&metrics, &one),
        [(3, true)],
        "one worker is enough"
    );
    // Workers that have counted there before do so in the new one.
    for worker in &mut workers {
        count_at(worker, &one, 503, 1, Instant::from_millis(110_000));
    }
    assert_eq!(requests(&metrics, &one), [(2, true), (3, true)]);
    assert_eq!(metrics.collect(&one).ended, 1);
}

#[test]
fn idle_series_make_room() {
    let metrics = Arc::new(Metrics::new(MetricsSettings {
        max_series: 2,
        series_idle: Some(Duration::from_secs(60)),
        ..MetricsSettings::default()
    }));
    let mut worker = WorkerMetrics::new(&metrics, 0);
    let one = snapshot("", 1);
    for (status, at) in [(200, 0), (302, 0), (404, 59_000), (503, 70_000)] {
        count_at(&mut worker, &one, status, 1, Instant::from_millis(at));
    }
    let collected = metrics.collect(&one);
    assert_eq!((collected.overflowed, collected.ended), (1, 2));
}

/// A worker remembers where it has counted, and sees when that ends.
#[test]
fn nothing_is_counted_in_what_has_ended() {
    let metrics = Arc::new(Metrics::new(MetricsSettings {
        series_idle: Some(Duration::from_millis(1)),
        ..MetricsSettings::default()
    }));
    let one = snapshot("", 1);
    let mut worker = WorkerMetrics::new(&metrics, 0);
    for round in 0..100 {
        let now = Instant::from_millis(10 * round);
        count_at(&mut worker, &one, 200, 1, now);
        metrics.end_idle(now);
        assert_eq!(requests(&metrics, &one), [(1, true)], "{round}");
        metrics.end_idle(Instant::from_millis(10 * round + 5));
        assert_eq!(requests(&metrics, &one), [], "{round}");
    }
}

#[test]
fn more_sets_of_labels_than_there_is_room_for_are_counted_together() {
    let metrics = Arc::new(Metrics::new(MetricsSettings {
        max_series: 2,
        ..MetricsSettings::default()
    }));
    let mut worker = WorkerMetrics::new(&metrics, 0);
    let one = snapshot("", 1);
    for status in [200, 404, 500, 503] {
        count(&mut worker, &one, status, 2);
    }
    let collected = metrics.collect(&one);
    assert_eq!((collected.series(), collected.overflowed), (3, 4));
}

/// Who is at either end is said by certificates, and a request in clear text is of another series than one under TLS.
#[test]
fn principals_are_those_that_were_proved() {
    let facts = |name: &str| TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        sni: None,
        alpn: None,
        resumed: false,
        peer: Some(PeerCertificate {
            uri_names: [name.into()].into(),
            ..PeerCertificate::default()
        }),
    };
    let mut ours = from_yaml("").snapshot;
    ours.revision = 1;
    ours.settings.spiffe_id = Some("spiffe://td/ns/a/sa/ours".into());
    let ours = Arc::new(ours);
    let metrics = Arc::new(Metrics::new(MetricsSettings::default()));
    let mut worker = WorkerMetrics::new(&metrics, 0);
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let (a, b) = (
        facts("spiffe://td/ns/a/sa/a"),
        facts("spiffe://td/ns/a/sa/b"),
    );
    for tls in [Some(&a), Some(&b), Some(&a), None] {
        for listener in [ListenerKind::Inbound(0), ListenerKind::Outbound] {
            worker.count(&Ended {
                id: ExchangeId::default(),
                record: &Record::default(),
                snapshot: &ours,
                response: &ResponseHead::default(),
                peer: Peer {
                    remote: local,
                    local,
                    original: None,
                    listener,
                },
                listener: Some(0),
                facts: &Facts {
                    local: None,
                    tls: tls.cloned().map(Arc::new),
                },
                client_tls: tls,
                now: Instant::ZERO,
            });
        }
    }
    let mut told = Vec::new();
    metrics.collect(&ours).told(|_, labels, of| {
        if let Told::Count(count) = of {
            let of = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\"")).unwrap();
                rest.split('"')
                    .next()
                    .unwrap()
                    .replace("spiffe://td/ns/a/sa/", "")
            };
            let names = [
                "reporter",
                "source_principal",
                "destination_principal",
                "connection_security_policy",
            ];
            told.push(format!("{count} {}", names.map(of).join(" ")));
        }
    });
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "1 destination b ours mutual_tls",
            "1 destination unknown unknown none",
            "1 source ours b unknown",
            "1 source unknown unknown unknown",
            "2 destination a ours mutual_tls",
            "2 source ours a unknown",
        ]
    );
}
