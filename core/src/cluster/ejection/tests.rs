//! Detectors, sweeps and ejection times by table, against a slow model, and by many threads at once.

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::cluster::{HostKey, Registry};

/// Two errors in a row, gateway errors off, everybody may go, sweeps every second, out for two.
fn settings() -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: NonZeroU32::new(2),
        consecutive_gateway: None,
        split_local_origin: false,
        consecutive_local_origin: None,
        error_codes: Box::default(),
        interval: Duration::from_secs(1),
        base_ejection_time: Duration::from_secs(2),
        max_ejection_percent: 100,
        min_health_percent: 0,
    }
}

struct Pool {
    registry: Registry,
    cluster: Arc<ClusterState>,
    hosts: Vec<Arc<HostState>>,
}

fn key(at: usize) -> HostKey {
    HostKey {
        cluster: "c".into(),
        address: at.to_string().into(),
    }
}

fn pool(count: usize) -> Pool {
    let mut registry = Registry::default();
    let cluster = registry.cluster("c");
    cluster.set_endpoints(count as u32);
    Pool {
        hosts: (0..count).map(|at| registry.host(key(at))).collect(),
        registry,
        cluster,
    }
}

impl Pool {
    fn sweep(&self, detection: &OutlierDetection, now: Instant) {
        let hosts = self.hosts.iter().map(|host| &**host);
        sweep(detection, &self.cluster, hosts, now);
    }

    fn report(&self, detection: &OutlierDetection, at: usize, outcome: Outcome, now: Instant) {
        self.sweep(detection, now);
        report(detection, &self.hosts[at], outcome, now);
    }

    /// Who is out, by position.
    fn out(&self) -> Vec<usize> {
        let all = 0..self.hosts.len();
        all.filter(|at| self.hosts[*at].is_ejected()).collect()
    }
}

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn outcomes_count_as() {
    let plain = settings();
    let split = OutlierDetection {
        split_local_origin: true,
        ..settings()
    };
    let listed = OutlierDetection {
        error_codes: [429, 503].into(),
        ..settings()
    };
    for (detection, outcome, want) in [
        (&plain, Outcome::Connected, Evidence::Nothing),
        (&plain, Outcome::Response(404), Evidence::Status(404)),
        (&plain, Outcome::Timeout, Evidence::Status(504)),
        (&plain, Outcome::Failed, Evidence::Status(503)),
        (&split, Outcome::Connected, Evidence::LocalSuccess),
        (&split, Outcome::Response(500), Evidence::Status(500)),
        (&split, Outcome::Timeout, Evidence::LocalFailure),
        (&split, Outcome::Failed, Evidence::LocalFailure),
        (&listed, Outcome::Response(429), Evidence::Status(500)),
        (&listed, Outcome::Response(503), Evidence::Status(503)),
        (&listed, Outcome::Response(500), Evidence::Status(200)),
        (&listed, Outcome::Timeout, Evidence::Status(504)),
    ] {
        let got = evidence(detection, outcome);
        assert_eq!(got, want, "{outcome:?}");
    }
}

#[test]
fn thresholds() {
    let gateway = OutlierDetection {
        consecutive_5xx: None,
        consecutive_gateway: NonZeroU32::new(2),
        ..settings()
    };
    let off = OutlierDetection {
        consecutive_5xx: None,
        ..settings()
    };
    let split = OutlierDetection {
        split_local_origin: true,
        consecutive_local_origin: NonZeroU32::new(2),
        ..settings()
    };
    let answer = Outcome::Response;
    for (detection, outcomes, want) in [
        (&settings(), &[answer(500)][..], false),
        (&settings(), &[answer(500), answer(503)], true),
        (&settings(), &[answer(500), answer(200), answer(500)], false),
        (&settings(), &[answer(500), answer(499), answer(500)], false),
        (&settings(), &[answer(599), answer(600), answer(599)], false),
        (&settings(), &[Outcome::Failed, Outcome::Timeout], true),
        (
            &settings(),
            &[answer(500), Outcome::Connected, answer(500)],
            true,
        ),
        (&off, &[answer(500); 50], false),
        (&gateway, &[answer(500); 50], false),
        (&gateway, &[answer(502), answer(504)], true),
        (&gateway, &[answer(502), answer(500), answer(503)], false),
        (&gateway, &[Outcome::Failed, Outcome::Timeout], true),
        (
            &split,
            &[Outcome::Failed, answer(500), Outcome::Timeout],
            true,
        ),
        (
            &split,
            &[Outcome::Failed, Outcome::Connected, Outcome::Failed],
            false,
        ),
        (&split, &[Outcome::Failed, answer(500)], false),
        (&split, &[answer(500), Outcome::Failed, answer(500)], true),
    ] {
        let pool = pool(1);
        for outcome in outcomes {
            pool.report(detection, 0, *outcome, at(0));
        }
        assert_eq!(pool.hosts[0].is_ejected(), want, "{outcomes:?}");
    }
}

