//! How the system finds out that the other end of a connection is gone (`SO_KEEPALIVE`, RFC 9293 §3.8.4; Istio `tcpKeepalive`).

use serde::{Deserialize, Serialize};

use crate::time::Duration;

/// The most that Linux takes of each.
const MOST_SECONDS: u32 = 32_767;
const MOST_PROBES: u32 = 127;

/// Probes on connections on which nothing is said. What is `None` the system decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepalive {
    /// How many are left without an answer before the connection is broken.
    pub probes: Option<u32>,
    /// For how long nothing is said before the first, in whole seconds.
    pub time: Option<u32>,
    /// How long after one the next follows, in whole seconds.
    pub interval: Option<u32>,
}

impl Keepalive {
    /// What the system is told: seconds are the least that it counts in, and zero is not said.
    #[must_use]
    pub fn new(probes: u32, time: Option<Duration>, interval: Option<Duration>) -> Self {
        let seconds = |time: Duration| {
            let whole = time.as_nanos().div_ceil(1_000_000_000);
            u32::try_from(whole).map_or(MOST_SECONDS, |whole| whole.min(MOST_SECONDS))
        };
        let said = |value: u32| Some(value).filter(|value| *value > 0);
        Self {
            probes: said(probes.min(MOST_PROBES)),
            time: time.map(seconds).and_then(said),
            interval: interval.map(seconds).and_then(said),
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
            (0, None, None, (None, None, None)),
            (
                3,
                of(7_200_000),
                of(75_000),
                (Some(3), Some(7200), Some(75)),
            ),
            (1, of(1), of(1001), (Some(1), Some(1), Some(2))),
            (
                u32::MAX,
                of(u64::from(u32::MAX) * 2000),
                of(40_000_000),
                (Some(MOST_PROBES), Some(MOST_SECONDS), Some(MOST_SECONDS)),
            ),
            (2, of(0), None, (Some(2), None, None)),
        ] {
            let got = Keepalive::new(probes, time, interval);
            assert_eq!((got.probes, got.time, got.interval), want);
        }
    }
}
