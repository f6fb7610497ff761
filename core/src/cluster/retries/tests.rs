//! Limits of retries by table, against slow models, and by many threads at once.

use std::thread;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn cluster() -> Arc<ClusterState> {
    Arc::default()
}

const fn share(percent: u32, least: u32, interval: Option<Duration>) -> RetryLimit {
    RetryLimit::Share(RetryBudget {
        per_million: percent * 10_000,
        least,
        interval,
    })
}

/// How many retries a limit allows now, by trying.
fn room(cluster: &Arc<ClusterState>, limit: RetryLimit, now: Instant) -> usize {
    let begin = |_| cluster.begin_retry(limit, now).ok();
    let held: Vec<_> = (0..1000).map_while(begin).collect();
    held.len()
}

#[test]
fn a_count_is_a_count() {
    let cluster = cluster();
    assert_eq!(room(&cluster, RetryLimit::Count(3), Instant::ZERO), 3);
    assert_eq!(room(&cluster, RetryLimit::NONE, Instant::ZERO), 1000);
    let _one = cluster.begin_retry(RetryLimit::Count(1), Instant::ZERO);
    let refused = cluster.begin_retry(RetryLimit::Count(1), Instant::ZERO);
    assert_eq!(refused.unwrap_err(), RetriesFull::Count { limit: 1 });
}

#[test]
fn a_share_is_of_requests_with_and_without_a_connection() {
    for (requests, pending, percent, least, want) in [
        (0, 0, 20, 3, 3),
        (10, 5, 20, 3, 3),
        (10, 9, 20, 3, 3),
        (10, 10, 20, 3, 4),
        (20, 4, 20, 3, 4),
        (20, 5, 20, 3, 5),
        (100, 0, 0, 1, 1),
        (7, 0, 100, 3, 7),
        (29, 71, 29, 3, 29),
    ] {
        let cluster = cluster();
        let admit = |counted, count| -> Vec<_> {
            (0..count).map(|_| cluster.admit(counted, 1000)).collect()
        };
        let _held = (
            admit(Counted::Requests, requests),
            admit(Counted::Pending, pending),
        );
        let limit = share(percent, least, None);
        let told = format!("{percent} % of {requests} + {pending}, at least {least}");
        assert_eq!(room(&cluster, limit, Instant::ZERO), want, "{told}");
    }
}

#[test]
fn a_share_over_time_is_of_the_requests_that_got_a_connection_within_it() {
    let cluster = cluster();
    let limit = share(20, 2, Some(SECOND));
    for _ in 0..50 {
        cluster.note_request(limit, Instant::from_millis(50));
    }
    let _now = cluster.admit(Counted::Requests, 1000);
    for (at, want) in [(50, 10), (999, 10), (1000, 2)] {
        assert_eq!(
            room(&cluster, limit, Instant::from_millis(at)),
            want,
            "{at}"
        );
    }
    cluster.note_request(share(20, 2, None), Instant::from_millis(1000));
    cluster.note_request(RetryLimit::NONE, Instant::from_millis(1000));
    assert_eq!(
        room(
            &cluster,
            share(100, 0, Some(SECOND)),
            Instant::from_millis(1000)
        ),
        0
    );
}

const fn tokens(per_million: u32, per_second: u32) -> TokenBudget {
    TokenBudget {
        per_million,
        per_second,
        ttl: SECOND,
    }
}

/// How many retries a budget allows at a time.
fn drawn(cluster: &ClusterState, budget: &TokenBudget, now: Instant) -> usize {
    (0..1000)
        .take_while(|_| cluster.draw(budget, now).is_ok())
        .count()
}

