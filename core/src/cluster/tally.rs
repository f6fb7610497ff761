//! What became of ejections in one cluster, counted under Envoy's names.

use super::atomic::{AtomicU64, Ordering};
use super::reason::Detector;

/// Counters of one cluster. Each stands alone.
#[derive(Debug, Default)]
pub struct Tally {
    detected: [AtomicU64; Detector::ALL.len()],
    enforced: [AtomicU64; Detector::ALL.len()],
    overflow: AtomicU64,
}

impl Tally {
    /// What a detector found (`ejections_detected_NAME`), whether or not an ejection came of it.
    #[must_use]
    pub fn detected(&self, detector: Detector) -> u64 {
        self.detected[detector.index()].load(Ordering::Relaxed)
    }

    /// Ejections that came of it (`ejections_enforced_NAME`).
    #[must_use]
    pub fn enforced(&self, detector: Detector) -> u64 {
        self.enforced[detector.index()].load(Ordering::Relaxed)
    }

    /// All ejections (`ejections_enforced_total`).
    #[must_use]
    pub fn enforced_total(&self) -> u64 {
        Detector::ALL.iter().map(|d| self.enforced(*d)).sum()
    }

    /// Ejections that `maxEjectionPercent` refused (`ejections_overflow`).
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow.load(Ordering::Relaxed)
    }

    pub(super) fn count_detected(&self, detector: Detector) {
        self.detected[detector.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_enforced(&self, detector: Detector) {
        self.enforced[detector.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_overflow(&self) {
        self.overflow.fetch_add(1, Ordering::Relaxed);
    }
}
