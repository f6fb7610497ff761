//! Every time that can be configured, by table: what it is for has not come a nanosecond before, and has come at its end.
//! What is coarser says so here, and why that may be.

use super::*;
use crate::cluster::{Bucket, BucketSize, ClusterState, RetryBudget, RetryLimit};
use crate::entropy::Draw;
use crate::policy::slow_start;
use crate::snapshot::{Cluster, MutualTls, ServerTls, WarmUp};

/// In microseconds. Half a millisecond and one and a half are refused where Istio wants whole milliseconds.
const LENGTHS: [u64; 6] = [500, 1000, 1500, 300_000, 1_000_000, 2_500_000];

/// Not a whole number of any of them.
const BEGIN: Instant = Instant::from_nanos(1_700_000_001);

/// As it is written in a configuration.
fn written(length: Duration) -> String {
    let micros = length.as_micros();
    format!("{}.{:03}ms", micros / 1000, micros % 1000)
}

/// A configuration of one service; `None` if it is refused.
fn accepted(text: &str) -> Option<Driver> {
    let compiled = from_yaml(text);
    let is_clean = compiled.findings.is_empty();
    is_clean.then(|| Driver::with(Arc::new(compiled.snapshot)))
}

fn rule(annotation: &str, fields: &str) -> Option<Driver> {
    accepted(&format!(
        "{SERVICE}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h, annotations: {{{annotation}}}}}
spec: {{hosts: [h.test], http: [{{{fields} route: [{{destination: {{host: h.test}}}}]}}]}}
"
    ))
}

fn policy(fields: &str) -> Option<Driver> {
    accepted(&format!(
        "{SERVICE}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec: {{host: h.test, trafficPolicy: {{{fields}}}}}
"
    ))
}

fn set(change: impl Fn(&mut WorkerSettings)) -> Option<Driver> {
    let mut settings = WorkerSettings::default();
    change(&mut settings);
    let mut d = Driver::crowd(snapshot(SERVICE), settings, 1, 0);
    d.now = BEGIN;
    d.accept();
    Some(d)
}

/// A time that an exchange waits for, how it is set, and what makes it begin.
struct Timed {
    timer: Whose,
    set: fn(Duration) -> Option<Driver>,
    begin: fn(&mut Driver),
}

fn asks(d: &mut Driver) {
    d.sends(Side::Downstream, GET);
}

fn connects(d: &mut Driver) {
    asks(d);
    d.connects();
    d.receives(Side::Upstream);
}

const TIMED: [Timed; 10] = [
    Timed {
        timer: Whose::Request(Timer::Route),
        set: |length| rule("", &format!("timeout: {},", written(length))),
        begin: connects,
    },
    Timed {
        timer: Whose::Request(Timer::PerTry),
        set: |length| {
            let length = written(length);
            rule(
                "",
                &format!("retries: {{attempts: 1, perTryTimeout: {length}}},"),
            )
        },
        begin: connects,
    },
    Timed {
        timer: Whose::Request(Timer::Fault),
        set: |length| {
            let delay = format!(
                "fixedDelay: {}, percentage: {{value: 100}}",
                written(length)
            );
            rule("", &format!("fault: {{delay: {{{delay}}}}},"))
        },
        begin: asks,
    },
    Timed {
        timer: Whose::Request(Timer::StreamIdle),
        set: |length| {
            rule(
                &format!("outrigger.dev/idle-timeout: {}", written(length)),
                "",
            )
        },
        begin: connects,
    },
    Timed {
        timer: Whose::Request(Timer::StreamIdle),
        set: |length| set(|settings| settings.stream_idle_timeout = Some(length)),
        begin: connects,
    },
    Timed {
        timer: Whose::Request(Timer::Connect),
        set: |length| {
            policy(&format!(
                "connectionPool: {{tcp: {{connectTimeout: {}}}}}",
                written(length)
            ))
        },
        begin: asks,
    },
    Timed {
        timer: Whose::Head,
        set: |length| set(|settings| settings.request_head_timeout = Some(length)),
        begin: |d| d.sends(Side::Downstream, b"GET"),
    },
    Timed {
        timer: Whose::Handshake,
        set: |length| {
            let mut snapshot = from_yaml(SERVICE).snapshot;
            snapshot.inbound_tls = [Arc::new(ServerTls {
                mode: MutualTls::Strict,
                ..ServerTls::default()
            })]
            .into();
            let settings = WorkerSettings {
                tls_handshake_timeout: Some(length),
                ..WorkerSettings::default()
            };
            Some(Driver::crowd(Arc::new(snapshot), settings, 1, 0))
        },
        begin: |d| {
            d.accept_from(Peer {
                listener: ListenerKind::Inbound(0),
                ..driver::PEER
            });
        },
    },
    Timed {
        timer: Whose::Rest,
        set: |length| set(|settings| settings.idle_timeout = Some(length)),
        begin: |_| {},
    },
    Timed {
        timer: Whose::Linger,
        set: |length| set(|settings| settings.linger = length),
        begin: |d| {
            d.sends(Side::Downstream, b"nonsense\r\n\r\nmore");
            d.receives(Side::Downstream);
        },
    },
];

