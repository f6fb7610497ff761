//! What the peers of a worker say, in both versions of HTTP: a GET as of a browser, and 1 KiB back.
//!
//! In HTTP/2 no field is put into a table (RFC 7541 §6.2.2): each request says them all, as the first one does.

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, with prior knowledge.
    Http2,
}

/// A request in HTTP/1.1.
pub(crate) const REQUEST: &[u8] =
    b"GET /cart?id=7 HTTP/1.1\r\nHost: s0.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
      Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\n\r\n";

/// The head of an answer in HTTP/1.1.
pub(crate) const RESPONSE_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n";

const BODY: usize = 1024;

/// An answer in HTTP/1.1, with its body.
pub(crate) const RESPONSE: [u8; RESPONSE_HEAD.len() + BODY] = {
    let mut all = [b'x'; RESPONSE_HEAD.len() + BODY];
    let (head, _) = all.split_at_mut(RESPONSE_HEAD.len());
    head.copy_from_slice(RESPONSE_HEAD);
    all
};

/// How a client begins in HTTP/2: its preface, settings, their acknowledgement, and all the room for answers that there can be.
pub(crate) const CLIENT_BEGINS: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0";

/// How an endpoint begins: settings, and the acknowledgement of those it was sent.
const ENDPOINT_BEGINS: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";

/// `:method: GET`, `:scheme: http`, and the fields of [`REQUEST`] without their places in a table.
const REQUEST_FIELDS: &[u8] = b"\x82\x86\x04\x0a/cart?id=7\x01\x0as0.example\
      \x0f\x2b\x1fMozilla/5.0 (X11; Linux x86_64)\x0f\x04\x1ftext/html,application/xhtml+xml\
      \x0f\x02\x02en\x0f\x01\x04gzip";

/// `:status: 200`, `content-type`, `content-length`.
const RESPONSE_FIELDS: &[u8] = b"\x88\x0f\x10\x0atext/plain\x0f\x0d\x041024";

const HEADERS: u8 = 1;
const DATA: u8 = 0;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAME_HEAD: usize = 9;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const fn frame_head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; FRAME_HEAD] {
    let [_, .., a, b, c] = (length as u64).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

/// The request as a frame of a stream.
pub(crate) fn request(stream: u32) -> [u8; FRAME_HEAD + REQUEST_FIELDS.len()] {
    let mut all = [0; FRAME_HEAD + REQUEST_FIELDS.len()];
    let flags = END_HEADERS | END_STREAM;
    all[..FRAME_HEAD].copy_from_slice(&frame_head(REQUEST_FIELDS.len(), HEADERS, flags, stream));
    all[FRAME_HEAD..].copy_from_slice(REQUEST_FIELDS);
    all
}

/// What an endpoint was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    stream: u32,
    /// The connection's first.
    is_first: bool,
}

/// The request in what was sent to an endpoint, whole frames behind the preface, if there is one.
pub(crate) fn asked(sent: &[u8]) -> Option<Asked> {
    let (mut rest, is_first) = match sent.strip_prefix(PREFACE) {
        Some(rest) => (rest, true),
        None => (sent, false),
    };
    while let [a, b, c, kind, _, d, e, f, g, ..] = *rest {
        if kind == HEADERS {
            let stream = u32::from_be_bytes([d, e, f, g]);
            return Some(Asked { stream, is_first });
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        rest = rest.get(FRAME_HEAD + length..)?;
    }
    None
}

/// All that an endpoint answers with, and how much of it is meant.
pub(crate) fn response(asked: Asked) -> ([u8; 1200], usize) {
    let mut all = [b'x'; 1200];
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        all[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    if asked.is_first {
        put(ENDPOINT_BEGINS);
    }
    let fields = RESPONSE_FIELDS;
    put(&frame_head(
        fields.len(),
        HEADERS,
        END_HEADERS,
        asked.stream,
    ));
    put(fields);
    put(&frame_head(BODY, DATA, END_STREAM, asked.stream));
    length += BODY;
    (all, length)
}