#[test]
fn the_share_that_may_be_out() {
    for (endpoints, percent, want) in [
        (3, 10, 0),
        (9, 10, 0),
        (10, 10, 1),
        (19, 10, 1),
        (20, 10, 2),
        (3, 33, 0),
        (3, 34, 1),
        (3, 99, 2),
        (3, 100, 3),
    ] {
        let detection = OutlierDetection {
            max_ejection_percent: percent,
            ..settings()
        };
        let pool = pool(endpoints);
        for host in 0..endpoints {
            pool.report(&detection, host, Outcome::Failed, at(0));
            pool.report(&detection, host, Outcome::Failed, at(0));
        }
        assert_eq!(pool.out().len(), want, "{endpoints} at {percent} %");
        assert_eq!(pool.cluster.ejections_active() as usize, want);
        assert_eq!(pool.cluster.ejections_enforced() as usize, want);
        assert_eq!(pool.cluster.ejections_overflow() as usize, endpoints - want);
    }
}

#[test]
fn ejections_last() {
    let long = OutlierDetection {
        base_ejection_time: Duration::from_secs(400),
        ..settings()
    };
    for (detection, multiplier, want) in [
        (&settings(), 0, 0),
        (&settings(), 1, 2),
        (&settings(), 149, 298),
        (&settings(), 151, 300),
        (&settings(), u32::MAX, 300),
        (&long, 1, 400),
        (&long, 2, 400),
    ] {
        let got = ejection_time(detection, multiplier).as_secs();
        assert_eq!(got, want, "{multiplier}");
    }
}

/// Ejects an endpoint and says when it is back, in steps of 100 ms.
fn time_out(pool: &Pool, detection: &OutlierDetection, from: u64) -> u64 {
    pool.report(detection, 0, Outcome::Failed, at(from));
    pool.report(detection, 0, Outcome::Failed, at(from));
    assert_eq!(pool.out(), [0]);
    let mut now = from;
    while !pool.out().is_empty() {
        now += 100;
        pool.sweep(detection, at(now));
    }
    now
}

#[test]
fn comes_back_with_a_tick_and_stays_out_longer_each_time() {
    let pool = pool(1);
    pool.sweep(&settings(), at(0)); // ticks at 1000, 2000, …
    assert_eq!(time_out(&pool, &settings(), 300), 3000);
    assert_eq!(
        time_out(&pool, &settings(), 3000),
        7000,
        "exactly at a tick"
    );
    assert_eq!(time_out(&pool, &settings(), 7100), 14_000, "6 s now");
    // Three ticks in a row without ejection take three off.
    assert_eq!(time_out(&pool, &settings(), 17_000), 19_000);
}

#[test]
fn nobody_looking_for_a_while_changes_nothing() {
    let (watched, left_alone) = (pool(1), pool(1));
    for pool in [&watched, &left_alone] {
        time_out(pool, &settings(), 0);
        pool.report(&settings(), 0, Outcome::Failed, at(2500));
        pool.report(&settings(), 0, Outcome::Failed, at(2500)); // due at 6500, back at 7000
    }
    (2500..8500).for_each(|now| watched.sweep(&settings(), at(now)));
    for pool in [&watched, &left_alone] {
        assert_eq!(
            time_out(pool, &settings(), 8500),
            13_000,
            "decayed once, so 4 s again"
        );
    }
}

