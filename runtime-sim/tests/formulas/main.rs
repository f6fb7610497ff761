//! Whether a simulated outcome is what theory says where theory has a closed formula: waiting in a queue, and attempts
//! until one succeeds. Bounds are five standard deviations of the estimate, as the same theory gives them.
//!
//! Here are one place in the steady state, and what belongs to no queue. Several places and limits are in `limits`, queues
//! through a window of slowness in `windows`.

mod limits;
mod markov;
mod windows;

use outrigger_core::config::{MeshConfig, Source};
use outrigger_sim::study::{Study, StudyOutcome, read};

fn play(scenario: &str, rules: &str, seed: u64) -> StudyOutcome {
    let source = |name, text: &'static [u8]| Source { name, bytes: text };
    let scenario = scenario.to_owned().into_bytes().leak();
    let rules = rules.to_owned().into_bytes().leak();
    let scenario = read(source("scenario", scenario)).expect("the scenario is good");
    let study = Study::new(scenario, &[source("rules", rules)], MeshConfig::default());
    let study = study.expect("the rules are good");
    study.play(seed, |_| ()).expect("the invariants hold")
}

fn is_near(value: f64, theory: f64, deviation: f64) {
    let far = (value - theory).abs();
    assert!(
        far <= 5.0 * deviation,
        "{value}, theory says {theory} ± {deviation}"
    );
}

/// A mean over seeds, and the standard deviation of that mean.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    mean: f64,
    deviation: f64,
}

/// Plays a scenario with so many seeds and takes the mean of each number that a run gives.
fn over_seeds(
    scenario: &str,
    rules: &str,
    seeds: u64,
    numbers: impl Fn(&StudyOutcome) -> Vec<f64>,
) -> Vec<Estimate> {
    let runs = (1..=seeds).map(|seed| numbers(&play(scenario, rules, seed)));
    let runs: Vec<Vec<f64>> = runs.collect();
    let count = runs.len() as f64;
    let estimate = |at: usize| {
        let values = || runs.iter().map(|run| run[at]);
        let mean = values().sum::<f64>() / count;
        let spread: f64 = values().map(|value| (value - mean) * (value - mean)).sum();
        Estimate {
            mean,
            deviation: (spread / (count - 1.0) / count).sqrt(),
        }
    };
    (0..runs[0].len()).map(estimate).collect()
}

/// Rules under which the service is not asked again, with this policy for it.
fn without_retries(policy: &str) -> String {
    let rule = |kind: &str, spec: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: s}}\nspec: {spec}\n---\n"
        )
    };
    let route = "{hosts: [s], http: [{retries: {attempts: 0}, route: [{destination: {host: s}}]}]}";
    let mut rules = rule("VirtualService", route);
    if !policy.is_empty() {
        let spec = format!("{{host: s, trafficPolicy: {{{policy}}}}}");
        rules += &rule("DestinationRule", &spec);
    }
    rules
}

/// One place, exponential service times, Poisson arrivals (M/M/1): a request takes 1/(μ−λ) on average. The deviation of
/// the mean of n waits in line is √(ρ(2+5ρ−4ρ²+ρ³)/n)/(μ(1−ρ)²) (Daley 1968); the service time adds at most its own.
#[test]
fn waiting_in_line_takes_as_long_as_queueing_theory_says() {
    for (seed, rate) in [(1, 50.0), (2, 70.0)] {
        let (load, per_second) = (rate / 100.0, 100.0);
        let scenario = format!(
            "duration: 500s\nnetwork: {{latency: 0s, jitter: 0s}}\n\
             services: {{s: {{latency: {{mean: 10ms}}, concurrency: 1, queue: 1000000}}}}\n\
             clients: {{u: {{asks: s, rate: {rate}/s}}}}\n"
        );
        let outcome = play(&scenario, "", seed);
        let row = outcome.row("u").expect("it was asked");
        let count = row.requests as f64;
        is_near(count, rate * 500.0, (rate * 500.0).sqrt());
        assert_eq!(row.good(), row.requests);
        let mean = row.total_time.as_secs_f64() / count;
        let spread: f64 = load * (2.0 + 5.0 * load - 4.0 * load * load + load * load * load);
        let waiting = spread.sqrt() / (per_second * (1.0 - load) * (1.0 - load));
        let deviation = (waiting + 1.0 / per_second) / count.sqrt();
        is_near(mean, 1.0 / (per_second - rate), deviation);
    }
}

