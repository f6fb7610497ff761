//! Detectors, sweeps and ejection times by table, and by many threads at once. The model is in `core/tests/models`, all
//! interleavings of few steps are in the package `interleavings`.

mod rates;

use std::sync::Arc;
use std::thread;

use super::*;
use crate::cluster::{Detector, HostKey, Registry};
use crate::time::Duration;

/// Two errors in a row, gateway errors off, everybody may go, sweeps every second, out for two.
fn settings() -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: NonZeroU32::new(2),
        interval: Duration::from_secs(1),
        base_ejection_time: Duration::from_secs(2),
        max_ejection_percent: 100,
        ..OutlierDetection::default()
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
        sweep(
            detection,
            &self.cluster,
            hosts,
            now,
            Entropy(now.as_nanos()),
        );
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
        (&plain, Outcome::Grpc(503), Evidence::Status(503)),
        (&listed, Outcome::Grpc(500), Evidence::Status(500)),
        (&listed, Outcome::Grpc(429), Evidence::Status(429)),
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
        assert_eq!(pool.cluster.tally().enforced_total() as usize, want);
        assert_eq!(pool.cluster.tally().overflow() as usize, endpoints - want);
    }
}

#[test]
fn one_may_always_go_when_that_is_asked_for() {
    let detection = OutlierDetection {
        max_ejection_percent: 1,
        always_eject_one: true,
        ..settings()
    };
    let pool = pool(3);
    for host in [1, 1, 2, 2] {
        pool.report(&detection, host, Outcome::Failed, at(0));
    }
    assert_eq!(pool.out(), [1]);
    assert_eq!(pool.cluster.tally().overflow(), 1);
    pool.sweep(&detection, at(3000));
    pool.report(&detection, 2, Outcome::Failed, at(3000));
    pool.report(&detection, 2, Outcome::Failed, at(3000));
    assert_eq!(pool.out(), [2]);
}

#[test]
fn each_ejection_lasts_one_base_time_longer_up_to_the_longest() {
    let long = OutlierDetection {
        base_ejection_time: Duration::from_secs(400),
        max_ejection_time: Duration::from_secs(400),
        interval: Duration::from_secs(1000),
        ..settings()
    };
    let capped = OutlierDetection {
        max_ejection_time: Duration::from_secs(5),
        interval: Duration::from_secs(1000),
        ..settings()
    };
    for (detection, want) in [(&long, [400, 400, 400, 400]), (&capped, [2, 4, 5, 5])] {
        let pool = pool(1);
        let mut now = 0;
        for seconds in want {
            pool.report(detection, 0, Outcome::Failed, at(now));
            pool.report(detection, 0, Outcome::Failed, at(now));
            let ejected = pool.hosts[0].ejected().unwrap();
            assert_eq!(ejected.since, at(now));
            assert_eq!(ejected.until, at(now + 1000 * seconds));
            // Back with the next sweep, and out again before it is forgiven.
            now = (now / 1_000_000 + 1) * 1_000_000;
            pool.sweep(detection, at(now));
            assert_eq!(pool.out(), [0usize; 0]);
        }
    }
}

#[test]
fn what_is_forgiven_is_counted_from_one_step_above_the_longest() {
    // Base times of 1, 2, 3 and 3: the third step brought it to 6 s of at most 4, and there is no fourth.
    let capped = OutlierDetection {
        max_ejection_time: Duration::from_secs(4),
        ..settings()
    };
    for (fails_at, want) in [(14_500, 4), (15_500, 4), (16_500, 4), (17_500, 2)] {
        let pool = pool(1);
        for now in [0, 2000, 6000, 10_000] {
            pool.sweep(&capped, at(now));
            assert_eq!(pool.out(), [0usize; 0], "{now}");
            pool.report(&capped, 0, Outcome::Failed, at(now));
            pool.report(&capped, 0, Outcome::Failed, at(now));
        }
        pool.report(&capped, 0, Outcome::Failed, at(fails_at));
        pool.report(&capped, 0, Outcome::Failed, at(fails_at));
        let ejected = pool.hosts[0].ejected().unwrap();
        let lasts = ejected.until.since(ejected.since).as_secs();
        assert_eq!((ejected.since, lasts), (at(fails_at), want));
    }
}

