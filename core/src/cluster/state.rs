//! Live state of one cluster: what holds for all its endpoints together.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What all workers share about one cluster, from one snapshot to the next.
#[derive(Debug, Default)]
pub struct ClusterState {
    /// Endpoints of the newest snapshot.
    endpoints: AtomicU32,
    /// Counts changes of anybody's health.
    health_version: AtomicU64,
}

impl ClusterState {
    /// How many endpoints the newest snapshot gives the cluster.
    #[must_use]
    pub fn endpoints(&self) -> u32 {
        self.endpoints.load(Ordering::Relaxed)
    }

    /// The cluster has that many endpoints now.
    pub fn set_endpoints(&self, count: u32) {
        self.endpoints.store(count, Ordering::Relaxed);
    }

    /// Grows whenever the health of an endpoint changes: who keeps a list of healthy ones makes it anew then.
    #[must_use]
    pub fn health_version(&self) -> u64 {
        // Acquire: whoever sees the number sees the change that it counts.
        self.health_version.load(Ordering::Acquire)
    }

    /// The health of an endpoint changed.
    pub fn health_changed(&self) {
        self.health_version.fetch_add(1, Ordering::Release);
    }
}
