//! The Mersenne Twister MT19937 (Matsumoto, Nishimura 1998), because Envoy shuffles hosts with it when one is overloaded:
//! only the same numbers give the same second choice.

const SIZE: usize = 624;
const MIDDLE: usize = 397;

/// A generator of 32-bit numbers.
pub(super) struct MersenneTwister {
    state: [u32; SIZE],
    next: usize,
}

impl MersenneTwister {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [0; SIZE];
        let mut last = seed;
        state[0] = last;
        for (at, word) in (0..).zip(&mut state).skip(1) {
            last = 1_812_433_253_u32
                .wrapping_mul(last ^ (last >> 30))
                .wrapping_add(at);
            *word = last;
        }
        Self { state, next: SIZE }
    }

    fn next(&mut self) -> u32 {
        if self.next == SIZE {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for at in 0..SIZE {
            let joined =
                (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % SIZE] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + MIDDLE) % SIZE] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// A number below a bound, which is above zero; each is as likely as the others.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let width = (1_u64 << 32) / u64::from(bound);
        loop {
            let drawn = u64::from(self.next()) / width;
            if drawn < u64::from(bound) {
                return drawn as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C++ demands the 10,000th number of the default seed (`std::mt19937`).
    #[test]
    fn known_numbers() {
        let mut random = MersenneTwister::new(5489);
        assert_eq!(random.next(), 3_499_211_612);
        let last = (1..10_000).map(|_| random.next()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn numbers_below_a_bound() {
        let mut random = MersenneTwister::new(1);
        let mut seen = [0; 3];
        for _ in 0..3000 {
            seen[random.below(3) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (900..1100).contains(n)), "{seen:?}");
        assert_eq!(random.below(1), 0);
    }

    /// The numbers do not divide evenly: those above the last whole share are drawn again.
    #[test]
    fn no_number_is_the_bound_itself() {
        let mut random = MersenneTwister::new(1);
        let bound = 65_792; // leaves more numbers over than others do
        assert!((0..400_000).all(|_| random.below(bound) < bound));
    }
}
