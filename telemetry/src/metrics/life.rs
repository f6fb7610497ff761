//! How long what is counted under a name stays when nothing happens to it any more.
//!
//! A worker keeps what it counts in, and is not asked when that ends; so it looks, each time, whether it has. Both sides say what
//! they do before they look at what the other does: nothing is counted in what nobody adds up any more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outrigger_core::time::Instant;

/// Whether one worker's cells are still in use.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// When they were used last, in milliseconds.
    used: AtomicU64,
    /// Nobody adds them up any more.
    has_ended: AtomicBool,
}

const fn millis(at: Instant) -> u64 {
    at.as_nanos() / 1_000_000
}

impl Life {
    /// They are about to be used. False when that would be in vain.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        let now = millis(now);
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::SeqCst);
        }
        !self.has_ended.load(Ordering::SeqCst)
    }

    /// Whether they have not been used since.
    pub(super) fn is_idle_since(&self, at: Instant) -> bool {
        self.used.load(Ordering::SeqCst) < millis(at)
    }

    /// Ends them, or takes that back.
    pub(super) fn end(&self, has_ended: bool) {
        self.has_ended.store(has_ended, Ordering::SeqCst);
    }
}
