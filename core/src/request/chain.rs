//! The order of policies between a request's rule and its endpoint, which is that of Istio's filters: who is asked about it,
//! tokens, who may ask, faults, CORS, and rate limits wherever they were inserted.
//!
//! A request may have to wait on its way, for an answer or for a delay, and goes on behind where it stopped.

use bytes::Bytes;

use super::external::{self, Asks, Heard, Question};
use super::plan::{Later, Plan};
use super::rate_limit::{self, Met};
use super::{Context, Verdict, authentication, authorization, connection, forward, reply};
use crate::decision::Record;
use crate::message::ResponseHead;
use crate::peer::ListenerKind;
use crate::policy::{cors, fault};
use crate::snapshot::Place;
use crate::time::Duration;

/// A request that a rule sends on.
pub(super) fn begin(
    context: &Context<'_>,
    plan: &Plan<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    limits(context, plan, (Place::First, 0), record, response)
}

/// A request that is not sent on: who asks, and all rate limits, between which nothing else stands for it.
pub(super) fn stay(
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    for place in Place::ALL {
        let met = match rate_limit::check(context, (place, 0), None, record, response) {
            // Nobody is asked about what is not sent on.
            None | Some(Met::Asks(_)) => behind_limits(context, place, record, response),
            Some(Met::Refused(refused)) => Some(refused),
        };
        if met.is_some() {
            return met;
        }
    }
    None
}

/// Who asks, and whether he may. The application's own requests are not asked.
fn behind_limits(
    context: &Context<'_>,
    place: Place,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    if context.peer.listener == ListenerKind::Outbound {
        return None;
    }
    match place {
        // They were checked before the rule was found.
        Place::BeforeTokens if record.authentication.is_some() => None,
        Place::BeforeTokens => authentication::check(context, record, response),
        Place::BeforeAccess => authorization::check(context, record, response),
        Place::First | Place::BeforeFaults | Place::BeforeCors | Place::BeforeRouter => None,
    }
}

/// The limits of a place, from this one on, and everything behind them.
fn limits(
    context: &Context<'_>,
    plan: &Plan<'_>,
    (place, from): (Place, u32),
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let to = Some(&plan.destination.cluster);
    match rate_limit::check(context, (place, from), to, record, response) {
        None => {}
        Some(Met::Refused(refused)) => return refused,
        Some(Met::Asks(limiter)) => {
            let later = plan.after(Duration::ZERO);
            return ask(
                context,
                Asks::RateLimit {
                    place,
                    limiter,
                    later,
                },
            );
        }
    }
    if let Some(refused) = behind_limits(context, place, record, response) {
        return refused;
    }
    let next = match place {
        Place::First => return providers(context, plan, 0, record, response),
        Place::BeforeTokens => Place::BeforeAccess,
        Place::BeforeAccess => Place::BeforeFaults,
        Place::BeforeFaults => return delay(context, plan, record, response),
        Place::BeforeCors => match preflight(plan, record, response) {
            Some(answered) => return answered,
            None => Place::BeforeRouter,
        },
        Place::BeforeRouter => return forward::forward(context, plan, record, response),
    };
    limits(context, plan, (next, 0), record, response)
}

/// The providers of AuthorizationPolicies, from this one on.
fn providers(
    context: &Context<'_>,
    plan: &Plan<'_>,
    from: u32,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    match external::next_provider(context, from, record) {
        Some(check) => {
            let later = plan.after(Duration::ZERO);
            ask(context, Asks::Provider { check, later })
        }
        None => limits(context, plan, (Place::BeforeTokens, 0), record, response),
    }
}

fn ask(context: &Context<'_>, asks: Asks) -> Verdict {
    Verdict::Ask(Question::new(asks, context))
}

/// An answer came, or none (`None`): the request, or the connection, goes on, or is refused.
pub fn after_answer(
    question: Question,
    heard: Option<&Heard>,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let refused = external::hear(question, heard, context, record, response);
    let snapshot = &context.view.snapshot;
    match (question.asks, refused) {
        // There is nobody to answer.
        (Asks::OfConnection { .. }, Some(_)) => Verdict::Close,
        (_, Some(refused)) => refused,
        (Asks::OfConnection { check, rule }, None) => {
            connection::go_on((check + 1, rule), context, record, response)
        }
        (Asks::Provider { check, later }, None) => {
            providers(context, &later.plan(snapshot), check + 1, record, response)
        }
        (
            Asks::RateLimit {
                place,
                limiter,
                later,
            },
            None,
        ) => {
            let plan = later.plan(snapshot);
            limits(context, &plan, (place, limiter + 1), record, response)
        }
    }
}

/// An injected delay.
fn delay(
    context: &Context<'_>,
    plan: &Plan<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    if let Some(wait) = plan
        .forward
        .fault
        .as_ref()
        .and_then(|policy| fault::delay(policy, &record.request.headers, record.entropy))
    {
        record.delayed = Some(wait);
        return Verdict::Delay(plan.after(wait));
    }
    abort(context, plan, record, response)
}

/// The injected delay is over: the request goes on behind it.
pub fn after_delay(
    later: Later,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let plan = later.plan(&context.view.snapshot);
    abort(context, &plan, record, response)
}

/// An injected abort.
fn abort(
    context: &Context<'_>,
    plan: &Plan<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    if let Some(answer) = plan
        .forward
        .fault
        .as_ref()
        .and_then(|policy| fault::abort(policy, &record.request.headers, record.entropy))
    {
        return reply::fault_abort(context, answer, record, response);
    }
    limits(context, plan, (Place::BeforeCors, 0), record, response)
}

/// The answer to a question of a browser about CORS.
fn preflight(plan: &Plan<'_>, record: &mut Record, response: &mut ResponseHead) -> Option<Verdict> {
    let policy = plan.forward.cors.as_ref()?;
    match cors::decide(policy, &record.request) {
        cors::CorsDecision::Pass | cors::CorsDecision::Decorate => None,
        cors::CorsDecision::AnswerPreflight => {
            reply::preflight(record, response);
            cors::answer_preflight(policy, &record.request, &mut response.headers);
            Some(Verdict::Reply(Bytes::new()))
        }
    }
}
