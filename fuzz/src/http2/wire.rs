//! Frames made and read by hand, and what a wire between two peers may carry: a slow model of windows and of the order of
//! frames.

use std::collections::BTreeMap;

/// What a client's connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames.
pub const DATA: u8 = 0;
/// A head, or trailers.
pub const HEADERS: u8 = 1;
/// RST_STREAM.
pub const RESET: u8 = 3;
/// SETTINGS, or their acknowledgement.
pub const SETTINGS: u8 = 4;
/// WINDOW_UPDATE.
pub const WINDOW_UPDATE: u8 = 8;

/// A frame as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 for the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The number at the front of the payload: an error code, an increment, a last stream.
    #[must_use]
    pub fn number(&self) -> u32 {
        number(&self.payload[..4])
    }

    /// Whether its sender ends the stream with it.
    #[must_use]
    pub const fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & 1 != 0
    }

    /// What SETTINGS say.
    #[must_use]
    pub fn settings(&self) -> Vec<(u32, u32)> {
        let settings = self.payload.chunks_exact(6);
        let setting = |setting: &[u8]| (number(&setting[..2]), number(&setting[2..]));
        settings.map(setting).collect()
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte))
}

/// A frame in bytes.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// SETTINGS in bytes.
#[must_use]
pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// Fields as literals that no table keeps (RFC 7541 §6.2.2).
#[must_use]
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            if text.len() < 127 {
                block.push(text.len() as u8);
            } else {
                let rest = text.len() - 127;
                let octets = [
                    rest as u8 | 0x80,
                    (rest >> 7) as u8 | 0x80,
                    (rest >> 14) as u8,
                ];
                block.push(127);
                block.extend(octets);
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Takes the complete frames at the front of `bytes`.
pub fn take_frames(bytes: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while bytes.len() >= 9 {
        let length = number(&bytes[..3]) as usize;
        if bytes.len() < 9 + length {
            break;
        }
        let rest = bytes.split_off(9 + length);
        frames.push(Frame {
            kind: bytes[3],
            flags: bytes[4],
            stream: number(&bytes[5..9]),
            payload: bytes.split_off(9),
        });
        *bytes = rest;
    }
    frames
}

/// Where one side is with a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Said {
    #[default]
    Nothing,
    Head,
    End,
    Reset,
}

/// What one side may send, by the frames that the other side sent and it has got (RFC 9113 §6.9), with plain sums.
#[derive(Debug)]
pub struct Windows {
    connection: i64,
    initial: i64,
    /// What a stream has beyond the initial window.
    streams: BTreeMap<u32, i64>,
    said: BTreeMap<u32, Said>,
    /// A block of which the end is to come.
    open_block: Option<u32>,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            connection: 65_535,
            initial: 65_535,
            streams: BTreeMap::new(),
            said: BTreeMap::new(),
            open_block: None,
        }
    }
}

impl Windows {
    /// It has got a frame.
    pub fn got(&mut self, frame: &Frame) {
        match (frame.kind, frame.stream & 0x7fff_ffff) {
            (SETTINGS, _) => {
                for (name, value) in frame.settings() {
                    if name == 4 {
                        self.initial = i64::from(value);
                    }
                }
            }
            (WINDOW_UPDATE, 0) => self.connection += i64::from(frame.number() & 0x7fff_ffff),
            (WINDOW_UPDATE, stream) => {
                *self.streams.entry(stream).or_default() += i64::from(frame.number() & 0x7fff_ffff);
            }
            _ => {}
        }
    }

    /// Whether nothing can be sent on a stream.
    #[must_use]
    pub fn is_shut(&self, stream: u32) -> bool {
        let of_stream = self.initial + self.streams.get(&stream).copied().unwrap_or_default();
        self.connection <= 0 || of_stream <= 0
    }

    /// It sends a frame.
    pub fn sent(&mut self, frame: &Frame) {
        assert!(frame.payload.len() <= 16_384, "every peer takes it");
        let continues = frame.kind == 9;
        assert_eq!(
            self.open_block.is_some(),
            continues,
            "blocks are not interrupted"
        );
        if frame.kind == HEADERS || continues {
            assert!(self.open_block.is_none_or(|stream| stream == frame.stream));
            self.open_block = (frame.flags & 4 == 0).then_some(frame.stream);
        }
        self.order(frame);
        if frame.kind == DATA && !frame.payload.is_empty() {
            let length = frame.payload.len() as i64;
            let stream = self.streams.entry(frame.stream).or_default();
            *stream -= length;
            self.connection -= length;
            assert!(self.connection >= 0, "the connection's window holds");
            assert!(self.initial + *stream >= 0, "the stream's window holds");
        }
    }

    /// Heads first, nothing behind an end.
    fn order(&mut self, frame: &Frame) {
        let said = self.said.entry(frame.stream).or_default();
        match (frame.kind, *said) {
            (DATA, Said::Head) | (HEADERS, Said::Nothing | Said::Head) => {
                *said = if frame.ends_stream() {
                    Said::End
                } else {
                    Said::Head
                };
            }
            (DATA | HEADERS, _) => panic!("{frame:?} after {said:?}"),
            (RESET, _) => *said = Said::Reset,
            (WINDOW_UPDATE, Said::Reset) => panic!("credit for a stream that was reset"),
            _ => {}
        }
    }
}
