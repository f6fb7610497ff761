//! Sending a request on: how long it may take, with which head, and who gets a copy.

use super::plan::Plan;
use super::{Context, Verdict, endpoint, grpc, head, metadata, mirror, operations, trace};
use crate::decision::{Record, Timeouts};
use crate::message::{Known, RequestHead, ResponseHead};
use crate::peer::Peer;
use crate::policy::{grpc_timeout, rewrite, timeouts};

/// Changes the head as the rule and its drawn destination say, and picks an endpoint.
pub(super) fn forward(
    context: &Context<'_>,
    plan: &Plan<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let (rule, to) = (plan.rule, plan.destination);
    record.timeouts = timeouts(context.peer, Some(plan), &record.request);
    // Before the rule's operations, which may change or remove what it writes (Envoy).
    head::announce_attempt(context, record);
    trace::announce(record);
    metadata::put_on_request(context, &to.cluster, record);
    operations::apply_to_request(context, &to.request, &rule.name, record);
    rewrite::apply(&plan.forward.rewrite, &rule.condition, &mut record.request);
    let verdict = endpoint::pick(context, &to.cluster, record, response);
    if matches!(verdict, Verdict::Attempt(_)) {
        mirror::choose(context, plan.forward, record);
    }
    verdict
}

/// How long a request may take. Outbound, a gRPC client's own timeout counts too (Istio's `max_grpc_timeout`).
pub(super) fn timeouts(peer: &Peer, plan: Option<&Plan<'_>>, request: &RequestHead) -> Timeouts {
    let retry = plan.and_then(Plan::retry);
    let asked = || {
        let asked = request.headers.get(Known::GrpcTimeout);
        asked.and_then(grpc_timeout::parse)
    };
    let counts = !peer.listener.is_inbound() && grpc::is_request(request);
    timeouts::of_request(
        plan.and_then(|plan| plan.forward.timeout),
        retry.and_then(|retry| retry.per_try_timeout),
        retry.is_some_and(|retry| retry.hedge_on_per_try_timeout),
        counts.then(asked),
    )
}
