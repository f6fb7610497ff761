//! When what was asked for in vain is asked for again: names, and keys of issuers. A function of what came of it, without a clock.

use std::time::Duration;

/// After the first failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Failures are never further apart (Istio's `dnsRefreshRate`, and its first interval after keys were not fetched).
const SLOWEST_RETRY: Duration = Duration::from_secs(60);

/// So much of a wait, a tenth, is up to chance.
const JITTER: u32 = 10;

/// Of what is asked for again and again, when it is asked for again after failures: ever later, until it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    /// Since it came last.
    failures: u32,
}

impl Backoff {
    /// It failed once more: how long to wait. `random` is any number.
    pub fn failed(&mut self, random: u64) -> Duration {
        let doublings = self.failures.min(u32::BITS - 1);
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << doublings);
        let wait = wait.min(SLOWEST_RETRY);
        wait - jitter(wait, random)
    }

    /// It came.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// So much of a wait is up to chance, from nothing to a tenth, so that many who wait for the same do not ask at the same moment.
/// `random` is any number.
#[must_use]
pub fn jitter(wait: Duration, random: u64) -> Duration {
    // A fraction with 2^16 steps is fine enough.
    let share = (random & 0xffff) as u32;
    wait / JITTER * share / 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_further_and_further_apart_until_it_comes() {
        let mut backoff = Backoff::default();
        let mut waits = |count: usize, random: u64| -> Vec<u128> {
            let waits = (0..count).map(|_| backoff.failed(random).as_millis());
            waits.collect()
        };
        let want = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(waits(8, 0), want);
        assert_eq!(waits(1, u64::MAX), [54_000]);
        assert_eq!(waits(40, 0).last(), Some(&60_000));
        backoff.succeeded();
        assert_eq!(backoff.failed(0), FIRST_RETRY);
    }
}
