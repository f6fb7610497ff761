//! Detectors that look at rates, by table.

use super::*;
use crate::cluster::{FailurePercentage, Results, SuccessRate};

const SUCCESS_RATE: SuccessRate = SuccessRate {
    minimum_hosts: 3,
    request_volume: 10,
    stdev_factor: 1000,
    enforcing: 100,
};

const FAILURE_PERCENTAGE: FailurePercentage = FailurePercentage {
    threshold: 60,
    minimum_hosts: 3,
    request_volume: 10,
    enforcing: 100,
};

/// Nobody goes by errors in a row.
fn by_rates(
    success_rate: Option<SuccessRate>,
    failure_percentage: Option<FailurePercentage>,
) -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: None,
        success_rate,
        failure_percentage,
        ..settings()
    }
}

/// An interval in which each endpoint had these successes and failures; who is out after its sweep.
fn interval(
    pool: &Pool,
    detection: &OutlierDetection,
    number: u64,
    results: &[(u32, u32)],
) -> Vec<usize> {
    let begin = at(1000 * (number - 1));
    for (host, (good, bad)) in results.iter().enumerate() {
        (0..*bad).for_each(|_| pool.report(detection, host, Outcome::Response(500), begin));
        (0..*good).for_each(|_| pool.report(detection, host, Outcome::Response(200), begin));
    }
    pool.sweep(detection, at(1000 * number - 1));
    let before = pool.out();
    pool.sweep(detection, at(1000 * number));
    assert!(
        before.len() <= pool.out().len(),
        "a sweep ejects, not a response"
    );
    pool.out()
}

#[test]
fn who_goes() {
    let sr = |settings| by_rates(Some(settings), None);
    let fp = |settings| by_rates(None, Some(settings));
    let with_volume = |request_volume| SuccessRate {
        request_volume,
        ..SUCCESS_RATE
    };
    for (detection, results, want) in [
        // Mean 70, deviation 42.4: 27.6 is enough.
        (sr(SUCCESS_RATE), &[(10, 0), (10, 0), (1, 9)][..], &[2][..]),
        // Nobody is below a mean that all share.
        (sr(SUCCESS_RATE), &[(0, 10), (0, 10), (0, 10)], &[]),
        // Too few endpoints with enough results.
        (sr(SUCCESS_RATE), &[(10, 0), (10, 0), (0, 9)], &[]),
        (sr(with_volume(9)), &[(10, 0), (10, 0), (0, 9)], &[2]),
        (sr(with_volume(11)), &[(10, 0), (10, 0), (0, 10)], &[]),
        // Exactly at what is asked for is enough: mean 50, deviation 50 of two.
        (
            sr(SuccessRate {
                minimum_hosts: 2,
                ..SUCCESS_RATE
            }),
            &[(10, 0), (0, 10)],
            &[],
        ),
        (
            sr(SuccessRate {
                minimum_hosts: 2,
                stdev_factor: 999,
                ..SUCCESS_RATE
            }),
            &[(10, 0), (0, 10)],
            &[1],
        ),
        // Exactly at the threshold of failures is too many.
        (fp(FAILURE_PERCENTAGE), &[(4, 6), (5, 5), (0, 10)], &[0, 2]),
        (fp(FAILURE_PERCENTAGE), &[(4, 6), (5, 5), (0, 9)], &[]),
        (
            fp(FailurePercentage {
                threshold: 0,
                ..FAILURE_PERCENTAGE
            }),
            &[(10, 0), (10, 0), (10, 0)],
            &[0, 1, 2],
        ),
        (
            fp(FailurePercentage {
                threshold: 100,
                ..FAILURE_PERCENTAGE
            }),
            &[(1, 99), (0, 100), (10, 0)],
            &[1],
        ),
        (by_rates(None, None), &[(0, 50), (10, 0), (10, 0)], &[]),
    ] {
        let got = interval(&pool(results.len()), &detection, 1, results);
        assert_eq!(got, want, "{detection:?} {results:?}");
    }
}

#[test]
fn an_interval_stands_alone() {
    let detection = by_rates(None, Some(FAILURE_PERCENTAGE));
    let pool = pool(3);
    let good = (10, 0);
    assert_eq!(
        interval(&pool, &detection, 1, &[good, good, (0, 9)]),
        [0usize; 0]
    );
    // Nine failures and one more in the next interval are no ten.
    assert_eq!(
        interval(&pool, &detection, 2, &[good, good, (0, 1)]),
        [0usize; 0]
    );
    assert_eq!(interval(&pool, &detection, 3, &[good, good, (0, 10)]), [2]);
}

