//! How much an instance does at once, and who waits: first come, first served.
//!
//! A request keeps its place until it is answered, calls to others included. One whose client has left keeps it, too:
//! an application does not notice, so its work is done in vain.

use std::collections::VecDeque;

use crate::errands::Bell;

/// How much an instance does at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Requests that it works on at a time; at least 1.
    pub at_once: usize,
    /// Requests that may wait; what comes when so many wait is answered 503 at once.
    pub queue: usize,
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    /// It has a place.
    Begins,
    /// It will be rung when it has one.
    Waits,
    /// Too many wait.
    TurnedAway,
}

/// Who works, and who waits.
#[derive(Debug)]
pub(super) struct Desk {
    capacity: Capacity,
    busy: usize,
    waiting: VecDeque<Bell>,
}

impl Desk {
    pub(super) const fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            busy: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a request.
    pub(super) fn enter(&mut self, bell: &Bell) -> Reception {
        if self.busy < self.capacity.at_once.max(1) {
            self.busy += 1;
            return Reception::Begins;
        }
        if self.waiting.len() >= self.capacity.queue {
            return Reception::TurnedAway;
        }
        self.waiting.push_back(bell.clone());
        Reception::Waits
    }

    /// A request is done; the next one takes its place.
    pub(super) fn leave(&mut self) {
        match self.waiting.pop_front() {
            Some(next) => next.ring(),
            None => self.busy -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errands::Errands;
    use crate::event::PeerId;

    #[test]
    fn two_work_one_waits_the_rest_is_turned_away() {
        let bell = Errands::default().bell(PeerId {
            index: 0,
            generation: 0,
        });
        let mut desk = Desk::new(Capacity {
            at_once: 2,
            queue: 1,
        });
        for (leaves, entry) in [
            (0, Reception::Begins),
            (0, Reception::Begins),
            (0, Reception::Waits),
            (0, Reception::TurnedAway),
            (1, Reception::Waits),
            (3, Reception::Begins),
        ] {
            (0..leaves).for_each(|_| desk.leave());
            assert_eq!(desk.enter(&bell), entry);
        }
    }
}
