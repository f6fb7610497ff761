//! What an attempt tells about its endpoint: to outlier detection, and to the counts of successes and errors.
//!
//! As in Envoy, outlier detection hears of a response when its head is here, so a gRPC status in trailers ejects nobody. The
//! counts wait for it.

use super::grpc;
use crate::cluster::ejection::{self, Outcome};
use crate::cluster::{Ending, Reason};
use crate::decision::{AttemptEnd, Record, ResetReason};
use crate::message::{Headers, Known, ResponseHead};
use crate::policy::grpc_status;
use crate::snapshot::Snapshot;
use crate::time::Instant;

/// Something became known about the endpoint of the attempt under way. Does nothing where endpoints are not ejected.
pub fn report(outcome: Outcome, snapshot: &Snapshot, record: &mut Record, now: Instant) {
    if let Some(reason) = count(outcome, snapshot, record, now)
        && let Some(attempt) = record.attempt_mut()
    {
        attempt.ejected = Some(reason);
    }
}

fn count(outcome: Outcome, snapshot: &Snapshot, record: &Record, now: Instant) -> Option<Reason> {
    let attempt = record.attempt()?;
    let cluster = snapshot.cluster(attempt.cluster?);
    let detection = cluster.outlier_detection.as_ref()?;
    cluster.sweep(now, record.entropy);
    let endpoint = attempt.endpoint(snapshot)?;
    ejection::report(detection, &endpoint.state, outcome, now)
}

/// What a response that ends an attempt counts as: to a gRPC request, a gRPC status in its head stands for the response's
/// own. One in trailers comes too late.
#[must_use]
pub fn of_response(record: &Record, response: &ResponseHead) -> Outcome {
    let status = status_in(&response.headers).filter(|_| grpc::is_request(&record.request));
    status.map_or_else(
        || Outcome::Response(response.status.as_u16()),
        Outcome::Grpc,
    )
}

/// What the head of a response says of how the endpoint did. `is_whole`: nothing follows it. A gRPC call of which more
/// follows has its status there, whatever its head says; one that ends without a status has failed.
#[must_use]
pub fn on_head(record: &Record, response: &ResponseHead, is_whole: bool) -> Ending {
    if response.status.as_u16() >= 500 {
        Ending::Bad
    } else if !grpc::is_request(&record.request) {
        Ending::Good
    } else if is_whole {
        on_trailers(Some(&response.headers))
    } else {
        Ending::Unsaid
    }
}

/// How the head of a response ends an attempt: with its status, and the one of the gRPC call if that stands there too.
#[must_use]
pub fn end(record: &Record, response: &ResponseHead) -> AttemptEnd {
    let status = response.status.as_u16();
    let code = grpc_status::of(&response.headers).and_then(|code| u8::try_from(code).ok());
    match code {
        Some(code) if grpc::is_request(&record.request) => AttemptEnd::Call { status, code },
        Some(_) | None => AttemptEnd::Response(status),
    }
}

/// What the end of a response says of a gRPC call that was to be told by it.
#[must_use]
pub fn on_trailers(trailers: Option<&Headers>) -> Ending {
    match trailers.and_then(status_in) {
        Some(..500) => Ending::Good,
        Some(500..) | None => Ending::Bad,
    }
}

/// The HTTP status that stands for the gRPC status among these fields; `None` when there is none.
fn status_in(fields: &Headers) -> Option<u16> {
    let code = fields.get(Known::GrpcStatus);
    let is_there = code.is_some_and(|code| !code.is_empty());
    is_there.then(|| http_status(grpc_status::of(fields)))
}

/// How an attempt without a response counts; `None` when it was not the endpoint's fault.
#[must_use]
pub const fn of_reset(reason: ResetReason) -> Option<Outcome> {
    match reason {
        ResetReason::RemoteConnectionFailure
        | ResetReason::Tls(_)
        | ResetReason::ConnectionTimeout
        | ResetReason::Unresolved
        | ResetReason::ConnectionTermination
        | ResetReason::RemoteReset
        | ResetReason::RemoteRefusedStreamReset
        | ResetReason::ProtocolError => Some(Outcome::Failed),
        ResetReason::PerTryTimeout => Some(Outcome::Timeout),
        // No descriptor or port is left here: whoever is asked, it fails alike.
        ResetReason::LocalConnectionFailure
        | ResetReason::Overflow(_)
        | ResetReason::LocalReset => None,
    }
}

