//! How many bytes the connections of a worker hold in memory, against the most that they may together.
//!
//! Below that every connection may hold what its own limits allow. Above it these are lower, so that those that hold most
//! are not read any more until their peers have taken what waits for them, and nobody who holds little notices. So what is
//! held is at most the worker's limit and the low marks of all connections. Nobody is woken when there is room again:
//! whoever is held back has bytes to write, and looks again when they are written.

use core::cell::Cell;
use std::rc::Rc;

use crate::outbox::{HIGH_WATER, LOW_WATER};

/// While memory is short, this much of a body is kept for another attempt, and no copy of a longer one is.
pub(crate) const KEPT_WHEN_SHORT: usize = 64 * 1024;

/// Reading from the other side pauses above this many unsent bytes.
pub(crate) const fn high_water(is_short: bool) -> usize {
    match is_short {
        false => HIGH_WATER,
        true => LOW_WATER,
    }
}

/// What is counted of the memory of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffered {
    /// Bytes held now.
    pub bytes: u64,
    /// How often the limit was reached.
    pub overflows: u64,
    /// Requests whose body was let go because of it, so that they were neither retried nor copied for a mirror.
    pub abandoned: u64,
}

#[derive(Debug)]
pub(super) struct Budget(Rc<Load>);

#[derive(Debug)]
struct Load {
    limit: usize,
    held: Cell<usize>,
    overflows: Cell<u64>,
    abandoned: Cell<u64>,
}

impl Load {
    fn is_short(&self) -> bool {
        self.held.get() >= self.limit
    }
}

/// What one connection holds. Dropping it gives that back.
#[derive(Debug)]
pub(crate) struct Charge {
    load: Rc<Load>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(limit: Option<u64>) -> Self {
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self(Rc::new(Load {
            limit: limit.unwrap_or(usize::MAX),
            held: Cell::default(),
            overflows: Cell::default(),
            abandoned: Cell::default(),
        }))
    }

    /// Nothing is held yet.
    pub(super) fn charge(&self) -> Charge {
        Charge {
            load: Rc::clone(&self.0),
            bytes: 0,
        }
    }

    pub(super) fn is_short(&self) -> bool {
        self.0.is_short()
    }

    pub(super) fn counted(&self) -> Buffered {
        let Load {
            held,
            overflows,
            abandoned,
            ..
        } = &*self.0;
        Buffered {
            bytes: held.get() as u64,
            overflows: overflows.get(),
            abandoned: abandoned.get(),
        }
    }
}

impl Charge {
    /// The connection holds so many bytes now.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        let was_short = self.is_short();
        let held = &self.load.held;
        held.set(held.get() - self.bytes + bytes);
        self.bytes = bytes;
        if !was_short && self.is_short() {
            self.load.overflows.set(self.load.overflows.get() + 1);
        }
    }

    /// Memory is short: lower limits are in force.
    pub(crate) fn is_short(&self) -> bool {
        self.load.is_short()
    }

    /// Reading from the other side pauses above this many unsent bytes.
    pub(crate) fn high_water(&self) -> usize {
        high_water(self.is_short())
    }

    /// A body was let go for want of memory.
    pub(crate) fn count_abandoned(&self) {
        self.load.abandoned.set(self.load.abandoned.get() + 1);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_and_given_back() {
        for (limit, short_at) in [(Some(100), 100), (Some(0), 0), (None, usize::MAX)] {
            let budget = Budget::new(limit);
            let (mut one, mut other) = (budget.charge(), budget.charge());
            for (first, second) in [(0, 0), (99, 0), (99, 1), (50, 50), (200, 0), (10, 20)] {
                one.set(first);
                other.set(second);
                let is_short = first + second >= short_at;
                assert_eq!((one.is_short(), other.is_short()), (is_short, is_short));
                assert_eq!(one.high_water() == HIGH_WATER, !is_short);
                assert_eq!(budget.counted().bytes, (first + second) as u64);
            }
            drop(one);
            assert_eq!(budget.counted().bytes, 20);
            drop(other);
            assert_eq!(budget.counted().bytes, 0);
        }
        let budget = Budget::new(Some(10));
        let mut charge = budget.charge();
        for bytes in [9, 10, 11, 9, 10] {
            charge.set(bytes);
        }
        charge.count_abandoned();
        let counted = budget.counted();
        assert_eq!((counted.overflows, counted.abandoned), (2, 1));
    }
}
