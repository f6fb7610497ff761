//! What is counted of questions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a proxy, written by its thread and read by others.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages that came.
    pub(super) requests: AtomicU64,
    /// Of those, answered here.
    pub(super) answered: AtomicU64,
    /// Of those, no questions.
    pub(super) refused: AtomicU64,
    /// Questions asked elsewhere.
    pub(super) forwarded: AtomicU64,
    /// Of those, without an answer.
    pub(super) forward_failures: AtomicU64,
    /// Questions and connections that came while as many waited as may.
    pub(super) overflow: AtomicU64,
    /// Questions that wait for others, and connections.
    pub(super) pending: AtomicU64,
}

impl Counts {
    /// Each with its name; the last one is no counter but how it stands.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("requests", &self.requests),
            ("answered", &self.answered),
            ("refused", &self.refused),
            ("forwarded", &self.forwarded),
            ("forward_failures", &self.forward_failures),
            ("overflow", &self.overflow),
            ("pending", &self.pending),
        ]
        .map(|(name, count)| (name, count.load(Relaxed)))
    }
}
