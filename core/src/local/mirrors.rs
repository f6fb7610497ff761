//! How many copies of requests a worker has under way for mirrors, and how much of their bodies.
//!
//! Nobody waits for a copy, so nobody would notice that they pile up behind a slow mirror: past these bounds further ones
//! are dropped.

use core::cell::Cell;
use std::rc::Rc;

/// Copies under way at most.
const MOST: usize = 1024;

/// Bytes of their bodies at most.
const MOST_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Mirrors(Rc<Load>);

#[derive(Debug, Default)]
struct Load {
    copies: Cell<usize>,
    bytes: Cell<usize>,
}

/// The place of one copy; dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct MirrorPlace {
    load: Rc<Load>,
    bytes: usize,
}

impl Mirrors {
    /// A place for a copy whose body has this length, if there is room.
    pub(super) fn place(&self, bytes: usize) -> Option<MirrorPlace> {
        let (copies, all) = (self.0.copies.get() + 1, self.0.bytes.get() + bytes);
        if copies > MOST || all > MOST_BYTES {
            return None;
        }
        self.0.copies.set(copies);
        self.0.bytes.set(all);
        let load = Rc::clone(&self.0);
        Some(MirrorPlace { load, bytes })
    }

    pub(super) fn under_way(&self) -> usize {
        self.0.copies.get()
    }
}

impl Drop for MirrorPlace {
    fn drop(&mut self) {
        let Load { copies, bytes } = &*self.load;
        copies.set(copies.get() - 1);
        bytes.set(bytes.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_their_bytes_are_bounded_and_given_back() {
        for (bytes, room) in [
            (0, MOST),
            (MOST_BYTES / MOST, MOST),
            (MOST_BYTES / MOST + 1, MOST - 1),
            (1024 * 1024, 64),
            (MOST_BYTES, 1),
            (MOST_BYTES + 1, 0),
        ] {
            let mirrors = Mirrors::default();
            for _ in 0..2 {
                let places: Vec<_> = std::iter::from_fn(|| mirrors.place(bytes)).collect();
                assert_eq!(places.len(), room, "{bytes}");
                assert_eq!(mirrors.under_way(), room);
            }
            assert_eq!((mirrors.under_way(), mirrors.0.bytes.get()), (0, 0));
        }
    }
}
