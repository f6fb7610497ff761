//! How processes follow each other: the one that comes next, and numbers for whoever looks from outside. How they do is in `takeover`.

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    generation: u64,
    failed: AtomicU64,
}

impl Counts {
    /// Of a process with so many before it.
    pub(super) fn new(generation: u64) -> Self {
        Self {
            generation,
            failed: AtomicU64::new(0),
        }
    }

    /// How many processes served before this one, each of which handed over to the next.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// One more did.
    pub(super) fn on_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many tried to take over from this one and did not.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The process that serves in our place. It waits until nobody else answers at its addresses.
#[derive(Debug)]
pub(crate) struct Successor {
    pid: u32,
    stream: UnixStream,
}

impl Successor {
    /// The process at the other end of this.
    pub(super) const fn new(pid: u32, stream: UnixStream) -> Self {
        Self { pid, stream }
    }

    /// Tells it that it is alone now, and returns which one it is.
    pub(super) fn serves(self) -> u32 {
        drop(self.stream);
        self.pid
    }
}
