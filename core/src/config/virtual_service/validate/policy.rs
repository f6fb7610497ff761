//! Retries, faults, CORS and mirrors.

use super::action::{check_destination, check_status};
use super::conditions::check_text;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::header_name;
use crate::config::report::Report;
use crate::config::spelling::suggestion;
use crate::config::value::quoted;
use crate::config::virtual_service::{
    AbortError, CorsPolicy, FaultAbort, FaultDelay, FaultDelayKind, HttpFaultInjection, HttpRetry,
    HttpRoute, StringMatch,
};
use crate::snapshot::{GRPC_STATUS, RetryOn};

/// Methods that CORS may allow.
const METHODS: &[&str] = &[
    "*", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE",
];

/// Checks `retries`; the report stands at it.
pub(super) fn check_retry(retry: &HttpRetry, report: &mut Report) {
    checks::not_negative("attempts", retry.attempts, Code::InvalidRetry, report);
    let has_policy = retry.per_try_timeout.is_some()
        || !retry.retry_on.is_empty()
        || retry.retry_remote_localities.is_some();
    if retry.attempts == 0 && has_policy && !report.is_unread("attempts") {
        report.raise(
            Code::InvalidRetry,
            "`attempts` is 0, which turns retries off, and yet there is a policy for them",
            "set `attempts`, or leave only `attempts: 0`",
        );
    }
    checks::duration_in("perTryTimeout", retry.per_try_timeout, report);
    checks::duration_in("backoff", retry.backoff, report);
    if retry.retry_on.is_empty() {
        return;
    }
    let mut next = 0;
    for token in retry.retry_on.split(',') {
        let from = next;
        next += token.len() + 1;
        if RetryOn::of_token(token).is_some() || token.parse().is_ok_and(is_known_status) {
            continue;
        }
        let help = if token != token.trim() {
            "write the list without spaces".to_owned()
        } else {
            let names = RetryOn::TOKENS.map(|(name, _)| name);
            let known = format!("use status codes or {}", names.join(", "));
            match suggestion(token, &names) {
                meant if meant.is_empty() => known,
                meant => format!("{meant} {known}"),
            }
        };
        let message = format!("{} is not a condition of `retryOn`", quoted(token));
        report.field("retryOn", |report| {
            let part = (retry.retry_on.as_str(), from..from + token.len());
            report.raise_within(part, Code::InvalidRetry, message, help);
        });
    }
}

/// Whether Go's `net/http` has a text for the status, which is what Istio asks.
fn is_known_status(status: i32) -> bool {
    matches!(status, 100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429 | 431
        | 451 | 500..=508 | 510 | 511)
}

/// Checks `fault`; the report stands at it.
pub(super) fn check_fault(fault: &HttpFaultInjection, report: &mut Report) {
    if fault.delay.is_none() && fault.abort.is_none() {
        report.raise(
            Code::InvalidFault,
            "the fault has neither `delay` nor `abort`",
            "",
        );
    }
    if let Some(delay) = &fault.delay {
        report.field("delay", |report| check_delay(delay, report));
    }
    if let Some(abort) = &fault.abort {
        report.field("abort", |report| check_abort(abort, report));
    }
}

fn check_delay(delay: &FaultDelay, report: &mut Report) {
    checks::whole_percent("percent", delay.percent.into(), report);
    if let Some(percentage) = delay.percentage {
        report.field("percentage.value", |report| {
            checks::percentage(percentage.value, report);
        });
    }
    match delay.kind {
        Some(FaultDelayKind::Fixed(duration)) => {
            report.field("fixedDelay", |report| checks::duration(duration, report));
        }
        Some(FaultDelayKind::Exponential(_)) => report.raise_in(
            "exponentialDelay",
            Code::InvalidFault,
            "`exponentialDelay` is not supported, by Istio neither",
            "use `fixedDelay`",
        ),
        None => report.raise(Code::InvalidFault, "`fixedDelay` is missing", ""),
    }
}

