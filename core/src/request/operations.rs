//! What rules do to heads: the header operations of a rule and its destination, and CORS.
//!
//! Which rule it is stands in `plan`; when in a request's life its operations run is left to the callers.

use super::{Context, plan, scheme};
use crate::decision::Record;
use crate::message::{RequestHead, ResponseHead};
use crate::peer::Peer;
use crate::policy::cors;
use crate::policy::header_ops::{self, FormatContext};
use crate::snapshot::HeaderOps;

/// Runs header operations on the request.
pub(super) fn apply_to_request(
    context: &Context<'_>,
    ops: &HeaderOps,
    route_name: &str,
    record: &mut Record,
) {
    if ops.is_empty() {
        return;
    }
    // Format strings speak of the request as it came, so they need a copy; plain text does not.
    let original = if ops.reads_request() {
        record.request.clone()
    } else {
        RequestHead::default()
    };
    let format = FormatContext {
        request: &original,
        scheme: scheme(&original),
        downstream_remote: Some(context.peer.remote),
        downstream_local: Some(context.peer.destination()),
        upstream_host: "",
        route_name,
    };
    header_ops::apply_to_request(ops, &mut record.request, &format);
}

/// Runs CORS and header operations of the rule on a response that passes through the router.
pub(super) fn apply_to_response(
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
) {
    decorate_response(context, record, response);
    operate_on_response(context, record, response);
}

/// Runs CORS of the rule on a response.
pub(super) fn decorate_response(
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
) {
    if let Some(plan) = plan::of(record, &context.view.snapshot)
        && let Some(policy) = &plan.forward.cors
        && cors::decide(policy, &record.request) == cors::CorsDecision::Decorate
    {
        cors::decorate(policy, &record.request, &mut response.headers);
    }
}

/// Runs header operations of the rule and its destination on a response.
pub(super) fn operate_on_response(
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
) {
    let snapshot = &context.view.snapshot;
    let Some(plan) = plan::of(record, snapshot) else {
        return;
    };
    let ops = &plan.destination.response;
    if !ops.is_empty() {
        let upstream = record.upstream_host(snapshot).unwrap_or("");
        let format = format_context(context.peer, record, &plan.rule.name, upstream);
        header_ops::apply_to_response(ops, response, &format);
    }
}

/// What format strings of a response may speak of.
pub(super) fn format_context<'a>(
    peer: &Peer,
    record: &'a Record,
    route_name: &'a str,
    upstream_host: &'a str,
) -> FormatContext<'a> {
    FormatContext {
        request: &record.request,
        scheme: scheme(&record.request),
        downstream_remote: Some(peer.remote),
        downstream_local: Some(peer.destination()),
        upstream_host,
        route_name,
    }
}
