//! The trace of a request: which one it is part of, whether its spans are told, and what the endpoint of each attempt and
//! each mirror is told of it.
//!
//! Where nothing is traced (no policy for the listener) heads are not looked at, and pass as they came. The grammar of
//! headers is `policy::trace_headers`, the decision `policy::sampling`.

use super::Context;
use crate::decision::{Record, SpanId, Trace, TraceForms, TraceId};
use crate::entropy::{Draw, Entropy};
use crate::policy::{sampling, trace_headers};
use crate::snapshot::{Propagation, TracePolicy};

/// A request's head is complete, and has an id.
pub(super) fn begin(context: &Context<'_>, record: &mut Record) {
    let tracing = &context.view.snapshot.tracing;
    let is_inbound = context.peer.listener.is_inbound();
    if let Some(policy) = tracing.of(is_inbound) {
        join(policy, record);
    }
}

fn join(policy: &TracePolicy, record: &mut Record) {
    let headers = &mut record.request.headers;
    let prefers_w3c = matches!(policy.propagation, Propagation::W3c | Propagation::Off);
    let caller = trace_headers::read(headers, prefers_w3c);
    let sampled = sampling::decide(policy, caller.sampled, headers, record.entropy);
    if policy.by_request_id {
        sampling::mark(headers, sampled);
    }
    let (id, parent) = match caller.context {
        Some((id, span)) => (id, Some(span)),
        None => (begin_id(policy, record.entropy), None),
    };
    let trace = Trace {
        id,
        parent,
        span: SpanId::of_request(record.entropy),
        sampled,
        is_debug: caller.is_debug,
        forms: forms(policy.propagation, caller.forms),
    };
    if parent.is_none() && !trace.forms.is_empty() {
        trace_headers::forget(headers);
        if !sampled.is_sampled() {
            trace_headers::decline(headers, &trace);
        }
    }
    record.trace = Some(trace);
}

/// The forms in which it is passed on: the policy's, and those in which it came.
const fn forms(propagation: Propagation, came: TraceForms) -> TraceForms {
    let (w3c, b3_multi) = match propagation {
        Propagation::Off => return TraceForms::NONE,
        Propagation::W3c => (true, false),
        Propagation::B3 { with_w3c, .. } => (with_w3c, true),
    };
    let own = TraceForms {
        w3c,
        // One header says what several do.
        b3_multi: b3_multi && !came.b3_single,
        b3_single: false,
    };
    own.or(came)
}

fn begin_id(policy: &TracePolicy, entropy: Entropy) -> TraceId {
    let is_short = matches!(policy.propagation, Propagation::B3 { is_short: true, .. });
    let low = entropy.draw(Draw::TraceIdLow, 0).max(1);
    let high = match is_short {
        true => 0,
        false => entropy.draw(Draw::TraceIdHigh, 0),
    };
    TraceId {
        number: u128::from(high) << 64 | u128::from(low),
        is_short,
    }
}

/// Tells the endpoint whose span its caller is.
pub(super) fn announce(record: &mut Record) {
    let Some(trace) = record.trace.filter(|trace| trace.sampled.is_sampled()) else {
        return;
    };
    let span = SpanId::of_try(record.entropy, record.retries);
    trace_headers::write(&mut record.request.headers, &trace, span);
}

/// The copy of a request for a mirror is a span below the request's.
pub(super) fn copy(original: &Record, record: &mut Record) {
    record.trace = original.trace.map(|trace| Trace {
        parent: Some(trace.span),
        span: SpanId::of_request(record.entropy),
        ..trace
    });
    announce(record);
}

#[cfg(test)]
mod tests;
