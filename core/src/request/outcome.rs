//! What an attempt tells about its endpoint, for outlier detection.

use super::grpc;
use crate::cluster::ejection::{self, Outcome};
use crate::decision::{Record, ResetReason};
use crate::message::{Known, ResponseHead};
use crate::time::Instant;

/// Something became known about the endpoint of the attempt under way. Does nothing where endpoints are not ejected.
pub fn report(outcome: Outcome, record: &Record, now: Instant) {
    let (Some(view), Some(attempt)) = (&record.view, record.attempts.last()) else {
        return;
    };
    let Some(id) = attempt.cluster else { return };
    let cluster = view.snapshot.cluster(id);
    let Some(detection) = &cluster.outlier_detection else {
        return;
    };
    cluster.sweep(now);
    let endpoint = &cluster.endpoints[attempt.endpoint as usize];
    ejection::report(detection, &endpoint.state, outcome, now);
}

/// What a response that ends an attempt counts as: to a gRPC request, a gRPC status in its head counts as the HTTP status
/// that stands for it.
#[must_use]
pub fn of_response(record: &Record, response: &ResponseHead) -> Outcome {
    let grpc_status = response
        .headers
        .get(Known::GrpcStatus)
        .filter(|_| grpc::is_request(&record.request))
        .and_then(|code| core::str::from_utf8(code).ok()?.trim().parse().ok());
    Outcome::Response(
        grpc_status
            .and_then(http_status)
            .unwrap_or_else(|| response.status.as_u16()),
    )
}

/// How an attempt without a response counts; `None` when it was not the endpoint's fault.
#[must_use]
pub const fn of_reset(reason: ResetReason) -> Option<Outcome> {
    match reason {
        ResetReason::RemoteConnectionFailure
        | ResetReason::LocalConnectionFailure
        | ResetReason::ConnectionTimeout
        | ResetReason::Unresolved
        | ResetReason::ConnectionTermination
        | ResetReason::ProtocolError => Some(Outcome::Failed),
        ResetReason::PerTryTimeout => Some(Outcome::Timeout),
        ResetReason::Overflow(_) | ResetReason::LocalReset => None,
    }
}

/// Envoy reference §2.2.
const fn http_status(grpc: u16) -> Option<u16> {
    Some(match grpc {
        0 => 200,
        1 => 499,
        2 | 13 | 15 => 500,
        3 | 9 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        11 => 400,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => return None,
    })
}
