//! The one source of chance in a simulation: a counter and a seed, mixed.
//!
//! Every choice a simulation makes (jitter, where a write is cut, which ready input goes first) is drawn here in order, so
//! a seed names a whole run. What is core's to draw begins at the same seed, as core derives it.

use outrigger_core::entropy::mix;
use outrigger_core::snapshot::PerMillion;

/// A seeded sequence of numbers.
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    /// The sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed: mix(seed),
            drawn: 0,
        }
    }

    /// The next number, uniform over all 64-bit numbers.
    pub const fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed ^ mix(self.drawn))
    }

    /// The next number in `0..bound`; 0 when `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        match self.draw().checked_rem(bound) {
            Some(n) => n,
            None => 0,
        }
    }

    /// The next number in `low..=high`.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// The next number above 0 and at most 1.
    pub fn unit(&mut self) -> f64 {
        // The 53 bits that a float can hold, from 1 to 2^53.
        ((self.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something happens that happens to this share.
    pub const fn chance(&mut self, share: PerMillion) -> bool {
        self.below(1_000_000) < share.get() as u64
    }

    /// A fair coin.
    pub const fn coin(&mut self) -> bool {
        self.draw() & 1 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_a_sequence() {
        let list = |seed| {
            let mut d = Dice::new(seed);
            (0..8).map(|_| d.below(100)).collect::<Vec<_>>()
        };
        assert_eq!(list(1), list(1));
        assert_ne!(list(1), list(2));
        let mut dice = Dice::new(9);
        assert!((0..1000).all(|_| (f64::MIN_POSITIVE..=1.0).contains(&dice.unit())));
        assert!(!dice.chance(PerMillion::default()) && dice.chance(PerMillion::ALL));
        assert!((0..50).all(|_| (3..=5).contains(&Dice::new(3).between(3, 5))));
    }
}
