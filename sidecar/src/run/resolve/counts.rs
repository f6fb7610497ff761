//! What is counted of names, for `/stats`, under the words that Envoy has for a cluster that is resolved.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of all names of the process. Written by the control thread, read by the admin endpoints.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) attempt: AtomicU64,
    pub(super) success: AtomicU64,
    pub(super) failure: AtomicU64,
    pub(super) no_rebuild: AtomicU64,
    pub(super) names: AtomicU64,
    pub(super) unresolved: AtomicU64,
}

pub(super) static COUNTS: Counts = Counts {
    attempt: AtomicU64::new(0),
    success: AtomicU64::new(0),
    failure: AtomicU64::new(0),
    no_rebuild: AtomicU64::new(0),
    names: AtomicU64::new(0),
    unresolved: AtomicU64::new(0),
};

/// Each counter with its name.
pub(in crate::run) fn counted() -> [(&'static str, u64); 6] {
    [
        ("update_attempt", &COUNTS.attempt),
        ("update_success", &COUNTS.success),
        ("update_failure", &COUNTS.failure),
        ("update_no_rebuild", &COUNTS.no_rebuild),
        ("names", &COUNTS.names),
        ("names_unresolved", &COUNTS.unresolved),
    ]
    .map(|(name, count)| (name, count.load(Relaxed)))
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