#[test]
fn an_ejection_says_why() {
    let detection = OutlierDetection {
        consecutive_gateway: NonZeroU32::new(2),
        consecutive_5xx: NonZeroU32::new(3),
        split_local_origin: true,
        consecutive_local_origin: NonZeroU32::new(1),
        ..settings()
    };
    let pool = pool(3);
    assert_eq!(pool.hosts[0].ejected(), None);
    for (host, outcomes, want) in [
        (
            0,
            &[Outcome::Response(502); 2][..],
            Reason::ConsecutiveGateway(2),
        ),
        (1, &[Outcome::Response(500); 3], Reason::Consecutive5xx(3)),
        (2, &[Outcome::Timeout], Reason::ConsecutiveLocalOrigin(1)),
    ] {
        for outcome in outcomes {
            pool.report(&detection, host, *outcome, at(10));
        }
        assert_eq!(pool.hosts[host].ejected().unwrap().reason, want);
        let tally = pool.cluster.tally();
        assert_eq!(tally.detected(want.detector()), 1);
        assert_eq!(tally.enforced(want.detector()), 1);
    }
    pool.sweep(&detection, at(5000));
    assert!(pool.hosts.iter().all(|host| host.ejected().is_none()));
}

#[test]
fn who_is_out_or_gone_is_not_detected_again() {
    let mut pool = pool(2);
    let detection = OutlierDetection {
        max_ejection_percent: 50,
        ..settings()
    };
    let fail = |pool: &Pool, host: usize, times: usize| {
        (0..times).for_each(|_| pool.report(&detection, host, Outcome::Failed, at(0)));
    };
    fail(&pool, 0, 10);
    fail(&pool, 1, 4); // refused twice: its counter begins anew each time
    let tally = |pool: &Pool| {
        let tally = pool.cluster.tally();
        let of = Detector::Consecutive5xx;
        (tally.detected(of), tally.enforced(of), tally.overflow())
    };
    assert_eq!(tally(&pool), (3, 1, 2));
    pool.registry.sweep();
    pool.registry.host(key(0));
    pool.registry.sweep();
    fail(&pool, 1, 10);
    assert_eq!(tally(&pool), (3, 1, 2), "it has left");
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
    let mut pool = pool(2);
    let detection = settings();
    let fail_both = |pool: &Pool| {
        for host in [0, 1, 0, 1] {
            pool.report(&detection, host, Outcome::Failed, at(0));
        }
    };
    let reload = |pool: &mut Pool, detection: Option<&OutlierDetection>| {
        for host in 0..2 {
            pool.registry.host(key(host)).settle(detection);
        }
        pool.registry.sweep();
    };
    fail_both(&pool);
    reload(&mut pool, Some(&detection));
    assert_eq!(
        pool.out(),
        [0, 1],
        "a snapshot that ejects, too, changes nothing"
    );
    reload(&mut pool, None);
    assert_eq!(pool.out(), [0; 0]);
    fail_both(&pool);
    assert_eq!(pool.out(), [0; 0], "these ran on an older snapshot");
    assert_eq!(pool.cluster.ejections_active(), 0);
    reload(&mut pool, None);
    reload(&mut pool, Some(&detection));
    fail_both(&pool);
    assert_eq!(pool.out(), [0, 1]);
}

#[test]
fn ejections_are_counted_through_every_return() {
    let mut pool = pool(1);
    let detection = settings();
    let fail = |pool: &Pool, now| {
        pool.sweep(&detection, at(now));
        let twice = [0; 2].map(|_| report(&detection, &pool.hosts[0], Outcome::Failed, at(now)));
        assert_eq!(twice, [None, Some(Reason::Consecutive5xx(2))]);
    };
    assert_eq!(pool.hosts[0].ejections(), 0);
    fail(&pool, 0);
    assert_eq!(pool.hosts[0].ejections(), 1);
    pool.sweep(&detection, at(3000));
    fail(&pool, 3000);
    assert_eq!(pool.hosts[0].ejections(), 2);
    pool.registry.sweep();
    pool.registry.sweep(); // a snapshot without it
    pool.registry.host(key(0));
    assert_eq!((pool.out(), pool.hosts[0].ejections()), (vec![], 2));
    fail(&pool, 3000);
    assert_eq!(pool.hosts[0].ejections(), 3);
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
        assert!(pool.cluster.tally().enforced_total() > 0);
    }
}
