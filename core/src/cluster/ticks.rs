//! The ticks of a sweep without a timer: which have passed is computed from the time when somebody looks.

use super::atomic::{AtomicU64, Ordering};

use crate::time::{Duration, Instant};

/// Nobody has looked yet.
const UNSET: u64 = u64::MAX;

/// The time of the last tick that was taken. It starts when somebody first looks.
#[derive(Debug)]
pub(super) struct LastTick(AtomicU64);

impl Default for LastTick {
    fn default() -> Self {
        Self(AtomicU64::new(UNSET))
    }
}

/// Ticks that passed: one every interval after `after`, the first of them one interval after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    after: u64,
    interval: u64,
    count: u64,
}

impl LastTick {
    /// Takes the ticks that have passed and that nobody has taken; `None` when there are none. Each tick is given to
    /// one caller.
    pub(super) fn take(&self, interval: Duration, now: Instant) -> Option<Ticks> {
        let interval = nanos(interval).max(1);
        let now = now.as_nanos();
        let mut last = self.0.load(Ordering::Relaxed);
        loop {
            let (next, ticks) = if last == UNSET {
                (now, None)
            } else {
                let count = now.saturating_sub(last) / interval;
                if count == 0 {
                    return None;
                }
                let ticks = Ticks {
                    after: last,
                    interval,
                    count,
                };
                (last + count * interval, Some(ticks))
            };
            match (self.0).compare_exchange_weak(last, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return ticks,
                Err(current) => last = current,
            }
        }
    }
}

impl Ticks {
    /// The first of these ticks alone, and the others.
    pub(super) const fn split(self) -> (Self, Option<Self>) {
        let first = Self { count: 1, ..self };
        let rest = Self {
            after: self.after + self.interval,
            count: self.count - 1,
            ..self
        };
        (first, if rest.count > 0 { Some(rest) } else { None })
    }

    /// The instant of the first one.
    pub(super) const fn first(&self) -> Instant {
        Instant::from_nanos(self.after + self.interval)
    }

    /// The first of these ticks that is not before an instant, and how many they are from it on.
    pub(super) fn from(&self, instant: Instant) -> Option<(Instant, u64)> {
        let wait = instant.as_nanos().saturating_sub(self.after);
        let number = wait.div_ceil(self.interval).max(1);
        let at = Instant::from_nanos(self.after + number.min(self.count) * self.interval);
        (number <= self.count).then(|| (at, self.count - number + 1))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn the_first_tick_is_one_interval_after_the_first_look() {
        let last = LastTick::default();
        let interval = Duration::from_millis(10);
        for (now, want) in [
            (7, None),
            (16, None),
            (17, Some((7, 1))),
            (17, None),
            (5, None),
            (26, None),
            (49, Some((17, 3))),
            (56, None),
            (57, Some((47, 1))),
        ] {
            let want = want.map(|(after, count)| Ticks {
                after: after * 1_000_000,
                interval: 10_000_000,
                count,
            });
            assert_eq!(last.take(interval, at(now)), want, "{now}");
        }
    }

    #[test]
    fn finds_the_first_tick_not_before() {
        let ticks = Ticks {
            after: 10_000_000,
            interval: 10_000_000,
            count: 3,
        };
        for (instant, want) in [
            (0, Some((20, 3))),
            (10, Some((20, 3))),
            (20, Some((20, 3))),
            (21, Some((30, 2))),
            (40, Some((40, 1))),
            (41, None),
        ] {
            let want = want.map(|(tick, count)| (at(tick), count));
            assert_eq!(ticks.from(at(instant)), want, "{instant}");
        }
    }

    #[test]
    fn the_first_tick_stands_apart() {
        let ticks = |after, count| Ticks {
            after,
            interval: 10,
            count,
        };
        assert_eq!(ticks(5, 3).first(), Instant::from_nanos(15));
        assert_eq!(ticks(5, 3).split(), (ticks(5, 1), Some(ticks(15, 2))));
        assert_eq!(ticks(5, 1).split(), (ticks(5, 1), None));
    }
}
