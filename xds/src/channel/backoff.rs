//! How long to wait after something has failed.

use std::time::Duration;

/// Pauses that double, each cut by chance, so that many who lost the same server do not come back as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause after one failure.
    pub first: Duration,
    /// The longest pause at all.
    pub longest: Duration,
}

impl Backoff {
    /// For streams of discovery and for requests to an authority.
    pub const ORDINARY: Self = Self {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(30),
    };

    /// No pause is shorter: a server that refuses at once is not asked a thousand times a second.
    pub const SHORTEST: Duration = Duration::from_millis(50);

    /// How long to wait after that many failures in a row: somewhere between [`Self::SHORTEST`] and `first`, doubled with each
    /// failure after the first up to `longest` ("full jitter"). `chance` is a random number, all of whose bits count.
    #[must_use]
    pub fn pause(self, failures: u32, chance: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(nanos) * u128::from(chance)) >> 64;
        // A product of two u64 shifted by 64 fits.
        let part = Duration::from_nanos(u64::try_from(part).unwrap_or(nanos));
        part.max(Self::SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_limit_and_are_cut_by_chance() {
        let ms = Duration::from_millis;
        let half = u64::MAX / 2 + 1;
        for (failures, chance, pause) in [
            (0, half, ms(250)),
            (1, half, ms(250)),
            (2, half, ms(500)),
            (3, half, ms(1_000)),
            (6, half, ms(8_000)),
            (7, half, ms(15_000)),
            (1_000, half, ms(15_000)),
            (u32::MAX, 0, ms(50)),
            (1, half / 2, ms(125)),
            (1, 1, ms(50)),
        ] {
            let got = Backoff::ORDINARY.pause(failures, chance);
            assert_eq!(got, pause, "{failures} failures, chance {chance}");
        }
        let longest = Backoff::ORDINARY.pause(50, u64::MAX);
        assert!(longest <= ms(30_000) && longest > ms(29_999), "{longest:?}");
    }
}
