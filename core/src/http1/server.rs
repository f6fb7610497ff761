//! The codec of a client's connection: requests in, responses out, one after the other.
//!
//! Owns whose turn it is, whether there will be another (RFC 9112 §9.3), and what the version of the client forbids. What
//! is answered, and when, is decided elsewhere.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::Method;

use super::limits::Limits;
use super::look_ahead::Heads;
use super::reader::Reader;
use super::websocket;
use super::writer::{Reply, Writer};
use crate::decision::Refused;
use crate::message::{Headers, RequestHead, ResponseHead, Version};
use crate::outbox::Outbox;
use crate::stream::{Begins, BodyLength, Part};

/// One client's side of HTTP/1.
#[derive(Debug)]
pub struct Server {
    reader: Reader,
    writer: Writer,
    turn: Turn,
}

/// The request that is being answered, as far as its answer depends on it.
#[derive(Debug, Default)]
struct Turn {
    method: Method,
    version: Version,
    /// Another request may follow.
    persists: bool,
    accepts_trailers: bool,
    /// Of a websocket.
    key: Option<Box<[u8]>>,
}

impl Default for Server {
    fn default() -> Self {
        Self::new(&Limits::REQUEST)
    }
}

impl Server {
    /// For a client that may send so much.
    #[must_use]
    pub fn new(limits: &'static Limits) -> Self {
        Self {
            reader: Reader::requests(limits),
            writer: Writer::default(),
            turn: Turn::default(),
        }
    }

    /// Reads the next request's head into `into` and removes it from `inbox`. `None` when more bytes are needed.
    ///
    /// # Errors
    /// The request is malformed, ambiguous or too large. It can be answered once more; no other one follows.
    pub fn head(
        &mut self,
        inbox: &mut BytesMut,
        into: &mut RequestHead,
    ) -> Result<Option<Begins>, Refused> {
        let read = self.reader.request_head(inbox, into);
        if matches!(read, Ok(None)) {
            return Ok(None);
        }
        self.turn = Turn {
            method: into.method.clone(),
            version: into.version,
            ..Turn::default()
        };
        let Some(facts) = read? else {
            return Ok(None);
        };
        self.turn.persists = facts.keep_alive;
        self.turn.accepts_trailers = facts.accepts_trailers;
        let key = websocket::key_of(&into.headers, facts.upgrade.as_deref());
        self.turn.key = key.map(Box::from);
        Ok(Some(Begins {
            body: facts.framing.into(),
            upgrade: facts.upgrade,
        }))
    }

    /// The head that is being read will not be waited for; it can be answered once more.
    pub fn give_up_head(&mut self) {
        self.turn = Turn::default();
    }

    /// The next part of the request's body.
    ///
    /// # Errors
    /// Its framing is malformed.
    pub fn body(&mut self, inbox: &mut BytesMut) -> Result<Part, Refused> {
        self.reader.body(inbox)
    }

    /// No other request follows this one.
    pub const fn end_turns(&mut self) {
        self.turn.persists = false;
    }

    /// Whether another request may follow, as far as is known by now: the response's head has the last word.
    #[must_use]
    pub const fn persists(&self) -> bool {
        self.turn.persists
    }

    /// Writes the head of the response. `wish`: another request is welcome afterwards. An interim one decides nothing, and
    /// an HTTP/1.0 client gets none.
    pub fn respond(
        &mut self,
        head: &ResponseHead,
        body: BodyLength,
        upgrade: Option<&str>,
        wish: bool,
        out: &mut Outbox,
    ) {
        let key = self.turn.key.as_deref().filter(|_| upgrade.is_some());
        let proved = key.and_then(|key| websocket::with_proof(key, head));
        let head = proved.as_ref().unwrap_or(head);
        let reply = Reply {
            method: &self.turn.method,
            version: self.turn.version,
            body,
            keep_alive: self.turn.persists && wish,
            upgrade,
        };
        self.turn.persists = self.writer.response_head(head, &reply, out);
    }

    /// Writes an interim head.
    pub fn inform(&mut self, head: &ResponseHead, out: &mut Outbox) {
        let reply = Reply {
            method: &self.turn.method,
            version: self.turn.version,
            body: BodyLength::None,
            keep_alive: true,
            upgrade: None,
        };
        self.writer.response_head(head, &reply, out);
    }

    /// Writes a piece of the response's body.
    pub fn data(&mut self, data: Bytes, out: &mut Outbox) {
        self.writer.data(data, out);
    }

    /// Ends the response. Trailers go to a client that asked for them.
    pub fn end(&mut self, trailers: Option<&Headers>, out: &mut Outbox) {
        let trailers = trailers.filter(|_| self.turn.accepts_trailers);
        if !self.writer.end(trailers, out) {
            // The client waits for more, and would take the next response for it.
            self.turn.persists = false;
        }
    }

    /// Whether a client whose connection closed now would take the response for whole: one of HTTP/1.0 gets no chunks, and
    /// takes the connection's end for the body's.
    #[must_use]
    pub const fn would_seem_whole(&self) -> bool {
        self.writer.ends_with_connection()
    }

    /// Ranges of `unread`, in order, that will be read as parts of bodies.
    #[must_use]
    pub fn bodies_ahead(&self, unread: &[u8]) -> Vec<Range<usize>> {
        self.reader.bodies_ahead(unread, Heads::Requests)
    }
}
