//! Whether a failed attempt is followed by another (VirtualService `retries`, Envoy's retry state).
//!
//! Pure functions of the policy and the outcome. How long to wait first is in `backoff`. How many retries are left, whether
//! the body can be sent again and whether anything has reached the client are the request machine's to know.

use crate::decision::ResetReason;
use crate::message::{Headers, Known};
use crate::policy::grpc_status;
use crate::snapshot::{RetryOn, RetryPolicy};

/// Times an endpoint that was tried before is drawn again (`host_selection_retry_max_attempts`, as Istio sets it).
pub const RESELECTIONS: u64 = 5;

/// Whether a response is one to try again.
#[must_use]
pub fn wants_after_response(policy: &RetryPolicy, status: u16, headers: &Headers) -> bool {
    let on = policy.on;
    let is_ratelimited = headers
        .iter()
        .any(|f| f.known == Known::Other && f.name == b"x-envoy-ratelimited");
    if is_ratelimited {
        // First of all: a limited response is retried by this condition and no other.
        return on.has(RetryOn::ENVOY_RATELIMITED);
    }
    (on.has(RetryOn::SERVER_ERROR) && (500..=599).contains(&status))
        || (on.has(RetryOn::GATEWAY_ERROR) && (502..=504).contains(&status))
        || (on.has(RetryOn::RETRIABLE_4XX) && status == 409)
        || (on.has(RetryOn::RETRIABLE_STATUS_CODES) && policy.status_codes.contains(&status))
        || grpc_status::of(headers).is_some_and(|code| wants_grpc(on, code))
}

/// Statuses of gRPC count only in the head of a response (trailers-only); by the trailers it is too late.
const fn wants_grpc(on: RetryOn, code: u64) -> bool {
    let condition = match code {
        1 => RetryOn::GRPC_CANCELLED,
        4 => RetryOn::GRPC_DEADLINE_EXCEEDED,
        8 => RetryOn::GRPC_RESOURCE_EXHAUSTED,
        13 => RetryOn::GRPC_INTERNAL,
        14 => RetryOn::GRPC_UNAVAILABLE,
        _ => return false,
    };
    on.has(condition)
}

