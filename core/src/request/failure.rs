//! What follows an attempt that did not work: another one, or an answer of our own.

use bytes::Bytes;
use http::StatusCode;

use super::plan::{self, Later};
use super::{Context, Verdict, connection, endpoint, reply};
use crate::cluster::{Counted, Permit, RetriesFull, RetryEvent};
use crate::decision::{Details, Followed, Overflow, Record, ResetReason};
use crate::message::{Known, ResponseHead};
use crate::policy::{backoff, retry};
use crate::snapshot::{Cluster, RetryPolicy, Snapshot};
use crate::time::{Duration, Instant};

/// How an attempt ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: ResetReason,
    /// The request can be sent again from its first byte, and nothing has reached the client.
    pub can_repeat: bool,
    /// Some of the request has been written to an endpoint, in this attempt or an earlier one.
    pub request_sent: bool,
    /// Another attempt was made beside this one already.
    pub was_hedged: bool,
}

/// What a response's head means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The policy would not retry it.
    Good,
    /// It is thrown away, and after this wait there is another attempt ([`retry()`]).
    Retry(Later),
    /// The policy would retry it, and cannot.
    Bad,
}

/// A response's head arrived. `was_hedged`: another attempt was made beside this one already, so that there is none after
/// it.
pub fn after_response(
    was_hedged: bool,
    can_repeat: bool,
    context: &Context<'_>,
    record: &mut Record,
    response: &ResponseHead,
) -> Judged {
    let plan = plan::of(record, &context.view.snapshot);
    let status = response.status.as_u16();
    let headers = &response.headers;
    let retried = plan.and_then(|plan| Some((plan, plan.retry()?)));
    let wants = |policy| retry::wants_after_response(policy, status, headers);
    let Some((plan, policy)) = retried.filter(|(_, policy)| wants(policy)) else {
        record.retry_slot = None;
        on_good_response(context, record);
        return Judged::Good;
    };
    if was_hedged {
        return Judged::Bad;
    }
    let why = backoff::asked_for(policy, headers).map_or(Why::Failed, Why::FailedAndAsked);
    match take_retry(wanted(true, can_repeat), policy, why, context, record) {
        Some(wait) => Judged::Retry(plan.after(wait)),
        None => Judged::Bad,
    }
}

/// An attempt takes longer than it may, and goes on: how long to wait before another one beside it, whatever the policy
/// retries (Envoy's `hedge_on_per_try_timeout`).
pub fn on_try_too_long(
    can_repeat: bool,
    context: &Context<'_>,
    record: &mut Record,
) -> Option<Later> {
    let plan = plan::of(record, &context.view.snapshot)?;
    let wanted = wanted(true, can_repeat);
    let wait = take_retry(wanted, plan.retry()?, Why::TooLong, context, record)?;
    Some(plan.after(wait))
}

/// The response is none to retry: it pays for retries of others, and a retry has brought what it was made for.
fn on_good_response(context: &Context<'_>, record: &Record) {
    let Some(cluster) = last_cluster(record, &context.view.snapshot) else {
        return;
    };
    if let Some(budget) = &cluster.token_budget {
        cluster.state.pay(budget, context.now);
    }
    if record.retries > 0 {
        cluster.state.count_retry(RetryEvent::Success);
    }
}

