//! Bytes on their way to one peer.
//!
//! Small pieces (heads, chunk sizes, short bodies) are joined in one block so that a typical message leaves in one
//! write; long pieces are kept as shared ranges of the buffer they were read into and are never copied. The owner stops
//! reading from the other side while [`Outbox::is_above`] its mark, which bounds the memory of a slow peer.

mod bodies;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use bodies::Bodies;

/// A piece at least this long is kept as it is; a shorter one costs less to copy than to gather.
const KEEP_AT: usize = 4096;

/// Reading from the other side pauses above this many unsent bytes.
pub const HIGH_WATER: usize = 256 * 1024;

/// While memory is short, it pauses above this many.
pub const LOW_WATER: usize = 32 * 1024;

/// What is to be written to one peer, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
    /// Where bodies lie in it, if somebody asked for that.
    bodies: Option<Box<Bodies>>,
}

impl Outbox {
    /// Remembers from now on which bytes belong to bodies.
    pub fn mark_bodies(&mut self) {
        self.bodies = Some(Box::default());
    }

    /// Where bodies lie among the unsent bytes, in order; nowhere unless [`Outbox::mark_bodies`] was called.
    pub fn bodies(&self) -> impl Iterator<Item = Range<usize>> {
        self.bodies.iter().flat_map(|bodies| bodies.unsent())
    }

    /// Nothing is left to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Unsent bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The peer is slow: stop reading what would be written here. The mark is [`HIGH_WATER`], or less while memory is short.
    #[must_use]
    pub const fn is_above(&self, mark: usize) -> bool {
        self.len >= mark
    }

    /// Adds bytes by copying them.
    pub fn put(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Adds what `write` appends to the block.
    pub fn put_with(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.tail.len();
        write(&mut self.tail);
        self.len += self.tail.len() - before;
    }

    /// Adds a piece of a body, copying it only when it is short.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if let Some(bodies) = &mut self.bodies {
            bodies.put(self.len, bytes.len());
        }
        if bytes.len() < KEEP_AT {
            self.put(&bytes);
            return;
        }
        if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
        self.len += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Fills `slices` with the next pieces to write and returns how many it filled.
    pub fn chunks<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, piece) in slices.iter_mut().zip(self.pieces()) {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// All pieces to write, in order; none is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        self.queue.iter().map(|piece| &piece[..]).chain(tail)
    }

    /// The next piece to write, empty when there is none.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        self.queue.front().map_or(&self.tail[..], |b| &b[..])
    }

    /// Whether one plain write is enough, because there is one piece.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.queue.len() + usize::from(!self.tail.is_empty()) <= 1
    }

    /// Forgets `count` bytes that were written; more than were queued is a bug of the runtime and forgets all.
    pub fn advance(&mut self, count: usize) {
        self.advance_with(count, drop);
    }

    /// The same, and hands over the long pieces of which nothing is left, for their memory.
    pub fn advance_with(&mut self, count: usize, mut spent: impl FnMut(Bytes)) {
        let mut left = count.min(self.len);
        self.len -= left;
        if let Some(bodies) = &mut self.bodies {
            bodies.advance(left);
        }
        while left > 0 {
            let Some(front) = self.queue.front_mut() else {
                // Where nothing is left of it, its memory is whole again below.
                if self.len > 0 {
                    self.tail.advance(left);
                }
                break;
            };
            let step = left.min(front.len());
            front.advance(step);
            left -= step;
            if front.is_empty() {
                self.queue.pop_front().into_iter().for_each(&mut spent);
            }
        }
        if self.len == 0 {
            self.tail.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if let Some(bodies) = &mut self.bodies {
            bodies.clear();
        }
        self.queue.clear();
        self.tail.clear();
        self.len = 0;
    }

    /// Takes the block for reuse elsewhere when nothing is left to write.
    pub fn take_block(&mut self) -> Option<BytesMut> {
        (self.len == 0 && self.tail.capacity() > 0).then(|| std::mem::take(&mut self.tail))
    }

    /// Gives the outbox a block to write small pieces into; ignored when it has one.
    pub fn give_block(&mut self, block: BytesMut) {
        if self.tail.capacity() == 0 {
            self.tail = block;
        }
    }

    /// Bytes of memory that it holds besides its block and itself.
    #[cfg(test)]
    pub(crate) fn owned(&self) -> usize {
        self.queue.capacity() * size_of::<Bytes>()
    }

    /// Whether it has a block of its own.
    #[must_use]
    pub fn has_block(&self) -> bool {
        self.tail.capacity() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 16];
        let n = outbox.chunks(&mut slices);
        slices[..n].iter().flat_map(|s| s.to_vec()).collect()
    }

    #[test]
    fn order_is_kept_over_small_and_large_pieces() {
        let mut o = Outbox::default();
        o.put(b"head");
        o.put_bytes(Bytes::from(vec![b'x'; KEEP_AT]));
        o.put_bytes(Bytes::from_static(b"tail"));
        assert_eq!(o.len(), KEEP_AT + 8);
        assert!(!o.is_single());
        let mut want = b"head".to_vec();
        want.extend(vec![b'x'; KEEP_AT]);
        want.extend(b"tail");
        for step in [1, 3, 1, KEEP_AT, 2, 1] {
            assert_eq!(all(&o), want);
            o.advance(step);
            want.drain(..step);
        }
        assert!(o.is_empty() && all(&o).is_empty());
        o.put(b"again");
        assert_eq!(all(&o), b"again");
    }

    #[test]
    fn bodies_are_known_until_they_are_sent() {
        let mut o = Outbox::default();
        o.put_bytes(Bytes::from_static(b"before"));
        assert_eq!(o.bodies().count(), 0, "nobody asked");
        o.clear();
        o.mark_bodies();
        for (put, sent, want) in [
            (&["head", "+body", "+more"][..], 0, &[(4, 12)][..]),
            (&["5\r\n", "+chunk", "\r\n"], 6, &[(0, 6), (9, 14)]),
            (&["end"], 7, &[(2, 7)]),
            (&["+x"], 6, &[(0, 1), (6, 7)]),
            (&[], 7, &[]),
            (&["+again"], 0, &[(0, 5)]),
        ] {
            for piece in put {
                match piece.strip_prefix('+') {
                    Some(body) => o.put_bytes(Bytes::from_static(body.as_bytes())),
                    None => o.put(piece.as_bytes()),
                }
            }
            o.advance(sent);
            let bodies = o.bodies().map(|body| (body.start, body.end));
            assert_eq!(bodies.collect::<Vec<_>>(), want, "{put:?}");
        }
        o.clear();
        assert_eq!(o.bodies().count(), 0);
    }

    #[test]
    fn limit_is_told() {
        let mut o = Outbox::default();
        o.put_bytes(Bytes::from(vec![0; HIGH_WATER]));
        assert!(o.is_above(HIGH_WATER));
        o.advance(1);
        assert!(!o.is_above(HIGH_WATER));
    }
}
