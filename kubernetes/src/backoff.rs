//! How long to leave a server alone that has no good answer.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Twice as long each time, and each of many clients at another moment.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failed: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            failed: 0,
        }
    }

    /// Something went well.
    pub(crate) fn reset(&mut self) {
        self.failed = 0;
    }

    /// How long to wait: between half of the step and all of it, but never less than what the server asks for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let draw = RandomState::new().build_hasher().finish();
        self.step(draw)
            .max(asked.unwrap_or_default().min(self.most))
    }

    fn step(&mut self, draw: u64) -> Duration {
        let step = self
            .first
            .saturating_mul(1 << self.failed.min(16))
            .min(self.most);
        self.failed = self.failed.saturating_add(1);
        let half = step / 2;
        let share = u32::try_from(draw % 1001).unwrap_or(0);
        half + half * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_the_most() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(500), ms(3000));
        let steps: Vec<_> = (0..5).map(|_| backoff.step(1000)).collect();
        assert_eq!(steps, [500, 1000, 2000, 3000, 3000].map(ms));
        backoff.reset();
        assert_eq!(
            backoff.step(0),
            ms(250),
            "each draw is between half and all"
        );
        assert_eq!(
            backoff.next(Some(ms(2900))),
            ms(2900),
            "what the server asks for"
        );
    }
}
