//! What is said to a client: requests come, responses go, one after the other or as many streams at a time.

use std::ops::Range;

use bytes::Bytes;

use super::codec::Codec;
use super::{Connection, Streams};
use crate::decision::Refused;
use crate::http1;
use crate::http2::{self, Limits};
use crate::local::{Local, WorkerSettings};
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::stream::{Begins, BodyLength, Broken, Part, StreamId};

/// A connection to a client.
pub(crate) type ToClient = Connection<Codec<http1::Server>>;

/// What the first bytes of a connection tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// It may still be either.
    Undecided,
    Http1,
    Http2,
}

impl ToClient {
    /// As a worker with these settings talks to it, in HTTP/1 as long as it does not say otherwise.
    pub(crate) fn new(settings: &WorkerSettings) -> Self {
        let server = http1::Server::new(settings.requests);
        Self::with(Codec::Http1(server), settings.tells_bodies)
    }

    /// Before the first request: a client that knows that HTTP/2 is spoken here begins with that (RFC 9113 §3.3).
    pub(crate) fn sniff(&mut self, limits: &Limits) -> Sniffed {
        let preface = http2::PREFACE;
        let count = self.inbox.len().min(preface.len());
        if self.inbox[..count] != preface[..count] {
            Sniffed::Http1
        } else if count < preface.len() {
            Sniffed::Undecided
        } else {
            self.codec = Codec::Http2(Box::new(Streams::server(limits)));
            Sniffed::Http2
        }
    }

    /// The next request's head, or the one that a stream has begun with, once all of it is here.
    ///
    /// # Errors
    /// The request is refused, and no other one follows on the same stream.
    pub(crate) fn head(
        &mut self,
        stream: StreamId,
        into: &mut RequestHead,
    ) -> Result<Option<Begins>, Refused> {
        match &mut self.codec {
            Codec::Http1(server) => server.head(&mut self.inbox, into),
            Codec::Http2(streams) => streams.request_head(stream, into),
        }
    }

    /// The head that is being read is not waited for any longer.
    pub(crate) fn give_up_head(&mut self) {
        match &mut self.codec {
            Codec::Http1(server) => server.give_up_head(),
            Codec::Http2(_) => {}
        }
    }

    /// The next part of the request's body.
    ///
    /// # Errors
    /// Its framing is malformed, or its stream was reset.
    pub(crate) fn body(&mut self, stream: StreamId) -> Result<Part, Broken> {
        match &mut self.codec {
            Codec::Http1(server) => server.body(&mut self.inbox).map_err(Broken::Refused),
            Codec::Http2(streams) => streams.body(stream),
        }
    }

    /// Why no more comes of the request, if its stream has ended before it.
    pub(crate) fn broken(&self, stream: StreamId) -> Option<Broken> {
        self.streams()?.broken(stream)
    }

    /// No other request follows the one that is being answered.
    pub(crate) fn end_turns(&mut self) {
        match &mut self.codec {
            Codec::Http1(server) => server.end_turns(),
            Codec::Http2(_) => {}
        }
    }

    /// Whether another request may follow on the same stream.
    pub(crate) const fn persists(&self) -> bool {
        match &self.codec {
            Codec::Http1(server) => server.persists(),
            Codec::Http2(_) => false,
        }
    }

    /// Begins the response. `wish`: another request is welcome afterwards.
    pub(crate) fn respond(
        &mut self,
        stream: StreamId,
        head: &ResponseHead,
        body: BodyLength,
        wish: bool,
        local: &mut Local,
    ) {
        local.lend_block(&mut self.outbox);
        let out = &mut self.outbox;
        match &mut self.codec {
            Codec::Http1(server) => server.respond(head, body, None, wish, out),
            Codec::Http2(streams) => streams.respond(stream, head, body, out),
        }
    }

    /// Agrees to another protocol: a CONNECT was answered with success, or an endpoint switches to what was asked for.
    pub(crate) fn switch(
        &mut self,
        stream: StreamId,
        head: &ResponseHead,
        protocol: Option<&str>,
        local: &mut Local,
    ) {
        local.lend_block(&mut self.outbox);
        let out = &mut self.outbox;
        match &mut self.codec {
            Codec::Http1(server) => server.respond(head, BodyLength::None, protocol, true, out),
            Codec::Http2(streams) => streams.respond(stream, head, BodyLength::Unknown, out),
        }
    }

    /// Passes an interim head on.
    pub(crate) fn inform(&mut self, stream: StreamId, head: &ResponseHead, local: &mut Local) {
        local.lend_block(&mut self.outbox);
        match &mut self.codec {
            Codec::Http1(server) => server.inform(head, &mut self.outbox),
            Codec::Http2(streams) => streams.inform(stream, head, &mut self.outbox),
        }
    }

    /// A piece of the response's body.
    pub(crate) fn data(&mut self, stream: StreamId, data: Bytes, local: &mut Local) {
        match &mut self.codec {
            Codec::Http1(server) => {
                local.lend_block(&mut self.outbox);
                server.data(data, &mut self.outbox);
            }
            Codec::Http2(streams) => streams.data(stream, data),
        }
    }

    /// Ends the response.
    pub(crate) fn end(&mut self, stream: StreamId, trailers: Option<&Headers>, local: &mut Local) {
        match &mut self.codec {
            Codec::Http1(server) => {
                local.lend_block(&mut self.outbox);
                server.end(trailers, &mut self.outbox);
            }
            Codec::Http2(streams) => streams.end(stream, trailers),
        }
    }

    /// Whether the client would take the response for whole if the connection closed now. A stream is reset in any case.
    pub(crate) const fn would_seem_whole(&self) -> bool {
        match &self.codec {
            Codec::Http1(server) => server.would_seem_whole(),
            Codec::Http2(_) => true,
        }
    }

    /// Ranges of the inbox, in order, that will be read as parts of bodies.
    pub(crate) fn bodies_ahead(&self) -> Vec<Range<usize>> {
        match &self.codec {
            Codec::Http1(server) => server.bodies_ahead(&self.inbox),
            Codec::Http2(streams) => streams.bodies_ahead(&self.inbox),
        }
    }
}
