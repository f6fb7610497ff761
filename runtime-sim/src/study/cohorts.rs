//! How the requests that were made in one step of time fared, whenever they ended: what tells when clients were well again.

use outrigger_core::time::{Duration, Instant};

use super::histogram::Histogram;
use super::outcome::Cohort;
use crate::load::Outcome;

/// The cohorts of one kind of client, while they are counted.
#[derive(Debug)]
pub(super) struct Cohorts {
    step: Duration,
    all: Vec<Open>,
    /// Requests that were made before the step under way.
    before: u64,
}

/// One that may still have requests under way.
#[derive(Debug, Default)]
struct Open {
    made: u64,
    ended: u64,
    failed: u64,
    times: Histogram,
}

impl Cohorts {
    pub(super) const fn new(step: Duration) -> Self {
        Self {
            step,
            all: Vec::new(),
            before: 0,
        }
    }

    /// A request that was made at this moment has ended.
    pub(super) fn ended(&mut self, began: Instant, took: Duration, outcome: Outcome) {
        // A step ends with what happens at its last moment.
        let since = u128::from(began.as_nanos().saturating_sub(1));
        let at = since / self.step.as_nanos().max(1);
        let cohort = self.cohort(usize::try_from(at).unwrap_or(usize::MAX));
        cohort.ended += 1;
        cohort.failed += u64::from(!outcome.is_good());
        cohort.times.add(took);
    }

    /// The step of this number is over; so many requests were made until now.
    pub(super) fn close_step(&mut self, number: usize, requests: u64) {
        let made = requests - self.before;
        self.before = requests;
        self.cohort(number).made = made;
    }

    fn cohort(&mut self, at: usize) -> &mut Open {
        if self.all.len() <= at {
            self.all.resize_with(at + 1, Open::default);
        }
        &mut self.all[at]
    }

    /// What came of them. Requests that have not ended by now never will.
    pub(super) fn finish(self) -> Vec<Cohort> {
        self.all.iter().map(Open::finish).collect()
    }
}

impl Open {
    fn finish(&self) -> Cohort {
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Cohort {
            made: count(self.made),
            failed: count(self.failed + self.made.saturating_sub(self.ended)),
            tail: self
                .times
                .percentile(1.0 - left_out(self.ended) as f64 / self.ended.max(1) as f64),
        }
    }
}

/// How many of so many requests are the slowest.
const fn left_out(ended: u64) -> u64 {
    let one_in_a_hundred = ended / 100;
    let two = if ended < 5 {
        ended.saturating_sub(1) / 2
    } else {
        2
    };
    if one_in_a_hundred > two {
        one_in_a_hundred
    } else {
        two
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cohort_is_as_slow_as_most_of_it() {
        // Of so many requests, the first took so many milliseconds and the others one.
        for (count, slow, tail) in [
            (1, 1, 900),
            (2, 1, 900),
            (3, 1, 1),
            (3, 2, 900),
            (5, 2, 1),
            (5, 3, 900),
            (90, 2, 1),
            (90, 3, 900),
            (1000, 10, 1),
            (1000, 11, 900),
        ] {
            let mut cohorts = Cohorts::new(Duration::from_secs(1));
            for nth in 0..count {
                let took = Duration::from_millis(if nth < slow { 900 } else { 1 });
                cohorts.ended(Instant::ZERO, took, Outcome::Answered(200));
            }
            cohorts.close_step(0, count);
            let got = cohorts.finish()[0].tail;
            let differ = got.abs_diff(Duration::from_millis(tail));
            assert!(
                differ < Duration::from_millis(tail) / 100,
                "{count} {slow} {got:?}"
            );
        }
    }

    #[test]
    fn requests_are_of_the_step_in_which_they_were_made() {
        let mut cohorts = Cohorts::new(Duration::from_secs(1));
        cohorts.close_step(0, 2);
        // The last moment of a step is part of it.
        for millis in [1, 1000, 1001] {
            let made = Instant::from_millis(millis);
            cohorts.ended(made, Duration::from_secs(9), Outcome::Answered(503));
        }
        cohorts.close_step(1, 4);
        let all = cohorts.finish();
        let counts: Vec<_> = all
            .iter()
            .map(|cohort| (cohort.made, cohort.failed))
            .collect();
        // One was never answered.
        assert_eq!(counts, [(2, 2), (2, 2)]);
    }
}
