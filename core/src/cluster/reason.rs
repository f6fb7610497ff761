//! Why an endpoint was ejected: which detector, and the numbers that it saw.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::atomic::{AtomicU64, Ordering};
use super::bucket::{Origin, Results};
use crate::time::Instant;

/// What may find that an endpoint is to be ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// Errors in a row.
    Consecutive5xx,
    /// 502, 503 and 504 in a row.
    ConsecutiveGateway,
    /// Failures in a row that no response tells of.
    ConsecutiveLocalOrigin,
    /// Fewer successes than the others.
    SuccessRate(Origin),
    /// Too large a share of failures.
    FailurePercentage(Origin),
}

impl Detector {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Consecutive5xx,
        Self::ConsecutiveGateway,
        Self::ConsecutiveLocalOrigin,
        Self::SuccessRate(Origin::External),
        Self::SuccessRate(Origin::Local),
        Self::FailurePercentage(Origin::External),
        Self::FailurePercentage(Origin::Local),
    ];

    /// Envoy's name of it in statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGateway => "consecutive_gateway_failure",
            Self::ConsecutiveLocalOrigin => "consecutive_local_origin_failure",
            Self::SuccessRate(Origin::External) => "success_rate",
            Self::SuccessRate(Origin::Local) => "local_origin_success_rate",
            Self::FailurePercentage(Origin::External) => "failure_percentage",
            Self::FailurePercentage(Origin::Local) => "local_origin_failure_percentage",
        }
    }

    /// Its place in [`Detector::ALL`].
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Consecutive5xx => 0,
            Self::ConsecutiveGateway => 1,
            Self::ConsecutiveLocalOrigin => 2,
            Self::SuccessRate(Origin::External) => 3,
            Self::SuccessRate(Origin::Local) => 4,
            Self::FailurePercentage(Origin::External) => 5,
            Self::FailurePercentage(Origin::Local) => 6,
        }
    }
}

/// What a detector saw when it ejected an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reason {
    /// That many errors in a row, which is the threshold.
    Consecutive5xx(u32),
    /// That many gateway errors in a row.
    ConsecutiveGateway(u32),
    /// That many failures in a row to reach it, or to get an answer in time.
    ConsecutiveLocalOrigin(u32),
    /// Results of an interval with a lower success rate than the cluster's others asked for.
    SuccessRate {
        /// Which results.
        origin: Origin,
        /// What it did.
        results: Results,
        /// The rate that would have been enough, in percent.
        least: f64,
    },
    /// Results of an interval with too many failures among them.
    FailurePercentage {
        /// Which results.
        origin: Origin,
        /// What it did.
        results: Results,
        /// The share of failures that is too many, in percent.
        threshold: u8,
    },
}

impl Reason {
    /// Who saw it.
    #[must_use]
    pub const fn detector(self) -> Detector {
        match self {
            Self::Consecutive5xx(_) => Detector::Consecutive5xx,
            Self::ConsecutiveGateway(_) => Detector::ConsecutiveGateway,
            Self::ConsecutiveLocalOrigin(_) => Detector::ConsecutiveLocalOrigin,
            Self::SuccessRate { origin, .. } => Detector::SuccessRate(origin),
            Self::FailurePercentage { origin, .. } => Detector::FailurePercentage(origin),
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.detector().name())?;
        match *self {
            Self::Consecutive5xx(count)
            | Self::ConsecutiveGateway(count)
            | Self::ConsecutiveLocalOrigin(count) => write!(f, "{count} in a row"),
            Self::SuccessRate { results, least, .. } => {
                let Results { successes, total } = results;
                write!(
                    f,
                    "{successes} of {total} succeeded, less than {least:.2} %"
                )
            }
            Self::FailurePercentage {
                results, threshold, ..
            } => {
                let (failures, total) = (results.failures(), results.total);
                write!(f, "{failures} of {total} failed, at least {threshold} %")
            }
        }
    }
}

/// An ejection that lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejected {
    /// When it began.
    pub since: Instant,
    /// It ends with the first sweep that is not before this.
    pub until: Instant,
    /// Why.
    pub reason: Reason,
}

