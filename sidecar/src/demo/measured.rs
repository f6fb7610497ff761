//! What many visitors saw together, and the same in figures.

use std::time::Duration;

use serde::Serialize;

use super::counted::Counted;
use super::seen::Tally;

/// What many visitors saw together.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// How often each thing was seen.
    pub(super) answers: Tally,
    /// Half of all requests took no longer.
    pub(super) p50: Duration,
    /// 99 of 100 took no longer.
    pub(super) p99: Duration,
    /// What was counted meanwhile.
    pub(super) counted: Counted,
}

/// The same in numbers, for machines and for the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) success_rate: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) v1: u64,
    pub(super) v2: u64,
    pub(super) second_v2: u64,
    pub(super) ejections: u64,
}

impl Measured {
    /// Served is who was answered by one of the versions.
    pub(super) fn figures(&self) -> Figures {
        let total: u32 = self.answers.values().sum();
        let served = ["v1", "v2"].map(|version| self.answers.get(version).copied().unwrap_or(0));
        let millis = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
        let [v1, v2, second_v2] = self.counted.asked;
        Figures {
            success_rate: f64::from(served.iter().sum::<u32>()) / f64::from(total.max(1)),
            p50_ms: millis(self.p50),
            p99_ms: millis(self.p99),
            v1,
            v2,
            second_v2,
            ejections: self.counted.ejections,
        }
    }
}
