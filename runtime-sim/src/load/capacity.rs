//! How much an instance does at once, and what waits.
//!
//! First come, first served, with service times known on arrival: then the moment when a request is done is known on
//! arrival, too, and nothing has to be woken for it.

use std::collections::VecDeque;

use outrigger_core::time::{Duration, Instant};

/// How much an instance does at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Requests that it works on at a time; at least 1.
    pub at_once: usize,
    /// Requests that may wait; what comes when so many wait is answered 503 at once.
    pub queue: usize,
}

/// Who works until when, and who waits.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    capacity: Capacity,
    /// When each place is free again.
    free_at: Vec<Instant>,
    /// When the waiting ones begin, in order.
    begin_at: VecDeque<Instant>,
}

impl Desk {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            free_at: vec![Instant::ZERO; capacity.at_once.max(1)],
            begin_at: VecDeque::new(),
        }
    }

    /// Takes a request that needs this much work: how long until it is done. `None` when too many wait.
    pub(super) fn take(&mut self, now: Instant, work: Duration) -> Option<Duration> {
        while self.begin_at.front().is_some_and(|at| *at <= now) {
            self.begin_at.pop_front();
        }
        let place = self.free_at.iter_mut().min()?;
        let begins = now.max(*place);
        if begins > now {
            if self.begin_at.len() >= self.capacity.queue {
                return None;
            }
            self.begin_at.push_back(begins);
        }
        *place = begins + work;
        Some(place.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_work_one_waits_the_rest_is_turned_away() {
        let mut desk = Desk::new(Capacity {
            at_once: 2,
            queue: 1,
        });
        for (at, work, done_after) in [
            (0, 10, Some(10)),
            (1, 10, Some(10)),
            (2, 10, Some(18)), // from 10 to 20
            (3, 10, None),
            (10, 10, Some(11)), // the waiting one has begun; from 11 to 21
            (10, 10, None),
            (30, 5, Some(5)),
        ] {
            let done = desk.take(Instant::from_millis(at), Duration::from_millis(work));
            assert_eq!(done, done_after.map(Duration::from_millis), "at {at}");
        }
    }
}
