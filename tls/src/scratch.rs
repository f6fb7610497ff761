//! Memory that the connections of a thread lend each other: one that rests holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// What is read from a socket at a time: two records and some.
const SIZE: usize = 36 * 1024;

/// Buffers that are kept; there are rarely more at a time than one that is read into and one that is slow to leave.
const KEPT: usize = 16;

/// Buffers that nobody uses now.
#[derive(Debug, Default)]
pub(crate) struct Scratch(RefCell<Vec<BytesMut>>);

impl Scratch {
    /// An empty buffer.
    pub(crate) fn take(&self) -> BytesMut {
        let kept = self.0.borrow_mut().pop();
        kept.unwrap_or_else(|| BytesMut::with_capacity(SIZE))
    }

    /// Gives one back; what it holds is forgotten.
    pub(crate) fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        let is_usual = buffer.try_reclaim(SIZE) && buffer.capacity() <= 4 * SIZE;
        let mut kept = self.0.borrow_mut();
        if is_usual && kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}
