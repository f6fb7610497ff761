//! Streams in line for something: each at most once, and none the worse for those that left.

use std::collections::VecDeque;

use super::stream_id::StreamId;

/// Fewer than this are not worth a walk.
const FEW: usize = 16;

/// A line of streams. Whoever keeps it knows of each stream whether it stands here, so that none does twice; those that are
/// gone are skipped, and forgotten once they are more than the others: leaving is constant work, however many leave.
#[derive(Debug, Default)]
pub(super) struct Turns {
    line: VecDeque<StreamId>,
    /// How many of the line are gone.
    gone: usize,
}

impl Turns {
    /// At the end of the line.
    pub(super) fn push(&mut self, stream: StreamId) {
        self.line.push_back(stream);
    }

    /// The next that `is_here`.
    pub(super) fn pop(&mut self, mut is_here: impl FnMut(StreamId) -> bool) -> Option<StreamId> {
        while let Some(stream) = self.line.pop_front() {
            if is_here(stream) {
                return Some(stream);
            }
            self.gone = self.gone.saturating_sub(1);
        }
        None
    }

    /// One that stands in line is gone.
    pub(super) fn leave(&mut self, is_here: impl Fn(StreamId) -> bool) {
        self.gone += 1;
        if self.gone > FEW && self.gone * 2 > self.line.len() {
            self.line.retain(|stream| is_here(*stream));
            self.gone = 0;
        }
    }

    /// Nobody stands in line.
    pub(super) fn is_empty(&self) -> bool {
        self.line.len() == self.gone
    }

    /// How many it holds, those that are gone as well.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// Gives memory back that a crowd needed.
    pub(super) fn rest(&mut self) {
        if self.line.is_empty() && self.line.capacity() > 4 * FEW {
            self.line = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_leave_cost_nothing_later() {
        let id = |n: u32| StreamId::new(n).expect("not 0");
        let mut turns = Turns::default();
        let mut most = 0;
        for n in 1..10_000 {
            turns.push(id(n));
            turns.leave(|stream| stream == id(1));
            most = most.max(turns.len());
        }
        assert!(most <= 2 * FEW + 2, "{most}");
        let mut turns = Turns::default();
        for n in 1..=3 {
            turns.push(id(n));
        }
        turns.leave(|_| true);
        assert!(!turns.is_empty());
        assert_eq!(turns.pop(|stream| stream != id(1)), Some(id(2)));
        assert_eq!(turns.pop(|stream| stream != id(1)), Some(id(3)));
        assert!(turns.is_empty());
        assert_eq!(turns.pop(|_| true), None);
    }
}