#[test]
fn rates_and_reasons_are_shown_until_the_next_sweep() {
    let detection = by_rates(Some(SUCCESS_RATE), None);
    let pool = pool(3);
    interval(&pool, &detection, 1, &[(10, 0), (10, 0), (1, 9)]);
    let rates = |pool: &Pool| {
        let rate = |host: &Arc<HostState>| host.success_rate(Origin::External);
        pool.hosts.iter().map(rate).collect::<Vec<_>>()
    };
    assert_eq!(rates(&pool), [Some(100.0), Some(100.0), Some(10.0)]);
    let (mean, least) = pool.cluster.success_rate(Origin::External);
    assert_eq!(mean, Some(70.0));
    let reason = Reason::SuccessRate {
        origin: Origin::External,
        results: Results {
            successes: 1,
            total: 10,
        },
        least: least.unwrap(),
    };
    let ejected = pool.hosts[2].ejected().unwrap();
    assert_eq!((ejected.reason, ejected.since), (reason, at(1000)));
    interval(&pool, &detection, 2, &[(10, 0), (10, 0), (10, 0)]);
    assert_eq!(rates(&pool), [Some(100.0), Some(100.0), None], "one is out");
    assert_eq!(pool.cluster.success_rate(Origin::External), (None, None));
    assert_eq!(pool.cluster.success_rate(Origin::Local), (None, None));
}

#[test]
fn found_by_both_it_is_out_once_and_counted_once() {
    let detection = by_rates(Some(SUCCESS_RATE), Some(FAILURE_PERCENTAGE));
    let pool = pool(3);
    assert_eq!(
        interval(&pool, &detection, 1, &[(10, 0), (10, 0), (1, 9)]),
        [2]
    );
    let tally = pool.cluster.tally();
    let success_rate = Detector::SuccessRate(Origin::External);
    let failure_percentage = Detector::FailurePercentage(Origin::External);
    assert_eq!(tally.detected(success_rate), 1);
    assert_eq!(tally.detected(failure_percentage), 1);
    assert_eq!(tally.enforced(success_rate), 1);
    assert_eq!(tally.enforced(failure_percentage), 0);
    assert_eq!((tally.enforced_total(), tally.overflow()), (1, 0));
    assert_eq!(pool.cluster.ejections_active(), 1);
    let reason = pool.hosts[2].ejected().unwrap().reason;
    assert_eq!(reason.detector(), success_rate);
}

#[test]
fn the_share_that_may_be_out_holds_within_one_sweep() {
    let detection = OutlierDetection {
        max_ejection_percent: 40,
        ..by_rates(None, Some(FAILURE_PERCENTAGE))
    };
    let pool = pool(5);
    assert_eq!(interval(&pool, &detection, 1, &[(0, 10); 5]), [0, 1]);
    let tally = pool.cluster.tally();
    assert_eq!(
        tally.detected(Detector::FailurePercentage(Origin::External)),
        5
    );
    assert_eq!((tally.enforced_total(), tally.overflow()), (2, 3));
}

#[test]
fn with_the_split_each_kind_is_looked_at_apart() {
    let detection = OutlierDetection {
        split_local_origin: true,
        ..by_rates(None, Some(FAILURE_PERCENTAGE))
    };
    let pool = pool(4);
    for host in 0..4 {
        let reached = if host == 1 {
            Outcome::Failed
        } else {
            Outcome::Connected
        };
        let answer = Outcome::Response(if host == 2 { 500 } else { 200 });
        (0..10).for_each(|_| pool.report(&detection, host, reached, at(0)));
        (0..10).for_each(|_| pool.report(&detection, host, answer, at(0)));
    }
    pool.sweep(&detection, at(1000));
    // The third is out by its answers when reaching is looked at, and three others are enough for that.
    let by = |host: usize| pool.hosts[host].ejected().map(|e| e.reason.detector());
    assert_eq!(by(1), Some(Detector::FailurePercentage(Origin::Local)));
    assert_eq!(by(2), Some(Detector::FailurePercentage(Origin::External)));
    assert_eq!(pool.out(), [1, 2]);
    assert_eq!(pool.hosts[0].success_rate(Origin::Local), Some(100.0));
    assert_eq!(pool.hosts[1].success_rate(Origin::Local), Some(0.0));
    assert_eq!(pool.hosts[1].success_rate(Origin::External), Some(100.0));
    assert_eq!(
        pool.hosts[2].success_rate(Origin::Local),
        None,
        "it was out"
    );
}

#[test]
fn what_is_found_is_done_as_often_as_enforcing_says() {
    for (enforcing, least, most) in [(0, 0, 0), (30, 240, 360), (100, 1000, 1000)] {
        let detection = by_rates(
            None,
            Some(FailurePercentage {
                enforcing,
                ..FAILURE_PERCENTAGE
            }),
        );
        let pool = pool(1000);
        let out = interval(&pool, &detection, 1, &[(0, 10); 1000]).len();
        assert!((least..=most).contains(&out), "{out} at {enforcing} %");
        let tally = pool.cluster.tally();
        let detector = Detector::FailurePercentage(Origin::External);
        assert_eq!(tally.detected(detector), 1000);
        assert_eq!(tally.enforced(detector), out as u64);
        assert_eq!(tally.overflow(), 0);
    }
}

