//! What the records of a run come to.

use core::fmt;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use outrigger_core::decision::{AttemptEnd, Record, ResetReason, ResponseFlag};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Duration;

use crate::Records;

/// Counts and times over requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many requests ended.
    pub requests: u64,
    /// How many with each status; 0 for none.
    pub by_status: BTreeMap<u16, u64>,
    /// Attempts at each instance, by address. What a circuit limit refused is none, nor is a kept connection that was
    /// dead.
    pub by_instance: BTreeMap<String, u64>,
    /// Retries by policy.
    pub retries: u64,
    /// Requests refused by a circuit limit (flag UO).
    pub overflows: u64,
    /// Endpoints taken out of rotation so far; see [`Summary::count_ejections`].
    pub ejections: u64,
    /// How many requests took so long, first byte to last.
    times: BTreeMap<Duration, u64>,
}

impl Summary {
    /// A summary that fills itself with the records of a sidecar.
    #[must_use]
    pub fn of_records() -> (Rc<RefCell<Self>>, Records) {
        let summary = Rc::<RefCell<Self>>::default();
        let filled = Rc::clone(&summary);
        let records =
            move |record: &Record, snapshot: &Snapshot| filled.borrow_mut().add(record, snapshot);
        (summary, Box::new(records))
    }

    /// Takes in one request.
    pub fn add(&mut self, record: &Record, snapshot: &Snapshot) {
        self.requests += 1;
        *self.by_status.entry(record.status).or_insert(0) += 1;
        *self
            .times
            .entry(record.ended.since(record.began))
            .or_insert(0) += 1;
        self.retries += u64::from(record.retries);
        self.overflows += u64::from(record.flags().contains(ResponseFlag::UpstreamOverflow));
        for attempt in &record.attempts {
            let Some(endpoint) = attempt.endpoint(snapshot) else {
                continue;
            };
            let never_reached_it = matches!(
                attempt.end,
                AttemptEnd::StaleConnection
                    | AttemptEnd::Unprocessed
                    | AttemptEnd::Reset(ResetReason::Overflow(_))
            );
            if !never_reached_it {
                match self.by_instance.get_mut(&*endpoint.text) {
                    Some(count) => *count += 1,
                    None => drop(self.by_instance.insert(endpoint.text.to_string(), 1)),
                }
            }
        }
    }

    /// Reads how many ejections there were from the live state of a snapshot.
    pub fn count_ejections(&mut self, snapshot: &Snapshot) {
        let clusters = snapshot.clusters.iter();
        self.ejections = clusters.map(|c| c.state.tally().enforced_total()).sum();
    }

    /// Requests whose answer was no failure: any status from 200 to 499.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.by_status.range(200..500).map(|(_, count)| count).sum()
    }

    /// The share of requests that succeeded, 0 to 1; 1 when there were none.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        if self.requests == 0 {
            1.0
        } else {
            self.succeeded() as f64 / self.requests as f64
        }
    }

    /// How many requests took this long or longer.
    #[must_use]
    pub fn at_least(&self, time: Duration) -> u64 {
        self.times.range(time..).map(|(_, count)| count).sum()
    }

    /// The time that this share of requests, 0 to 1, did not exceed (nearest rank); zero when there were none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = ((share * self.requests as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let mut times = self.times.iter();
        let found = times.find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map_or(Duration::ZERO, |(time, _)| *time)
    }
}

/// One line of numbers.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {:.1} % succeeded, p50 {:?}, p99 {:?}, {} retries, {} ejections, {} overflows;",
            self.requests,
            100.0 * self.success_rate(),
            self.percentile(0.50),
            self.percentile(0.99),
            self.retries,
            self.ejections,
            self.overflows,
        )?;
        for (instance, count) in &self.by_instance {
            write!(f, " {instance} × {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::time::Instant;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let mut summary = Summary::default();
        assert_eq!(summary.percentile(0.99), Duration::ZERO);
        for (ended, status) in [(10, 200), (20, 404), (30, 503), (40, 0)] {
            let mut record = Record::default();
            record.status = status;
            record.ended = Instant::from_millis(ended);
            summary.add(&record, &Snapshot::default());
        }
        for (share, millis) in [(0.0, 10), (0.25, 10), (0.26, 20), (0.5, 20), (1.0, 40)] {
            assert_eq!(summary.percentile(share), Duration::from_millis(millis));
        }
        assert_eq!(summary.at_least(Duration::from_millis(20)), 3);
        assert_eq!((summary.succeeded(), summary.success_rate()), (2, 0.5));
    }
}
