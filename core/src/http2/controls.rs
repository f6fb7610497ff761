//! Frames that answer the peer or end something, and wait to be written before all data.

use std::collections::VecDeque;

use bytes::{BufMut, BytesMut};

use super::code::Code;
use super::frame::{self, Kind, flag};
use super::stream_id::{StreamId, number_of};

/// What the PING says that goes with the first GOAWAY, and the one that asks whether the peer is there.
pub(super) const DRAIN_PING: [u8; 8] = *b"draining";
pub(super) const ALIVE_PING: [u8; 8] = *b"alive?\0\0";

/// A frame that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    SettingsAck,
    Ping([u8; 8]),
    Pong([u8; 8]),
    Reset(StreamId, Code),
    GoAway {
        last: Option<StreamId>,
        code: Code,
        explain: &'static str,
    },
}

impl Control {
    pub(super) fn write(self, out: &mut BytesMut) {
        match self {
            Self::SettingsAck => frame::put(Kind::Settings, flag::ACK, None, b"", out),
            Self::Ping(opaque) => frame::put(Kind::Ping, 0, None, &opaque, out),
            Self::Pong(opaque) => frame::put(Kind::Ping, flag::ACK, None, &opaque, out),
            Self::Reset(stream, code) => {
                let code = code.number().to_be_bytes();
                frame::put(Kind::ResetStream, 0, Some(stream), &code, out);
            }
            Self::GoAway {
                last,
                code,
                explain,
            } => {
                let head = frame::FrameHead {
                    length: 8 + explain.len(),
                    kind: Kind::GoAway,
                    flags: 0,
                    stream: None,
                };
                head.write(out);
                out.put_u32(number_of(last));
                out.put_u32(code.number());
                out.put_slice(explain.as_bytes());
            }
        }
    }
}

/// Frames that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Controls {
    queue: VecDeque<Control>,
}

impl Controls {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Adds a frame.
    pub(super) fn say(&mut self, control: Control) {
        self.queue.push_back(control);
    }

    /// The last that is said: what waited is forgotten.
    pub(super) fn say_last(&mut self, control: Control) {
        self.queue.clear();
        self.queue.push_back(control);
    }

    pub(super) fn pop(&mut self) -> Option<Control> {
        let next = self.queue.pop_front();
        if next.is_none() && self.queue.capacity() > 64 {
            self.queue = VecDeque::new();
        }
        next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Writes WINDOW_UPDATE; `increment` is at least 1.
pub(super) fn put_window_update(stream: Option<StreamId>, increment: u32, out: &mut BytesMut) {
    debug_assert!(increment > 0, "an update adds something");
    frame::put(Kind::WindowUpdate, 0, stream, &increment.to_be_bytes(), out);
}
