//! Several places, and the limits of a sidecar: queues and losses as Erlang has them, in the steady state.
//!
//! Means over seeds, within five standard deviations of such a mean as the seeds show it: wide enough that another seed or
//! a request more hardly ever fails, and a few percent of what is measured, so that a place too many is seen. A run begins
//! empty, which it forgets within a second of its many.

use super::{is_near, over_seeds, without_retries};
use outrigger_sim::study::StudyOutcome;

const SEEDS: u64 = 12;

/// A service of which replicas do what `service` says, asked `rate` times a second for as many seconds.
fn scenario(seconds: u32, service: &str, rate: f64) -> String {
    format!(
        "duration: {seconds}s\nnetwork: {{latency: 0s, jitter: 0s}}\n\
         services: {{s: {{{service}}}}}\nclients: {{u: {{asks: s, rate: {rate}/s}}}}\n"
    )
}

fn lost(outcome: &StudyOutcome) -> Vec<f64> {
    let row = outcome.row("u").expect("it was asked");
    vec![1.0 - row.success_rate()]
}

fn mean_time(outcome: &StudyOutcome) -> Vec<f64> {
    let row = outcome.row("u").expect("it was asked");
    assert_eq!(row.good(), row.requests);
    vec![row.total_time.as_secs_f64() / row.requests as f64]
}

/// Erlang's B: the share that finds `places` taken when `offered` would be taken on average if there were enough.
fn erlang_b(places: u32, offered: f64) -> f64 {
    (1..=places).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b))
}

/// Erlang's C: the share that has to wait, with a queue.
fn erlang_c(places: u32, offered: f64) -> f64 {
    let b = erlang_b(places, offered);
    b / (1.0 - offered / f64::from(places) * (1.0 - b))
}

#[test]
fn erlangs_formulas_are_what_books_say() {
    for (value, theory) in [
        (erlang_b(1, 1.0), 0.5),
        (erlang_b(2, 2.0), 0.4),
        (erlang_b(10, 5.0), 0.018_384_6),
        (erlang_c(1, 0.7), 0.7),
        (erlang_c(3, 2.0), 4.0 / 9.0),
    ] {
        assert!((value - theory).abs() < 1e-6, "{value} {theory}");
    }
}

/// `http2MaxRequests` refuses what is more at a time: Erlang's B, which does not depend on how times are distributed but on
/// their mean alone.
#[test]
fn a_limit_of_requests_loses_as_erlang_says() {
    let rules = without_retries("connectionPool: {http: {http2MaxRequests: 3}}");
    for latency in ["{mean: 20ms}", "20ms", "{from: 0ms, to: 40ms}"] {
        let scenario = scenario(20, &format!("latency: {latency}"), 100.0);
        let seen = over_seeds(&scenario, &rules, SEEDS, |outcome| {
            let row = outcome.row("s").expect("it was asked");
            assert_eq!(
                row.limits.get("http2MaxRequests").copied(),
                Some(row.overflows)
            );
            lost(outcome)
        });
        is_near(seen[0].mean, erlang_b(3, 2.0), seen[0].deviation);
    }
}

/// `maxConnections` places and `http1MaxPendingRequests` that wait (M/M/c/K): of c + K states the last one loses.
#[test]
fn a_pool_with_a_short_queue_loses_as_theory_says() {
    for (connections, pending) in [(1_u32, 3_u32), (2, 4)] {
        let rules = without_retries(&format!(
            "connectionPool: {{tcp: {{maxConnections: {connections}}}, \
             http: {{http1MaxPendingRequests: {pending}}}}}"
        ));
        let offered = 0.8 * f64::from(connections);
        let scenario = scenario(20, "latency: {mean: 10ms}", 100.0 * offered);
        let seen = over_seeds(&scenario, &rules, SEEDS, lost);
        // The balance of a birth-death chain: each state is as likely as the one before times offered over places taken.
        let (mut state, mut all) = (1.0, 1.0);
        for there in 1..=connections + pending {
            state *= offered / f64::from(there.min(connections));
            all += state;
        }
        is_near(seen[0].mean, state / all, seen[0].deviation);
    }
}

/// Several places with a queue (M/M/c), in an instance and in the pool of a sidecar: a request waits C/(cμ−λ) on average.
#[test]
fn several_places_let_wait_as_erlang_says() {
    let pool =
        "connectionPool: {tcp: {maxConnections: 3}, http: {http1MaxPendingRequests: 1000000}}";
    for (service, policy) in [
        ("latency: {mean: 10ms}, concurrency: 3, queue: 1000000", ""),
        ("latency: {mean: 10ms}", pool),
    ] {
        let scenario = scenario(20, service, 200.0);
        let seen = over_seeds(&scenario, &without_retries(policy), SEEDS, mean_time);
        let waits = erlang_c(3, 2.0) / (300.0 - 200.0);
        is_near(seen[0].mean, 0.01 + waits, seen[0].deviation);
    }
}

/// One place and a fixed time (M/D/1): half of the wait that exponential times would cause (Pollaczek and Khinchine).
#[test]
fn a_fixed_time_lets_wait_half_as_long() {
    for rate in [50.0, 80.0] {
        let service = "latency: 10ms, concurrency: 1, queue: 1000000";
        let seen = over_seeds(&scenario(30, service, rate), "", SEEDS, mean_time);
        let load = rate / 100.0;
        let waits = load * 0.01 / (2.0 * (1.0 - load));
        is_near(seen[0].mean, 0.01 + waits, seen[0].deviation);
    }
}
