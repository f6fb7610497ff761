//! Frames: nine bytes of head, and a payload (RFC 9113 §4.1 and §6).
//!
//! Owns what one frame looks like and what is wrong with it alone. Whether it may come now is decided by whoever reads it.

use core::ops::Range;

use bytes::{BufMut, BytesMut};

use super::code::{Code, Fatal, Fault, broken_rule};
use super::stream_id::{StreamId, number_of};

/// Bytes of a frame's head.
pub(super) const HEAD: usize = 9;

/// The largest payload that we take and, unless it says more, that a peer takes (§4.2).
pub(super) const LEAST_MAX_FRAME: usize = 1 << 14;

/// What a client's connection begins with (§3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) mod flag {
    //! Flags; what each means depends on the type of the frame.
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_STREAM: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    ResetStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// To be ignored (§5.5).
    Unknown(u8),
}

impl Kind {
    const fn of(number: u8) -> Self {
        match number {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::ResetStream,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            other => Self::Unknown(other),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Data => 0x0,
            Self::Headers => 0x1,
            Self::Priority => 0x2,
            Self::ResetStream => 0x3,
            Self::Settings => 0x4,
            Self::PushPromise => 0x5,
            Self::Ping => 0x6,
            Self::GoAway => 0x7,
            Self::WindowUpdate => 0x8,
            Self::Continuation => 0x9,
            Self::Unknown(number) => number,
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// Bytes of the payload; below 2^24.
    pub(super) length: usize,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// None for frames that concern the connection.
    pub(super) stream: Option<StreamId>,
}

/// A frame, as far as it can be understood by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Data {
        stream: StreamId,
        ends_stream: bool,
        /// Where in the payload the data lies; the rest is padding, which counts for the windows.
        data: Range<usize>,
    },
    Headers {
        stream: StreamId,
        ends_stream: bool,
        ends_block: bool,
        fragment: &'a [u8],
    },
    Continuation {
        stream: StreamId,
        ends_block: bool,
        fragment: &'a [u8],
    },
    ResetStream {
        stream: StreamId,
        code: Code,
    },
    /// Six bytes for each.
    Settings(&'a [u8]),
    SettingsAck,
    Ping([u8; 8]),
    Pong([u8; 8]),
    GoAway {
        last: Option<StreamId>,
        code: Code,
    },
    WindowUpdate {
        stream: Option<StreamId>,
        /// At least 1.
        increment: u32,
    },
    PushPromise,
    /// Signals of priorities are deprecated, and ignored (§5.3.2).
    Priority,
    Unknown,
}

const SIZE: Fatal = broken_rule(
    Code::FrameSizeError,
    "a frame has a size that its type does not allow",
);
const NEEDS_STREAM: Fatal = broken_rule(
    Code::ProtocolError,
    "a frame of a stream came for the connection",
);
const NEEDS_CONNECTION: Fatal = broken_rule(
    Code::ProtocolError,
    "a frame of the connection came for a stream",
);
const PADDING: Fatal = broken_rule(Code::ProtocolError, "a frame has more padding than payload");
const NO_INCREMENT: Fatal = broken_rule(
    Code::ProtocolError,
    "WINDOW_UPDATE of the connection adds nothing",
);

impl FrameHead {
    /// Reads the head at the front of `bytes`; `None` when less than that is here.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<HEAD>()?;
        Some(Self {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind: Kind::of(kind),
            flags,
            stream: StreamId::new(u32::from_be_bytes([s0, s1, s2, s3])),
        })
    }

    /// Appends it.
    pub(super) fn write(self, out: &mut BytesMut) {
        out.put_slice(&self.to_bytes());
    }

