//! What waits to be written to one file: how much memory that may take, and how many lines are lost when nobody writes it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The room for what waits for one file.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes that may wait, unless it is a single block.
    most: u64,
    bytes: AtomicU64,
    lines: AtomicU64,
}

/// What a block takes of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

impl Room {
    pub(super) const fn new(most: u64) -> Self {
        Self {
            most,
            bytes: AtomicU64::new(0),
            lines: AtomicU64::new(0),
        }
    }

    /// Takes its share for a block that is to wait; `false`: it does not fit. One is taken however long it is, so that a room
    /// that is smaller than a block still has lines pass.
    pub(super) fn enter(&self, share: Share) -> bool {
        let before = self.bytes.fetch_add(share.bytes, Relaxed);
        if before > 0 && before.saturating_add(share.bytes) > self.most {
            self.bytes.fetch_sub(share.bytes, Relaxed);
            return false;
        }
        self.lines.fetch_add(share.lines, Relaxed);
        true
    }

    /// Gives it back: the block was written, or could not be.
    pub(super) fn leave(&self, share: Share) {
        self.bytes.fetch_sub(share.bytes, Relaxed);
        self.lines.fetch_sub(share.lines, Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_stays_out_and_one_block_always_fits() {
        let share = |bytes| Share { bytes, lines: 2 };
        let room = Room::new(100);
        assert!(room.enter(share(150)), "the only one");
        assert!(!room.enter(share(1)));
        assert_eq!((room.bytes(), room.lines()), (150, 2));
        room.leave(share(150));
        assert!(room.enter(share(60)));
        assert!(!room.enter(share(41)));
        assert!(room.enter(share(40)));
        assert_eq!((room.bytes(), room.lines()), (100, 4));
    }
}
