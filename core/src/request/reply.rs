//! Answers the proxy gives by itself, in Envoy's words (reference: failure to reply).

use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Context, Verdict, grpc, head, metadata, operations, rate_limit};
use crate::decision::{Details, Record, Refused, ResetReason};
use crate::message::{Known, ResponseHead, Version};
use crate::policy::grpc_web::BadBase64;
use crate::snapshot::FaultAnswer;

/// The request's body is longer than the limit.
pub const TOO_LARGE: Refused = Refused {
    status: 413,
    details: "request_payload_too_large",
    explain: "the body is longer than the limit",
    limit: None,
};

/// The body of a request of gRPC-Web is not base64, and should be.
pub const NO_BASE64: Refused = Refused {
    status: 400,
    details: "grpc_base_64_decode_failed",
    explain: BadBase64::MESSAGE,
    limit: None,
};

/// The head of a request did not arrive in time.
pub const SLOW_HEAD: Refused = Refused {
    status: 408,
    details: "request_header_timeout",
    explain: "the head did not arrive in time",
    limit: None,
};

/// Answers a message that was refused, with the reason phrase as its text, or with what Envoy says in its place.
pub fn refuse(refused: &Refused, record: &mut Record, response: &mut ResponseHead) -> Verdict {
    response.clear();
    response.status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
    record.details = Details::Refused(*refused);
    let text = match refused.details == NO_BASE64.details {
        false => response.status.canonical_reason().unwrap_or("Bad Request"),
        true => refused.explain,
    };
    Verdict::Reply(Bytes::from_static(text.as_bytes()))
}

/// The proxy itself has no room for new work: 503 before anything is looked at, flag OM.
pub fn shed(record: &mut Record, response: &mut ResponseHead) -> Verdict {
    response.clear();
    response.status = StatusCode::SERVICE_UNAVAILABLE;
    let headers = &mut response.headers;
    headers.append_known(Known::XEnvoyLocalOverloaded, b"true");
    record.details = Details::Overload;
    Verdict::Reply(Bytes::from_static(b"envoy overloaded"))
}

/// No rule matched: 404 without a body, flag NR.
pub(super) fn no_route(record: &mut Record, response: &mut ResponseHead) -> Verdict {
    response.clear();
    response.status = StatusCode::NOT_FOUND;
    record.details = Details::RouteNotFound;
    Verdict::Reply(Bytes::new())
}

/// Egress to a host that nobody knows is not allowed: route `block_all`, 502 without a body.
pub(super) fn blocked(record: &mut Record, response: &mut ResponseHead) -> Verdict {
    response.clear();
    response.status = StatusCode::BAD_GATEWAY;
    record.details = Details::DirectResponse;
    Verdict::Reply(Bytes::new())
}

/// The head of a direct response or a redirect.
pub(super) fn direct(status: StatusCode, record: &mut Record, response: &mut ResponseHead) {
    response.clear();
    response.status = status;
    record.details = Details::DirectResponse;
}

/// The head of an answer to a CORS preflight.
pub(super) fn preflight(record: &mut Record, response: &mut ResponseHead) {
    response.clear();
    record.details = Details::CorsPreflight;
}

/// The head of an answer in place of an upstream's; the rule's response operations run on it, as on any response that
/// passes through the router.
pub(super) fn from_router(
    context: &Context<'_>,
    status: StatusCode,
    record: &Record,
    response: &mut ResponseHead,
) {
    response.clear();
    response.status = status;
    operations::apply_to_response(context, record, response);
}

/// The answer for a request or an attempt that took too long. To a gRPC client it is not that the service is unavailable:
/// the client's deadline has passed, and 14, which Envoy 1.40 has here, would be tried again.
pub(super) fn timed_out(
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
) -> Verdict {
    from_router(context, StatusCode::GATEWAY_TIMEOUT, record, response);
    if grpc::is_request(&record.request) {
        grpc::set_status(response, grpc::DEADLINE_EXCEEDED);
    }
    Verdict::Reply(Bytes::from_static(b"upstream request timeout"))
}

/// An injected abort: never retried, and its body says what it is. The rule's response operations run on it, its CORS
/// policy does not: faults come first.
pub(super) fn fault_abort(
    context: &Context<'_>,
    answer: FaultAnswer,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    response.clear();
    record.details = Details::FaultAbort;
    if let FaultAnswer::Http(status) = answer {
        response.status = status;
    }
    operations::operate_on_response(context, record, response);
    if let FaultAnswer::Grpc(code) = answer
        && grpc::is_request(&record.request)
    {
        grpc::set_status(response, code);
    }
    Verdict::Reply(Bytes::from_static(b"fault filter abort"))
}

/// Envoy's text for an attempt that ended before a response.
pub(super) fn reset_text(reason: ResetReason, is_retried: bool) -> Bytes {
    let failure = reason.transport_failure();
    if let Some(failure) = failure {
        let retried = if is_retried {
            "retried and the latest "
        } else {
            ""
        };
        return Bytes::from(format!(
            "upstream connect error or disconnect/reset before headers. {retried}reset reason: {}, transport failure reason: TLS_error:{failure}",
            reason.as_str()
        ));
    }
    if is_retried {
        return Bytes::from(format!(
            "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: {}",
            reason.as_str()
        ));
    }
    match reason {
        ResetReason::RemoteConnectionFailure => Bytes::from_static(
            b"upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
        ),
        ResetReason::ConnectionTermination => Bytes::from_static(
            b"upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        ),
        ResetReason::LocalConnectionFailure
        | ResetReason::Tls(_)
        | ResetReason::ConnectionTimeout
        | ResetReason::RemoteReset
        | ResetReason::RemoteRefusedStreamReset
        | ResetReason::ProtocolError
        | ResetReason::Overflow(_)
        | ResetReason::Unresolved
        | ResetReason::PerTryTimeout
        | ResetReason::LocalReset => Bytes::from(format!(
            "upstream connect error or disconnect/reset before headers. reset reason: {}",
            reason.as_str()
        )),
    }
}

/// The response had begun and was cut.
pub fn on_response_cut(reason: ResetReason, record: &mut Record) {
    record.details = Details::ResetAfterResponse(reason);
}

/// Completes an answer of our own: what a rate limit left the client, what it is, when it was made, and how it looks to a gRPC client. Gives the body.
pub fn complete_local(
    text: Bytes,
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
    date: &[u8; 29],
) -> Bytes {
    metadata::put_on_response(context, record, response);
    head::tell_checked(record, response);
    rate_limit::tell(context, record, response);
    let asks_for_tunnel = record.request.version == Version::Http2
        && (context.upgrade.is_some() || record.request.method == Method::CONNECT);
    // What was refused before its head was complete is answered in HTTP, and so are browsers that ask about CORS; what is
    // made gRPC-Web is made that of an answer in HTTP, as in Envoy.
    let is_grpc = record.revision.is_some()
        && record.grpc_web.is_none()
        && record.details != Details::CorsPreflight
        && !asks_for_tunnel
        && grpc::is_request(&record.request);
    let body = if is_grpc {
        grpc::answer(response, &text);
        Bytes::new()
    } else {
        text
    };
    // On a stream any success would agree to the tunnel (RFC 8441 §5, RFC 9113 §8.5), and there is none.
    if asks_for_tunnel && response.status.is_success() {
        response.status = StatusCode::FORBIDDEN;
    }
    let headers = &mut response.headers;
    if !body.is_empty() && headers.get(Known::ContentType).is_none() {
        headers.append_known(Known::ContentType, b"text/plain");
    }
    head::finish(response, date);
    body
}
