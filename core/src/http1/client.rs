//! The codec of a connection to an endpoint: requests out, responses in, one after the other.
//!
//! Owns what was asked, on which the framing of the answer depends (RFC 9112 §6.3), and whether another request may
//! follow. Who is asked what is decided elsewhere.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::Method;

use super::framing::Asked;
use super::limits::Limits;
use super::look_ahead::Heads;
use super::reader::Reader;
use super::websocket;
use super::writer::Writer;
use crate::decision::Refused;
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::outbox::Outbox;
use crate::stream::{Answer, Begins, Part};

/// One endpoint's side of HTTP/1.
#[derive(Debug)]
pub struct Client {
    reader: Reader,
    writer: Writer,
    method: Method,
    asks_upgrade: bool,
    persists: bool,
    /// Of a websocket whose client has none.
    made_key: Option<Box<[u8; 24]>>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(&Limits::RESPONSE)
    }
}

impl Client {
    /// For an endpoint that may send so much.
    #[must_use]
    pub fn new(limits: &'static Limits) -> Self {
        Self {
            reader: Reader::responses(limits),
            writer: Writer::default(),
            method: Method::GET,
            asks_upgrade: false,
            persists: false,
            made_key: None,
        }
    }

    /// Writes the head of a request.
    pub fn ask(&mut self, head: &RequestHead, begins: &Begins, out: &mut Outbox) {
        let upgrade = begins.upgrade.as_deref();
        self.method = head.method.clone();
        self.asks_upgrade = upgrade.is_some();
        self.persists = false;
        self.made_key = None;
        self.writer.request_head(head, begins.body, upgrade, out);
    }

    /// The same for a websocket that has no key, with one; the proof that it was read is looked at here.
    pub fn ask_with_key(
        &mut self,
        head: &RequestHead,
        begins: &Begins,
        key: [u8; 24],
        out: &mut Outbox,
    ) {
        let mut keyed = head.clone();
        websocket::add_key(&mut keyed.headers, &key);
        self.ask(&keyed, begins, out);
        self.made_key = Some(Box::new(key));
    }

    /// Writes a piece of the request's body.
    pub fn data(&mut self, data: Bytes, out: &mut Outbox) {
        self.writer.data(data, out);
    }

    /// Ends the request. Whoever counted its body by its head has written all of it.
    pub fn end(&mut self, trailers: Option<&Headers>, out: &mut Outbox) {
        let is_whole = self.writer.end(trailers, out);
        debug_assert!(is_whole, "the client's reader has counted the body");
    }

    /// Reads the next head of the response into `into` and removes it from `inbox`. `None` when more bytes are needed.
    ///
    /// # Errors
    /// The response is malformed, ambiguous or too large; the status of the refusal is 502.
    pub fn head(
        &mut self,
        inbox: &mut BytesMut,
        into: &mut ResponseHead,
    ) -> Result<Option<Answer>, Refused> {
        let asked = Asked {
            method: &self.method,
            upgrade: self.asks_upgrade,
        };
        let Some(facts) = self.reader.response_head(inbox, asked, into)? else {
            return Ok(None);
        };
        if facts.switched
            && let Some(key) = self.made_key.take()
        {
            websocket::take_proof(&key, &mut into.headers)?;
        }
        Ok(Some(if facts.switched {
            Answer::Switched(facts.upgrade)
        } else if facts.interim {
            Answer::Interim
        } else {
            self.persists = facts.keep_alive;
            Answer::Final(facts.framing.into())
        }))
    }

    /// The next part of the response's body.
    ///
    /// # Errors
    /// Its framing is malformed.
    pub fn body(&mut self, inbox: &mut BytesMut) -> Result<Part, Refused> {
        self.reader.body(inbox)
    }

    /// The endpoint sends no more; `inbox` is what is left.
    ///
    /// # Errors
    /// The end cuts the response.
    pub fn on_eof(&mut self, inbox: &BytesMut) -> Result<(), Refused> {
        self.persists = false;
        self.reader.eof(inbox)
    }

    /// Whether another request may follow, once the response has been read to its end.
    #[must_use]
    pub const fn persists(&self) -> bool {
        self.persists
    }

    /// Ranges of `unread`, in order, that will be read as parts of bodies.
    #[must_use]
    pub fn bodies_ahead(&self, unread: &[u8]) -> Vec<Range<usize>> {
        let asked = Asked {
            method: &self.method,
            upgrade: self.asks_upgrade,
        };
        self.reader.bodies_ahead(unread, Heads::Response(asked))
    }
}
