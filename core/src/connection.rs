//! One socket: what was read from it and not understood yet, what is to be written to it, and the codec that turns one
//! into messages and messages into the other.
//!
//! Knows no policy, and of no other connection: whose request goes where, and when nothing more is read, is decided by
//! whoever owns it. The one room that says which protocol is spoken. What a client's connection is between requests is in
//! `client`, and all of a worker's connections by name are in `sockets`.

mod client;
mod sockets;

pub(crate) use client::{Client, Phase};
pub(crate) use sockets::{Owner, Sockets};

use core::mem;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::decision::Refused;
use crate::http1;
use crate::local::Local;
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::outbox::Outbox;
use crate::stream::{Answer, Begins, BodyLength, Part};

/// The least room a read gets.
const READ_ROOM: usize = 4 * 1024;

/// The room added when there is less.
pub(crate) const READ_BLOCK: usize = 32 * 1024;

/// The room added while a body is long.
pub(crate) const READ_BLOCK_LONG: usize = 128 * 1024;

/// A part of a head that is not longer than this waits for the rest in as little memory as it needs. A longer one is not
/// copied with every byte that comes.
const PART_OF_HEAD: usize = 8 * 1024;

/// A connection to a client.
pub(crate) type ToClient = Connection<http1::Server>;

/// A connection to an endpoint.
pub(crate) type ToEndpoint = Connection<http1::Client>;

/// The boxes of a socket, and their codec.
#[derive(Debug)]
pub(crate) struct Connection<C> {
    codec: C,
    pub(crate) inbox: BytesMut,
    pub(crate) outbox: Outbox,
    /// A read used all the room it was given, so the next ones get more, until the buffer is given back.
    filled: bool,
}

impl<C: Default> Connection<C> {
    /// `tells_bodies`: where bodies lie in what is to be written will be asked.
    pub(crate) fn new(tells_bodies: bool) -> Self {
        let mut outbox = Outbox::default();
        if tells_bodies {
            outbox.mark_bodies();
        }
        Self {
            codec: C::default(),
            inbox: BytesMut::new(),
            outbox,
            filled: false,
        }
    }

