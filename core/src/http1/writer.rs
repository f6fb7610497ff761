//! Heads and body parts to bytes, one message after the other.
//!
//! Owns the framing of what is sent: exactly one of Content-Length, chunks, the end of the connection, or none. Field
//! names go out in lower case. `date`, `server` and the like are fields of the head by the time it arrives here.

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, StatusCode};

use super::hop_by_hop::is_bodiless;
use super::number::{self, decimal};
use super::write_fields::{
    put_field, put_request_fields, put_request_line, put_response_fields, put_trailers,
};
use crate::message::{Headers, Known, RequestHead, ResponseHead, Version};
use crate::outbox::Outbox;
use crate::stream::BodyLength;

/// Writes the messages that go to one peer.
#[derive(Debug, Default)]
pub struct Writer {
    state: Content,
}

/// What the next body byte becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Content {
    /// There is no body under way; bytes of one are dropped.
    #[default]
    NoBody,
    /// This many bytes are still owed.
    Length(u64),
    Chunked,
    /// Bytes as they are: until the connection ends, or in a tunnel.
    Raw,
}

/// How a response is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The method of the request it answers.
    pub method: &'a Method,
    /// The version that the client spoke.
    pub version: Version,
    /// How much body there is. For a response to HEAD, how much there would be.
    pub body: BodyLength,
    /// The connection is to be used again.
    pub keep_alive: bool,
    /// The protocol that a 101 switches to.
    pub upgrade: Option<&'a str>,
}

impl Writer {
    /// Writes a request's head in HTTP/1.1. With `upgrade`, it offers to switch to that protocol.
    pub fn request_head(
        &mut self,
        head: &RequestHead,
        body: BodyLength,
        upgrade: Option<&str>,
        out: &mut Outbox,
    ) {
        out.put_with(|block| {
            put_request_line(head, block);
            put_request_fields(&head.headers, block);
            match body {
                // Envoy's rule: methods that usually have a body say that there is none.
                BodyLength::None if is_bodiless(&head.method) || upgrade.is_some() => {}
                BodyLength::None => put_length(0, block),
                BodyLength::Known(length) => put_length(length, block),
                BodyLength::Unknown => block.put_slice(CHUNKED),
            }
            if let Some(token) = upgrade {
                put_upgrade(token, block);
            }
            block.put_slice(b"\r\n");
        });
        self.state = match body {
            BodyLength::None => Content::NoBody,
            BodyLength::Known(length) => Content::Length(length),
            BodyLength::Unknown => Content::Chunked,
        };
    }

    /// Writes a response's head, final or interim; an interim one is not sent to an HTTP/1.0 client (RFC 9110 §15.2).
    ///
    /// Says whether the connection can be used again: `false` when `keep_alive` was, and when only the connection's end
    /// can tell the end of the body.
    pub fn response_head(
        &mut self,
        head: &ResponseHead,
        reply: &Reply<'_>,
        out: &mut Outbox,
    ) -> bool {
        let is_interim =
            head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS;
        if is_interim && reply.version == Version::Http10 {
            return reply.keep_alive;
        }
        let plan = Plan::of(head, reply);
        let keep_alive = reply.keep_alive && !plan.ends_with_connection();
        out.put_with(|block| {
            put_status_line(head.status, reply.version, block);
            put_response_fields(&head.headers, block);
            plan.put(block);
            match (plan, reply.upgrade) {
                (Plan::Tunnel, Some(token)) => put_upgrade(token, block),
                (Plan::Tunnel, None) => {}
                _ if is_interim => {}
                _ if !keep_alive => block.put_slice(b"connection: close\r\n"),
                _ if reply.version == Version::Http10 => {
                    block.put_slice(b"connection: keep-alive\r\n");
                }
                _ => {}
            }
            block.put_slice(b"\r\n");
        });
        self.state = plan.state();
        keep_alive
    }

