//! Base64 of streams (RFC 4648 §4) for `grpc-web-text`: bytes are translated as they come, whatever the cuts.
//!
//! Padding may stand wherever a sender flushed ("base64-encoded chunks with potential padding"), so each four characters
//! stand for themselves. What is sent is padded at the end of each message, as in Envoy: a message that is whole is not kept
//! back, and a long one is not kept together.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::trailers;
use crate::message::Headers;

/// The flag and the length before each message of gRPC.
const PREFIX: u8 = 5;

/// A body that is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBase64;

impl BadBase64 {
    /// What the client is told, in Envoy's words.
    pub const MESSAGE: &'static str = "Bad gRPC-web request, invalid base64 data.";
}

/// Characters of base64 to bytes.
#[derive(Clone, Debug, Default)]
pub struct TextDecoder {
    /// Of four characters, those that have come.
    kept: [u8; 4],
    count: usize,
}

impl TextDecoder {
    /// Decodes the next characters and appends what is whole.
    ///
    /// # Errors
    /// They are not base64.
    pub fn push(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), BadBase64> {
        for byte in data {
            // `count` is at most 3 here.
            self.kept[self.count] = *byte;
            self.count += 1;
            if self.count == 4 {
                self.count = 0;
                let mut bytes = [0; 3];
                let decoded = STANDARD.decode_slice(self.kept, &mut bytes);
                let count = decoded.map_err(|_| BadBase64)?;
                out.extend_from_slice(bytes.get(..count).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// There are no more characters.
    ///
    /// # Errors
    /// Some are missing.
    pub const fn end(&self) -> Result<(), BadBase64> {
        match self.count {
            0 => Ok(()),
            _ => Err(BadBase64),
        }
    }
}

/// Where in the frames of a body we are.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the bytes before a message: how many came, and of the length that they say what came.
    Prefix { came: u8, length: u32 },
    /// In a message, with so many bytes to come; at least 1.
    Message { left: u32 },
}

/// Messages of gRPC to characters of base64.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    place: Place,
    /// Of three bytes, those that have come.
    kept: [u8; 3],
    count: usize,
}

impl Default for TextEncoder {
    fn default() -> Self {
        Self {
            place: START,
            kept: [0; 3],
            count: 0,
        }
    }
}

const START: Place = Place::Prefix { came: 0, length: 0 };

impl TextEncoder {
    /// Encodes the next bytes and appends what is whole: all of a message at its end, and before that three bytes at a time.
    pub fn push(&mut self, mut data: &[u8], out: &mut BytesMut) {
        while let Some((first, rest)) = data.split_first() {
            match self.place {
                Place::Prefix { came, length } => {
                    self.encode(&[*first], out);
                    // The flag comes first and is shifted out again.
                    let length = length << 8 | u32::from(*first);
                    let came = came + 1;
                    self.place = match (came, length) {
                        (PREFIX, 0) => {
                            self.flush(out);
                            START
                        }
                        (PREFIX, left) => Place::Message { left },
                        _ => Place::Prefix { came, length },
                    };
                    data = rest;
                }
                Place::Message { left } => {
                    let take =
                        usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
                    let (message, rest) = data.split_at(take);
                    self.encode(message, out);
                    // No more than `left`.
                    let left = left - take as u32;
                    self.place = if left == 0 {
                        self.flush(out);
                        START
                    } else {
                        Place::Message { left }
                    };
                    data = rest;
                }
            }
        }
    }

    /// The body has ended, with these trailers: appends what is left and their frame.
    pub fn end(mut self, trailers: Option<&Headers>, out: &mut BytesMut) {
        self.flush(out);
        if let Some(trailers) = trailers {
            let mut frame = BytesMut::new();
            trailers::frame(trailers, &mut frame);
            self.encode(&frame, out);
            self.flush(out);
        }
    }

    fn encode(&mut self, data: &[u8], out: &mut BytesMut) {
        for byte in data {
            // `count` is at most 2 here.
            self.kept[self.count] = *byte;
            self.count += 1;
            if self.count == 3 {
                self.flush(out);
            }
        }
    }

    /// Encodes what was kept, padded to four characters.
    fn flush(&mut self, out: &mut BytesMut) {
        let kept = self.kept.get(..self.count).unwrap_or_default();
        let mut characters = [0; 4];
        // Three bytes are four characters, so there is room.
        let count = STANDARD.encode_slice(kept, &mut characters).unwrap_or(0);
        out.extend_from_slice(characters.get(..count).unwrap_or_default());
        self.count = 0;
    }
}