#[test]
fn requests_pay_and_retries_draw() {
    for (per_million, per_second, paid, want) in [
        (200_000, 0, 0, 0),
        (200_000, 0, 4, 0),
        (200_000, 0, 5, 1),
        (200_000, 0, 14, 2),
        (200_000, 3, 0, 3),
        (200_000, 3, 5, 4),
        (300_000, 0, 10, 3),
        (600_000, 0, 10, 6),
        (0, 5, 100, 5),
        (2_000_000, 0, 3, 6),
        (1_000_000_000, 0, 1, 1000),
    ] {
        let cluster = cluster();
        let budget = tokens(per_million, per_second);
        for _ in 0..paid {
            cluster.pay(&budget, Instant::ZERO);
        }
        let told = format!("{per_million} of {paid} and {per_second} a second");
        assert_eq!(drawn(&cluster, &budget, Instant::ZERO), want, "{told}");
    }
}

/// What a reserve comes to in any length of time: a part of a retry is none, and no part of a time is lost before that.
#[test]
fn a_reserve_is_of_all_of_its_time() {
    for (per_second, micros, want) in [
        (2000, 500, 1),
        (1999, 500, 0),
        (2000, 999, 1),
        (1000, 1000, 1),
        (1000, 1999, 1),
        (2000, 1500, 3),
        (10, 300_000, 3),
        (3, 999_999, 2),
        (3, 1_000_000, 3),
        (2, 2_500_000, 5),
        (1_000_000, 1, 1),
        (u32::MAX, u64::MAX, u64::MAX),
    ] {
        let ttl = Duration::from_micros(micros);
        let budget = TokenBudget {
            ttl,
            ..tokens(1, per_second)
        };
        assert_eq!(budget.allows(0), want, "{per_second} a second in {ttl:?}");
    }
    // What requests paid and a part of the reserve make a whole retry together.
    let budget = TokenBudget {
        ttl: Duration::from_micros(500),
        ..tokens(500_000, 1000)
    };
    assert_eq!([0, 1, 2, 3].map(|paid| budget.allows(paid)), [0, 1, 1, 2]);
}

#[test]
fn payments_and_withdrawals_grow_old() {
    let (cluster, budget) = (cluster(), tokens(500_000, 1));
    assert_eq!(drawn(&cluster, &budget, Instant::ZERO), 1);
    let refused = cluster.draw(&budget, Instant::from_millis(999));
    let (retries, requests) = (1, 0);
    assert_eq!(refused, Err(RetriesFull::Tokens { retries, requests }));
    assert_eq!(drawn(&cluster, &budget, Instant::from_millis(1000)), 1);
    for _ in 0..6 {
        cluster.pay(&budget, Instant::from_millis(1000));
    }
    assert_eq!(drawn(&cluster, &budget, Instant::from_millis(1999)), 3);
    assert_eq!(drawn(&cluster, &budget, Instant::from_millis(2000)), 0);
    assert_eq!(drawn(&cluster, &budget, Instant::from_millis(2900)), 1);
}

#[test]
fn threads_together_draw_no_more_than_there_is() {
    let (cluster, budget) = (cluster(), tokens(0, 100));
    let total: usize = thread::scope(|scope| {
        let draw = || {
            (0..1000)
                .filter(|_| cluster.draw(&budget, Instant::ZERO).is_ok())
                .count()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(draw)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert!(total <= 100, "{total}");
    assert_eq!(
        drawn(&cluster, &budget, Instant::ZERO),
        100 - total,
        "what was refused was given back"
    );
}

#[test]
fn events_are_counted_apart() {
    let cluster = cluster();
    let all = [
        RetryEvent::BackOff,
        RetryEvent::RetryAfter,
        RetryEvent::Hedge,
        RetryEvent::Success,
        RetryEvent::Overflow,
        RetryEvent::LimitExceeded,
    ];
    for (count, event) in (1..).zip(all) {
        (0..count).for_each(|_| cluster.count_retry(event));
    }
    assert_eq!(
        all.map(|event| cluster.counted_retries(event)),
        [1, 2, 3, 4, 5, 6]
    );
}

/// What happens to a cluster.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    /// A request that needs no retry gets a connection, and ends at once.
    Request,
    /// A request gets a connection and stays.
    Stay,
    /// The oldest that stays ends.
    Leave,
    /// A retry is wanted.
    Retry,
    /// The oldest retry under way ends.
    End,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0_u64..400).prop_map(Step::Wait),
        4 => Just(Step::Request),
        3 => Just(Step::Stay),
        1 => Just(Step::Leave),
        4 => Just(Step::Retry),
        1 => Just(Step::End),
    ];
    prop::collection::vec(step, 0..120)
}

