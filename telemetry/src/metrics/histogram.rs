//! How values are distributed: counted by one thread in buckets so narrow that quantiles can be read from them, and read by
//! all as the few buckets that Prometheus is told.
//!
//! Buckets are decimal: each leading digit of each power of ten has forty, so a bucket is at most a fortieth of its least
//! value wide, but for bounds that are whole numbers, and a quantile is at most 2.5 % and 1 off. Decimal and not binary,
//! because the bounds that Istio and Envoy tell (0.5, 1, 5, 10, 25 …) are then bounds here, and what is told below them is
//! exact. Values are whole numbers, of microseconds or bytes. Memory is taken for digits that occur, 320 bytes each.

use std::array;
use std::sync::OnceLock;

use outrigger_runtime::Counter;

/// Buckets of one leading digit.
const PARTS: usize = 40;

const DIGITS: usize = 9;

/// Powers of ten: up to 10^13 microseconds are 115 days, and so many bytes 10 TB. What is larger counts as that.
const DECADES: usize = 13;

const LARGEST: u64 = POWERS[DECADES];

const POWERS: [u64; DECADES + 1] = {
    let mut powers = [1; DECADES + 1];
    let mut at = 1;
    while at <= DECADES {
        powers[at] = 10 * powers[at - 1];
        at += 1;
    }
    powers
};

/// The bounds of Istio's buckets, in thousandths of what the metric is in (milliseconds or bytes); an unbounded one follows.
pub const ISTIO_BOUNDS: [u64; 19] = [
    500,
    1000,
    5000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
];

type Part = [Counter; PARTS];
type Decade = [OnceLock<Box<Part>>; DIGITS];

/// What one thread counts.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    sum: Counter,
    /// Values 0 and 1, which have no leading digit below them.
    least: [Counter; 2],
    decades: [OnceLock<Box<Decade>>; DECADES],
}

impl Histogram {
    /// One more value.
    pub(crate) fn record(&self, value: u64) {
        self.sum.add(value);
        // A bucket holds its upper bound and not its lower one, as Prometheus has it.
        let Some(below) = value.checked_sub(1).filter(|below| *below > 0) else {
            self.least[usize::from(value > 0)].add(1);
            return;
        };
        let below = below.min(LARGEST - 1);
        let decade = below.ilog10() as usize;
        // Parts of its decade, of which those of the digit 0 are those of the decades below.
        let part = divide(below * PARTS as u64, decade) as usize - PARTS;
        let digits = self.decades[decade].get_or_init(Box::default);
        let parts =
            digits[part / PARTS].get_or_init(|| Box::new(array::from_fn(|_| Counter::default())));
        parts[part % PARTS].add(1);
    }

    /// Adds what was counted to what others have.
    pub(crate) fn add_to(&self, sum: &mut Distribution) {
        let mut own = Vec::new();
        for (at, count) in self.least.iter().enumerate() {
            push(&mut own, at, count.value());
        }
        for (decade, digits) in self.decades.iter().enumerate() {
            for (digit, parts) in digits
                .get()
                .into_iter()
                .flat_map(|digits| digits.iter())
                .enumerate()
            {
                for (part, count) in parts
                    .get()
                    .into_iter()
                    .flat_map(|parts| parts.iter())
                    .enumerate()
                {
                    push(
                        &mut own,
                        2 + (decade * DIGITS + digit) * PARTS + part,
                        count.value(),
                    );
                }
            }
        }
        sum.sum += self.sum.value();
        sum.merge(own);
    }
}

/// What powers of ten are multiplied with instead of being divided by: 2^64 divided by them, and rounded up.
const INVERSES: [u64; EXACT] = {
    let mut inverses = [0; EXACT];
    let mut at = 1;
    while at < EXACT {
        inverses[at] = u64::MAX / POWERS[at] + 1;
        at += 1;
    }
    inverses
};

/// Powers by which a product divides exactly. It is too large by less than a power of 2^64 times what is divided, and that is at most
/// 400 powers: so the quotient is right as long as 400 times the square of the power is less than 2^64.
const EXACT: usize = 8;

/// A number that is less than 400 times a power of ten, divided by that power.
fn divide(number: u64, decade: usize) -> u64 {
    match INVERSES.get(decade) {
        Some(0) => number,
        Some(inverse) => ((u128::from(number) * u128::from(*inverse)) >> 64) as u64,
        None => number / POWERS[decade],
    }
}

fn push(own: &mut Vec<(u32, u64)>, at: usize, count: u64) {
    if count > 0 {
        // As many as there are buckets, 4682.
        own.push((at as u32, count));
    }
}

