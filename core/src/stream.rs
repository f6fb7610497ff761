//! One request and its response as a codec tells them: the words in which codecs and the exchange speak.
//!
//! A message is a head, data, perhaps trailers, and an end. How each of them looks on the wire, whose turn it is and what a
//! version forbids is the codec's; what becomes of them is the exchange's. Heads have no bytes here, only values
//! ([`message`](crate::message)).

use bytes::Bytes;

use crate::decision::Refused;
use crate::message::Headers;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1, or 1.0 if a client speaks that.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// Names one request with its response among those of a connection, and is never used twice on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub(crate) u32);

impl StreamId {
    /// The only one that HTTP/1 has at a time. HTTP/2 begins at 1.
    pub const ONLY: Self = Self(0);
}

/// Why a stream of a connection that carries several ended before its message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Nothing of the request was processed, so it is safe to send it again whatever its method (RFC 9113 §8.7):
    /// REFUSED_STREAM, or a stream above the last one of GOAWAY.
    Unprocessed,
    /// It is no longer wanted: CANCEL.
    Cancelled,
    /// The response is complete, and the rest of the request is not needed: NO_ERROR.
    NoError,
    /// Anything else that went wrong: INTERNAL_ERROR, and the codes on which nobody acts.
    Failed,
    /// The peer broke a rule: of this stream, or of the connection, which ends with it.
    Protocol,
    /// The peer took nothing for too long.
    Stalled,
    /// The connection ended within it.
    Cut,
}

/// Why nothing more can be read of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It broke the rules.
    Refused(Refused),
    /// Its stream was reset.
    Reset(Reset),
}

/// How much body a head announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    #[default]
    None,
    /// This many bytes.
    Known(u64),
    /// Some; how much will be seen.
    Unknown,
}

/// How a request begins, apart from its head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begins {
    /// How much body follows. None for a CONNECT, whose bytes wait for the answer.
    pub body: BodyLength,
    /// The protocol that is asked for instead; never `h2c`.
    pub upgrade: Option<Box<str>>,
}

/// What the head of a response begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 1xx: another head follows.
    Interim,
    /// The response, with so much body.
    Final(BodyLength),
    /// No longer a message: bytes pass both ways until the connection ends. The protocol of a 101.
    Switched(Option<Box<str>>),
}

/// A part of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing can be told before more bytes arrive.
    NeedMore,
    /// Bytes of the body or of a tunnel, split off the buffer without copying. Never empty.
    Data(Bytes),
    /// The trailers worth forwarding. [`Part::End`] is next.
    Trailers(Headers),
    /// The body is complete; the next call that makes sense asks for a head. Told again however often it is asked.
    End,
}
