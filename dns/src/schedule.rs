//! When a name is asked for again: a function of what came of it, without a clock.

use std::time::Duration;

use crate::backoff::{Backoff, jitter};

/// An answer that does not say how long it holds is asked for again after this (Istio's `dnsRefreshRate`).
const REFRESH_RATE: Duration = Duration::from_secs(60);

/// No answer is asked for again sooner, however short it says that it holds.
const SHORTEST: Duration = Duration::from_secs(1);

/// No answer is taken to hold longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// The state between two questions for one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    backoff: Backoff,
}

impl Schedule {
    /// How long to wait after an answer that holds for `ttl`. `random` is any number.
    pub fn answered(&mut self, ttl: Duration, random: u64) -> Duration {
        self.backoff.succeeded();
        let wait = match ttl {
            Duration::ZERO => REFRESH_RATE,
            ttl => ttl.clamp(SHORTEST, LONGEST),
        };
        // Never sooner: until then the resolver before us gives the same answer.
        wait + jitter(wait, random)
    }

    /// How long to wait after a failure.
    pub fn failed(&mut self, random: u64) -> Duration {
        self.backoff.failed(random)
    }
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
    fn failures_are_forgotten_with_an_answer() {
        let mut schedule = Schedule::default();
        let first = schedule.failed(LEAST);
        assert_eq!(schedule.failed(LEAST), first * 2);
        schedule.answered(SHORTEST, LEAST);
        assert_eq!(schedule.failed(LEAST), first);
    }
}
