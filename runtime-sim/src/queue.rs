//! What will happen, in order of time; of two things at one time, the one that was planned first.
//!
//! Heaps order short keys. What happens lies beside them, so that it is moved twice only, however many wait. What happens soon has
//! a heap of its own: in a large mesh thousands of deadlines are waited for, which would be asked about at every step.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use outrigger_core::time::{Duration, Instant};

/// How far from the next event the others may be to happen soon: several times as long as bytes travel.
const SOON: Duration = Duration::from_millis(2);

/// In the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The time, and below it how many were planned before: one number, because it is compared often.
    order: u128,
    /// Where the event lies.
    place: u32,
}

/// A queue of events by time, first planned first.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// What happens before `later_from`.
    soon: BinaryHeap<Reverse<Key>>,
    later: BinaryHeap<Reverse<Key>>,
    later_from: Instant,
    events: Vec<Option<E>>,
    /// Places of events that have happened.
    free: Vec<u32>,
    planned: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            soon: BinaryHeap::new(),
            later: BinaryHeap::new(),
            later_from: Instant::ZERO,
            events: Vec::new(),
            free: Vec::new(),
            planned: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Plans an event.
    pub(crate) fn push(&mut self, at: Instant, event: E) {
        self.planned += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.events[place as usize] = Some(event);
                place
            }
            None => {
                self.events.push(Some(event));
                // Memory ends long before.
                (self.events.len() - 1) as u32
            }
        };
        let order = u128::from(at.as_nanos()) << 64 | u128::from(self.planned);
        let key = Reverse(Key { order, place });
        if at < self.later_from {
            self.soon.push(key);
        } else {
            self.later.push(key);
        }
    }

    /// The next event and its time.
    pub(crate) fn pop(&mut self) -> Option<(Instant, E)> {
        if self.soon.is_empty() {
            self.look_further();
        }
        let Reverse(key) = self.soon.pop()?;
        self.free.push(key.place);
        let event = self.events[key.place as usize].take()?;
        Some((key.at(), event))
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let next = self.soon.peek().or_else(|| self.later.peek());
        next.map(|Reverse(key)| key.at())
    }

    /// Nothing happens soon: the next thing that does, and what follows closely.
    fn look_further(&mut self) {
        let Some(next) = self.next_at() else {
            return;
        };
        self.later_from = next + SOON;
        while let Some(Reverse(key)) = self.later.peek()
            && key.at() < self.later_from
        {
            self.soon.extend(self.later.pop());
        }
    }
}

impl Key {
    const fn at(self) -> Instant {
        Instant::from_nanos((self.order >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dice::Dice;

    #[test]
    fn order_is_time_then_planning() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'a'), (1, 'b'), (5, 'c'), (1, 'd')] {
            queue.push(Instant::from_millis(at), event);
        }
        let order: String = std::iter::from_fn(|| queue.pop().map(|(_, e)| e)).collect();
        assert_eq!(order, "bdac");
    }

    #[test]
    fn it_gives_what_a_sorted_list_gives() {
        let (mut dice, mut queue, mut sorted) = (Dice::new(1), Queue::default(), BTreeMap::new());
        for number in 0..10_000_u64 {
            // Grows at first, and is emptied in the end.
            if dice.below(10_000) > number {
                let at = Instant::from_millis(dice.below(500));
                queue.push(at, number);
                sorted.insert((at, number), number);
            } else {
                let want = sorted.pop_first().map(|((at, _), number)| (at, number));
                assert_eq!(queue.pop(), want);
            }
            let next = sorted.first_key_value().map(|((at, _), _)| *at);
            assert_eq!(queue.next_at(), next);
        }
    }
}
