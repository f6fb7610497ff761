//! Error codes, and the two kinds of error that there are: one ends a stream, the other the connection.

use super::stream_id::StreamId;
pub(super) use crate::stream::Broken;
use crate::stream::Reset;

/// An error code, in RST_STREAM and GOAWAY (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing is wrong.
    NoError,
    /// A rule was broken for which there is no other code.
    ProtocolError,
    /// The sender of the code failed.
    InternalError,
    /// More was sent than there was credit for, or a window grew beyond 2^31 - 1.
    FlowControlError,
    /// SETTINGS were not acknowledged in time.
    SettingsTimeout,
    /// A frame came for a stream that was closed for its sender.
    StreamClosed,
    /// A frame has an impossible size.
    FrameSizeError,
    /// Nothing of the stream was processed.
    RefusedStream,
    /// The stream is not wanted any longer.
    Cancel,
    /// The table of header compression is out of step.
    CompressionError,
    /// A tunnel's connection broke.
    ConnectError,
    /// The peer loads us too much.
    EnhanceYourCalm,
    /// The transport is too weak.
    InadequateSecurity,
    /// The peer wants HTTP/1.1.
    Http11Required,
    /// One that is not known. It means as much as `InternalError` (§7).
    Other(u32),
}

impl Code {
    /// What a number means.
    #[must_use]
    pub const fn of(number: u32) -> Self {
        match number {
            0x0 => Self::NoError,
            0x1 => Self::ProtocolError,
            0x2 => Self::InternalError,
            0x3 => Self::FlowControlError,
            0x4 => Self::SettingsTimeout,
            0x5 => Self::StreamClosed,
            0x6 => Self::FrameSizeError,
            0x7 => Self::RefusedStream,
            0x8 => Self::Cancel,
            0x9 => Self::CompressionError,
            0xa => Self::ConnectError,
            0xb => Self::EnhanceYourCalm,
            0xc => Self::InadequateSecurity,
            0xd => Self::Http11Required,
            other => Self::Other(other),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::NoError => 0x0,
            Self::ProtocolError => 0x1,
            Self::InternalError => 0x2,
            Self::FlowControlError => 0x3,
            Self::SettingsTimeout => 0x4,
            Self::StreamClosed => 0x5,
            Self::FrameSizeError => 0x6,
            Self::RefusedStream => 0x7,
            Self::Cancel => 0x8,
            Self::CompressionError => 0x9,
            Self::ConnectError => 0xa,
            Self::EnhanceYourCalm => 0xb,
            Self::InadequateSecurity => 0xc,
            Self::Http11Required => 0xd,
            Self::Other(number) => number,
        }
    }

    /// What it means to whoever owns the stream that a peer reset.
    pub(super) const fn meaning(self) -> Reset {
        match self {
            Self::NoError => Reset::NoError,
            Self::RefusedStream => Reset::Unprocessed,
            Self::Cancel => Reset::Cancelled,
            Self::ProtocolError
            | Self::InternalError
            | Self::FlowControlError
            | Self::SettingsTimeout
            | Self::StreamClosed
            | Self::FrameSizeError
            | Self::CompressionError
            | Self::ConnectError
            | Self::EnhanceYourCalm
            | Self::InadequateSecurity
            | Self::Http11Required
            | Self::Other(_) => Reset::Failed,
        }
    }

    /// How a peer is told of a reset.
    pub(super) const fn telling(reset: Reset) -> Self {
        match reset {
            Reset::Unprocessed => Self::RefusedStream,
            Reset::Cancelled => Self::Cancel,
            Reset::NoError => Self::NoError,
            Reset::Protocol => Self::ProtocolError,
            Reset::Stalled => Self::EnhanceYourCalm,
            Reset::Failed | Reset::Cut => Self::InternalError,
        }
    }
}

/// Why a connection ends. Its GOAWAY says the code, and `explain` as debug data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fatal {
    /// The code.
    pub code: Code,
    /// In the words of Envoy's response code details.
    pub details: &'static str,
    /// What was wrong, for people.
    pub explain: &'static str,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A connection error (§5.4.1).
    Connection(Fatal),
    /// A stream error (§5.4.2).
    Stream(StreamId, Code),
}

impl From<Fatal> for Fault {
    fn from(fatal: Fatal) -> Self {
        Self::Connection(fatal)
    }
}

const ERROR: &str = "http2.protocol_error";

/// A rule of the protocol was broken.
pub(super) const fn broken_rule(code: Code, explain: &'static str) -> Fatal {
    Fatal {
        code,
        details: ERROR,
        explain,
    }
}

/// A limit against floods was passed.
pub(super) const fn flood(details: &'static str, explain: &'static str) -> Fatal {
    Fatal {
        code: Code::EnhanceYourCalm,
        details,
        explain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round() {
        for number in 0..20 {
            assert_eq!(Code::of(number).number(), number);
        }
    }

    #[test]
    fn resets_are_told_and_understood() {
        for (reset, code, heard) in [
            (Reset::Unprocessed, 7, Reset::Unprocessed),
            (Reset::Cancelled, 8, Reset::Cancelled),
            (Reset::NoError, 0, Reset::NoError),
            (Reset::Protocol, 1, Reset::Failed),
            (Reset::Stalled, 11, Reset::Failed),
            (Reset::Cut, 2, Reset::Failed),
            (Reset::Failed, 2, Reset::Failed),
        ] {
            assert_eq!(Code::telling(reset).number(), code);
            assert_eq!(Code::of(code).meaning(), heard);
        }
    }
}