    /// Writes a piece of the body. Bytes beyond an announced length, or of a message that has no body (a response to
    /// HEAD), are dropped: sent, they would be taken for the next message.
    pub fn data(&mut self, mut data: Bytes, out: &mut Outbox) {
        if data.is_empty() {
            // An empty chunk would end the body.
            return;
        }
        match &mut self.state {
            Content::NoBody => {}
            Content::Length(left) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                out.put_bytes(data);
            }
            Content::Chunked => {
                out.put_with(|block| {
                    number::put::<16>(data.len() as u64, block);
                    block.put_slice(b"\r\n");
                });
                out.put_bytes(data);
                out.put(b"\r\n");
            }
            Content::Raw => out.put_bytes(data),
        }
    }

    /// Ends the body. Trailers are written when the body is chunked and dropped otherwise, so the caller need only know
    /// whether the receiver asked for them.
    ///
    /// `false` when less was written than the head announced: the connection must be closed, for the receiver waits.
    #[must_use]
    pub fn end(&mut self, trailers: Option<&Headers>, out: &mut Outbox) -> bool {
        let is_whole = match self.state {
            Content::NoBody | Content::Raw | Content::Length(0) => true,
            Content::Length(1..) => false,
            Content::Chunked => {
                out.put_with(|block| {
                    block.put_slice(b"0\r\n");
                    if let Some(trailers) = trailers {
                        put_trailers(trailers, block);
                    }
                    block.put_slice(b"\r\n");
                });
                true
            }
        };
        self.state = Content::NoBody;
        is_whole
    }

    /// Whether only the connection's end can tell the end of what is being written.
    pub(super) const fn ends_with_connection(&self) -> bool {
        matches!(self.state, Content::Raw)
    }
}

const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n";

/// How a response's body is framed, and what the head says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// No body, and nothing to say about it.
    Nothing,
    /// No body; the head tells the length a GET would have got.
    Told(u64),
    /// No body; the head tells that a GET would have got chunks.
    ToldChunked,
    Length(u64),
    Chunked,
    UntilClose,
    Tunnel,
}

impl Plan {
    fn of(head: &ResponseHead, reply: &Reply<'_>) -> Self {
        let status = head.status;
        let is_tunnel = status == StatusCode::SWITCHING_PROTOCOLS
            || *reply.method == Method::CONNECT && status.is_success();
        if is_tunnel {
            return Self::Tunnel;
        }
        // RFC 9110 §8.6 and RFC 9112 §6.1: neither field in these.
        if status.is_informational() || status == StatusCode::NO_CONTENT {
            return Self::Nothing;
        }
        let is_head = *reply.method == Method::HEAD;
        if is_head || status == StatusCode::NOT_MODIFIED {
            let told = head.headers.get(Known::ContentLength).and_then(decimal);
            return match (told, reply.body) {
                (Some(length), _) | (None, BodyLength::Known(length)) => Self::Told(length),
                // As Envoy does.
                (None, _) if is_head && reply.version != Version::Http10 => Self::ToldChunked,
                (None, BodyLength::None | BodyLength::Unknown) => Self::Nothing,
            };
        }
        match (reply.body, reply.version) {
            (BodyLength::None, _) => Self::Length(0),
            (BodyLength::Known(length), _) => Self::Length(length),
            (BodyLength::Unknown, Version::Http11 | Version::Http2) => Self::Chunked,
            // RFC 9112 §6.1: no chunks to a client that does not speak HTTP/1.1.
            (BodyLength::Unknown, Version::Http10) => Self::UntilClose,
        }
    }

    fn put(self, block: &mut BytesMut) {
        match self {
            Self::Nothing | Self::UntilClose | Self::Tunnel => {}
            Self::Told(length) | Self::Length(length) => put_length(length, block),
            Self::ToldChunked | Self::Chunked => block.put_slice(CHUNKED),
        }
    }

    const fn ends_with_connection(self) -> bool {
        matches!(self, Self::UntilClose | Self::Tunnel)
    }

    const fn state(self) -> Content {
        match self {
            Self::Nothing | Self::Told(_) | Self::ToldChunked => Content::NoBody,
            Self::Length(length) => Content::Length(length),
            Self::Chunked => Content::Chunked,
            Self::UntilClose | Self::Tunnel => Content::Raw,
        }
    }
}

fn put_status_line(status: StatusCode, version: Version, block: &mut BytesMut) {
    block.put_slice(match version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 | Version::Http2 => b"HTTP/1.1 ",
    });
    block.put_slice(status.as_str().as_bytes());
    block.put_u8(b' ');
    block.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    block.put_slice(b"\r\n");
}

fn put_length(length: u64, block: &mut BytesMut) {
    block.put_slice(b"content-length: ");
    number::put::<10>(length, block);
    block.put_slice(b"\r\n");
}

/// A token that could break out of its line is left out; readers hand out none, callers might.
fn put_upgrade(token: &str, block: &mut BytesMut) {
    if token.bytes().all(|b| b.is_ascii_graphic()) {
        block.put_slice(b"connection: upgrade\r\n");
        put_field(b"upgrade", token.as_bytes(), block);
    }
}
