//! What a scenario expects to come of it, and whether it did.

use core::fmt;

use super::outcome::{RowKind, RowOutcome};

/// A number of a row of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of requests that got what they came for, 0 to 1.
    Success,
    /// The time that half of the requests did not exceed, in seconds.
    P50,
    /// 90 of a hundred.
    P90,
    /// 99 of a hundred.
    P99,
    /// 999 of a thousand.
    P999,
    /// How many there were.
    Requests,
    /// Retries.
    Retries,
    /// Ejections.
    Ejections,
    /// Requests refused by a circuit limit.
    Overflow,
    /// Requests that reached a service, for each that would have without retries.
    Amplification,
}

/// Every metric by the name that a scenario uses.
pub(super) const METRICS: [(&str, Metric); 10] = [
    ("success", Metric::Success),
    ("p50", Metric::P50),
    ("p90", Metric::P90),
    ("p99", Metric::P99),
    ("p999", Metric::P999),
    ("requests", Metric::Requests),
    ("retries", Metric::Retries),
    ("ejections", Metric::Ejections),
    ("overflow", Metric::Overflow),
    ("amplification", Metric::Amplification),
];

impl Metric {
    /// Whether it is a time.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::P50 | Self::P90 | Self::P99 | Self::P999)
    }

    /// The least and the most that it can be in a row of this kind.
    pub(super) const fn domain(self, kind: RowKind) -> (f64, f64) {
        match (self, kind) {
            (Self::Success, _) => (0.0, 1.0),
            // Each request of a client is an attempt.
            (Self::Amplification, RowKind::Clients) => (1.0, f64::INFINITY),
            _ => (0.0, f64::INFINITY),
        }
    }

    /// Whether it says how requests fared, and so nothing where there were none.
    #[must_use]
    pub const fn is_of_requests(self) -> bool {
        match self {
            Self::Success | Self::Amplification => true,
            Self::P50 | Self::P90 | Self::P99 | Self::P999 => true,
            Self::Requests | Self::Retries | Self::Ejections | Self::Overflow => false,
        }
    }

    /// Its value in a row; times in seconds.
    #[must_use]
    pub fn of(self, row: &RowOutcome) -> f64 {
        let time = |share| row.percentile(share).as_secs_f64();
        match self {
            Self::Success => row.success_rate(),
            Self::P50 => time(0.5),
            Self::P90 => time(0.9),
            Self::P99 => time(0.99),
            Self::P999 => time(0.999),
            Self::Requests => row.requests as f64,
            Self::Retries => row.retries as f64,
            Self::Ejections => row.ejections as f64,
            Self::Overflow => row.overflows as f64,
            Self::Amplification => row.amplification(),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = METRICS.iter();
        let name = all
            .find(|(_, metric)| metric == self)
            .map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// On which side of a bound a number has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Below.
    Less,
    /// Below or equal.
    AtMost,
    /// Above.
    More,
    /// Above or equal.
    AtLeast,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The clients or the service.
    pub of: String,
    /// Which number.
    pub metric: Metric,
    /// How it compares.
    pub comparison: Comparison,
    /// To what; times in seconds, shares from 0 to 1.
    pub bound: f64,
    /// As it was written: `>= 99%`.
    pub text: String,
}

impl Expectation {
    /// Whether a row is as expected. Of no requests nothing is as expected.
    #[must_use]
    pub fn holds(&self, row: &RowOutcome) -> bool {
        if row.requests == 0 && self.metric.is_of_requests() {
            return false;
        }
        let value = self.metric.of(row);
        match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::More => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.of, self.metric, self.text)
    }
}
