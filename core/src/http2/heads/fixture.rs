//! Blocks for tests, written as plainly as the tables have them.

use bytes::BytesMut;

use crate::http2::hpack::{Decoder, Encoder};
use crate::message::Headers;

/// Fields as `name: value`; a name ends at the first colon that is not its first byte.
pub(super) fn block(fields: &[&str]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut encoder = Encoder::new();
    for field in fields {
        let colon = field.char_indices().skip(1).find(|(_, c)| *c == ':');
        let (name, value) = field.split_at(colon.unwrap().0);
        let value = value.strip_prefix(": ").unwrap_or_else(|| &value[1..]);
        encoder.field(name.as_bytes(), value.as_bytes(), &mut out);
    }
    out
}

/// All fields of one block as `name: value`.
pub(super) fn fields(block: &[u8]) -> Vec<String> {
    let mut fields = Vec::new();
    let text = String::from_utf8_lossy;
    let note = |name: &[u8], value: &[u8]| fields.push(format!("{}: {}", text(name), text(value)));
    Decoder::new(4096).decode(block, note).unwrap();
    fields
}

/// A list as `name: value`.
pub(super) fn lines(headers: &Headers) -> Vec<String> {
    let text = String::from_utf8_lossy;
    let line = |name: &[u8], value: &[u8]| format!("{}: {}", text(name), text(value));
    headers
        .iter()
        .map(|field| line(field.name, field.value))
        .collect()
}
