//! Queues through a window of slowness: how many wait at each moment, and how long all of them took.
//!
//! A time of service is decided when the service begins, so who is worked on when the window closes stays slow, and who
//! waits is served at the usual pace. The numbers are means over seeds; the bounds are five standard deviations of such a
//! mean, of the theory where it has some, else as the seeds show them: chance alone hardly ever leads outside, whatever the
//! seeds, and a queue that kept the slowness of the time of its arrivals is ten and more of them away.

use std::ops::Range;

use super::markov::{Rates, moments};
use super::{Estimate, is_near, over_seeds};

const SEEDS: u64 = 40;

/// Requests a second, and how many of them one place serves a second outside of the window and in it.
const ARRIVE: f64 = 50.0;
const USUAL: f64 = 100.0;
const SLOW: f64 = 20.0;

/// The window, in seconds.
const WINDOW: Range<f64> = 2.0..4.0;
const END: f64 = 10.0;

/// Moments that are looked at, in steps of a timeline of ten seconds: before, within, and after the window, while the
/// queue drains, and long after.
const STEP: f64 = 0.1;
const LOOKS: [usize; 9] = [18, 22, 29, 39, 42, 46, 52, 60, 85];

/// Means over seeds of how many are there at each look, and of the time that all requests of a run took together.
fn played(service: &str, faults: &str) -> (Vec<Estimate>, Estimate) {
    let scenario = format!(
        "duration: 10s\nnetwork: {{latency: 0s, jitter: 0s}}\n\
         services: {{s: {{{service}, concurrency: 1, queue: 1000000}}}}\n\
         clients: {{u: {{asks: s, rate: 50/s}}}}\n\
         faults: [{faults}]\n"
    );
    let mut all = over_seeds(&scenario, "", SEEDS, |outcome| {
        let row = outcome.row("u").expect("it was asked");
        assert_eq!(row.good(), row.requests);
        let there = LOOKS.iter().map(|at| f64::from(row.steps[*at].under_way));
        there.chain([row.total_time.as_secs_f64()]).collect()
    });
    let total = all.pop().expect("the last number");
    (all, total)
}

/// M/M/1: by Kolmogorov's equations over who is there and whether who is worked on began in the window. That all requests
/// together take as long as the number of those that are there, integrated, is Little's law.
#[test]
fn an_exponential_service_through_a_window() {
    const MOST: usize = 400;
    // Nobody, then for each number whether the one that is worked on is usual (0) or slow (1).
    let state = |there: usize, slow: usize| match there {
        0 => 0,
        some => 2 * some - 1 + slow,
    };
    let there = |state: usize| state.div_ceil(2) as f64;
    let rates = |begins: usize| {
        let mut rates = vec![(0, state(1, begins), ARRIVE)];
        for count in 1..=MOST {
            for (slow, pace) in [(0, USUAL), (1, SLOW)] {
                let now = state(count, slow);
                rates.push((now, state(count - 1, begins), pace));
                if count < MOST {
                    rates.push((now, state(count + 1, slow), ARRIVE));
                }
            }
        }
        Rates(rates)
    };
    let (usual, slow) = (rates(0), rates(1));
    let mut chances = vec![0.0; 2 * MOST + 1];
    chances[0] = 1.0;
    let (mut theory, mut area, mut before) = (Vec::new(), 0.0, 0.0);
    // Longer than clients ask: what is under way then is small, and ends at once.
    for step in 0..(END / STEP) as usize {
        let middle = (step as f64 + 0.5) * STEP;
        let is_slow = WINDOW.contains(&middle);
        let now = if is_slow { &slow } else { &usual };
        now.pass(&mut chances, STEP);
        let (mean, deviation) = moments(&chances, there);
        area += STEP * (before + mean) / 2.0;
        before = mean;
        theory.push((mean, deviation));
    }
    let (seen, total) = played(
        "latency: 0s",
        "{service: s, slow: {mean: 50ms}, from: 2s, until: 4s}, {service: s, slow: {mean: 10ms}}",
    );
    for (at, seen) in LOOKS.iter().zip(seen) {
        let (mean, deviation) = theory[*at];
        is_near(seen.mean, mean, deviation / (SEEDS as f64).sqrt());
    }
    is_near(total.mean, area, total.deviation);
    // A queue that kept the slowness of its time would be far from it: as many left over, five times as long.
    assert!(theory[39].0 > 55.0 && theory[60].0 < 3.0, "{theory:?}");
}

