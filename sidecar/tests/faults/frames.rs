//! HTTP/2 by hand: the few frames that rows of `docs/faults.md` speak of, and what frames that came say of a stream.

use outrigger_conformance::frames::CODES;
use outrigger_core::http2::hpack::Decoder;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes that some words mean.
pub(crate) fn frame(words: &[&str], host: &str) -> Option<Vec<u8>> {
    let stream = |text: &str| text.parse::<u32>().ok();
    let code = |text: &str| {
        let code = CODES.iter().position(|name| *name == text)?;
        u32::try_from(code).ok().map(u32::to_be_bytes)
    };
    Some(match *words {
        ["open"] => [PREFACE, &*framed(SETTINGS, 0, 0, b"")].concat(),
        ["settings"] => framed(SETTINGS, 0, 0, b""),
        ["GET", on] => framed(HEADERS, 5, stream(on)?, &request("GET", host)),
        ["POST", on] => framed(HEADERS, 4, stream(on)?, &request("POST", host)),
        // `:status 200`, and 204, in the static table (RFC 7541, appendix A).
        ["200", on] => framed(HEADERS, 4, stream(on)?, &[0x88]),
        ["204", on] => framed(HEADERS, 5, stream(on)?, &[0x89]),
        ["DATA", on, text] => framed(DATA, 0, stream(on)?, text.strip_prefix('"')?.as_bytes()),
        ["DATA", on, text, "END"] => {
            framed(DATA, 1, stream(on)?, text.strip_prefix('"')?.as_bytes())
        }
        // A frame that says to be longer than what comes.
        ["half", on] => framed(DATA, 0, stream(on)?, &[b'x'; 100])[..20].to_vec(),
        ["RST_STREAM", on, why] => framed(RST_STREAM, 0, stream(on)?, &code(why)?),
        ["GOAWAY", last, why] => {
            let payload = [stream(last)?.to_be_bytes(), code(why)?].concat();
            framed(GOAWAY, 0, 0, &payload)
        }
        _ => return None,
    })
}

/// Literals that nobody remembers.
fn request(method: &str, host: &str) -> Vec<u8> {
    let pairs = [
        (":method", method),
        (":scheme", "http"),
        (":authority", host),
        (":path", "/"),
    ];
    let byte = |text: &str| u8::try_from(text.len()).expect("names here are short");
    let field = |(name, value): (&str, &str)| {
        let (name_length, value_length) = ([0, byte(name)], [byte(value)]);
        [
            &name_length[..],
            name.as_bytes(),
            &value_length,
            value.as_bytes(),
        ]
        .concat()
    };
    pairs.into_iter().flat_map(field).collect()
}

fn framed(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames here are short");
    let head = [
        &length.to_be_bytes()[1..],
        &[kind, flags],
        &stream.to_be_bytes(),
    ]
    .concat();
    [&head[..], payload].concat()
}

/// A frame that came.
pub(crate) struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// Takes the first whole frame out of what has come; a preface before it goes with it.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        if buffer.starts_with(PREFACE) {
            buffer.drain(..PREFACE.len());
        }
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *buffer.first_chunk::<9>()?;
        let end = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = buffer.get(9..end)?.to_vec();
        buffer.drain(..end);
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        Some(Self {
            kind,
            flags,
            stream,
            payload,
        })
    }

    pub(crate) fn is_head(&self) -> bool {
        self.kind == HEADERS
    }

    /// What a frame says of a stream, and whether that is over with it.
    pub(crate) fn says(&self, stream: u32, fields: &mut Decoder) -> (Option<String>, bool) {
        let code = |at: usize| {
            let bytes = self.payload.get(at..).and_then(<[u8]>::first_chunk::<4>);
            let code = bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes)) as usize;
            CODES.get(code).copied().unwrap_or("an unknown code")
        };
        let ends = self.flags & 1 != 0;
        match self.kind {
            GOAWAY => (Some(format!("GOAWAY {}", code(4))), false),
            HEADERS => {
                let status = self.status(fields);
                (
                    status.filter(|_| self.stream == stream),
                    self.stream == stream && ends,
                )
            }
            RST_STREAM if self.stream == stream => (Some(format!("RST_STREAM {}", code(0))), true),
            DATA if self.stream == stream => (None, ends),
            _ => (None, false),
        }
    }

    /// The status of a head; none of trailers.
    fn status(&self, fields: &mut Decoder) -> Option<String> {
        let mut status = None;
        let read = fields.decode(&self.payload, |name, value| {
            if name == b":status" {
                status = Some(String::from_utf8_lossy(value).into_owned());
            }
        });
        read.err()
            .map(|_| "an unreadable head".to_owned())
            .or(status)
    }
}