#[test]
fn who_leaves_the_cluster_counts_no_longer() {
    let mut pool = pool(2);
    let detection = settings();
    for _ in 0..2 {
        pool.report(&detection, 0, Outcome::Failed, at(0));
        pool.report(&detection, 1, Outcome::Response(500), at(0));
    }
    assert_eq!(pool.cluster.ejections_active(), 2);
    pool.registry.sweep(); // the first snapshot named both
    pool.registry.host(key(0));
    pool.registry.sweep();
    assert_eq!(pool.out(), [0], "state survives a reload");
    assert_eq!(pool.cluster.ejections_active(), 1);
    for _ in 0..5 {
        pool.report(&detection, 1, Outcome::Failed, at(0));
    }
    assert_eq!(
        pool.cluster.ejections_active(),
        1,
        "who is gone is not ejected"
    );
    pool.registry.host(key(0));
    pool.registry.host(key(1));
    pool.registry.sweep();
    assert_eq!(pool.out(), [0]);
    pool.report(&detection, 1, Outcome::Failed, at(0));
    assert_eq!(pool.out(), [0], "its counters began anew");
    pool.report(&detection, 1, Outcome::Failed, at(0));
    assert_eq!(pool.out(), [0, 1]);
}

#[test]
fn a_snapshot_that_ejects_nothing_takes_back_and_forbids() {
    let pool = pool(2);
    let detection = settings();
    let fail_both = || {
        for at_host in [0, 1, 0, 1] {
            pool.report(&detection, at_host, Outcome::Failed, at(0));
        }
    };
    let set = |may| pool.hosts.iter().for_each(|h| h.set_may_be_ejected(may));
    fail_both();
    set(true);
    assert_eq!(pool.out(), [0, 1], "a snapshot that ejects changes nothing");
    set(false);
    assert_eq!(pool.out(), [0; 0]);
    fail_both();
    assert_eq!(pool.out(), [0; 0], "these run on an older snapshot");
    assert_eq!(pool.cluster.ejections_active(), 0);
    set(true);
    fail_both();
    assert_eq!(pool.out(), [0, 1]);
}

#[test]
fn never_more_out_than_allowed_from_many_threads() {
    for round in 0..20 {
        let detection = OutlierDetection {
            max_ejection_percent: 30,
            consecutive_gateway: NonZeroU32::new(2),
            base_ejection_time: Duration::from_millis(1),
            interval: Duration::from_millis(1),
            ..settings()
        };
        let pool = pool(10);
        thread::scope(|scope| {
            for worker in 0..4 {
                let (pool, detection) = (&pool, &detection);
                scope.spawn(move || {
                    for step in 0..2000u64 {
                        let host = (step * 7 + worker * 3 + round) as usize % 10;
                        let outcome = if step % 11 == worker {
                            Outcome::Response(200)
                        } else {
                            Outcome::Failed
                        };
                        pool.report(detection, host, outcome, at(step / 8));
                        assert!(pool.cluster.ejections_active() <= 3);
                    }
                });
            }
        });
        assert_eq!(pool.cluster.ejections_active() as usize, pool.out().len());
        // Long enough for each to be due.
        pool.sweep(&detection, at(1_000_000));
        assert_eq!(pool.out(), [0usize; 0]);
        assert_eq!(pool.cluster.ejections_active(), 0);
        assert!(pool.cluster.ejections_enforced() > 0);
    }
}

/// The reference, with a timer that fires in every interval and integers for everything. Time is in milliseconds.
struct Model {
    detection: OutlierDetection,
    next_tick: Option<u64>,
    hosts: Vec<ModelHost>,
}

#[derive(Clone, Default)]
struct ModelHost {
    counters: [u32; 3],
    out_since: Option<u64>,
    back_since: Option<u64>,
    multiplier: u64,
}

impl Model {
    fn advance(&mut self, now: u64) {
        let interval = self.detection.interval.as_millis() as u64;
        let mut tick = self.next_tick.unwrap_or(now + interval);
        while tick <= now {
            self.tick(tick, interval);
            tick += interval;
        }
        self.next_tick = Some(tick);
    }

    fn tick(&mut self, now: u64, interval: u64) {
        let base = self.detection.base_ejection_time.as_millis() as u64;
        for host in &mut self.hosts {
            let length = (base * host.multiplier).min(base.max(300_000));
            if host.out_since.is_some_and(|since| now - since >= length) {
                host.out_since = None;
                host.back_since = Some(now);
                host.counters = [0; 3];
            }
        }
        for host in &mut self.hosts {
            let stayed = host.back_since.is_some_and(|since| now - since >= interval);
            if host.out_since.is_none() && stayed {
                host.multiplier = host.multiplier.saturating_sub(1);
            }
        }
    }

