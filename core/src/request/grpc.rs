//! gRPC requests: how they are told from others, and how an answer of our own looks to them.
//!
//! A gRPC client reads what became of its call from `grpc-status`. An answer without a body carries that in its head
//! (trailers-only), with HTTP status 200 whatever went wrong.

use http::StatusCode;

use crate::message::{Known, RequestHead, ResponseHead};

const CONTENT_TYPE: &[u8] = b"application/grpc";

/// The status of a call that took longer than its client waits.
pub(super) const DEADLINE_EXCEEDED: u8 = 4;

/// Whether a request is gRPC: its type is `application/grpc`, alone or with a suffix (`+proto`). As in Envoy,
/// `application/grpc-web` is another protocol.
pub(super) fn is_request(request: &RequestHead) -> bool {
    let kind = request.headers.get(Known::ContentType);
    kind.and_then(|kind| kind.strip_prefix(CONTENT_TYPE))
        .is_some_and(|suffix| matches!(suffix, [] | [b'+', ..]))
}

/// Makes the head of an answer what a gRPC client understands: the text becomes its message. A `grpc-status` that is
/// there already stays.
pub(super) fn answer(response: &mut ResponseHead, text: &[u8]) {
    let headers = &mut response.headers;
    headers.set(Known::ContentType, CONTENT_TYPE);
    if headers.get(Known::GrpcStatus).is_none() {
        set_status(response, of_http(response.status));
    }
    if !text.is_empty() {
        let headers = &mut response.headers;
        headers.set(Known::GrpcMessage, &percent_encoded(text));
    }
    response.status = StatusCode::OK;
}

/// Writes `grpc-status`.
pub(super) fn set_status(response: &mut ResponseHead, code: u8) {
    let code = code.to_string();
    response.headers.set(Known::GrpcStatus, code.as_bytes());
}

/// The status that stands for an HTTP one (gRPC's mapping for answers of proxies).
fn of_http(status: StatusCode) -> u8 {
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
    fn a_request_is_known_by_its_type() {
        for (kind, is_grpc) in [
            (Some("application/grpc"), true),
            (Some("application/grpc+proto"), true),
            (Some("application/grpc-web"), false),
            (Some("application/grpc-web+proto"), false),
            (Some("application/grpc; charset=utf-8"), false),
            (Some("Application/grpc"), false),
            (Some("application/json"), false),
            (None, false),
        ] {
            let mut request = RequestHead::default();
            if let Some(kind) = kind {
                let headers = &mut request.headers;
                headers.set(Known::ContentType, kind.as_bytes());
            }
            assert_eq!(is_request(&request), is_grpc, "{kind:?}");
        }
    }

    #[test]
    fn statuses_are_mapped_unless_one_is_there() {
        for (status, code) in [
            (200, "2"),
            (400, "13"),
            (401, "16"),
            (403, "7"),
            (404, "12"),
            (413, "2"),
            (429, "14"),
            (500, "2"),
            (502, "14"),
            (503, "14"),
            (504, "14"),
            (505, "2"),
        ] {
            let mut response = ResponseHead {
                status: StatusCode::from_u16(status).unwrap(),
                ..ResponseHead::default()
            };
            answer(&mut response, b"");
            assert_eq!(response.status, StatusCode::OK);
            assert_eq!(
                response.headers.get(Known::GrpcStatus),
                Some(code.as_bytes()),
                "{status}"
            );
            assert_eq!(response.headers.get(Known::GrpcMessage), None);
        }
        let mut response = ResponseHead::default();
        set_status(&mut response, 8);
        answer(&mut response, b"why");
        let headers = &response.headers;
        assert_eq!(headers.get(Known::GrpcStatus), Some(&b"8"[..]));
        assert_eq!(headers.get(Known::GrpcMessage), Some(&b"why"[..]));
    }

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