/// M/D/1: by Lindley's recursion, who arrives begins when the one before has ended. Its expectation has no closed form
/// through a window, so it is taken over many times more requests than the simulation plays, of a generator of its own.
#[test]
fn a_fixed_time_of_service_through_a_window() {
    const TIMES: u64 = 4000;
    let mut draws = Draws(7);
    let mut sums = vec![0.0; LOOKS.len() + 1];
    for _ in 0..TIMES {
        let (mut now, mut free) = (0.0, 0.0_f64);
        loop {
            now -= draws.unit().ln() / ARRIVE;
            if now >= END {
                break;
            }
            let begins = free.max(now);
            let is_slow = WINDOW.contains(&begins);
            free = begins + if is_slow { 1.0 / SLOW } else { 1.0 / USUAL };
            for (sum, at) in sums.iter_mut().zip(LOOKS) {
                let look = (at + 1) as f64 * STEP;
                *sum += f64::from(u8::from(now <= look && look < free));
            }
            sums[LOOKS.len()] += free - now;
        }
    }
    let (seen, total) = played(
        "latency: 10ms",
        "{service: s, slow: 40ms, from: 2s, until: 4s}",
    );
    for (seen, sum) in seen.iter().chain([&total]).zip(&sums) {
        // The theory's own deviation is an eighth of the simulation's and lost in it.
        is_near(seen.mean, sum / TIMES as f64, seen.deviation);
    }
}

/// Two places and no queue (Erlang's loss) through a window: by Kolmogorov's equations over how many of those that are
/// worked on are usual and how many slow; who arrives while both are taken is lost (PASTA).
#[test]
fn loss_through_a_window() {
    let states: Vec<(usize, usize)> = (0..=2)
        .flat_map(|usual| (0..=2 - usual).map(move |slow| (usual, slow)))
        .collect();
    let at = |state: (usize, usize)| states.iter().position(|other| *other == state);
    let rates = |is_slow: bool| {
        let mut rates = Vec::new();
        for (now, (usual, slow)) in states.iter().copied().enumerate() {
            let arrival = if is_slow {
                (usual, slow + 1)
            } else {
                (usual + 1, slow)
            };
            let left = [
                (Some(arrival), ARRIVE),
                (
                    usual.checked_sub(1).map(|usual| (usual, slow)),
                    usual as f64 * USUAL,
                ),
                (
                    slow.checked_sub(1).map(|slow| (usual, slow)),
                    slow as f64 * SLOW,
                ),
            ];
            let known = left
                .into_iter()
                .filter_map(|(to, rate)| Some((now, at(to?)?, rate)));
            rates.extend(known);
        }
        Rates(rates)
    };
    let (usual, slow) = (rates(false), rates(true));
    let mut chances = vec![0.0; states.len()];
    chances[at((0, 0)).expect("it is one")] = 1.0;
    // Short steps: what is lost is summed up by trapezoids.
    let (step, mut lost, mut before) = (0.01, 0.0, 0.0);
    for number in 0..(END / step) as usize {
        let middle = (number as f64 + 0.5) * step;
        let is_slow = WINDOW.contains(&middle);
        let now = if is_slow { &slow } else { &usual };
        now.pass(&mut chances, step);
        let full = states.iter().zip(&chances).filter(|((u, s), _)| u + s == 2);
        let full: f64 = full.map(|(_, chance)| chance).sum();
        lost += ARRIVE * step * (before + full) / 2.0;
        before = full;
    }
    let scenario = "duration: 10s\nnetwork: {latency: 0s, jitter: 0s}\n\
                    services: {s: {concurrency: 2, queue: 0}}\n\
                    clients: {u: {asks: s, rate: 50/s}}\n\
                    faults: [{service: s, slow: {mean: 50ms}, from: 2s, until: 4s}, {service: s, slow: {mean: 10ms}}]\n";
    let rules = super::without_retries("");
    let seen = over_seeds(scenario, &rules, SEEDS, |outcome| {
        let row = outcome.row("u").expect("it was asked");
        vec![(row.requests - row.good()) as f64]
    });
    is_near(seen[0].mean, lost, seen[0].deviation);
    assert!((50.0..120.0).contains(&lost), "{lost}");
}

/// Numbers from 0 to 1 (splitmix64), so that the theory does not draw as the simulation does.
struct Draws(u64);

impl Draws {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}
