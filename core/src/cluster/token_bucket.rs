//! A token bucket that all workers take from: exact, whatever their number, and without a timer.
//!
//! It fills continuously, as Envoy's does since its buckets are atomic: a token for every `fill_interval /
//! tokens_per_fill` that passes, whole nanoseconds, up to `max_tokens`. The one word of state is the instant at which the
//! bucket will be full again; what is missing until then is what has been taken.

use super::atomic::{AtomicU64, Ordering};

use crate::time::{Duration, Instant};

/// More than this would not be full again within a lifetime: 146 years.
const LONGEST: u64 = 1 << 62;

/// How much a bucket holds and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSize {
    max_tokens: u32,
    /// Nanoseconds until there is one more token, at least 1.
    period: u64,
}

impl BucketSize {
    /// A bucket of at most `max_tokens`, which `tokens_per_fill` are added to in the course of every `fill_interval`.
    /// Zero tokens for a fill count as one.
    #[must_use]
    pub fn new(max_tokens: u32, tokens_per_fill: u32, fill_interval: Duration) -> Self {
        let period = fill_interval.as_nanos() / u128::from(tokens_per_fill.max(1));
        let period = u64::try_from(period).unwrap_or(LONGEST);
        Self {
            max_tokens,
            period: period.clamp(1, LONGEST),
        }
    }

    /// What it holds when it is full.
    #[must_use]
    pub const fn max_tokens(self) -> u32 {
        self.max_tokens
    }

    /// How long a token takes to come back.
    #[must_use]
    pub const fn period(self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// How long an empty bucket takes to fill.
    const fn depth(self) -> u64 {
        let depth = self.period.saturating_mul(self.max_tokens as u64);
        if depth < LONGEST { depth } else { LONGEST }
    }
}

/// A bucket; full at first. Its size is its user's to say, the same each time.
#[derive(Debug, Default)]
pub struct Bucket {
    /// Nanoseconds: when it will be full again.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a token if there is one.
    #[must_use]
    pub fn take(&self, size: BucketSize, now: Instant) -> bool {
        let now = now.as_nanos();
        // Relaxed: the word stands alone, and no other memory is published through it.
        let one_less = |full_at: u64| {
            let after = full_at.max(now).saturating_add(size.period);
            (after - now <= size.depth()).then_some(after)
        };
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }

    /// Whole tokens in it.
    #[must_use]
    pub fn tokens(&self, size: BucketSize, now: Instant) -> u32 {
        let held = size.depth().saturating_sub(self.missing(now));
        // No more than `max_tokens`, see `depth`.
        u32::try_from(held / size.period).unwrap_or(u32::MAX)
    }

    /// How long until there is a token; zero when there is one.
    #[must_use]
    pub fn next_token(&self, size: BucketSize, now: Instant) -> Duration {
        let missing = self.missing(now).saturating_add(size.period);
        Duration::from_nanos(missing.saturating_sub(size.depth()))
    }

    fn missing(&self, now: Instant) -> u64 {
        let full_at = self.full_at.load(Ordering::Relaxed);
        full_at.saturating_sub(now.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn holds_its_size_and_fills_token_by_token() {
        let size = BucketSize::new(3, 3, Duration::from_secs(60));
        let bucket = Bucket::default();
        assert_eq!(bucket.tokens(size, at(0)), 3);
        for (now, taken, left, next) in [
            (0, true, 2, 0),
            (0, true, 1, 0),
            (0, true, 0, 20_000),
            (0, false, 0, 20_000),
            (19_999, false, 0, 1),
            (20_000, true, 0, 20_000),
            (50_000, true, 0, 10_000),
            (60_000, true, 0, 20_000),
            (1_000_000, true, 2, 0),
        ] {
            assert_eq!(bucket.take(size, at(now)), taken, "{now}");
            assert_eq!(bucket.tokens(size, at(now)), left, "{now}");
            let next = Duration::from_millis(next);
            assert_eq!(bucket.next_token(size, at(now)), next, "{now}");
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_stand_still() {
        let slow = BucketSize::new(u32::MAX, 1, Duration::MAX);
        let fast = BucketSize::new(2, u32::MAX, Duration::from_millis(50));
        let nothing = BucketSize::new(0, 1, Duration::from_secs(1));
        let end = Instant::from_nanos(u64::MAX);
        let bucket = Bucket::default();
        assert!(bucket.take(slow, at(0)) && !bucket.take(slow, at(0)));
        let bucket = Bucket::default();
        assert!(bucket.take(fast, at(0)) && bucket.take(fast, at(0)) && bucket.take(fast, at(1)));
        assert_eq!(bucket.tokens(fast, end), 2);
        assert!(!Bucket::default().take(nothing, at(1_000)));
    }

    #[test]
    fn a_clock_that_is_behind_another_takes_nothing_back() {
        let size = BucketSize::new(1, 1, Duration::from_secs(1));
        let bucket = Bucket::default();
        assert!(bucket.take(size, at(5_000)));
        assert!(!bucket.take(size, at(4_000)) && !bucket.take(size, at(5_999)));
        assert!(bucket.take(size, at(6_000)));
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let size = BucketSize::new(1_000, 1, Duration::from_secs(1));
        let bucket = Bucket::default();
        let worker = || (0..2_000).filter(|_| bucket.take(size, at(7_500))).count();
        let taken: usize = thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
        assert_eq!(bucket.tokens(size, at(7_500)), 0);
    }

    /// Envoy's words: so many tokens by now, in exact fractions, no more than fit.
    struct Model {
        max: u128,
        per_fill: u128,
        interval: u128,
        /// In fractions of `1 / interval` tokens.
        content: u128,
        seen: u128,
    }

    impl Model {
        fn take(&mut self, now: u128) -> bool {
            let came = (now - self.seen) * self.per_fill;
            self.content = (self.content + came).min(self.max * self.interval);
            self.seen = now;
            let enough = self.content >= self.interval;
            if enough {
                self.content -= self.interval;
            }
            enough
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn does_what_the_exact_model_does(
            max in 1u32..6,
            per_fill in 1u32..8,
            period_ms in 1u64..500,
            gaps in prop::collection::vec(0u64..900, 1..60),
        ) {
            // A whole number of nanoseconds for each token.
            let interval = Duration::from_millis(period_ms * u64::from(per_fill));
            let size = BucketSize::new(max, per_fill, interval);
            let mut model = Model {
                max: max.into(),
                per_fill: per_fill.into(),
                interval: interval.as_nanos(),
                content: u128::from(max) * interval.as_nanos(),
                seen: 0,
            };
            let bucket = Bucket::default();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                let instant = at(now);
                prop_assert_eq!(bucket.take(size, instant), model.take(instant.as_nanos().into()));
                let left = model.content / model.interval;
                prop_assert_eq!(u128::from(bucket.tokens(size, instant)), left);
                let next = bucket.next_token(size, instant);
                let lacks = model.interval.saturating_sub(model.content);
                prop_assert_eq!(next.as_nanos(), lacks.div_ceil(model.per_fill));
            }
        }
    }
}
