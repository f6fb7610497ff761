//! Frames that came, in the order in which they did.

use bytes::BytesMut;
use outrigger_core::http2::hpack::Decoder;

use super::text::{CODES, KINDS, PREFACE, SETTINGS, put};
use crate::escape::readable;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) stream: u32,
    /// As a case would await it: type, stream, flags.
    pub(super) first: String,
    /// Of a header block, or the settings.
    pub(super) fields: Vec<(String, String)>,
    pub(super) payload: Vec<u8>,
    pub(super) ends_stream: bool,
}

impl Heard {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.first.split(' ').next() == Some(kind)
    }
}

/// Reads frames.
pub(super) struct Frames {
    buffer: BytesMut,
    /// What is left of the preface.
    preface: &'static [u8],
    decoder: Decoder,
    block: BytesMut,
}

impl Frames {
    /// Of a client, with a preface, or of a service.
    pub(super) fn new(of_client: bool) -> Self {
        Self {
            buffer: BytesMut::new(),
            preface: if of_client { PREFACE } else { &[] },
            decoder: Decoder::new(4096),
            block: BytesMut::new(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `answers` gets what must be answered at once.
    pub(super) fn next(&mut self, answers: &mut Vec<u8>) -> Result<Option<Heard>, String> {
        if self.buffer.len() < self.preface.len() {
            return Ok(None);
        }
        let preface = self.buffer.split_to(self.preface.len());
        if preface != *self.preface {
            return Err(format!("no preface: {}", readable(&preface)));
        }
        self.preface = &[];
        let Some(&[a, b, c, kind, flags, s, t, u, v]) = self.buffer.first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if self.buffer.len() < 9 + length {
            return Ok(None);
        }
        let _ = self.buffer.split_to(9);
        let payload = self.buffer.split_to(length).to_vec();
        let stream = u32::from_be_bytes([s & 0x7f, t, u, v]);
        self.understand(kind, flags, stream, payload, answers)
            .map(Some)
    }

    fn understand(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: Vec<u8>,
        answers: &mut Vec<u8>,
    ) -> Result<Heard, String> {
        let name = KINDS.get(usize::from(kind)).copied().unwrap_or("FRAME");
        let number = |at: usize| {
            let four = payload.get(at..).and_then(|rest| rest.first_chunk());
            four.map_or(0, |four| u32::from_be_bytes(*four))
        };
        let code = |at: usize| CODES.get(number(at) as usize).copied().unwrap_or("UNKNOWN");
        let mut heard = Heard {
            stream,
            first: format!("{name} {stream}"),
            fields: Vec::new(),
            payload: Vec::new(),
            ends_stream: matches!(name, "DATA" | "HEADERS") && flags & 1 == 1,
        };
        match name {
            "HEADERS" | "CONTINUATION" => {
                self.block.extend_from_slice(&payload);
                if flags & 4 == 4 {
                    let block = self.block.split();
                    let fields = &mut heard.fields;
                    let text =
                        |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
                    let decoded = self.decoder.decode(&block, |name, value| {
                        fields.push((text(name), text(value)));
                    });
                    decoded.map_err(|_| "a header block that can not be decoded".to_owned())?;
                }
            }
            "RST_STREAM" => heard.first = format!("RST_STREAM {stream} {}", code(0)),
            "GOAWAY" => heard.first = format!("GOAWAY {} {}", number(0), code(4)),
            "SETTINGS" | "PING" if flags & 1 == 1 => heard.first = format!("{name} ACK"),
            "SETTINGS" => {
                heard.first = name.to_owned();
                put(4, 1, 0, &[], answers);
                for entry in payload.chunks_exact(6) {
                    let id = u16::from_be_bytes([entry[0], entry[1]]);
                    let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
                    let known = SETTINGS.iter().find(|(_, known)| *known == id);
                    let name = known.map_or_else(|| id.to_string(), |(name, _)| (*name).to_owned());
                    heard.fields.push((name, value.to_string()));
                }
            }
            "PING" => {
                heard.first = name.to_owned();
                put(6, 1, 0, &payload, answers);
            }
            "WINDOW_UPDATE" => heard.first = format!("{name} {stream} {}", number(0)),
            "DATA" => heard.payload = payload,
            _ => {}
        }
        if heard.ends_stream {
            heard.first += " END_STREAM";
        }
        Ok(heard)
    }
}
