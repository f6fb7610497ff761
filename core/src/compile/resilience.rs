//! Faults and retries of a route, compiled.

use http::StatusCode;

use crate::config::virtual_service::{
    AbortError, Extensions, FaultDelayKind, HttpFaultInjection, HttpRetry,
};
use crate::snapshot::{
    FaultAbort, FaultAnswer, FaultDelay, FaultPolicy, FaultsOnRequest, GRPC_STATUS, PerMillion,
    RetryOn, RetryPolicy, StreamIdle,
};
use crate::time::Duration;

/// What Istio retries when nobody says otherwise (reference §2.6).
const OUTBOUND_DEFAULT: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

/// What Istio retries towards the application.
const INBOUND_DEFAULT: &str = "reset-before-request";

/// Retries when there is no policy.
const DEFAULT_RETRIES: u32 = 2;

/// Envoy's base of the back-off.
const DEFAULT_BACKOFF: Duration = Duration::from_millis(25);

/// Faults; `None` when none can fire.
#[must_use]
pub(super) fn fault(
    written: Option<&HttpFaultInjection>,
    extensions: Extensions,
) -> Option<Box<FaultPolicy>> {
    let written_delay = written.and_then(|fault| fault.delay.as_ref());
    let written_abort = written.and_then(|fault| fault.abort.as_ref());
    let delay = written_delay.and_then(|delay| {
        let Some(FaultDelayKind::Fixed(duration)) = delay.kind else {
            return None;
        };
        let share = PerMillion::from_percent(delay.share());
        Some(FaultDelay { duration, share })
    });
    let abort = written_abort.and_then(|abort| {
        let answer = match abort.error.as_ref()? {
            AbortError::HttpStatus(status) => FaultAnswer::Http(
                u16::try_from(*status)
                    .ok()
                    .and_then(|s| StatusCode::from_u16(s).ok())?,
            ),
            AbortError::GrpcStatus(name) => FaultAnswer::Grpc(grpc_code(name)?),
            AbortError::Http2Error(_) => return None,
        };
        let share = PerMillion::from_percent(abort.share());
        Some(FaultAbort { answer, share })
    });
    // What is written bounds what may be asked for, as in Envoy.
    let bound = |percent: Option<f64>| percent.map_or(PerMillion::ALL, PerMillion::from_percent);
    let on_request = extensions.header_faults.then(|| FaultsOnRequest {
        delay: bound(written_delay.map(|delay| delay.share())),
        abort: bound(written_abort.map(|abort| abort.share())),
    });
    let can_fire = |share: PerMillion| share > PerMillion::default();
    let policy = FaultPolicy {
        delay: delay.filter(|delay| can_fire(delay.share)),
        abort: abort.filter(|abort| can_fire(abort.share)),
        on_request,
    };
    (policy != FaultPolicy::default()).then(|| Box::new(policy))
}

/// The number of a gRPC status by its name; names are Istio's (`UNAVAILABLE`), a number is taken too.
fn grpc_code(name: &str) -> Option<u8> {
    let by_name = GRPC_STATUS.iter().position(|known| *known == name);
    by_name
        .and_then(|at| u8::try_from(at).ok())
        .or_else(|| name.parse().ok().filter(|code| *code <= 16))
}

/// For how long nothing may move; zero is for ever.
#[must_use]
pub(super) fn stream_idle(extensions: Extensions) -> StreamIdle {
    match extensions.idle_timeout {
        None => StreamIdle::Unsaid,
        Some(Duration::ZERO) => StreamIdle::Never,
        Some(time) => StreamIdle::After(time),
    }
}

/// The retry policy of a route; `None` when it does not retry. A request whose hash names its only endpoint (`is_hashed`)
/// is tried there again unless the route says otherwise.
#[must_use]
pub(super) fn retry(
    written: Option<&HttpRetry>,
    extensions: Extensions,
    is_hashed: bool,
) -> Option<Box<RetryPolicy>> {
    let mut policy = match written {
        Some(written) => written_policy(written, is_hashed)?,
        None => default_policy(OUTBOUND_DEFAULT, !is_hashed),
    };
    policy.retry_after = extensions.retry_after;
    policy.hedge_on_per_try_timeout = extensions.hedge_on_per_try_timeout;
    Some(policy)
}

fn written_policy(written: &HttpRetry, is_hashed: bool) -> Option<Box<RetryPolicy>> {
    let retries = u32::try_from(written.attempts).ok().filter(|n| *n > 0)?;
    let tokens = if written.retry_on.is_empty() {
        OUTBOUND_DEFAULT
    } else {
        &written.retry_on
    };
    let (on, status_codes) = conditions(tokens);
    Some(Box::new(RetryPolicy {
        retries,
        per_try_timeout: written.per_try_timeout.filter(|timeout| !timeout.is_zero()),
        on,
        status_codes,
        backoff: written.backoff.unwrap_or(DEFAULT_BACKOFF),
        ignore_previous_hosts: written.retry_ignore_previous_hosts.unwrap_or(!is_hashed),
        remote_localities: written.retry_remote_localities.unwrap_or(false),
        retry_after: None,
        hedge_on_per_try_timeout: false,
    }))
}

