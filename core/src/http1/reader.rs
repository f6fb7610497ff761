//! Bytes of one side of a connection to heads and body parts, one message after the other.
//!
//! Owns how far the current message has been read. Consumes what it understood from the front of the buffer it is handed
//! and remembers what it has already looked at, so the owner may only append between two calls. Never allocates per
//! message once the heads it fills have grown to their usual size.

use bytes::{Buf, BytesMut};

use super::chunked::{self, Chunks, Step};
use super::framing::{Asked, Framing};
use super::limits::Limits;
use super::lines::{LineEnd, Lines};
use super::refusals::{BODY_CUT, HEAD_CUT, HEAD_TOO_LARGE, START_LINE, TLS};
use super::request_head::{self, RequestFacts};
use super::response_head::{self, ResponseFacts};
use crate::decision::Refused;
use crate::message::{RequestHead, ResponseHead, is_token_byte};
use crate::stream::Part;

/// How TLS begins (RFC 8446 §5.1): a record of type handshake. One byte tells, which is the same however much has come.
const TLS_HANDSHAKE: &[u8] = &[22];

/// Leaves so many bytes behind. Where they are all, the memory is whole again, which is cheaper now than later.
fn pass(buf: &mut BytesMut, count: usize) {
    if count == buf.len() {
        buf.clear();
    } else {
        buf.advance(count);
    }
}

/// Reads the messages that one peer sends. After a refusal it refuses for ever: where the next message begins is unknown.
#[derive(Clone, Debug)]
pub struct Reader {
    role: Role,
    limits: &'static Limits,
    state: Within,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Requests,
    Responses,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Head {
        lines: Lines,
        /// An empty line before the request line was skipped.
        skipped_line: bool,
    },
    /// This many body bytes, at least one or an end not yet told.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Tunnel,
    Refused(Refused),
}

impl Within {
    const NEXT_HEAD: Self = Self::Head {
        lines: Lines::START,
        skipped_line: false,
    };

    fn after_head(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::NEXT_HEAD,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::default()),
            Framing::UntilClose => Self::UntilClose,
            Framing::Tunnel => Self::Tunnel,
        }
    }
}

impl Reader {
    /// A reader of what a client sends.
    #[must_use]
    pub const fn requests(limits: &'static Limits) -> Self {
        Self {
            role: Role::Requests,
            limits,
            state: Within::NEXT_HEAD,
        }
    }

    /// A reader of what an upstream sends.
    #[must_use]
    pub const fn responses(limits: &'static Limits) -> Self {
        Self {
            role: Role::Responses,
            limits,
            state: Within::NEXT_HEAD,
        }
    }

    /// Reads a request's head into `into` and removes it from `buf`. `None` when more bytes are needed, or when the
    /// body of the message before has not been read to its end.
    ///
    /// # Errors
    /// The request is malformed, ambiguous or too large. `into` then holds what had been read.
    pub fn request_head(
        &mut self,
        buf: &mut BytesMut,
        into: &mut RequestHead,
    ) -> Result<Option<RequestFacts>, Refused> {
        let at_once = self
            .fresh(buf)
            .and_then(|most| request_head::parse_at_once(most, self.limits, into));
        let (facts, end) = match at_once {
            Some(read) => read,
            None => {
                let Some(end) = self.head_end(buf)? else {
                    return Ok(None);
                };
                let facts = request_head::parse(&buf[..end], self.limits, into);
                (facts.map_err(|refused| self.refuse(refused))?, end)
            }
        };
        pass(buf, end);
        self.state = Within::after_head(facts.framing);
        Ok(Some(facts))
    }

    /// Reads a response's head into `into` and removes it from `buf`; otherwise as [`Reader::request_head`]. After an
    /// interim head the next one follows.
    ///
    /// # Errors
    /// The response is malformed, ambiguous or too large; the status of the refusal is 502.
    pub fn response_head(
        &mut self,
        buf: &mut BytesMut,
        asked: Asked<'_>,
        into: &mut ResponseHead,
    ) -> Result<Option<ResponseFacts>, Refused> {
        let at_once = self
            .fresh(buf)
            .and_then(|most| response_head::parse_at_once(most, self.limits, asked, into));
        let (facts, end) = match at_once {
            Some(read) => read,
            None => {
                let Some(end) = self.head_end(buf)? else {
                    return Ok(None);
                };
                let facts = response_head::parse(&buf[..end], self.limits, asked, into);
                (facts.map_err(|refused| self.refuse(refused))?, end)
            }
        };
        pass(buf, end);
        self.state = Within::after_head(facts.framing);
        Ok(Some(facts))
    }

