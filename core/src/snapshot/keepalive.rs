//! How the system finds out that the other end of a connection is gone (`SO_KEEPALIVE`, RFC 9293 §3.8.4; Istio `tcpKeepalive`).

use core::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::time::Duration;

/// The most that Linux takes of each.
const MOST_SECONDS: u16 = 32_767;
const MOST_PROBES: u16 = 127;

/// Probes on connections on which nothing is said. What is `None` the system decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepalive {
    /// How many are left without an answer before the connection is broken.
    pub probes: Option<NonZeroU16>,
    /// For how long nothing is said before the first, in whole seconds.
    pub time: Option<NonZeroU16>,
    /// How long after one the next follows, in whole seconds.
    pub interval: Option<NonZeroU16>,
}

impl Keepalive {
    /// What the system is told: seconds are the least that it counts in, and zero is not said.
    #[must_use]
    pub fn new(probes: u32, time: Option<Duration>, interval: Option<Duration>) -> Self {
        let seconds = |time: Duration| {
            let whole = time.as_nanos().div_ceil(1_000_000_000);
            u16::try_from(whole).map_or(MOST_SECONDS, |whole| whole.min(MOST_SECONDS))
        };
        let probes = u16::try_from(probes).map_or(MOST_PROBES, |probes| probes.min(MOST_PROBES));
        Self {
            probes: NonZeroU16::new(probes),
            time: time.map(seconds).and_then(NonZeroU16::new),
            interval: interval.map(seconds).and_then(NonZeroU16::new),
        }
    }

    /// Where it says nothing, what this says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            probes: self.probes.or(other.probes),
            time: self.time.or(other.time),
            interval: self.interval.or(other.interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_and_the_system_takes_them() {
        let of = |ms: u64| Some(Duration::from_millis(ms));
        for (probes, time, interval, want) in [
            (0, None, None, [None, None, None]),
            (
                3,
                of(7_200_000),
                of(75_000),
                [Some(3), Some(7200), Some(75)],
            ),
            (1, of(1), of(1001), [Some(1), Some(1), Some(2)]),
            (
                u32::MAX,
                of(u64::from(u32::MAX) * 2000),
                of(40_000_000),
                [Some(MOST_PROBES), Some(MOST_SECONDS), Some(MOST_SECONDS)],
            ),
            (2, of(0), None, [Some(2), None, None]),
        ] {
            let got = Keepalive::new(probes, time, interval);
            let got = [got.probes, got.time, got.interval];
            assert_eq!(got.map(|said| said.map(NonZeroU16::get)), want);
        }
    }
}
