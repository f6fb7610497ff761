//! A number that is counted by one thread and read by all.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and any thread reads.
///
/// With one writer a load and a store do what a locked addition does, at the price of an ordinary memory access.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. Only the thread that owns it may.
    pub fn add(&self, count: u64) {
        self.0.store(self.value() + count, Ordering::Relaxed);
    }

    /// Takes from it, down to zero. Only the thread that owns it may.
    pub fn subtract(&self, count: u64) {
        self.0
            .store(self.value().saturating_sub(count), Ordering::Relaxed);
    }

    /// Replaces it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is now.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
