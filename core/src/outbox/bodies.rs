//! Where bodies lie among bytes on their way to a peer: for a recording that leaves them out.

use std::collections::VecDeque;
use std::ops::Range;

/// Ranges of what was ever put in, counted from the first byte.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    ranges: VecDeque<Range<u64>>,
    sent: u64,
}

impl Bodies {
    /// A piece of a body is put behind so many unsent bytes.
    pub(super) fn put(&mut self, unsent: usize, count: usize) {
        let start = self.sent + unsent as u64;
        let end = start + count as u64;
        match self.ranges.back_mut() {
            Some(last) if last.end == start => last.end = end,
            Some(_) | None => self.ranges.push_back(start..end),
        }
    }

    /// So many bytes were sent.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count as u64;
        while self.ranges.front().is_some_and(|r| r.end <= self.sent) {
            self.ranges.pop_front();
        }
    }

    /// What was unsent is forgotten.
    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }

    /// Ranges of what is unsent, counted from its first byte.
    pub(super) fn unsent(&self) -> impl Iterator<Item = Range<usize>> {
        // What is unsent is in memory, so its positions fit.
        let position = |at: u64| at.saturating_sub(self.sent) as usize;
        self.ranges
            .iter()
            .map(move |range| position(range.start)..position(range.end))
    }
}
