//! When a name is asked for again: a function of what came of it, without a clock.

use std::time::Duration;

/// An answer that does not say how long it holds is asked for again after this (Istio's `dnsRefreshRate`).
const REFRESH_RATE: Duration = Duration::from_secs(60);

/// No answer is asked for again sooner, however short it says that it holds.
const SHORTEST: Duration = Duration::from_secs(1);

/// No answer is taken to hold longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// After the first failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Failures are never further apart.
const SLOWEST_RETRY: Duration = REFRESH_RATE;

/// So much of a wait, a tenth, is up to chance, so that many proxies and many names do not ask at the same moment.
const JITTER: u32 = 10;

/// The state between two questions for one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Failures since the last answer.
    failures: u32,
}

impl Schedule {
    /// How long to wait after an answer that holds for `ttl`. `random` is any number.
    pub fn answered(&mut self, ttl: Duration, random: u64) -> Duration {
        self.failures = 0;
        let wait = match ttl {
            Duration::ZERO => REFRESH_RATE,
            ttl => ttl.clamp(SHORTEST, LONGEST),
        };
        // Never sooner: until then the resolver before us gives the same answer.
        wait + jitter(wait, random)
    }

    /// How long to wait after a failure.
    pub fn failed(&mut self, random: u64) -> Duration {
        let doublings = self.failures.min(u32::BITS - 1);
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

    const LEAST: u64 = 0;
    const MOST: u64 = u64::MAX;

    #[test]
    fn an_answer_holds_for_its_time_within_bounds() {
        for (ttl, random, want) in [
            (30_000, LEAST, 30_000),
            (30_000, MOST, 33_000),
            (1, LEAST, 1_000),
            (0, LEAST, 60_000),
            (86_400_000, LEAST, 3_600_000),
        ] {
            let got = Schedule::default().answered(Duration::from_millis(ttl), random);
            assert_eq!(got, Duration::from_millis(want), "{ttl}");
        }
    }

    #[test]
    fn failures_are_further_and_further_apart_until_an_answer() {
        let mut schedule = Schedule::default();
        let mut waits = |count: usize, random: u64| -> Vec<u128> {
            let waits = (0..count).map(|_| schedule.failed(random).as_millis());
            waits.collect()
        };
        let want = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(waits(8, LEAST), want);
        assert_eq!(waits(1, MOST), [54_000]);
        assert_eq!(waits(40, LEAST).last(), Some(&60_000));
        schedule.answered(SHORTEST, LEAST);
        assert_eq!(schedule.failed(LEAST), FIRST_RETRY);
    }
}
