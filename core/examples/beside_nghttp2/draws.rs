//! Numbers and choices out of a seed: the same seed gives the same.

use outrigger_core::entropy::mix;

/// Numbers out of a seed.
pub(crate) struct Draws(u64);

impl Draws {
    /// Those of one number under a seed.
    pub(crate) fn of(seed: u64, number: usize) -> Self {
        Self(mix(mix(seed) ^ number as u64))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = mix(self.0);
        (self.0 >> 16) as usize % end
    }

    /// Once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
