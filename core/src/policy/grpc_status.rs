//! What gRPC writes into heads: its media type, the status that stands for an HTTP one, and text that fits into a field.

use http::StatusCode;

use crate::message::{Headers, Known, ResponseHead};

/// The media type of gRPC.
pub const CONTENT_TYPE: &[u8] = b"application/grpc";

/// Whether a media type is gRPC, alone or with a suffix (`+proto`). As in Envoy, `application/grpc-web` is another protocol.
#[must_use]
pub fn is_type(kind: &[u8]) -> bool {
    let suffix = kind.strip_prefix(CONTENT_TYPE);
    suffix.is_some_and(|suffix| matches!(suffix, [] | [b'+', ..]))
}

/// The `grpc-status` among these fields, as a number; `None` when there is none, or it is no number.
#[must_use]
pub fn of(fields: &Headers) -> Option<u64> {
    let text = core::str::from_utf8(fields.get(Known::GrpcStatus)?).ok()?;
    text.trim().parse().ok()
}

/// Writes `grpc-status`.
pub fn set(response: &mut ResponseHead, code: u8) {
    let code = code.to_string();
    response.headers.set(Known::GrpcStatus, code.as_bytes());
}

/// Writes `grpc-message`, unless there is no text.
pub fn set_message(response: &mut ResponseHead, text: &[u8]) {
    if !text.is_empty() {
        let text = percent_encoded(text);
        response.headers.set(Known::GrpcMessage, &text);
    }
}

/// The status that stands for an HTTP one (gRPC's mapping for answers of proxies).
#[must_use]
pub fn of_http(status: StatusCode) -> u8 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// `grpc-message` holds printable ASCII; the rest and the percent sign are encoded (gRPC over HTTP/2, `Percent-Encoded`).
fn percent_encoded(text: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'%' | 0..b' ' | 0x7f.. => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                encoded.push(b'%');
                encoded.extend(digits);
            }
            b' '..=b'~' => encoded.push(byte),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_printable() {
        for (text, encoded) in [
            ("plain text", "plain text"),
            ("100%", "100%25"),
            ("näh\r\n~\x7f", "n%C3%A4h%0D%0A~%7F"),
        ] {
            assert_eq!(percent_encoded(text.as_bytes()), encoded.as_bytes());
        }
    }
}
