//! Live state of one cluster: what holds for all its endpoints together.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::health::Ejection;
use super::limits::Gauges;
use super::retries::Retries;
use super::ticks::{LastTick, Ticks};
use crate::time::{Duration, Instant};

/// What all workers share about one cluster, from one snapshot to the next.
#[derive(Debug, Default)]
pub struct ClusterState {
    /// Endpoints of the newest snapshot.
    endpoints: AtomicU32,
    /// Counts changes of anybody's health.
    health_version: AtomicU64,
    /// Endpoints that are out, and places taken for ones about to be.
    ejections_active: AtomicU32,
    ejections_enforced: AtomicU64,
    ejections_overflow: AtomicU64,
    last_tick: LastTick,
    gauges: Gauges,
    retries: Retries,
}

impl ClusterState {
    /// What is counted against the circuit limits.
    #[must_use]
    pub const fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    pub(super) const fn retries(&self) -> &Retries {
        &self.retries
    }

    /// How many endpoints the newest snapshot gives the cluster.
    #[must_use]
    pub fn endpoints(&self) -> u32 {
        self.endpoints.load(Ordering::Relaxed)
    }

    /// The cluster has that many endpoints now.
    pub fn set_endpoints(&self, count: u32) {
        if self.endpoints.swap(count, Ordering::Relaxed) != count {
            self.health_changed();
        }
    }

    /// Grows whenever the health of an endpoint changes: who keeps a list of healthy ones makes it anew then.
    #[must_use]
    pub fn health_version(&self) -> u64 {
        // Acquire: whoever sees the number sees the change that it counts.
        self.health_version.load(Ordering::Acquire)
    }

    /// Endpoints that are ejected (`ejections_active`).
    #[must_use]
    pub fn ejections_active(&self) -> u32 {
        self.ejections_active.load(Ordering::Relaxed)
    }

    /// Ejections so far (`ejections_enforced_total`).
    #[must_use]
    pub fn ejections_enforced(&self) -> u64 {
        self.ejections_enforced.load(Ordering::Relaxed)
    }

    /// Ejections that `maxEjectionPercent` refused (`ejections_overflow`).
    #[must_use]
    pub fn ejections_overflow(&self) -> u64 {
        self.ejections_overflow.load(Ordering::Relaxed)
    }

    pub(super) fn health_changed(&self) {
        self.health_version.fetch_add(1, Ordering::Release);
    }

    pub(super) fn take_ticks(&self, interval: Duration, now: Instant) -> Option<Ticks> {
        self.last_tick.take(interval, now)
    }

    pub(super) fn count_ejection(&self, ejection: Ejection) {
        match ejection {
            Ejection::Done => self.ejections_enforced.fetch_add(1, Ordering::Relaxed),
            Ejection::Refused => self.ejections_overflow.fetch_add(1, Ordering::Relaxed),
            Ejection::Already => 0,
        };
    }

    /// Counts one more endpoint as out, unless that were more than a share of all. There is no "at least one".
    pub(super) fn reserve_ejection(&self, max_percent: u8) -> bool {
        let allowed = u64::from(max_percent) * u64::from(self.endpoints());
        let one_more = |active: u32| {
            let after = active.checked_add(1)?;
            (100 * u64::from(after) <= allowed).then_some(after)
        };
        self.ejections_active
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .is_ok()
    }

    pub(super) fn release_ejection(&self) {
        self.ejections_active.fetch_sub(1, Ordering::AcqRel);
    }
}