    fn report(&mut self, at: usize, outcome: Outcome, now: u64) {
        self.advance(now);
        let status = match outcome {
            Outcome::Response(status) => status,
            Outcome::Connected if self.detection.split_local_origin => {
                self.hosts[at].counters[2] = 0;
                return;
            }
            Outcome::Connected => return,
            Outcome::Timeout | Outcome::Failed if self.detection.split_local_origin => {
                return self.count(at, 2, self.detection.consecutive_local_origin, now);
            }
            Outcome::Timeout => 504,
            Outcome::Failed => 503,
        };
        let codes = &self.detection.error_codes;
        let local = !matches!(outcome, Outcome::Response(_));
        let status = match (codes.is_empty() || local, codes.contains(&status)) {
            (true, _) => status,
            (false, true) => status.max(500),
            (false, false) => 200,
        };
        if !(500..600).contains(&status) {
            self.hosts[at].counters[0] = 0;
            self.hosts[at].counters[1] = 0;
            return;
        }
        if (502..=504).contains(&status) {
            self.count(at, 1, self.detection.consecutive_gateway, now);
        } else {
            self.hosts[at].counters[1] = 0;
        }
        self.count(at, 0, self.detection.consecutive_5xx, now);
    }

    fn count(&mut self, at: usize, counter: usize, threshold: Option<NonZeroU32>, now: u64) {
        self.hosts[at].counters[counter] += 1;
        let reached = threshold.is_some_and(|t| t.get() == self.hosts[at].counters[counter]);
        if !reached || self.hosts[at].out_since.is_some() {
            return;
        }
        self.hosts[at].counters[counter] = 0;
        let out = self.hosts.iter().filter(|h| h.out_since.is_some()).count();
        let share = 100.0 * (out as f64 + 1.0) / self.hosts.len() as f64;
        if share > f64::from(self.detection.max_ejection_percent) {
            return;
        }
        let base = self.detection.base_ejection_time.as_millis() as u64;
        let host = &mut self.hosts[at];
        host.out_since = Some(now);
        if host.multiplier * base < base.max(300_000) + base {
            host.multiplier += 1;
        }
    }
}

fn any_settings() -> impl Strategy<Value = OutlierDetection> {
    let threshold = || (0u32..4).prop_map(NonZeroU32::new);
    let base = prop_oneof![1u64..4000, 90_000u64..400_000];
    let codes = prop_oneof![Just(vec![]), Just(vec![404, 500, 503])];
    let thresholds = (threshold(), threshold(), threshold());
    (
        thresholds,
        any::<bool>(),
        codes,
        1u64..3000,
        base,
        1u8..=100,
    )
        .prop_map(
            |((five, gateway, local), split, codes, interval, base, percent)| OutlierDetection {
                consecutive_5xx: five,
                consecutive_gateway: gateway,
                split_local_origin: split,
                consecutive_local_origin: local,
                error_codes: codes.into(),
                interval: Duration::from_millis(interval),
                base_ejection_time: Duration::from_millis(base),
                max_ejection_percent: percent,
                min_health_percent: 0,
            },
        )
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let status = prop::sample::select(vec![200, 404, 500, 501, 502, 503, 504, 599]);
    prop_oneof![
        4 => status.prop_map(Outcome::Response),
        4 => Just(Outcome::Failed),
        1 => Just(Outcome::Timeout),
        1 => Just(Outcome::Connected),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ejects_and_returns_as_the_model_does(
        detection in any_settings(),
        endpoints in 1usize..12,
        events in prop::collection::vec((0u64..1500, any::<bool>(), any::<usize>(), any_outcome()), 1..150),
    ) {
        let pool = pool(endpoints);
        let hosts = vec![ModelHost::default(); endpoints];
        let mut model = Model { detection: detection.clone(), next_tick: None, hosts };
        let mut now = 0;
        for (wait, long, host, outcome) in events {
            now += if long { wait * 20 } else { wait / 20 };
            let host = host % endpoints.min(3);
            pool.report(&detection, host, outcome, at(now));
            model.report(host, outcome, now);
            let all = 0..endpoints;
            let out: Vec<_> = all.filter(|at| model.hosts[*at].out_since.is_some()).collect();
            prop_assert_eq!(pool.cluster.ejections_active() as usize, out.len());
            prop_assert_eq!(pool.out(), out, "at {} ms", now);
        }
    }
}