/// Whether an attempt without a response is one to try again. `request_sent`: some of the request has been written to
/// an endpoint, in this attempt or an earlier one.
#[must_use]
pub fn wants_after_reset(policy: &RetryPolicy, reason: ResetReason, request_sent: bool) -> bool {
    let on = policy.on;
    let any_reset = RetryOn::RESET
        .or(RetryOn::SERVER_ERROR)
        .or(RetryOn::GATEWAY_ERROR);
    match reason {
        ResetReason::Overflow(_) => false,
        ResetReason::RemoteConnectionFailure
        | ResetReason::Tls(_)
        | ResetReason::LocalConnectionFailure
        | ResetReason::Unresolved
        | ResetReason::ConnectionTimeout => on.has(
            any_reset
                .or(RetryOn::CONNECT_FAILURE)
                .or(RetryOn::RESET_BEFORE_REQUEST),
        ),
        ResetReason::RemoteRefusedStreamReset if on.has(RetryOn::REFUSED_STREAM) => true,
        ResetReason::ConnectionTermination
        | ResetReason::RemoteReset
        | ResetReason::RemoteRefusedStreamReset
        | ResetReason::ProtocolError
        | ResetReason::PerTryTimeout
        | ResetReason::LocalReset => {
            on.has(any_reset) || (on.has(RetryOn::RESET_BEFORE_REQUEST) && !request_sent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Counted;
    use crate::decision::Overflow;
    use crate::time::Duration;

    fn policy(tokens: &str, status_codes: &[u16]) -> RetryPolicy {
        let on = tokens.split(',').filter_map(RetryOn::of_token);
        RetryPolicy {
            retries: 2,
            per_try_timeout: None,
            on: on.fold(RetryOn::default(), RetryOn::or),
            status_codes: status_codes.into(),
            backoff: Duration::from_millis(25),
            ignore_previous_hosts: true,
            remote_localities: false,
            retry_after: None,
            hedge_on_per_try_timeout: false,
        }
    }

    #[test]
    fn responses() {
        for (tokens, codes, status, fields, wanted) in [
            ("5xx", &[][..], 500, &[][..], true),
            ("5xx", &[], 599, &[], true),
            ("5xx", &[], 499, &[], false),
            ("5xx", &[], 600, &[], false),
            ("gateway-error", &[], 501, &[], false),
            ("gateway-error", &[], 502, &[], true),
            ("gateway-error", &[], 504, &[], true),
            ("gateway-error", &[], 505, &[], false),
            ("retriable-4xx", &[], 409, &[], true),
            ("retriable-4xx", &[], 429, &[], false),
            ("retriable-status-codes", &[418], 418, &[], true),
            ("retriable-status-codes", &[], 503, &[], false),
            ("5xx", &[418], 418, &[], false),
            ("connect-failure,refused-stream,reset", &[], 503, &[], false),
            ("5xx", &[], 503, &[("x-envoy-ratelimited", "true")], false),
            (
                "envoy-ratelimited",
                &[],
                429,
                &[("x-envoy-ratelimited", "true")],
                true,
            ),
            ("envoy-ratelimited", &[], 429, &[], false),
            ("unavailable", &[], 200, &[("grpc-status", "14")], true),
            ("unavailable", &[], 200, &[("grpc-status", "13")], false),
            (
                "cancelled,deadline-exceeded,resource-exhausted,internal",
                &[],
                200,
                &[("grpc-status", "8")],
                true,
            ),
            ("unavailable", &[], 200, &[("grpc-status", "014")], true),
            ("cancelled", &[], 200, &[("grpc-status", "1")], true),
            ("deadline-exceeded", &[], 200, &[("grpc-status", "4")], true),
            ("internal", &[], 200, &[("grpc-status", "13")], true),
            ("internal", &[], 200, &[("grpc-status", "14")], false),
            // A field that means nothing to us changes nothing.
            ("5xx", &[], 503, &[("x-other", "true")], true),
        ] {
            let mut headers = Headers::default();
            for (name, value) in fields {
                headers.append(name.as_bytes(), value.as_bytes()).unwrap();
            }
            let got = wants_after_response(&policy(tokens, codes), status, &headers);
            assert_eq!(got, wanted, "{tokens} {codes:?} {status} {fields:?}");
        }
    }

    #[test]
    fn resets() {
        use ResetReason as R;
        let overflow = R::Overflow(Overflow {
            counted: Counted::Requests,
            limit: 1,
        });
        let failures = [
            R::RemoteConnectionFailure,
            R::ConnectionTimeout,
            R::LocalConnectionFailure,
        ];
        let cuts = [
            R::ConnectionTermination,
            R::ProtocolError,
            R::PerTryTimeout,
            R::LocalReset,
        ];
        for (token, after_failure, after_cut_unsent, after_cut_sent) in [
            ("5xx", true, true, true),
            ("gateway-error", true, true, true),
            ("reset", true, true, true),
            ("reset-before-request", true, true, false),
            ("connect-failure", true, false, false),
            ("refused-stream", false, false, false),
            ("unavailable", false, false, false),
            ("retriable-status-codes", false, false, false),
        ] {
            let policy = policy(token, &[503]);
            for reason in failures {
                assert_eq!(
                    wants_after_reset(&policy, reason, true),
                    after_failure,
                    "{token} {reason:?}"
                );
            }
            for reason in cuts {
                assert_eq!(
                    wants_after_reset(&policy, reason, false),
                    after_cut_unsent,
                    "{token} {reason:?}"
                );
                assert_eq!(
                    wants_after_reset(&policy, reason, true),
                    after_cut_sent,
                    "{token} {reason:?} sent"
                );
            }
            assert!(!wants_after_reset(&policy, overflow, false), "{token}");
        }
    }
}