/// The HTTP status that stands for a gRPC status (Envoy reference §2.2). What is none of gRPC's numbers is an error of the
/// server.
const fn http_status(grpc: Option<u64>) -> u16 {
    match grpc {
        Some(0) => 200,
        Some(1) => 499,
        Some(3 | 9 | 11) => 400,
        Some(4) => 504,
        Some(5) => 404,
        Some(6 | 10) => 409,
        Some(7) => 403,
        Some(8) => 429,
        Some(12) => 501,
        Some(14) => 503,
        Some(16) => 401,
        Some(_) | None => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    /// The record of a request of this type, and the head of a response with this `grpc-status`.
    fn answered(kind: &str, status: u16, grpc_status: &str) -> (Record, ResponseHead) {
        let mut record = Record::default();
        let headers = &mut record.request.headers;
        headers.append(b"content-type", kind.as_bytes()).unwrap();
        let mut response = ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            ..ResponseHead::default()
        };
        let headers = &mut response.headers;
        headers
            .append(b"grpc-status", grpc_status.as_bytes())
            .unwrap();
        (record, response)
    }

    #[test]
    fn attempts_at_calls_end_with_the_status_of_the_call() {
        let call = |status, code| AttemptEnd::Call { status, code };
        for (kind, grpc_status, want) in [
            ("application/grpc", "0", call(200, 0)),
            ("application/grpc+proto", "14", call(200, 14)),
            ("application/grpc", "", AttemptEnd::Response(200)),
            ("application/grpc", "x", AttemptEnd::Response(200)),
            ("application/grpc", "256", AttemptEnd::Response(200)),
            ("application/grpc-web", "14", AttemptEnd::Response(200)),
            ("text/plain", "14", AttemptEnd::Response(200)),
        ] {
            let (record, response) = answered(kind, 200, grpc_status);
            assert_eq!(end(&record, &response), want, "{kind} {grpc_status}");
        }
    }

    #[test]
    fn responses_count_by_their_status_or_the_one_that_stands_for_a_grpc_status() {
        for (kind, status, grpc_status, want) in [
            ("text/plain", 200, "14", Outcome::Response(200)),
            ("application/grpc", 200, "", Outcome::Response(200)),
            ("application/grpc", 503, "0", Outcome::Grpc(200)),
            ("application/grpc", 200, "0", Outcome::Grpc(200)),
            ("application/grpc+proto", 200, "14", Outcome::Grpc(503)),
            ("application/grpc-web", 200, "14", Outcome::Response(200)),
            ("application/grpc", 200, "1", Outcome::Grpc(499)),
            ("application/grpc", 200, "2", Outcome::Grpc(500)),
            ("application/grpc", 200, "3", Outcome::Grpc(400)),
            ("application/grpc", 200, "4", Outcome::Grpc(504)),
            ("application/grpc", 200, "5", Outcome::Grpc(404)),
            ("application/grpc", 200, "6", Outcome::Grpc(409)),
            ("application/grpc", 200, "7", Outcome::Grpc(403)),
            ("application/grpc", 200, "8", Outcome::Grpc(429)),
            ("application/grpc", 200, "9", Outcome::Grpc(400)),
            ("application/grpc", 200, "10", Outcome::Grpc(409)),
            ("application/grpc", 200, "11", Outcome::Grpc(400)),
            ("application/grpc", 200, "12", Outcome::Grpc(501)),
            ("application/grpc", 200, "13", Outcome::Grpc(500)),
            ("application/grpc", 200, "15", Outcome::Grpc(500)),
            ("application/grpc", 200, "16", Outcome::Grpc(401)),
            ("application/grpc", 200, "17", Outcome::Grpc(500)),
            ("application/grpc", 200, "-1", Outcome::Grpc(500)),
            ("application/grpc", 200, "x", Outcome::Grpc(500)),
        ] {
            let (record, response) = answered(kind, status, grpc_status);
            assert_eq!(
                of_response(&record, &response),
                want,
                "{kind} {status} {grpc_status}"
            );
        }
    }
}