/// One place, a fixed time of service that is longer for a while (D/D/1 and Lindley's recursion: a request waits for what
/// the one before it left): the queue that grew under the fault drains at the usual pace once it is over.
#[test]
fn a_queue_drains_at_the_usual_pace_when_a_fault_is_over() {
    let scenario = "duration: 10s\nnetwork: {latency: 0s, jitter: 0s}\n\
                    services: {s: {latency: 10ms, concurrency: 1, queue: 100000}}\n\
                    clients: {u: {asks: s, rate: 20/s, arrivals: steady}}\n\
                    faults: [{service: s, slow: 1s, until: 5s}]\n";
    let outcome = play(scenario, "", 1);
    let row = outcome.row("u").expect("it was asked");
    assert_eq!(row.good(), row.requests);
    let (mut free, mut total, mut longest) = (0.0_f64, 0.0, 0.0_f64);
    for nth in 1..=row.requests {
        let arrives = nth as f64 * 0.05;
        let begins = free.max(arrives);
        free = begins + if begins < 5.0 { 1.01 } else { 0.01 };
        total += free - arrives;
        longest = longest.max(free - arrives);
    }
    // A steady client may begin at any point of its first interval.
    let mean = row.total_time.as_secs_f64() / row.requests as f64;
    let theory = total / row.requests as f64;
    assert!((mean - theory).abs() < 0.05, "{mean}, theory says {theory}");
    assert!(longest < 6.0, "{longest}");
}

/// Each attempt fails with p by itself: of 1 + r attempts at most, 1 + p + … + p^r are made, and all fail with p^(r+1).
#[test]
fn retries_amplify_as_a_geometric_series() {
    let scenario =
        "duration: 200s\nservices: {s: {errors: 30%}}\nclients: {u: {asks: s, rate: 100/s}}\n";
    let rules = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: s}\n\
                 spec: {hosts: [s], http: [{retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: s}}]}]}\n";
    for seed in 1..=2 {
        let outcome = play(scenario, rules, seed);
        let row = outcome.row("s").expect("it was asked");
        let (p, count): (f64, f64) = (0.3, row.requests as f64);
        let fails = p.powi(3);
        is_near(
            row.success_rate(),
            1.0 - fails,
            (fails * (1.0 - fails) / count).sqrt(),
        );
        // Attempts: 1 with 1-p, 2 with p(1-p), 3 with p².
        let mean = 1.0 + p + p * p;
        let square = (1.0 - p) + 4.0 * p * (1.0 - p) + 9.0 * p * p;
        is_near(
            row.amplification(),
            mean,
            ((square - mean * mean) / count).sqrt(),
        );
        assert_eq!(row.reached, row.requests + row.retries);
    }
}

/// Without a queue, requests that find all places taken are lost with the probability of Erlang's formula. Whether one is
/// lost depends on those before it, so the bound is that of independent draws, three times as wide.
#[test]
fn a_service_without_a_queue_loses_as_erlang_says() {
    let scenario = "duration: 200s\nnetwork: {latency: 0s, jitter: 0s}\n\
                    services: {s: {latency: {mean: 20ms}, concurrency: 2, queue: 0}}\n\
                    clients: {u: {asks: s, rate: 100/s}}\n";
    let outcome = play(scenario, &without_retries(""), 3);
    let row = outcome.row("u").expect("it was asked");
    // Two Erlang of traffic on two places: (2²/2!) / (1 + 2 + 2²/2!).
    let lost: f64 = 2.0 / 5.0;
    let count = row.requests as f64;
    is_near(
        1.0 - row.success_rate(),
        lost,
        3.0 * (lost * (1.0 - lost) / count).sqrt(),
    );
}

#[test]
fn a_seed_is_a_run() {
    let scenario = "duration: 20s\nservices: {a: {calls: [b], errors: 1%}, b: {latency: {mean: 5ms}, replicas: 3}}\n\
                    clients: {u: {asks: a, rate: 50/s}, v: {asks: b, users: 3, think: {mean: 100ms}}}\n\
                    faults: [{service: b, replica: 2, crash: true, from: 5s, until: 10s}]\n";
    let run = |seed| {
        let outcome = play(scenario, "", seed);
        (outcome.digest, format!("{outcome:?}"))
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first.0, run(8).0);
}
