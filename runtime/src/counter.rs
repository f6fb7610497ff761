//! A number that is counted by one thread and read by all.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and any thread reads.
///
/// With one writer a load and a store do what a locked addition does, at the price of an ordinary memory access.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.value() + count, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0
            .store(self.value().saturating_sub(count), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
