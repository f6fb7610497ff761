//! When a set of keys is fetched again: a function of what came of it, without a clock.

use std::time::Duration;

/// After the first failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Failures are never further apart (Istio's first interval after a failed refresh).
const SLOWEST_RETRY: Duration = Duration::from_secs(60);

/// So much of a wait, a tenth, is up to chance, so that many proxies do not ask at the same moment.
const JITTER: u32 = 10;

/// The state between two fetches of one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    refresh: Duration,
    /// Failures since the last good answer.
    failures: u32,
}

impl Schedule {
    /// A set that was fetched is fetched again after `refresh`.
    pub(super) const fn new(refresh: Duration) -> Self {
        Self {
            refresh,
            failures: 0,
        }
    }

    /// How long to wait after a good answer. `random` is any number.
    pub(super) fn fetched(&mut self, random: u64) -> Duration {
        self.failures = 0;
        self.refresh - jitter(self.refresh, random)
    }

    /// How long to wait after a failure.
    pub(super) fn failed(&mut self, random: u64) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << doublings);
        let wait = wait.min(SLOWEST_RETRY);
        wait - jitter(wait, random)
    }
}

/// From nothing to a tenth of a wait.
fn jitter(wait: Duration, random: u64) -> Duration {
    // A fraction with 2^16 steps is fine enough.
    let share = (random & 0xffff) as u32;
    wait / JITTER * share / 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_sooner_and_ever_later() {
        let mut schedule = Schedule::new(Duration::from_secs(1200));
        assert_eq!(schedule.fetched(0).as_secs(), 1200);
        assert_eq!(schedule.fetched(u64::MAX).as_secs(), 1080);
        let waits: Vec<u64> = (0..9).map(|_| schedule.failed(0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        schedule.fetched(0);
        assert_eq!(schedule.failed(0).as_secs(), 1);
        for _ in 0..100 {
            assert!(schedule.failed(u64::MAX) <= SLOWEST_RETRY);
        }
    }
}