    /// The next message is the first one again; both boxes are empty.
    pub(crate) fn restart(&mut self) {
        self.codec = C::default();
        self.filled = false;
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

    /// Where to append what is read; it has room. `is_short`: memory is, so there is no more of it than needed.
    pub(crate) fn space(&mut self, is_short: bool, local: &mut Local) -> &mut BytesMut {
        let Self { inbox, filled, .. } = self;
        if inbox.capacity() == 0 {
            *inbox = local.take_buffer();
        }
        // Room that was read, passed on and written is used again; memory is added only when too little is left.
        // What waits unread in memory grows in small steps, because it may be forwarded in one piece.
        let wanted = if *filled && inbox.is_empty() && !is_short {
            READ_BLOCK_LONG
        } else {
            READ_BLOCK
        };
        let room = inbox.capacity() - inbox.len();
        if room < wanted && !inbox.try_reclaim(wanted) && room < READ_ROOM {
            if wanted == READ_BLOCK && inbox.len() <= PART_OF_HEAD {
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

    /// Within a message: gives back what holds nothing and will not be needed at once.
    pub(crate) fn pause(&mut self, local: &mut Local) {
        if !self.filled {
            local.take_back(&mut self.inbox);
        }
        self.return_block(local);
    }

    fn return_block(&mut self, local: &mut Local) {
        if let Some(block) = self.outbox.take_block() {
            local.give_buffer(block);
        }
    }

    /// What has come on a tunnel, as it is; `None` when nothing has.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let is_empty = self.inbox.is_empty();
        (!is_empty).then(|| self.inbox.split().freeze())
    }

    /// Bytes of a tunnel, as they are.
    pub(crate) fn pass(&mut self, bytes: Bytes, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        self.outbox.put_bytes(bytes);
    }
}

impl ToClient {
    /// The next request's head, once all of it is here.
    ///
    /// # Errors
    /// The request is refused, and no other one follows.
    pub(crate) fn head(&mut self, into: &mut RequestHead) -> Result<Option<Begins>, Refused> {
        self.codec.head(&mut self.inbox, into)
    }

    /// The head that is being read is not waited for any longer.
    pub(crate) fn give_up_head(&mut self) {
        self.codec.give_up_head();
    }

    /// The next part of the request's body.
    ///
    /// # Errors
    /// Its framing is malformed.
    pub(crate) fn body(&mut self) -> Result<Part, Refused> {
        self.codec.body(&mut self.inbox)
    }

    /// No other request follows the one that is being answered.
    pub(crate) const fn end_turns(&mut self) {
        self.codec.end_turns();
    }

    /// Whether another request may follow.
    pub(crate) const fn persists(&self) -> bool {
        self.codec.persists()
    }

    /// Begins the response. `wish`: another request is welcome afterwards.
    pub(crate) fn respond(
        &mut self,
        head: &ResponseHead,
        body: BodyLength,
        wish: bool,
        local: &mut Local,
    ) {
        local.lend_block(&mut self.outbox);
        self.codec.respond(head, body, None, wish, &mut self.outbox);
    }

    /// Agrees to another protocol: a CONNECT was answered with success, or an endpoint switches to what was asked for.
    pub(crate) fn switch(
        &mut self,
        head: &ResponseHead,
        protocol: Option<&str>,
        local: &mut Local,
    ) {
        local.lend_block(&mut self.outbox);
        self.codec
            .respond(head, BodyLength::None, protocol, true, &mut self.outbox);
    }

    /// Passes an interim head on.
    pub(crate) fn inform(&mut self, head: &ResponseHead, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        self.codec.inform(head, &mut self.outbox);
    }

    /// A piece of the response's body.
    pub(crate) fn data(&mut self, data: Bytes, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        self.codec.data(data, &mut self.outbox);
    }

    /// Ends the response.
    pub(crate) fn end(&mut self, trailers: Option<&Headers>, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        self.codec.end(trailers, &mut self.outbox);
    }

    /// Whether the client would take the response for whole if the connection closed now.
    pub(crate) const fn would_seem_whole(&self) -> bool {
        self.codec.would_seem_whole()
    }

    /// Ranges of the inbox, in order, that will be read as parts of bodies.
    pub(crate) fn bodies_ahead(&self) -> Vec<Range<usize>> {
        self.codec.bodies_ahead(&self.inbox)
    }
}

impl ToEndpoint {
    /// Begins a request.
    pub(crate) fn ask(&mut self, head: &RequestHead, begins: &Begins, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        self.codec.ask(head, begins, &mut self.outbox);
    }

    /// A piece of the request's body.
    pub(crate) fn data(&mut self, data: Bytes, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        self.codec.data(data, &mut self.outbox);
    }

    /// Ends the request.
    pub(crate) fn end(&mut self, trailers: Option<&Headers>, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        self.codec.end(trailers, &mut self.outbox);
    }

    /// The next head of the response, once all of it is here.
    ///
    /// # Errors
    /// The response is malformed.
    pub(crate) fn head(&mut self, into: &mut ResponseHead) -> Result<Option<Answer>, Refused> {
        self.codec.head(&mut self.inbox, into)
    }

    /// The next part of the response's body.
    ///
    /// # Errors
    /// Its framing is malformed.
    pub(crate) fn body(&mut self) -> Result<Part, Refused> {
        self.codec.body(&mut self.inbox)
    }

    /// The endpoint sends no more.
    ///
    /// # Errors
    /// The end cuts a response.
    pub(crate) fn on_eof(&mut self) -> Result<(), Refused> {
        self.codec.on_eof(&self.inbox)
    }

    /// Whether another request may follow once the response has been read.
    pub(crate) const fn persists(&self) -> bool {
        self.codec.persists()
    }

    /// Ranges of the inbox, in order, that will be read as parts of bodies.
    pub(crate) fn bodies_ahead(&self) -> Vec<Range<usize>> {
        self.codec.bodies_ahead(&self.inbox)
    }
}
