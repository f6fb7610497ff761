//! Memory that the connections of a thread lend each other. What was given back last is taken first: the CPU still has it near.

use core::mem;

use bytes::{Bytes, BytesMut};

use super::Local;
use crate::outbox::Outbox;

/// The size of a fresh read buffer: a head and a body of 16 KiB in one read.
const BUFFER: usize = 32 * 1024;

/// The size of one for long bodies: as much as may wait for a slow peer. Reads of half of that cost a sixth more of the CPU.
pub(crate) const LONG_BUFFER: usize = 256 * 1024;

/// Spare buffers kept; the rest are freed.
const SPARE: usize = 64;

/// Of the long ones.
const SPARE_LONG: usize = 4;

/// Buffers that nobody uses.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    usual: Vec<BytesMut>,
    long: Vec<BytesMut>,
}

impl Spare {
    /// An empty buffer for a long body, with room for [`LONG_BUFFER`].
    pub(crate) fn take_long(&mut self) -> BytesMut {
        self.long
            .pop()
            .unwrap_or_else(|| BytesMut::with_capacity(LONG_BUFFER))
    }

    /// Takes the memory of a long piece that was written, unless others still use it.
    pub(crate) fn take_spent(&mut self, piece: Bytes) {
        if let Ok(buffer) = piece.try_into_mut() {
            self.give(buffer);
        }
    }

    /// It is kept only if its memory can be written again; of the large ones that a long body needed a few are.
    fn give(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        // To take back what was read of it is asked for only where that is needed: it costs more than all the rest.
        if buffer.capacity() < BUFFER && !buffer.try_reclaim(BUFFER) {
            return;
        }
        if buffer.capacity() != BUFFER && buffer.try_reclaim(LONG_BUFFER) {
            if buffer.capacity() <= 2 * LONG_BUFFER && self.long.len() < SPARE_LONG {
                self.long.push(buffer);
            }
        } else if buffer.capacity() <= 2 * BUFFER && self.usual.len() < SPARE {
            self.usual.push(buffer);
        }
    }
}

impl Local {
    /// A buffer to read into.
    pub(crate) fn take_buffer(&mut self) -> BytesMut {
        self.spare
            .usual
            .pop()
            .unwrap_or_else(|| BytesMut::with_capacity(BUFFER))
    }

    /// Takes a buffer back that holds nothing; not while what was read into it is still in use elsewhere, because its memory
    /// can be used again soon.
    pub(crate) fn take_back(&mut self, inbox: &mut BytesMut) {
        if inbox.is_empty() && inbox.capacity() > 0 && inbox.try_reclaim(BUFFER) {
            self.give_buffer(mem::take(inbox));
        }
    }

    /// A buffer to read into, in the place of one that is too small.
    pub(crate) fn give_room(&mut self, inbox: &mut BytesMut) {
        let small = mem::replace(inbox, self.take_buffer());
        inbox.extend_from_slice(&small);
    }

    /// Takes a buffer whose content is to wait in as little memory as it needs.
    pub(crate) fn keep_small(&mut self, inbox: &mut BytesMut) {
        if inbox.capacity() > 2 * inbox.len() {
            let small = BytesMut::from(&inbox[..]);
            self.give_buffer(mem::replace(inbox, small));
        }
    }

    /// Gives an outbox that has no block one to write into.
    pub(crate) fn lend_block(&mut self, outbox: &mut Outbox) {
        if !outbox.has_block() {
            outbox.give_block(self.take_buffer());
        }
    }

    /// A buffer nobody reads into any more.
    pub(crate) fn give_buffer(&mut self, buffer: BytesMut) {
        self.spare.give(buffer);
    }
}
