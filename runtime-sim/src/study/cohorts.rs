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
            p99: self.times.percentile(0.99),
        }
    }
}