/// An attempt ended without a response.
pub fn on_attempt_failed(
    context: &Context<'_>,
    failure: Failure,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    if record.connection.is_some() {
        return connection::on_attempt_failed(failure.reason, record);
    }
    let plan = plan::of(record, &context.view.snapshot);
    if let Some(plan) = plan.filter(|_| !failure.was_hedged)
        && let Some(policy) = plan.retry()
    {
        let by_policy = retry::wants_after_reset(policy, failure.reason, failure.request_sent);
        let wanted = wanted(by_policy, failure.can_repeat);
        if let Some(wait) = take_retry(wanted, policy, Why::Failed, context, record) {
            return Verdict::Retry(plan.after(wait));
        }
    }
    if failure.reason == ResetReason::PerTryTimeout {
        record.details = Details::PerTryTimeout;
        return reply::timed_out(context, record, response);
    }
    if let ResetReason::Overflow(Overflow {
        counted: Counted::Concurrency,
        ..
    }) = failure.reason
    {
        record.details = Details::ConcurrencyLimit;
        reply::from_router(context, StatusCode::SERVICE_UNAVAILABLE, record, response);
        return Verdict::Reply(Bytes::from_static(b"reached concurrency limit"));
    }
    record.details = Details::ResetBeforeResponse(failure.reason);
    // Envoy: an upstream that breaks the protocol is a bad gateway, everything else is unavailable.
    let status = if failure.reason == ResetReason::ProtocolError {
        StatusCode::BAD_GATEWAY
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = reply::reset_text(failure.reason, record.retries > 0);
    reply::from_router(context, status, record, response);
    if matches!(failure.reason, ResetReason::Overflow(_)) {
        let headers = &mut response.headers;
        headers.append_known(Known::XEnvoyOverloaded, b"true");
    }
    Verdict::Reply(body)
}

/// Spends one retry, if one is wanted and left and the cluster's limit allows it, and writes down what became of it.
/// What the retry before it held is free again.
fn take_retry(
    wanted: Wanted,
    policy: &RetryPolicy,
    why: Why,
    context: &Context<'_>,
    record: &mut Record,
) -> Option<Duration> {
    let cluster = last_cluster(record, &context.view.snapshot);
    record.retry_slot = None;
    let followed = match wanted {
        Wanted::No => Followed::Nothing,
        Wanted::Impossible => Followed::CannotRepeat,
        Wanted::Yes if record.retries >= policy.retries => Followed::NoRetriesLeft {
            allowed: policy.retries,
        },
        Wanted::Yes => match begin_retry(cluster, context.now) {
            Ok(slot) => {
                record.retry_slot = slot;
                record.retries += 1;
                wait(policy, why, record)
            }
            Err(full) => Followed::RetriesFull(full),
        },
    };
    record.follow(followed);
    let (event, wait) = match followed {
        Followed::Nothing | Followed::CannotRepeat => return None,
        Followed::Retry { wait } => (RetryEvent::BackOff, Some(wait)),
        Followed::RetryAfter { wait } => (RetryEvent::RetryAfter, Some(wait)),
        Followed::Hedge { wait } => (RetryEvent::Hedge, Some(wait)),
        Followed::NoRetriesLeft { .. } => (RetryEvent::LimitExceeded, None),
        Followed::RetriesFull(_) => (RetryEvent::Overflow, None),
    };
    if let Some(cluster) = cluster {
        cluster.state.count_retry(event);
    }
    wait
}

/// How long the retry that was just counted waits. What responses ask for does not move the back-off on.
fn wait(policy: &RetryPolicy, why: Why, record: &Record) -> Followed {
    let attempts = record.attempts.iter();
    let backed_off =
        attempts.filter(|a| matches!(a.followed, Followed::Retry { .. } | Followed::Hedge { .. }));
    let nth = u32::try_from(backed_off.count()).unwrap_or(u32::MAX);
    let jittered = || backoff::jittered(policy, nth.saturating_add(1), record.entropy);
    match why {
        Why::Failed => Followed::Retry { wait: jittered() },
        Why::TooLong => Followed::Hedge { wait: jittered() },
        Why::FailedAndAsked(asked) => Followed::RetryAfter {
            wait: backoff::spread(asked, record.retries, record.entropy),
        },
    }
}

/// Why there is to be another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// One failed.
    Failed,
    /// One failed, and its response asks to wait for so long.
    FailedAndAsked(Duration),
    /// One takes too long, and goes on.
    TooLong,
}

/// Whether the policy wants another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    No,
    /// It would, but the request cannot be sent again.
    Impossible,
    Yes,
}

const fn wanted(by_policy: bool, can_repeat: bool) -> Wanted {
    match (by_policy, can_repeat) {
        (false, _) => Wanted::No,
        (true, false) => Wanted::Impossible,
        (true, true) => Wanted::Yes,
    }
}

/// Counts one more retry in the cluster of the last attempt; nothing is counted where nothing is limited. The budget is
/// drawn on last, so that a retry that is refused otherwise costs nothing.
fn begin_retry(cluster: Option<&Cluster>, now: Instant) -> Result<Option<Permit>, RetriesFull> {
    let Some(cluster) = cluster else {
        return Ok(None);
    };
    let limit = cluster.limits.map(|limits| limits.retries);
    let slot = limit.map(|limit| cluster.state.begin_retry(limit, now));
    let slot = slot.transpose()?;
    if let Some(budget) = &cluster.token_budget {
        cluster.state.draw(budget, now)?;
    }
    Ok(slot)
}

fn last_cluster<'s>(record: &Record, snapshot: &'s Snapshot) -> Option<&'s Cluster> {
    Some(snapshot.cluster(record.attempt()?.cluster?))
}

/// The back-off is over: the destination stays, the endpoint is picked anew.
pub fn retry(
    later: Later,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let plan = later.plan(&context.view.snapshot);
    endpoint::attempt(context, &plan.destination.cluster, record, response)
}

/// The route's timeout ran out before a response began.
pub fn on_route_timeout(
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    record.details = Details::ResponseTimeout;
    reply::timed_out(context, record, response)
}

/// How much of a request's body is worth keeping: whether a policy may send it again.
#[must_use]
pub fn may_retry(record: &Record, snapshot: &Snapshot) -> bool {
    plan::of(record, snapshot).is_some_and(|plan| plan.retry().is_some())
}

/// Whether the rule that applied says itself what is tried again.
#[must_use]
pub fn retries_are_written(record: &Record, snapshot: &Snapshot) -> bool {
    plan::of(record, snapshot).is_some_and(|plan| plan.forward.retries_written)
}

#[cfg(test)]
mod tests;