    /// As it stands on the wire.
    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        // Frames that we write are no longer than what the peer takes, below 2^24.
        let [_, l0, l1, l2] = (self.length as u32).to_be_bytes();
        let [s0, s1, s2, s3] = number_of(self.stream).to_be_bytes();
        [l0, l1, l2, self.kind.number(), self.flags, s0, s1, s2, s3]
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Understands a payload, of which all is here.
    ///
    /// # Errors
    /// What §6 says of the frame's type.
    pub(super) fn understand(self, payload: &[u8]) -> Result<Frame<'_>, Fault> {
        match self.kind {
            Kind::Data => {
                let stream = self.stream()?;
                let data = self.without_padding(payload, 0)?;
                Ok(Frame::Data {
                    stream,
                    ends_stream: self.has(flag::END_STREAM),
                    data,
                })
            }
            Kind::Headers => self.headers(payload),
            Kind::Continuation => Ok(Frame::Continuation {
                stream: self.stream()?,
                ends_block: self.has(flag::END_HEADERS),
                fragment: payload,
            }),
            Kind::Priority => match (self.stream()?, payload.len()) {
                (_, 5) => Ok(Frame::Priority),
                (stream, _) => Err(Fault::Stream(stream, Code::FrameSizeError)),
            },
            Kind::ResetStream => {
                let code = Code::of(u32::from_be_bytes(exactly(payload)?));
                let stream = self.stream()?;
                Ok(Frame::ResetStream { stream, code })
            }
            Kind::Settings => self.settings(payload),
            Kind::PushPromise => Ok(self.stream().map(|_| Frame::PushPromise)?),
            Kind::Ping => {
                let opaque = exactly(payload)?;
                self.of_connection()?;
                Ok(if self.has(flag::ACK) {
                    Frame::Pong(opaque)
                } else {
                    Frame::Ping(opaque)
                })
            }
            Kind::GoAway => self.goaway(payload),
            Kind::WindowUpdate => {
                let increment = u32::from_be_bytes(exactly(payload)?) & StreamId::MAX.number();
                match (increment, self.stream) {
                    (0, None) => Err(NO_INCREMENT.into()),
                    (0, Some(stream)) => Err(Fault::Stream(stream, Code::ProtocolError)),
                    (increment, stream) => Ok(Frame::WindowUpdate { stream, increment }),
                }
            }
            Kind::Unknown(_) => Ok(Frame::Unknown),
        }
    }

    fn headers(self, payload: &[u8]) -> Result<Frame<'_>, Fault> {
        let stream = self.stream()?;
        let priority = if self.has(flag::PRIORITY) { 5 } else { 0 };
        let range = self.without_padding(payload, priority)?;
        Ok(Frame::Headers {
            stream,
            ends_stream: self.has(flag::END_STREAM),
            ends_block: self.has(flag::END_HEADERS),
            fragment: payload.get(range).ok_or(PADDING)?,
        })
    }

    fn goaway(self, payload: &[u8]) -> Result<Frame<'_>, Fault> {
        self.of_connection()?;
        let last = payload.first_chunk().ok_or(SIZE)?;
        let code = payload.get(4..).and_then(<[u8]>::first_chunk).ok_or(SIZE)?;
        Ok(Frame::GoAway {
            last: StreamId::new(u32::from_be_bytes(*last)),
            code: Code::of(u32::from_be_bytes(*code)),
        })
    }

    fn settings(self, payload: &[u8]) -> Result<Frame<'_>, Fault> {
        self.of_connection()?;
        match (self.has(flag::ACK), payload.len()) {
            (true, 0) => Ok(Frame::SettingsAck),
            (false, length) if length % 6 == 0 => Ok(Frame::Settings(payload)),
            (true | false, _) => Err(SIZE.into()),
        }
    }

    /// Where the payload lies within its padding (§6.1), behind `skip` bytes of something else.
    fn without_padding(self, payload: &[u8], skip: usize) -> Result<Range<usize>, Fatal> {
        if !self.has(flag::PADDED) {
            // What a frame must have and is not there is a matter of its size.
            return if skip > payload.len() {
                Err(SIZE)
            } else {
                Ok(skip..payload.len())
            };
        }
        let padding = usize::from(*payload.first().ok_or(SIZE)?);
        let start = 1 + skip;
        match payload.len().checked_sub(padding) {
            Some(end) if end >= start => Ok(start..end),
            Some(_) | None => Err(PADDING),
        }
    }

    fn stream(self) -> Result<StreamId, Fatal> {
        self.stream.ok_or(NEEDS_STREAM)
    }

    const fn of_connection(self) -> Result<(), Fatal> {
        match self.stream {
            None => Ok(()),
            Some(_) => Err(NEEDS_CONNECTION),
        }
    }
}

fn exactly<const N: usize>(payload: &[u8]) -> Result<[u8; N], Fatal> {
    payload.try_into().map_err(|_| SIZE)
}

/// Writes a frame that is not longer than what every peer takes.
pub(super) fn put(
    kind: Kind,
    flags: u8,
    stream: Option<StreamId>,
    payload: &[u8],
    out: &mut BytesMut,
) {
    let head = FrameHead {
        length: payload.len(),
        kind,
        flags,
        stream,
    };
    head.write(out);
    out.put_slice(payload);
}

#[cfg(test)]
mod tests;