/// An ejection as atomics. Who reads it while it changes gets a mixture, and must find out (`Health::ejected`): what was
/// written is seen with all that went before it.
#[derive(Debug, Default)]
pub(super) struct EjectedCell {
    since: AtomicU64,
    until: AtomicU64,
    /// The detector's index.
    detector: AtomicU64,
    /// Results, or the number in a row.
    numbers: AtomicU64,
    /// The rate asked for, as bits, or the threshold.
    limit: AtomicU64,
}

impl EjectedCell {
    pub(super) fn set(&self, ejected: Ejected) {
        let (numbers, limit) = match ejected.reason {
            Reason::Consecutive5xx(count)
            | Reason::ConsecutiveGateway(count)
            | Reason::ConsecutiveLocalOrigin(count) => (count.into(), 0),
            Reason::SuccessRate { results, least, .. } => (results.pack(), least.to_bits()),
            Reason::FailurePercentage {
                results, threshold, ..
            } => (results.pack(), threshold.into()),
        };
        let detector = ejected.reason.detector().index() as u64;
        for (atomic, value) in [
            (&self.since, ejected.since.as_nanos()),
            (&self.until, ejected.until.as_nanos()),
            (&self.detector, detector),
            (&self.numbers, numbers),
            (&self.limit, limit),
        ] {
            atomic.store(value, Ordering::Release);
        }
    }

    pub(super) fn get(&self) -> Ejected {
        let read = |atomic: &AtomicU64| atomic.load(Ordering::Acquire);
        let (numbers, limit) = (read(&self.numbers), read(&self.limit));
        let (count, results) = (numbers as u32, Results::unpack(numbers));
        // Only indices of this array were written.
        let reason = match Detector::ALL[read(&self.detector) as usize % Detector::ALL.len()] {
            Detector::Consecutive5xx => Reason::Consecutive5xx(count),
            Detector::ConsecutiveGateway => Reason::ConsecutiveGateway(count),
            Detector::ConsecutiveLocalOrigin => Reason::ConsecutiveLocalOrigin(count),
            Detector::SuccessRate(origin) => Reason::SuccessRate {
                origin,
                results,
                least: f64::from_bits(limit),
            },
            Detector::FailurePercentage(origin) => Reason::FailurePercentage {
                origin,
                results,
                threshold: limit as u8,
            },
        };
        Ejected {
            since: Instant::from_nanos(read(&self.since)),
            until: self.until(),
            reason,
        }
    }

    pub(super) fn until(&self) -> Instant {
        Instant::from_nanos(self.until.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_reads_well() {
        let results = Results {
            successes: 40,
            total: 120,
        };
        for (reason, text) in [
            (Reason::Consecutive5xx(5), "consecutive_5xx: 5 in a row"),
            (
                Reason::ConsecutiveGateway(1),
                "consecutive_gateway_failure: 1 in a row",
            ),
            (
                Reason::ConsecutiveLocalOrigin(u32::MAX),
                "consecutive_local_origin_failure: 4294967295 in a row",
            ),
            (
                Reason::SuccessRate {
                    origin: Origin::External,
                    results,
                    least: 47.514_7,
                },
                "success_rate: 40 of 120 succeeded, less than 47.51 %",
            ),
            (
                Reason::FailurePercentage {
                    origin: Origin::Local,
                    results,
                    threshold: 60,
                },
                "local_origin_failure_percentage: 80 of 120 failed, at least 60 %",
            ),
        ] {
            let cell = EjectedCell::default();
            let ejected = Ejected {
                since: Instant::from_millis(7),
                until: Instant::from_millis(9),
                reason,
            };
            cell.set(ejected);
            assert_eq!(cell.get(), ejected);
            assert_eq!(reason.to_string(), text);
        }
    }

    #[test]
    fn every_detector_has_its_place_and_its_name() {
        let mut names = std::collections::BTreeSet::new();
        for (at, detector) in Detector::ALL.into_iter().enumerate() {
            assert_eq!(detector.index(), at);
            assert!(names.insert(detector.name()));
        }
    }
}
