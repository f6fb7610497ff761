//! How many times were how long: buckets that are a two-hundred-and-fifty-sixth of their value wide.
//!
//! Exact to 0.4 %, in memory that does not grow with the number of times.

use outrigger_core::time::Duration;

/// The bits of a time that are kept.
const BITS: u32 = 8;

/// Counts of times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

impl Histogram {
    /// Takes in a time.
    pub fn add(&mut self, time: Duration) {
        let bucket = bucket(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.total += 1;
    }

    /// The time that this share of all, 0 to 1, did not exceed (nearest rank, to 0.4 %); zero when there were none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = ((share * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        found.map_or(Duration::ZERO, |bucket| {
            Duration::from_nanos(middle(bucket))
        })
    }
}

fn bucket(value: u64) -> usize {
    let extra = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    ((u64::from(extra) << BITS) + (value >> extra)) as usize
}

/// The value in the middle of a bucket.
const fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 << BITS {
        return bucket;
    }
    let extra = (bucket >> BITS) - 1;
    let low = (bucket - (extra << BITS)) << extra;
    low + (1 << extra) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_near_the_middle_of_its_bucket() {
        let mut value = 1_u64;
        while value < u64::MAX / 3 {
            for value in [value - 1, value, value + value / 3] {
                let shown = middle(bucket(value));
                assert!(
                    shown.abs_diff(value) as f64 <= value as f64 / 256.0,
                    "{value} {shown}"
                );
            }
            value *= 2;
        }
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut times = Histogram::default();
        assert_eq!(times.percentile(0.5), Duration::ZERO);
        (1..=200).for_each(|n| times.add(Duration::from_nanos(n)));
        for (share, nanos) in [(0.0, 1), (0.5, 100), (0.99, 198), (1.0, 200)] {
            assert_eq!(times.percentile(share), Duration::from_nanos(nanos));
        }
    }
}
