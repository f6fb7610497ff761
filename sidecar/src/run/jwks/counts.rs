//! What is counted of sets of keys, for `/stats`, under Envoy's names as far as it has any.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of all sets of the process. Written by the control thread, read by the admin endpoints.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) success: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) sets: AtomicU64,
    pub(super) missing: AtomicU64,
}

pub(super) static COUNTS: Counts = Counts {
    success: AtomicU64::new(0),
    failed: AtomicU64::new(0),
    sets: AtomicU64::new(0),
    missing: AtomicU64::new(0),
};

/// Each number with its name, and whether it only grows.
pub(in crate::run) fn counted() -> [(&'static str, u64, bool); 4] {
    [
        ("jwks_fetch_success", &COUNTS.success, true),
        ("jwks_fetch_failed", &COUNTS.failed, true),
        ("jwks_sets", &COUNTS.sets, false),
        ("jwks_sets_missing", &COUNTS.missing, false),
    ]
    .map(|(name, count, grows)| (name, count.load(Relaxed), grows))
}
