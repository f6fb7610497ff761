//! Buffers for bytes on their way: who sends takes one, who has read gives it back, so that at rest nothing is allocated.
//!
//! The one that was given back last is taken first, because it is still in the processor's cache.

use std::cell::RefCell;
use std::rc::Rc;

/// No more are kept.
const MOST: usize = 1024;

/// A longer one is not kept, so that one long body does not stay for ever.
const LONGEST: usize = 64 * 1024;

/// The buffers of one simulation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Rc<RefCell<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Somebody needs a buffer no more.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        let mut kept = self.0.borrow_mut();
        if (1..=LONGEST).contains(&buffer.capacity()) && kept.len() < MOST {
            buffer.clear();
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_unless_it_is_long() {
        let buffers = Buffers::default();
        for (length, kept) in [(0, 0), (100, 100), (LONGEST, LONGEST), (LONGEST + 1, 0)] {
            buffers.give(vec![b'x'; length]);
            let taken = buffers.take();
            assert!(taken.is_empty());
            assert_eq!(taken.capacity(), kept);
        }
        (0..2 * MOST).for_each(|_| buffers.give(vec![b'x']));
        assert_eq!(buffers.0.borrow().len(), MOST);
    }
}