#[test]
fn a_timer_is_due_at_its_end_and_not_a_nanosecond_before() {
    for Timed { timer, set, begin } in TIMED {
        for micros in LENGTHS {
            let length = Duration::from_micros(micros);
            let case = format!("{timer:?} {length:?}");
            let Some(mut d) = set(length) else {
                assert_ne!(micros % 1000, 0, "{case} is refused");
                continue;
            };
            d.now = BEGIN;
            begin(&mut d);
            let due = BEGIN + length;
            assert_eq!(d.due(), Some((due, timer)), "{case}");
            d.now = Instant::from_nanos(due.as_nanos() - 1);
            d.outputs();
            d.time();
            assert_eq!(d.due(), Some((due, timer)), "{case}, too early");
            assert_eq!(d.outputs(), [], "{case}, too early");
            d.now = due;
            d.time();
            assert!(d.is_gone() || d.due() != Some((due, timer)), "{case}");
        }
    }
}

/// How long something lasts that nobody waits for, because whoever comes looks at the time.
enum Lasts {
    /// Exactly.
    Exactly,
    /// So long instead.
    Coarsely(fn(Duration) -> Duration),
}

/// Such a thing, and whether it is over after some time; `None` if that length is refused.
struct Looked {
    what: &'static str,
    lasts: Lasts,
    is_over: fn(Duration, Instant) -> Option<bool>,
}

/// Whether a connection that was kept at the beginning is passed over.
fn is_passed_over(d: Option<Driver>, at: Instant) -> Option<bool> {
    let mut d = d?;
    d.now = BEGIN;
    d.round(GET, OK);
    d.outputs();
    d.now = at;
    asks(&mut d);
    Some(matches!(d.outputs()[..], [Said::Connect(_)]))
}