    /// Takes the next part of the current body from `buf`.
    ///
    /// # Errors
    /// The body's framing is malformed.
    pub fn body(&mut self, buf: &mut BytesMut) -> Result<Part, Refused> {
        match &mut self.state {
            Within::Head { .. } => Ok(Part::End),
            Within::Length(0) => {
                self.state = Within::NEXT_HEAD;
                Ok(Part::End)
            }
            Within::Length(left) => Ok(chunked::take(buf, left).map_or(Part::NeedMore, Part::Data)),
            Within::Chunked(chunks) => {
                let step = chunks.step(buf, self.limits);
                match step.map_err(|refused| self.refuse(refused))? {
                    Step::More => Ok(Part::NeedMore),
                    Step::Data(data) => Ok(Part::Data(data)),
                    Step::End(trailers) => {
                        self.state = Within::NEXT_HEAD;
                        Ok(if trailers.is_empty() {
                            Part::End
                        } else {
                            Part::Trailers(trailers)
                        })
                    }
                }
            }
            Within::UntilClose | Within::Tunnel => {
                Ok(chunked::take(buf, &mut u64::MAX.clone()).map_or(Part::NeedMore, Part::Data))
            }
            Within::Refused(refused) => Err(*refused),
        }
    }

    /// Tells that the peer sends no more. Call it when a head or body needs more bytes and none will come; `buf` is what
    /// is left of them. A body that the connection's end delimits is complete then, and so is a tunnel.
    ///
    /// # Errors
    /// The end cuts a message.
    pub fn eof(&mut self, buf: &BytesMut) -> Result<(), Refused> {
        match self.state {
            // A client may have ended its last message with an empty line too many.
            Within::Head { .. } if matches!(buf[..], [] | [b'\r'] | [b'\r', b'\n']) => Ok(()),
            Within::Head { .. } => Err(self.refuse(HEAD_CUT)),
            Within::Length(1..) | Within::Chunked(_) => Err(self.refuse(BODY_CUT)),
            Within::Length(0) | Within::UntilClose | Within::Tunnel => {
                self.state = Within::NEXT_HEAD;
                Ok(())
            }
            Within::Refused(refused) => Err(refused),
        }
    }

    /// What a head is read from that may be there as a whole, and of which nothing was looked at yet.
    fn fresh<'a>(&self, buf: &'a [u8]) -> Option<&'a [u8]> {
        match self.state {
            Within::Head { lines, .. } if lines == Lines::START && !buf.is_empty() => {
                Some(&buf[..buf.len().min(self.limits.head_bytes)])
            }
            Within::Head { .. }
            | Within::Length(_)
            | Within::Chunked(_)
            | Within::UntilClose
            | Within::Tunnel
            | Within::Refused(_) => None,
        }
    }

    /// The length of the head at the front of `buf`, once all of it is there.
    fn head_end(&mut self, buf: &mut BytesMut) -> Result<Option<usize>, Refused> {
        match self.look_for_head(buf) {
            Ok(end) => Ok(end),
            Err(refused) => Err(self.refuse(refused)),
        }
    }

    fn look_for_head(&mut self, buf: &mut BytesMut) -> Result<Option<usize>, Refused> {
        let (lines, skipped_line) = match &mut self.state {
            Within::Head { .. } if buf.is_empty() => return Ok(None),
            Within::Head {
                lines,
                skipped_line,
            } => (lines, skipped_line),
            Within::Refused(refused) => return Err(*refused),
            Within::Length(_) | Within::Chunked(_) | Within::UntilClose | Within::Tunnel => {
                return Ok(None);
            }
        };
        // RFC 9112 §2.2: at least one empty line before a request line is to be ignored.
        if self.role == Role::Requests && !*skipped_line && *lines == Lines::START {
            match buf[..] {
                [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => {
                    buf.advance(2);
                    *skipped_line = true;
                }
                [..] => {}
            }
        }
        if let Some(first) = buf.first() {
            // Other protocols (TLS, say) are told apart at once.
            let may_begin = match self.role {
                Role::Requests => is_token_byte(*first),
                Role::Responses => *first == b'H',
            };
            if !may_begin {
                let is_tls = self.role == Role::Requests && buf.starts_with(TLS_HANDSHAKE);
                return Err(if is_tls { TLS } else { START_LINE });
            }
        }
        let most = &buf[..buf.len().min(self.limits.head_bytes)];
        let end = match self.role {
            Role::Requests => {
                lines.find_end(most, LineEnd::Strict, request_head::check_first_line)?
            }
            Role::Responses => lines.find_end(most, LineEnd::Lenient, |_| Ok(()))?,
        };
        if end.is_none() && buf.len() > self.limits.head_bytes {
            return Err(HEAD_TOO_LARGE);
        }
        Ok(end)
    }

    /// Remembers a refusal, with the status that the role makes of it.
    fn refuse(&mut self, refused: Refused) -> Refused {
        let refused = match self.role {
            Role::Requests => refused,
            Role::Responses => Refused {
                status: 502,
                ..refused
            },
        };
        self.state = Within::Refused(refused);
        refused
    }
}
