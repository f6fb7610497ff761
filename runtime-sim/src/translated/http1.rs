//! HTTP/1 with a peer: core's reader and writer in the sidecar's place, with room for all that a peer may say.
//!
//! Core's own `Server` and `Client` refuse what is too much for a sidecar. That is what cases are about, so it must get there.

use bytes::{Bytes, BytesMut};
use http::Method;
use outrigger_core::decision::Refused;
use outrigger_core::http1::{Asked, Limits, MAX_FIELDS, Reader, Reply, Writer};
use outrigger_core::message::{Headers, RequestHead, ResponseHead, Version};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Answer, Begins, BodyLength, Part};

/// More than any peer of a test says.
const ROOM: Limits = Limits {
    head_bytes: 16 * 1024 * 1024,
    fields: MAX_FIELDS,
    ..Limits::RESPONSE
};

/// Towards a client.
#[derive(Debug)]
pub(super) struct ForClient {
    reader: Reader,
    writer: Writer,
    method: Method,
    version: Version,
    persists: bool,
    accepts_trailers: bool,
}

impl Default for ForClient {
    fn default() -> Self {
        Self {
            reader: Reader::requests(&ROOM),
            writer: Writer::default(),
            method: Method::GET,
            version: Version::Http11,
            persists: true,
            accepts_trailers: false,
        }
    }
}

impl ForClient {
    pub(super) fn head(
        &mut self,
        said: &mut BytesMut,
        into: &mut RequestHead,
    ) -> Result<Option<Begins>, Refused> {
        let Some(facts) = self.reader.request_head(said, into)? else {
            return Ok(None);
        };
        self.method = into.method.clone();
        self.version = into.version;
        self.persists = facts.keep_alive;
        self.accepts_trailers = facts.accepts_trailers;
        Ok(Some(Begins {
            body: facts.framing.into(),
            upgrade: facts.upgrade,
        }))
    }

    pub(super) fn body(&mut self, said: &mut BytesMut) -> Result<Part, Refused> {
        self.reader.body(said)
    }

    /// Whether another request may follow.
    pub(super) const fn persists(&self) -> bool {
        self.persists
    }

    /// No other request follows.
    pub(super) const fn end_turns(&mut self) {
        self.persists = false;
    }

    /// Tells a head. `wish`: another request is welcome afterwards.
    pub(super) fn respond(
        &mut self,
        head: &ResponseHead,
        body: BodyLength,
        upgrade: Option<&str>,
        wish: bool,
        out: &mut Outbox,
    ) {
        let reply = Reply {
            method: &self.method,
            version: self.version,
            body,
            keep_alive: self.persists && wish,
            upgrade,
        };
        self.persists = self.writer.response_head(head, &reply, out);
    }

    pub(super) fn inform(&mut self, head: &ResponseHead, out: &mut Outbox) {
        let persists = std::mem::replace(&mut self.persists, true);
        self.respond(head, BodyLength::None, None, true, out);
        self.persists = persists;
    }

    pub(super) fn data(&mut self, data: Bytes, out: &mut Outbox) {
        self.writer.data(data, out);
    }

    pub(super) fn end(&mut self, trailers: Option<&Headers>, out: &mut Outbox) {
        let trailers = trailers.filter(|_| self.accepts_trailers);
        self.persists &= self.writer.end(trailers, out);
    }
}

/// Towards a service.
#[derive(Debug)]
pub(super) struct ForService {
    reader: Reader,
    writer: Writer,
    method: Method,
    asks_upgrade: bool,
    persists: bool,
}

impl Default for ForService {
    fn default() -> Self {
        Self {
            reader: Reader::responses(&ROOM),
            writer: Writer::default(),
            method: Method::GET,
            asks_upgrade: false,
            persists: true,
        }
    }
}

impl ForService {
    pub(super) fn ask(&mut self, head: &RequestHead, begins: &Begins, out: &mut Outbox) {
        let upgrade = begins.upgrade.as_deref();
        self.method = head.method.clone();
        self.asks_upgrade = upgrade.is_some();
        self.writer.request_head(head, begins.body, upgrade, out);
    }

    pub(super) fn data(&mut self, data: Bytes, out: &mut Outbox) {
        self.writer.data(data, out);
    }

    pub(super) fn end(&mut self, trailers: Option<&Headers>, out: &mut Outbox) {
        // A stream whose body is shorter than its head said has been reset.
        let _is_whole = self.writer.end(trailers, out);
    }

    pub(super) fn head(
        &mut self,
        said: &mut BytesMut,
        into: &mut ResponseHead,
    ) -> Result<Option<Answer>, Refused> {
        let asked = Asked {
            method: &self.method,
            upgrade: self.asks_upgrade,
        };
        let Some(facts) = self.reader.response_head(said, asked, into)? else {
            return Ok(None);
        };
        Ok(Some(if facts.switched {
            Answer::Switched(facts.upgrade)
        } else if facts.interim {
            Answer::Interim
        } else {
            self.persists = facts.keep_alive;
            Answer::Final(facts.framing.into())
        }))
    }

    pub(super) fn body(&mut self, said: &mut BytesMut) -> Result<Part, Refused> {
        self.reader.body(said)
    }

    /// Whether the message is whole if the service sends no more than is left.
    pub(super) fn is_whole_at_eof(&mut self, left: &BytesMut) -> bool {
        self.reader.eof(left).is_ok()
    }

    /// Whether another request may follow.
    pub(super) const fn persists(&self) -> bool {
        self.persists
    }
}