/// Whether an endpoint that was ejected at the beginning, at the first sweep, is back.
fn is_back(interval: Duration, time: Duration, at: Instant) -> Option<bool> {
    let mut d = policy(&format!(
        "outlierDetection: {{consecutive5xxErrors: 1, interval: {}, baseEjectionTime: {}, maxEjectionPercent: 100}}",
        written(interval),
        written(time)
    ))?;
    d.now = BEGIN;
    d.round(GET, b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    let snapshot = d.worker.view().snapshot.clone();
    let mut clusters = snapshot.clusters.iter();
    let is_meant = |cluster: &&Cluster| cluster.outlier_detection.is_some();
    let cluster = clusters.find(is_meant).expect("one ejects");
    assert!(cluster.endpoints[0].state.is_ejected());
    cluster.sweep(at, Entropy(7));
    Some(!cluster.endpoints[0].state.is_ejected())
}

const LOOKED: [Looked; 7] = [
    Looked {
        what: "an idle connection (idleTimeout)",
        lasts: Lasts::Exactly,
        is_over: |length, at| {
            let time = format!("idleTimeout: {}", written(length));
            is_passed_over(policy(&format!("connectionPool: {{http: {{{time}}}}}")), at)
        },
    },
    Looked {
        what: "the life of a connection (maxConnectionDuration)",
        lasts: Lasts::Exactly,
        is_over: |length, at| {
            let time = format!("maxConnectionDuration: {}", written(length));
            is_passed_over(policy(&format!("connectionPool: {{tcp: {{{time}}}}}")), at)
        },
    },
    Looked {
        what: "an ejection (baseEjectionTime), and the sweep that ends it (interval)",
        lasts: Lasts::Exactly,
        is_over: |length, at| is_back(length, length, at),
    },
    Looked {
        // As Envoy, whose timer ends ejections: what is over between two sweeps ends with the second.
        what: "an ejection that is over between two sweeps",
        lasts: Lasts::Coarsely(|length| 2 * length),
        is_over: |length, at| is_back(length, length + Duration::from_millis(1), at),
    },
    Looked {
        what: "the time to warm up (warmup.duration)",
        lasts: Lasts::Exactly,
        is_over: |duration, at| {
            let warm_up = WarmUp {
                duration,
                minimum: 0.1,
                aggression: 1.0,
            };
            let is_warming = slow_start::is_warming(&warm_up, BEGIN, at);
            let has_all = slow_start::factor(&warm_up, BEGIN, at) >= 1.0;
            // The first millisecond counts as passed, as in Envoy: who needs no longer has all of its weight at once.
            let is_short = duration <= Duration::from_millis(1);
            assert!(has_all != is_warming || is_short, "{duration:?} {at:?}");
            Some(!is_warming)
        },
    },
    Looked {
        what: "a token of a rate limit on its way (fillInterval)",
        lasts: Lasts::Exactly,
        is_over: |length, at| {
            let (size, bucket) = (BucketSize::new(1, 1, length), Bucket::default());
            assert!(bucket.take(size, BEGIN));
            Some(bucket.take(size, at))
        },
    },
    Looked {
        // In slots of a tenth, so that a count costs ten words whatever the load. None lasts longer than configured, and none
        // less than nine tenths of it. A slot is a millisecond at least: nobody budgets for less than ten.
        what: "a request in a retry budget (budgetInterval, ttl)",
        lasts: Lasts::Coarsely(|length| {
            let slot = (length / 10).max(Duration::from_millis(1)).as_nanos();
            let since = u128::from(BEGIN.as_nanos()) % slot;
            Duration::from_nanos(u64::try_from(10 * slot - since).expect("of seconds"))
        }),
        is_over: |length, at| {
            let state = Arc::new(ClusterState::default());
            let limit = RetryLimit::Share(RetryBudget {
                per_million: 1_000_000,
                least: 0,
                interval: Some(length),
            });
            state.note_request(limit, BEGIN);
            Some(state.begin_retry(limit, at).is_err())
        },
    },
];

#[test]
fn what_lasts_is_over_at_its_end_and_not_a_nanosecond_before() {
    for Looked {
        what,
        lasts,
        is_over,
    } in LOOKED
    {
        let mut seen = 0;
        for micros in LENGTHS {
            let length = Duration::from_micros(micros);
            let really = match lasts {
                Lasts::Exactly => length,
                Lasts::Coarsely(instead) => instead(length),
            };
            let due = BEGIN + really;
            let before = Instant::from_nanos(due.as_nanos() - 1);
            let Some(is_over_at_end) = is_over(length, due) else {
                continue;
            };
            seen += 1;
            assert!(is_over_at_end, "{what}: {length:?}");
            assert_eq!(is_over(length, before), Some(false), "{what}: {length:?}");
        }
        assert!(seen >= 3, "{what}: {seen} lengths");
    }
}

#[test]
fn a_back_off_ends_at_the_nanosecond_that_was_drawn() {
    for micros in LENGTHS {
        let length = Duration::from_micros(micros);
        let fields = format!(
            "retries: {{attempts: 1, retryOn: 5xx, backoff: {}}},",
            written(length)
        );
        let Some(mut d) = rule("", &fields) else {
            assert_ne!(micros % 1000, 0, "{length:?} is refused");
            continue;
        };
        d.now = BEGIN;
        asks(&mut d);
        d.fails(ConnectFault::Refused);
        let (due, timer) = d.deadline().expect("it backs off");
        let entropy = Entropy(7).of_request(0);
        let drawn = entropy.draw(Draw::Backoff, 1) % u64::try_from(length.as_nanos()).unwrap();
        assert_eq!(
            (due - BEGIN, timer),
            (Duration::from_nanos(drawn), Timer::Backoff)
        );
        d.outputs();
        d.now = Instant::from_nanos(due.as_nanos() - 1);
        d.time();
        assert_eq!(d.outputs(), [], "{length:?}");
        d.now = due;
        d.time();
        assert!(matches!(d.outputs()[..], [Said::Connect(_)]), "{length:?}");
    }
}
