//! JSON of lines, written as it comes.

use super::{Logged, cut, push_text, values};
use crate::snapshot::telemetry::{LogJson, LogText};

/// Appends a value.
pub(super) fn push(json: &LogJson, omits_empty: bool, logged: &Logged<'_>, out: &mut Vec<u8>) {
    if !push_value(json, omits_empty, logged, out) {
        out.extend_from_slice(b"null");
    }
}

/// Appends a value unless it has none.
fn push_value(json: &LogJson, omits_empty: bool, logged: &Logged<'_>, out: &mut Vec<u8>) -> bool {
    match json {
        LogJson::Object(fields) => {
            out.push(b'{');
            let mut is_first = true;
            for (key, value) in fields {
                let before = out.len();
                if !is_first {
                    out.push(b',');
                }
                out.extend_from_slice(key.as_bytes());
                if !push_value(value, omits_empty, logged, out) {
                    if omits_empty {
                        out.truncate(before);
                        continue;
                    }
                    out.extend_from_slice(b"null");
                }
                is_first = false;
            }
            out.push(b'}');
        }
        LogJson::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push(item, omits_empty, logged, out);
            }
            out.push(b']');
        }
        LogJson::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
        LogJson::Value(operator, _) if operator.is_number() => {
            return values::push(operator, logged, out);
        }
        LogJson::Value(operator, length) => {
            let start = out.len();
            out.push(b'"');
            if !values::push(operator, logged, out) {
                out.truncate(start);
                return false;
            }
            cut(*length, start + 1, out);
            escape(start + 1, out);
            out.push(b'"');
        }
        LogJson::Text(text) => push_string(text, logged, out),
    }
    true
}

fn push_string(text: &LogText, logged: &Logged<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    push_text(text, logged, out);
    escape(start, out);
    out.push(b'"');
}

/// Makes what was appended from `start` on the inside of a JSON string. Most of what is logged is that already.
fn escape(start: usize, out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if out[start..].iter().all(is_plain) {
        return;
    }
    let text = String::from_utf8_lossy(&out[start..]);
    // A text can always be written as JSON.
    let escaped = serde_json::to_string(&text).unwrap_or_default();
    let inside = escaped.len().saturating_sub(1);
    out.truncate(start);
    out.extend_from_slice(escaped.as_bytes().get(1..inside).unwrap_or_default());
}
