//! gRPC requests: how they are told from others, and how an answer of our own looks to them.
//!
//! A gRPC client reads what became of its call from `grpc-status`. An answer without a body carries that in its head
//! (trailers-only), with HTTP status 200 whatever went wrong.

use http::StatusCode;

use crate::message::{Known, RequestHead, ResponseHead};
use crate::policy::grpc_status;
pub(super) use crate::policy::grpc_status::set as set_status;

/// The status of a call that took longer than its client waits.
pub(super) const DEADLINE_EXCEEDED: u8 = 4;

/// Whether a request is gRPC: its type is `application/grpc`, alone or with a suffix (`+proto`). As in Envoy,
/// `application/grpc-web` is another protocol.
pub fn is_request(request: &RequestHead) -> bool {
    let kind = request.headers.get(Known::ContentType);
    kind.is_some_and(grpc_status::is_type)
}

/// Makes the head of an answer what a gRPC client understands: the text becomes its message. A `grpc-status` that is
/// there already stays.
pub(super) fn answer(response: &mut ResponseHead, text: &[u8]) {
    let headers = &mut response.headers;
    headers.set(Known::ContentType, grpc_status::CONTENT_TYPE);
    if headers.get(Known::GrpcStatus).is_none() {
        set_status(response, grpc_status::of_http(response.status));
    }
    grpc_status::set_message(response, text);
    response.status = StatusCode::OK;
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
}