/// The upper bound of a bucket, which it holds.
fn upper(bucket: u32) -> f64 {
    let Some(at) = (bucket as usize).checked_sub(2) else {
        return f64::from(bucket);
    };
    let (digits, part) = (at / PARTS, at % PARTS);
    let (decade, digit) = (digits / DIGITS, digits % DIGITS + 1);
    let width = POWERS[decade] as f64 / PARTS as f64;
    width * (digit * PARTS + part + 1) as f64
}

/// What all threads have counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The sum of all values.
    pub sum: u64,
    /// Buckets that something is in, in order.
    buckets: Vec<(u32, u64)>,
}

impl Distribution {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// How many values are at most each of these bounds, which rise. Exact for bounds with one leading digit and those that are a
    /// multiple of a fortieth of it.
    #[must_use]
    pub fn at_most<const N: usize>(&self, bounds: &[u64; N]) -> [u64; N] {
        let mut counts = [0; N];
        let mut buckets = self.buckets.iter().peekable();
        let mut sum = 0;
        for (bound, count) in bounds.iter().zip(&mut counts) {
            while let Some((_, more)) =
                buckets.next_if(|(bucket, _)| upper(*bucket) <= *bound as f64)
            {
                sum += more;
            }
            *count = sum;
        }
        counts
    }

    /// The value that a share of all values, 0 to 1, does not pass; `None` when there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share.clamp(0.0, 1.0) * self.count() as f64;
        let mut before = 0.0;
        for (bucket, count) in &self.buckets {
            let count = *count as f64;
            if before + count >= wanted {
                let (low, high) = (bucket.checked_sub(1).map_or(0.0, upper), upper(*bucket));
                return Some(low + (high - low) * ((wanted - before) / count));
            }
            before += count;
        }
        None
    }

    /// Adds what somebody else has.
    pub fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.merge(other.buckets);
    }

    fn merge(&mut self, other: Vec<(u32, u64)>) {
        if self.buckets.is_empty() {
            self.buckets = other;
            return;
        }
        let mut merged = Vec::with_capacity(self.buckets.len() + other.len());
        let mut theirs = other.into_iter().peekable();
        for (bucket, count) in std::mem::take(&mut self.buckets) {
            while let Some(before) = theirs.next_if(|(other, _)| *other < bucket) {
                merged.push(before);
            }
            let same = theirs.next_if(|(other, _)| *other == bucket);
            merged.push((bucket, count + same.map_or(0, |(_, count)| count)));
        }
        merged.extend(theirs);
        self.buckets = merged;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        let mut all = Distribution::default();
        histogram.add_to(&mut all);
        all
    }

    #[test]
    fn a_product_is_the_quotient() {
        for (decade, power) in POWERS.into_iter().enumerate().take(DECADES) {
            for whole in PARTS as u64..10 * PARTS as u64 {
                let begins = whole * power;
                for number in [begins, begins + power / 2, begins + power - 1] {
                    assert_eq!(divide(number, decade), whole, "{number} by {power}");
                }
            }
        }
    }

    /// As they are, and close to what is told of them.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let near = prop::sample::select(ISTIO_BOUNDS.to_vec());
        let near = (near, 0..3_u64).prop_map(|(bound, more)| bound + more - 1);
        let any = (0..15_u32, 0..1000_u64).prop_map(|(power, n)| n * 10_u64.pow(power));
        prop::collection::vec(prop_oneof![near, any, 0..3000_u64], 1..60)
    }

    proptest! {
        #[test]
        fn what_istio_is_told_is_exact(values in values()) {
            let counted = of(&values);
            let told = counted.at_most(&ISTIO_BOUNDS);
            for (bound, told) in ISTIO_BOUNDS.iter().zip(told) {
                let is = values.iter().filter(|value| *value <= bound).count();
                prop_assert_eq!(told, is as u64, "{}", bound);
            }
            prop_assert_eq!(counted.count(), values.len() as u64);
            prop_assert_eq!(counted.sum, values.iter().sum::<u64>());
        }

        #[test]
        fn quantiles_are_close(values in values(), share in 0.0..=1.0_f64) {
            let mut sorted: Vec<_> = values.iter().map(|value| (*value).min(LARGEST)).collect();
            sorted.sort_unstable();
            let rank = (share * sorted.len() as f64).ceil() as usize;
            let is = sorted[rank.saturating_sub(1)] as f64;
            let told = of(&values).quantile(share).unwrap();
            prop_assert!((told - is).abs() <= 0.025 * is + 1.0, "{told} {is}");
        }

        #[test]
        fn threads_count_together(one in values(), other in values()) {
            let mut sum = of(&one);
            sum.add(of(&other));
            prop_assert_eq!(sum, of(&[one, other].concat()));
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(of(&[]).quantile(0.5), None);
        assert_eq!(of(&[7]).count(), 1);
    }
}
