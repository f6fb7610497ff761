//! How many connections clients have with all workers together, and how many they may.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts connections across workers. Touched when one begins and when it ends, and by nothing in between.
#[derive(Debug)]
pub(crate) struct Gate {
    open: AtomicU64,
    most: AtomicU64,
}

impl Default for Gate {
    /// As many as there are.
    fn default() -> Self {
        Self {
            open: AtomicU64::new(0),
            most: AtomicU64::new(u64::MAX),
        }
    }
}

impl Gate {
    /// One more begins, if it may. Whoever comes at the same time is counted first, so there are never more than may be.
    pub(crate) fn enter(&self) -> bool {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let may = before < self.most.load(Ordering::Relaxed);
        if !may {
            self.leave();
        }
        may
    }

    /// One has ended that has entered.
    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there may be from now on; those that are there stay.
    pub(crate) fn allow(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many there are.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_beyond_the_most() {
        let gate = Gate::default();
        assert!(gate.enter());
        gate.allow(2);
        assert!(gate.enter() && !gate.enter());
        assert_eq!(gate.open(), 2);
        gate.allow(0);
        gate.leave();
        assert!(!gate.enter(), "one is left, and none may come");
        gate.allow(2);
        assert!(gate.enter() && !gate.enter());
    }
}
