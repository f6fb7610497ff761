//! The streams of one connection by number.
//!
//! Numbers only grow, so a sorted line of them is a table. A stream that is gone leaves a mark there, which goes when it
//! reaches an end of the line or when marks are more than streams: a mass of streams that end in any order costs each the
//! same. The memory of a stream is used again by another one.

use std::collections::VecDeque;

use super::stream::Stream;
use super::stream_id::StreamId;

/// Memory of so many streams is kept when none is there.
const SPARE: usize = 4;

/// Fewer marks than this are not worth a walk.
const FEW: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: StreamId,
    /// Where the stream is; none when it is gone.
    slot: Option<u32>,
}

/// Streams by number.
#[derive(Debug)]
pub(super) struct Table<T> {
    line: VecDeque<Entry>,
    marks: usize,
    slots: Vec<Stream<T>>,
    free: Vec<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            line: VecDeque::new(),
            marks: 0,
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.line.len() - self.marks
    }

    fn slot(&self, id: StreamId) -> Option<usize> {
        let at = self.line.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.line[at].slot.map(|slot| slot as usize)
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream<T>> {
        self.slots.get(self.slot(id)?)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream<T>> {
        let slot = self.slot(id)?;
        self.slots.get_mut(slot)
    }

    /// Adds a stream whose number is larger than any before.
    pub(super) fn begin(&mut self, id: StreamId) -> &mut Stream<T> {
        debug_assert!(self.line.back().is_none_or(|last| last.id < id));
        let slot = match self.free.pop() {
            Some(slot) => slot as usize,
            None => {
                self.slots.push(Stream::new(id));
                self.slots.len() - 1
            }
        };
        self.line.push_back(Entry {
            id,
            // A connection has fewer than 2^31 streams.
            slot: Some(slot as u32),
        });
        // `slot` is one that was handed back, or the last.
        let stream = &mut self.slots[slot];
        stream.begin(id);
        stream
    }

    /// Forgets a stream, which holds nothing any more.
    pub(super) fn remove(&mut self, id: StreamId) {
        let Ok(at) = self.line.binary_search_by_key(&id, |entry| entry.id) else {
            return;
        };
        let Some(slot) = self.line[at].slot.take() else {
            return;
        };
        self.free.push(slot);
        self.marks += 1;
        while self.line.front().is_some_and(|entry| entry.slot.is_none()) {
            self.line.pop_front();
            self.marks -= 1;
        }
        while self.line.back().is_some_and(|entry| entry.slot.is_none()) {
            self.line.pop_back();
            self.marks -= 1;
        }
        if self.marks > FEW && self.marks * 2 > self.line.len() {
            self.line.retain(|entry| entry.slot.is_some());
            self.marks = 0;
        }
        if self.line.is_empty() && self.slots.len() > SPARE {
            self.slots.truncate(SPARE);
            self.slots.shrink_to_fit();
            self.free.clear();
            self.free.extend(0..SPARE as u32);
            self.free.shrink_to_fit();
            self.line = VecDeque::new();
        }
    }

    /// The oldest whose number is above `id`; the oldest of all for none.
    pub(super) fn after(&self, id: Option<StreamId>) -> Option<StreamId> {
        let from = self.line.partition_point(|entry| Some(entry.id) <= id);
        let mut rest = self.line.range(from..);
        let next = rest.find(|entry| entry.slot.is_some())?;
        Some(next.id)
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream<T>> {
        let slots = self.line.iter().filter_map(|entry| entry.slot);
        slots.filter_map(|slot| self.slots.get(slot as usize))
    }

    /// All of them, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream<T>> {
        let Self { line, slots, .. } = self;
        // Slots that are free have the number of a stream that is gone.
        slots.iter_mut().filter(|stream| {
            let at = line.binary_search_by_key(&stream.id, |entry| entry.id);
            at.is_ok_and(|at| line[at].slot.is_some())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(number: u32) -> StreamId {
        StreamId::new(number).expect("not 0")
    }

    #[test]
    fn a_mass_of_ends_is_not_quadratic() {
        let mut table = Table::<()>::default();
        let mut worst = 0;
        for n in 1..=10_000 {
            table.begin(id(n));
        }
        // In the order that shifts most, were entries removed one by one.
        for n in (1..=5000).flat_map(|n| [5000 + n, 5001 - n]) {
            table.remove(id(n));
            worst = worst.max(table.line.len());
        }
        assert_eq!((table.len(), table.line.capacity()), (0, 0));
        assert!(table.slots.capacity() <= SPARE, "memory goes back");
        assert!(worst <= 10_000);
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0usize..40), 0..400)) {
            let mut table = Table::<()>::default();
            let mut model = BTreeSet::new();
            let mut next = 1;
            for (begins, pick) in steps {
                if begins {
                    prop_assert_eq!(table.begin(id(next)).id, id(next));
                    model.insert(next);
                    next += 2;
                } else if let Some(n) = model.iter().copied().nth(pick) {
                    table.remove(id(n));
                    table.remove(id(n));
                    model.remove(&n);
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert!(table.line.len() <= 2 * model.len() + FEW + 2);
                prop_assert_eq!(table.after(None), model.first().map(|n| id(*n)));
                prop_assert!(table.iter().map(|stream| stream.id).eq(model.iter().map(|n| id(*n))));
                prop_assert_eq!(table.iter_mut().count(), model.len());
                for n in 1..next {
                    let found = table.get(id(n)).map(|stream| stream.id);
                    prop_assert_eq!(found, model.contains(&n).then_some(id(n)));
                    let behind = model.range(n + 1..).next().map(|n| id(*n));
                    prop_assert_eq!(table.after(Some(id(n))), behind);
                }
            }
        }
    }
}