fn check_abort(abort: &FaultAbort, report: &mut Report) {
    if let Some(percentage) = abort.percentage {
        report.field("percentage.value", |report| {
            checks::percentage(percentage.value, report);
        });
    }
    if let Some(percent) = abort.percent {
        checks::whole_percent("percent", percent.into(), report);
    }
    match &abort.error {
        // Istio takes 600 here, although its message says otherwise.
        Some(AbortError::HttpStatus(600)) => {}
        Some(AbortError::HttpStatus(status)) => {
            check_status("httpStatus", i64::from(*status), report);
        }
        Some(AbortError::GrpcStatus(name)) if !GRPC_STATUS.contains(&name.as_str()) => {
            let message = format!("{} is not a gRPC status", quoted(name));
            let help = "use a name such as `UNAVAILABLE`";
            report.raise_in("grpcStatus", Code::InvalidFault, message, help);
        }
        Some(AbortError::GrpcStatus(_)) => {}
        Some(AbortError::Http2Error(_)) => report.raise_in(
            "http2Error",
            Code::InvalidFault,
            "`http2Error` is not supported, by Istio neither",
            "use `httpStatus` or `grpcStatus`",
        ),
        None => report.raise(
            Code::FaultWithoutError,
            "the abort names no error and never fires",
            "set `httpStatus` or `grpcStatus`",
        ),
    }
}

/// Checks `corsPolicy`; the report stands at it.
pub(super) fn check_cors(cors: &CorsPolicy, report: &mut Report) {
    report.each("allowOrigins", &cors.allow_origins, |report, origin| {
        let is_empty = match origin {
            StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Regex(text) => {
                text.is_empty()
            }
            StringMatch::Present => true,
        };
        if is_empty {
            let help = "use `exact`, `prefix` or `regex`; `exact: \"*\"` is any origin";
            report.raise(Code::InvalidCors, "the origin is empty", help);
        } else {
            check_text(origin, false, report);
        }
    });
    report.each("allowMethods", &cors.allow_methods, |report, method| {
        if !METHODS.contains(&method.as_str()) {
            let message = format!("{} is not a method that CORS can allow", quoted(method));
            report.raise(
                Code::InvalidCors,
                message,
                format!("use {}", METHODS.join(", ")),
            );
        }
    });
    report.each("allowHeaders", &cors.allow_headers, |report, name| {
        header_name::plain(name, report);
    });
    report.each("exposeHeaders", &cors.expose_headers, |report, name| {
        header_name::plain(name, report);
    });
    if let Some(age) = cors.max_age {
        if age.subsec_nanos() != 0 {
            let message = format!("`{age:?}` is not a whole number of seconds");
            report.raise_in("maxAge", Code::InvalidCors, message, "");
        } else {
            checks::duration_in("maxAge", cors.max_age, report);
        }
    }
}

/// Checks `mirror`, `mirrors` and their shares; the report stands at the rule.
pub(super) fn check_mirrors(rule: &HttpRoute, report: &mut Report) {
    if let Some(mirror) = &rule.mirror {
        report.field("mirror", |report| check_destination(mirror, report));
        if !rule.mirrors.is_empty() {
            let message = "`mirror` and `mirrors` exclude each other";
            report.raise_in(
                "mirrors",
                Code::InvalidMirror,
                message,
                "use `mirrors` alone",
            );
        }
    }
    report.each("mirrors", &rule.mirrors, |report, mirror| {
        report.field("destination", |report| {
            check_destination(&mirror.destination, report);
        });
        if let Some(percentage) = mirror.percentage {
            report.field("percentage.value", |report| {
                checks::percentage(percentage.value, report);
            });
        }
    });
    if let Some(percent) = rule.mirror_percent {
        checks::whole_percent("mirrorPercent", percent.into(), report);
    }
    if let Some(percentage) = rule.mirror_percentage {
        report.field("mirrorPercentage.value", |report| {
            checks::percentage(percentage.value, report);
        });
    }
}
