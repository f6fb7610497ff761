//! One socket: what was read from it and not understood yet, what is to be written to it, and the codec that turns one
//! into messages and messages into the other.
//!
//! Knows no policy, and of no other connection: whose request goes where, and when nothing more is read, is decided by
//! whoever owns it. The one room that says which protocol is spoken (`codec`): what a connection to a client says is in
//! `to_client`, what one to an endpoint says in `to_endpoint`. What a client's connection is between requests is in `client`, and all of
//! a worker's connections by name are in `sockets`.

mod client;
mod codec;
mod sockets;
mod to_client;
mod to_endpoint;

pub(crate) use client::{Client, Phase, Who};
pub(crate) use sockets::{Ending, Owner, Sockets, Upstream};
pub(crate) use to_client::{Sniffed, ToClient};
pub(crate) use to_endpoint::ToEndpoint;

use core::mem;

use bytes::BytesMut;

use crate::http2;
use crate::local::{LONG_BUFFER, Local};
use crate::outbox::Outbox;
use crate::peer::ExchangeId;

/// The least room a read gets.
const READ_ROOM: usize = 4 * 1024;

/// The room added when there is less.
pub(crate) const READ_BLOCK: usize = 32 * 1024;

/// The room added while a body is long.
pub(crate) const READ_BLOCK_LONG: usize = LONG_BUFFER;

/// A part of a head that is not longer than this waits for the rest in as little memory as it needs. A longer one is not
/// copied with every byte that comes.
const PART_OF_HEAD: usize = 8 * 1024;

/// The streams of a connection that speaks HTTP/2, and whose each is.
pub(crate) type Streams = http2::Connection<ExchangeId>;

/// The boxes of a socket, and their codec.
#[derive(Debug)]
pub(crate) struct Connection<C> {
    codec: C,
    pub(crate) inbox: BytesMut,
    pub(crate) outbox: Outbox,
    /// A read used all the room it was given, so the next ones get more, until the buffer is given back.
    filled: bool,
}

impl<C> Connection<C> {
    /// `tells_bodies`: where bodies lie in what is to be written will be asked.
    fn with(codec: C, tells_bodies: bool) -> Self {
        let mut outbox = Outbox::default();
        if tells_bodies {
            outbox.mark_bodies();
        }
        Self {
            codec,
            inbox: BytesMut::new(),
            outbox,
            filled: false,
        }
    }

    /// How many bytes wait to be understood, and how many to be written.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.inbox.len(), self.outbox.len())
    }

    /// This many bytes were appended to [`Connection::space`].
    pub(crate) fn on_read(&mut self, count: usize) {
        debug_assert!(
            count > 0 && count <= self.inbox.len(),
            "Read tells of bytes that were appended"
        );
        self.filled |= self.inbox.len() == self.inbox.capacity();
    }

    /// So many bytes of the outbox were written.
    pub(crate) fn on_wrote(&mut self, count: usize, local: &mut Local) {
        self.outbox
            .advance_with(count, |spent| local.spare.take_spent(spent));
    }

    /// Where to append what is read; it has room. `is_short`: memory is, so there is no more of it than needed.
    pub(crate) fn space(&mut self, is_short: bool, local: &mut Local) -> &mut BytesMut {
        let Self { inbox, filled, .. } = self;
        let is_long = *filled && inbox.is_empty() && !is_short;
        let wanted = if is_long { READ_BLOCK_LONG } else { READ_BLOCK };
        let room = inbox.capacity() - inbox.len();
        // Room that was read, passed on and written is used again; memory is added only when too little is left.
        // What waits unread in memory grows in small steps, because it may be forwarded in one piece.
        if room >= wanted || inbox.try_reclaim(wanted) {
            return inbox;
        }
        if is_long {
            // What is left of a block that is passed on is used if it is no small part, so that no more than twice of what waits is held.
            if room < wanted / 2 {
                *inbox = local.spare.take_long();
            }
        } else if inbox.capacity() == 0 {
            *inbox = local.take_buffer();
        } else if room < READ_ROOM {
            if inbox.len() <= PART_OF_HEAD {
                local.give_room(inbox);
            } else {
                inbox.reserve(wanted);
            }
        }
        inbox
    }

    /// Between messages: gives memory that holds nothing back to the worker, and lets the part of a head that is here wait
    /// in as little as it needs.
    pub(crate) fn rest(&mut self, local: &mut Local) {
        if !self.inbox.is_empty() {
            if self.inbox.len() <= PART_OF_HEAD {
                local.keep_small(&mut self.inbox);
            }
            return;
        }
        self.filled = false;
        if self.inbox.capacity() > 0 {
            local.give_buffer(mem::take(&mut self.inbox));
        }
        self.return_block(local);
    }

    /// Within a message: gives back what holds nothing and will not be needed at once. Of a long one, too: what another
    /// connection reads next is read into memory that the CPU still has near.
    pub(crate) fn pause(&mut self, local: &mut Local) {
        local.take_back(&mut self.inbox);
        self.return_block(local);
    }

    fn return_block(&mut self, local: &mut Local) {
        if let Some(block) = self.outbox.take_block() {
            local.give_buffer(block);
        }
    }
}