/// Istio's policy for a route that says nothing.
#[must_use]
pub(super) fn outbound_default() -> Box<RetryPolicy> {
    default_policy(OUTBOUND_DEFAULT, true)
}

/// Istio's policy towards the application.
#[must_use]
pub(super) fn inbound_default() -> Box<RetryPolicy> {
    default_policy(INBOUND_DEFAULT, false)
}

fn default_policy(tokens: &str, ignore_previous_hosts: bool) -> Box<RetryPolicy> {
    let (on, status_codes) = conditions(tokens);
    Box::new(RetryPolicy {
        retries: DEFAULT_RETRIES,
        per_try_timeout: None,
        on,
        status_codes,
        backoff: DEFAULT_BACKOFF,
        ignore_previous_hosts,
        remote_localities: false,
        retry_after: None,
        hedge_on_per_try_timeout: false,
    })
}

/// A number among the tokens is a status to retry.
fn conditions(tokens: &str) -> (RetryOn, Box<[u16]>) {
    let (mut on, mut codes) = (RetryOn::default(), Vec::new());
    for token in tokens.split(',').map(str::trim) {
        if let Some(condition) = RetryOn::of_token(token) {
            on = on.or(condition);
        } else if let Ok(code) = token.parse() {
            on = on.or(RetryOn::RETRIABLE_STATUS_CODES);
            codes.push(code);
        }
    }
    (on, codes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::virtual_service::{FaultAbort as WrittenAbort, Percent};

    fn written(attempts: i32, retry_on: &str) -> HttpRetry {
        HttpRetry {
            attempts,
            retry_on: retry_on.into(),
            ..HttpRetry::default()
        }
    }

    #[test]
    fn silence_retries_twice_and_zero_attempts_never() {
        assert_eq!(
            retry(None, Extensions::default(), false).map(|p| p.retries),
            Some(2)
        );
        assert_eq!(
            retry(Some(&written(0, "")), Extensions::default(), false),
            None
        );
        assert_eq!(
            retry(Some(&HttpRetry::default()), Extensions::default(), false),
            None
        );
        let defaults = retry(Some(&written(7, "")), Extensions::default(), false).unwrap();
        assert_eq!((defaults.retries, defaults.on), (7, outbound_default().on));
        assert!(
            defaults.status_codes.is_empty(),
            "503 left the default list"
        );
    }

    #[test]
    fn hashed_requests_stay_where_they_are_unless_told() {
        let ignores = |written: Option<&HttpRetry>, is_hashed| {
            let policy = retry(written, Extensions::default(), is_hashed).unwrap();
            policy.ignore_previous_hosts
        };
        let silent = written(1, "");
        let told = |ignore| HttpRetry {
            retry_ignore_previous_hosts: Some(ignore),
            ..written(1, "")
        };
        for (written, is_hashed, want) in [
            (None, false, true),
            (None, true, false),
            (Some(&silent), false, true),
            (Some(&silent), true, false),
            (Some(&told(true)), true, true),
            (Some(&told(false)), false, false),
        ] {
            assert_eq!(ignores(written, is_hashed), want, "{written:?} {is_hashed}");
        }
    }

    #[test]
    fn numbers_are_statuses() {
        let policy = retry(
            Some(&written(1, "reset,503, 429")),
            Extensions::default(),
            false,
        )
        .unwrap();
        assert_eq!(&*policy.status_codes, [503, 429]);
        assert!(policy.on.has(RetryOn::RETRIABLE_STATUS_CODES) && policy.on.has(RetryOn::RESET));
        assert!(
            !policy.on.has(RetryOn::CONNECT_FAILURE),
            "the user's list replaces the default"
        );
    }

    #[test]
    fn faults_need_a_share() {
        let abort = |percentage: Option<f64>, percent| {
            let abort = WrittenAbort {
                error: Some(AbortError::HttpStatus(503)),
                percentage: percentage.map(|value| Percent { value }),
                percent,
            };
            let written = HttpFaultInjection {
                delay: None,
                abort: Some(abort),
            };
            fault(Some(&written), Extensions::default())
                .and_then(|fault| fault.abort)
                .map(|abort| abort.share.get())
        };
        assert_eq!(abort(Some(50.0), None), Some(500_000));
        assert_eq!(abort(None, None), None, "no percentage never fires");
        assert_eq!(
            abort(None, Some(50)),
            Some(500_000),
            "the old spelling is honoured"
        );
        assert_eq!(abort(Some(0.0), Some(50)), None, "an explicit zero wins");
        assert_eq!(
            (grpc_code("UNAVAILABLE"), grpc_code("14"), grpc_code("x")),
            (Some(14), Some(14), None)
        );
    }
}
