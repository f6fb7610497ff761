//! Frames made and read by hand, and what a wire between two peers may carry: a slow model of windows.

use std::collections::BTreeMap;

/// A frame as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

impl Frame {
    /// The number at the front of the payload: an error code, an increment, a last stream.
    pub(crate) fn number(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }

    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & 1 != 0
    }

    pub(crate) fn settings(&self) -> Vec<(u16, u32)> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        let chunks = self.payload.chunks_exact(6);
        chunks
            .map(|setting| (number(&setting[..2]) as u16, number(&setting[2..])))
            .collect()
    }
}

/// Takes the complete frames at the front of `bytes`.
pub(crate) fn take_frames(bytes: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        if bytes.len() < 9 + length {
            break;
        }
        let rest = bytes.split_off(9 + length);
        frames.push(Frame {
            kind: bytes[3],
            flags: bytes[4],
            stream: u32::from_be_bytes(bytes[5..9].try_into().unwrap()),
            payload: bytes.split_off(9),
        });
        *bytes = rest;
    }
    frames
}

/// What one side may send, by the frames that the other side sent and it has got (RFC 9113 §6.9), with plain sums.
#[derive(Debug)]
pub(crate) struct Windows {
    connection: i64,
    initial: i64,
    /// What a stream has beyond the initial window.
    streams: BTreeMap<u32, i64>,
    most_frame: usize,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            connection: 65_535,
            initial: 65_535,
            streams: BTreeMap::new(),
            most_frame: 16_384,
        }
    }
}

impl Windows {
    /// It has got a frame.
    pub(crate) fn got(&mut self, frame: &Frame) {
        match (frame.kind, frame.stream) {
            (SETTINGS, _) => {
                for (name, value) in frame.settings() {
                    if name == 4 {
                        self.initial = i64::from(value);
                    }
                }
            }
            (WINDOW_UPDATE, 0) => self.connection += i64::from(frame.number()),
            (WINDOW_UPDATE, stream) => {
                *self.streams.entry(stream).or_default() += i64::from(frame.number());
            }
            _ => {}
        }
    }

    /// It sends a frame.
    pub(crate) fn sent(&mut self, frame: &Frame) {
        assert!(frame.payload.len() <= self.most_frame, "frames are short");
        if frame.kind == DATA && !frame.payload.is_empty() {
            let length = frame.payload.len() as i64;
            let stream = self.streams.entry(frame.stream).or_default();
            *stream -= length;
            self.connection -= length;
            assert!(self.connection >= 0, "the connection's window holds");
            assert!(self.initial + *stream >= 0, "the stream's window holds");
        }
    }
}
