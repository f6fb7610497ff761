//! How often something out of the ordinary decided where a request went: counters, for `/stats`.

use super::atomic::{AtomicU64, Ordering};
use super::state::ClusterState;

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Health was ignored (`lb_healthy_panic`).
    Panic,
    /// All requests stay in the proxy's own zone (`lb_zone_routing_all_directly`).
    AllInZone,
    /// Some leave it, this one stayed (`lb_zone_routing_sampled`).
    KeptInZone,
    /// It left (`lb_zone_routing_cross_zone`).
    CrossZone,
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Choices([AtomicU64; 4]);

impl ClusterState {
    /// Counts one request.
    pub fn count_choice(&self, choice: Choice) {
        self.choices().0[choice as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn counted_choices(&self, choice: Choice) -> u64 {
        self.choices().0[choice as usize].load(Ordering::Relaxed)
    }
}