/// Whether an event of then counts now: it is of this tenth of the window or one of the nine before.
const fn counts(then: u64, now: u64, length: u64) -> bool {
    let slot = length / 10;
    now / slot - then / slot < 10
}

fn within(events: &[u64], now: u64, length: u64) -> u64 {
    events
        .iter()
        .filter(|then| counts(**then, now, length))
        .count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The token budget against lists of all payments and withdrawals that ever were.
    #[test]
    fn the_token_budget_is_its_model(
        steps in steps(),
        per_million in prop_oneof![Just(200_000_u32), 0_u32..=3_000_000],
        per_second in 0_u32..4,
        tenths in 1_u64..30,
    ) {
        let length = tenths * 100;
        let budget = TokenBudget { per_million, per_second, ttl: Duration::from_millis(length) };
        let cluster = cluster();
        let (mut now, mut paid, mut drawn) = (0, Vec::new(), Vec::new());
        for step in steps {
            let at = Instant::from_millis(now);
            match step {
                Step::Wait(millis) => now += millis,
                Step::Request | Step::Stay => {
                    cluster.pay(&budget, at);
                    paid.push(now);
                }
                Step::Leave | Step::End => {}
                Step::Retry => {
                    let (requests, retries) = (within(&paid, now, length), within(&drawn, now, length));
                    let allowed = requests * u64::from(per_million) + u64::from(per_second) * length * 1000;
                    let want = (retries + 1) * 1_000_000 <= allowed;
                    let got = cluster.draw(&budget, at);
                    prop_assert_eq!(got.is_ok(), want, "{} retries, {} requests", retries, requests);
                    match got {
                        Ok(()) => drawn.push(now),
                        Err(full) => prop_assert_eq!(full, RetriesFull::Tokens { retries, requests }),
                    }
                }
            }
        }
    }

    /// Envoy's budget against lists of what is under way and of all that got a connection.
    #[test]
    fn the_share_is_its_model(
        steps in steps(),
        percent in 0_u32..=100,
        least in 0_u32..4,
        tenths in prop_oneof![Just(None), (1_u64..30).prop_map(Some)],
    ) {
        let length = tenths.map(|tenths| tenths * 100);
        let limit = share(percent, least, length.map(Duration::from_millis));
        let cluster = cluster();
        let (mut now, mut active, mut retries, mut connected) = (0, Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            let at = Instant::from_millis(now);
            match step {
                Step::Wait(millis) => now += millis,
                Step::Request | Step::Stay => {
                    connected.push(now);
                    cluster.note_request(limit, at);
                    if matches!(step, Step::Stay) {
                        let counted = if connected.len() % 2 == 0 { Counted::Requests } else { Counted::Pending };
                        active.push(cluster.admit(counted, u32::MAX));
                    }
                }
                Step::Leave => drop((!active.is_empty()).then(|| active.remove(0))),
                Step::End => drop((!retries.is_empty()).then(|| retries.remove(0))),
                Step::Retry => {
                    let requests = length.map_or(active.len() as u64, |length| within(&connected, now, length));
                    let allowed = (f64::from(percent) * requests as f64 / 100.0).floor().max(f64::from(least));
                    let want = (retries.len() as f64) < allowed;
                    match cluster.begin_retry(limit, at) {
                        Ok(permit) => {
                            prop_assert!(want);
                            retries.push(permit);
                        }
                        Err(full) => {
                            prop_assert!(!want);
                            let limit = allowed as u64;
                            prop_assert_eq!(full, RetriesFull::Share { requests, limit });
                        }
                    }
                }
            }
        }
    }
}
