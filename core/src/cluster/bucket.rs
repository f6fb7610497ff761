//! How many of an endpoint's results were successes, from one sweep to the next.

use serde::{Deserialize, Serialize};

use super::atomic::{AtomicU64, Ordering};

/// Counting stops here, which leaves room for every worker to count once more: no interval needs so many, and successes
/// must not run over into the total.
const FULL: u32 = 1 << 31;

/// What a detector looks at: what an endpoint answered, or whether it could be reached at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Its responses; without the split, failures to reach it too.
    External,
    /// Whether it was reached and answered in time; only with the split.
    Local,
}

/// The results of one endpoint in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// Those that were good.
    pub successes: u32,
    /// All of them.
    pub total: u32,
}

impl Results {
    /// The share of successes in percent; `None` without results.
    #[must_use]
    pub fn success_rate(self) -> Option<f64> {
        (self.total > 0).then(|| f64::from(self.successes) * 100.0 / f64::from(self.total))
    }

    /// Those that were not good.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.total.saturating_sub(self.successes)
    }

    pub(super) const fn pack(self) -> u64 {
        (self.total as u64) << 32 | self.successes as u64
    }

    pub(super) const fn unpack(packed: u64) -> Self {
        Self {
            successes: packed as u32,
            total: (packed >> 32) as u32,
        }
    }
}

/// The results of the interval under way. Both numbers are one atomic, so that a rate is never made of a total and of
/// successes that do not belong together.
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

impl Bucket {
    pub(super) fn count(&self, success: bool) {
        let so_far = Results::unpack(self.0.load(Ordering::Relaxed));
        if so_far.total < FULL {
            let one = Results {
                successes: success.into(),
                total: 1,
            };
            self.0.fetch_add(one.pack(), Ordering::Relaxed);
        }
    }

    /// The interval is over: its results, and the next one begins.
    pub(super) fn rotate(&self) -> Results {
        Results::unpack(self.0.swap(0, Ordering::Relaxed))
    }
}

/// A percentage for people to read, or none.
#[derive(Debug)]
pub(super) struct Shown(AtomicU64);

impl Default for Shown {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Shown {
    pub(super) fn set(&self, percent: Option<f64>) {
        let bits = percent.unwrap_or(f64::NAN).to_bits();
        self.0.store(bits, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<f64> {
        let percent = f64::from_bits(self.0.load(Ordering::Relaxed));
        (!percent.is_nan()).then_some(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_exact_and_starts_anew_with_each_interval() {
        let bucket = Bucket::default();
        assert_eq!(bucket.rotate().success_rate(), None);
        for at in 0..3 {
            bucket.count(at == 1);
        }
        let results = bucket.rotate();
        assert_eq!((results.successes, results.total), (1, 3));
        assert_eq!(results.success_rate(), Some(100.0 / 3.0));
        assert_eq!(bucket.rotate(), Results::default());
    }

    #[test]
    fn a_full_bucket_keeps_its_rate() {
        let full = Results {
            successes: FULL,
            total: FULL,
        };
        let bucket = Bucket(AtomicU64::new(full.pack()));
        bucket.count(true);
        bucket.count(false);
        assert_eq!(bucket.rotate(), full);
    }
}
