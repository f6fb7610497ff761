//! Reading retries, faults and mirrors.

use super::destination::required_destination;
use super::{
    AbortError, FaultAbort, FaultDelay, FaultDelayKind, HttpFaultInjection, HttpMirrorPolicy,
    HttpRetry, Percent,
};
use crate::config::code::Code;
use crate::config::decode::{Object, object};
use crate::config::node::{Node, Value};
use crate::config::report::Report;
use crate::config::scalar;

fn percent(o: &mut Object<'_, '_>) -> Percent {
    Percent {
        value: o.number("value").unwrap_or_default(),
    }
}

/// A percentage, also of a rule's mirror.
pub(super) fn percentage(report: &mut Report, node: &Node) -> Percent {
    if let Value::Scalar(scalar) = &node.value {
        let form = if scalar.text.parse::<f64>().is_ok() {
            "`{value: …}`"
        } else {
            "`{value: 10}`"
        };
        scalar::bare(report, scalar, form);
        return Percent { value: 0.0 };
    }
    object(report, node, percent)
}

pub(super) fn retry(o: &mut Object<'_, '_>) -> HttpRetry {
    HttpRetry {
        attempts: o.integer("attempts"),
        per_try_timeout: o.duration("perTryTimeout"),
        retry_on: o.string("retryOn"),
        retry_remote_localities: o.optional_boolean("retryRemoteLocalities"),
        retry_ignore_previous_hosts: o.optional_boolean("retryIgnorePreviousHosts"),
        backoff: o.duration("backoff"),
    }
}

pub(super) fn fault(o: &mut Object<'_, '_>) -> HttpFaultInjection {
    HttpFaultInjection {
        delay: o.message("delay", delay),
        abort: o.message("abort", abort),
    }
}

fn delay(o: &mut Object<'_, '_>) -> FaultDelay {
    o.deprecated("percent", "use `percentage: {value: …}`");
    o.one_of(&["fixedDelay", "exponentialDelay"]);
    let fixed = o.duration("fixedDelay").map(FaultDelayKind::Fixed);
    let exponential = o
        .duration("exponentialDelay")
        .map(FaultDelayKind::Exponential);
    FaultDelay {
        percent: o.integer("percent"),
        kind: fixed.or(exponential),
        percentage: o.read("percentage", percentage),
    }
}

fn abort(o: &mut Object<'_, '_>) -> FaultAbort {
    o.one_of(&["httpStatus", "grpcStatus", "http2Error"]);
    let http = o.optional_integer("httpStatus").map(AbortError::HttpStatus);
    let grpc = o.optional_string("grpcStatus").map(AbortError::GrpcStatus);
    let http2 = o.optional_string("http2Error").map(AbortError::Http2Error);
    let abort = FaultAbort {
        error: http.or(grpc).or(http2),
        percentage: o.read("percentage", percentage),
        percent: o.optional_integer("percent"),
    };
    if abort.percent.is_some() {
        let message = if abort.percentage.is_some() {
            "`percent` was removed from Istio; `percentage` is used"
        } else {
            "`percent` was removed from Istio, which ignores it; it is honoured here"
        };
        o.report().raise_in(
            "percent",
            Code::AbortPercent,
            message,
            "use `percentage: {value: …}`, which works everywhere",
        );
    }
    abort
}

pub(super) fn mirror(o: &mut Object<'_, '_>) -> HttpMirrorPolicy {
    HttpMirrorPolicy {
        destination: required_destination(o),
        percentage: o.read("percentage", percentage),
    }
}
