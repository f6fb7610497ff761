//! Memory to read into and to write small pieces into: how much of it a connection gets, and when it gives it back.
//!
//! Blocks are lent by the worker. A connection has them while bytes move and no longer: thousands of clients may have sent
//! half a head, wait for a slow endpoint, or hold a tunnel open that says nothing.

use bytes::BytesMut;

use super::{Exchange, Phase, Side};
use crate::worker::Worker;

/// The least room a read gets.
const READ_ROOM: usize = 4 * 1024;

/// The room added when there is less.
const READ_BLOCK: usize = 32 * 1024;

/// The room added while a body is long.
pub(super) const READ_BLOCK_LONG: usize = 128 * 1024;

/// A part of a head that is not longer than this waits for the rest in as little memory as it needs. A longer one is not
/// copied with every byte that comes.
const PART_OF_HEAD: usize = 8 * 1024;

impl Exchange {
    /// Where to append what is read from a side; it has room.
    pub fn space(&mut self, side: Side, worker: &mut Worker) -> &mut BytesMut {
        let (inbox, long) = match side {
            Side::Downstream => (&mut self.down.inbox, self.down.filled),
            Side::Upstream => (&mut self.up.inbox, self.up.filled),
            Side::Aside => {
                let up = self.aside_side();
                (&mut up.inbox, up.filled)
            }
        };
        if inbox.capacity() == 0 {
            *inbox = worker.take_buffer();
        }
        // Room that was read, passed on and written is used again; memory is added only when too little is left.
        // What waits unread in memory grows in small steps, because it may be forwarded in one piece.
        let wanted = if long && inbox.is_empty() {
            READ_BLOCK_LONG
        } else {
            READ_BLOCK
        };
        let room = inbox.capacity() - inbox.len();
        if room < wanted && !inbox.try_reclaim(wanted) && room < READ_ROOM {
            if wanted == READ_BLOCK && inbox.len() <= PART_OF_HEAD {
                worker.give_room(inbox);
            } else {
                inbox.reserve(wanted);
            }
        }
        inbox
    }

    /// After every input.
    pub(super) fn return_buffers(&mut self, worker: &mut Worker) {
        match self.phase {
            Phase::Head { .. } | Phase::Closed if self.down.inbox.is_empty() => {
                self.down.return_buffers(worker);
                self.up.return_buffers(worker);
            }
            Phase::Head { .. } | Phase::Closed => {
                if self.down.inbox.len() <= PART_OF_HEAD {
                    worker.keep_small(&mut self.down.inbox);
                }
            }
            Phase::Call | Phase::Flush { .. } | Phase::Tunnel(_) | Phase::Linger { .. } => {
                self.down.return_unused(worker);
                self.up.return_unused(worker);
            }
        }
    }
}