#[test]
fn results_of_a_detector_that_was_off_do_not_count() {
    let (on, off) = (
        by_rates(None, Some(FAILURE_PERCENTAGE)),
        by_rates(None, None),
    );
    let pool = pool(3);
    for host in [0, 0, 0, 1, 1, 1, 2, 2, 2] {
        (0..10).for_each(|_| pool.report(&on, host, Outcome::Failed, at(0)));
    }
    let settle = |detection| {
        pool.hosts
            .iter()
            .for_each(|host| host.settle(Some(detection)));
    };
    settle(&off);
    pool.report(&off, 0, Outcome::Failed, at(0));
    settle(&on);
    pool.sweep(&on, at(1000));
    assert_eq!(pool.out(), [0usize; 0]);
    assert_eq!(pool.hosts[0].success_rate(Origin::External), None);
}

#[test]
fn ticks_made_up_for_at_once_are_a_timers_ticks() {
    // Ejected at 1 s for 2 s; back at 3 s; forgiven at 4 s and not again.
    let detection = by_rates(None, Some(FAILURE_PERCENTAGE));
    let (watched, left_alone) = (pool(3), pool(3));
    for pool in [&watched, &left_alone] {
        for host in 0..3 {
            (0..10).for_each(|_| pool.report(&detection, host, Outcome::Failed, at(0)));
        }
    }
    (0..5500).for_each(|now| watched.sweep(&detection, at(now)));
    for pool in [&watched, &left_alone] {
        pool.sweep(&detection, at(5500));
        assert_eq!(pool.out(), [0usize; 0]);
        assert_eq!(pool.cluster.tally().enforced_total(), 3);
        (0..10).for_each(|_| pool.report(&detection, 0, Outcome::Failed, at(5500)));
        (1..3).for_each(|host| {
            (0..10).for_each(|_| pool.report(&detection, host, Outcome::Response(200), at(5500)));
        });
        pool.sweep(&detection, at(6000));
        let ejected = pool.hosts[0].ejected().unwrap();
        assert_eq!((ejected.since, ejected.until), (at(6000), at(8000)));
    }
}

#[test]
fn endpoints_of_one_sweep_throw_dice_of_their_own() {
    let half = FailurePercentage {
        enforcing: 50,
        ..FAILURE_PERCENTAGE
    };
    let pool = pool(8);
    let out = interval(&pool, &by_rates(None, Some(half)), 1, &[(0, 10); 8]);
    assert!(
        (1..8).contains(&out.len()),
        "some go and some stay: {out:?}"
    );
}

#[test]
fn what_is_not_enforced_is_refused_all_the_same_when_there_is_no_room() {
    for (percent, overflow) in [(100, 0), (10, 3)] {
        let detection = OutlierDetection {
            max_ejection_percent: percent,
            ..by_rates(
                None,
                Some(FailurePercentage {
                    enforcing: 0,
                    ..FAILURE_PERCENTAGE
                }),
            )
        };
        let pool = pool(3);
        assert_eq!(interval(&pool, &detection, 1, &[(0, 10); 3]), [0usize; 0]);
        let tally = pool.cluster.tally();
        let got = (tally.enforced_total(), tally.overflow());
        assert_eq!(got, (0, overflow), "at {percent} %");
    }
}

#[test]
fn nothing_is_shown_after_an_interval_in_which_nobody_was_asked() {
    let detection = by_rates(Some(SUCCESS_RATE), None);
    for (looked_at, shown) in [(1000, true), (2000, false), (5000, false)] {
        let pool = pool(3);
        for host in 0..3 {
            (0..10).for_each(|_| pool.report(&detection, host, Outcome::Response(200), at(0)));
        }
        pool.sweep(&detection, at(looked_at));
        let rate = pool.hosts[0].success_rate(Origin::External);
        assert_eq!(rate.is_some(), shown, "at {looked_at}");
        let (mean, _) = pool.cluster.success_rate(Origin::External);
        assert_eq!(mean.is_some(), shown, "at {looked_at}");
    }
}

#[test]
fn results_outlive_a_snapshot_that_looks_at_rates_too() {
    let detection = by_rates(None, Some(FAILURE_PERCENTAGE));
    let pool = pool(3);
    for host in 0..3 {
        (0..10).for_each(|_| pool.report(&detection, host, Outcome::Failed, at(0)));
        pool.hosts[host].settle(Some(&detection));
    }
    pool.sweep(&detection, at(1000));
    assert_eq!(pool.out(), [0, 1, 2]);
}
