//! Services that keep global rate limits (`envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`): what they are told of
//! a request, and what follows from their answer, in the words of Envoy's `ratelimit` filter.

use bytes::Bytes;

use super::messages::{
    self, RateLimitCode, RateLimitDescriptor, RateLimitRequest, RateLimitResponse,
};
use super::{Heard, call, rate_limit_fields, sound_field};
use crate::cluster::LimitAnswer;
use crate::decision::{Details, Record, Whom, Word};
use crate::entropy::Draw;
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::peer::ListenerKind;
use crate::policy::descriptors::{Described, describe};
use crate::request::plan::Plan;
use crate::request::rate_limit::{self, Refusal};
use crate::request::{Context, Verdict};
use crate::snapshot::{
    Describes, DestinationCluster, GlobalRateLimit, GlobalRateLimitId, HeaderOps, Limit, Place,
    Snapshot,
};

/// The method that is called.
const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// What refusals say that are such.
const LIMITED: &[u8] = b"x-envoy-ratelimited";

/// The global limit at a position among those of a request.
struct At<'a> {
    place: Place,
    id: GlobalRateLimitId,
    limit: &'a GlobalRateLimit,
    described: &'a [Describes],
}

impl<'a> At<'a> {
    fn of(limiter: u32, at: ListenerKind, record: &Record, snapshot: &'a Snapshot) -> Self {
        let limiter = &rate_limit::limiters(at, record, snapshot)[limiter as usize];
        let Limit::Global { id, described } = &limiter.limit else {
            // A question is made of no other, and a request that waits stays with its snapshot.
            unreachable!("the limit that a request waits for is a service's");
        };
        Self {
            place: limiter.place,
            id: *id,
            limit: snapshot.global_rate_limit(*id),
            described,
        }
    }
}

/// What a service is asked.
pub(super) fn said<'a>(
    limiter: u32,
    context: &Context<'a>,
    original: &Record,
) -> (&'a GlobalRateLimit, RequestHead, Bytes) {
    let at = At::of(
        limiter,
        context.peer.listener,
        original,
        &context.view.snapshot,
    );
    let limit = at.limit;
    let mut head = call::head(PATH, &limit.authority, limit.timeout);
    for (name, value) in &limit.metadata {
        head.headers.set_named(name, value.as_bytes());
    }
    let of = rate_limit::described(context, original);
    let message = message(limit, at.described, &of);
    (limit, head, call::framed(&messages::encode(&message)))
}

fn message(
    limit: &GlobalRateLimit,
    described: &[Describes],
    of: &Described<'_>,
) -> RateLimitRequest {
    let descriptors = described.iter().filter_map(|by| {
        let entries = describe(&by.actions, of)?;
        let entry = |(key, value): (&str, _)| messages::DescriptorEntry {
            key: key.to_owned(),
            value: String::from_utf8_lossy(value).into_owned(),
        };
        let entries = entries.iter().map(|(key, value)| entry((*key, &**value)));
        Some(RateLimitDescriptor {
            entries: entries.collect(),
            hits_addend: by.hits.map(|value| messages::UInt64Value { value }),
        })
    });
    RateLimitRequest {
        domain: limit.domain.to_string(),
        descriptors: descriptors.collect(),
    }
}

/// What a service said, and the answer to a request that is refused for it.
pub(super) fn hear(
    (limiter, plan): (u32, &Plan<'_>),
    heard: Option<&Heard>,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> (Whom, (Word, Option<Verdict>)) {
    let snapshot = &context.view.snapshot;
    let at = At::of(limiter, context.peer.listener, record, snapshot);
    let limit = at.limit;
    let (answer, said) = judge(heard);
    let count = |what: &dyn Fn(&crate::cluster::LimitAnswers)| {
        if let DestinationCluster::Known(cluster) = plan.destination.cluster {
            what(snapshot.cluster(cluster).state.limit_answers());
        }
    };
    count(&|answers| answers.count(answer));
    let rolls = |share: crate::snapshot::PerMillion, draw| {
        share.takes(record.entropy.draw(draw, u64::from(limiter)))
    };
    let nothing = HeaderOps::default();
    let (word, refusal) = match answer {
        LimitAnswer::Ok => (Word::Allowed, None),
        LimitAnswer::OverLimit if rolls(limit.enforced, Draw::RateLimitEnforced) => {
            let refusal = Refusal {
                place: at.place,
                status: limit.status,
                details: Details::RequestRateLimited,
                grpc_status: limit.grpc_status,
                operations: &limit.response,
                text: said.raw_body.clone().into(),
            };
            (Word::Denied(limit.status.as_u16()), Some(refusal))
        }
        LimitAnswer::OverLimit => (Word::NotEnforced, None),
        LimitAnswer::Error if rolls(limit.denied_on_failure, Draw::RateLimitFailure) => {
            let refusal = Refusal {
                place: at.place,
                status: limit.status_on_error,
                details: Details::RateLimiterError,
                grpc_status: None,
                operations: &nothing,
                text: Bytes::new(),
            };
            (Word::Failed, Some(refusal))
        }
        LimitAnswer::Error => {
            count(&|answers| answers.count_allowed());
            (Word::FailedOpen, None)
        }
    };
    let told = record.told_fields.get_or_insert_default();
    tell(limit, answer, &said, &mut told.added);
    let refused = match refusal {
        Some(refusal) => Some(rate_limit::refuse(context, refusal, record, response)),
        None => {
            add(&said.request_headers_to_add, &mut record.request.headers);
            None
        }
    };
    (Whom::RateLimit(at.id), (word, refused))
}

/// An answer that is none, or says nothing of limits, is an error.
fn judge(heard: Option<&Heard>) -> (LimitAnswer, RateLimitResponse) {
    let answer = heard.and_then(call::answer);
    let Some(said) = answer.and_then(messages::decode::<RateLimitResponse>) else {
        return (LimitAnswer::Error, RateLimitResponse::default());
    };
    match said.overall_code() {
        RateLimitCode::Unknown => (LimitAnswer::Error, RateLimitResponse::default()),
        RateLimitCode::Ok => (LimitAnswer::Ok, said),
        RateLimitCode::OverLimit => (LimitAnswer::OverLimit, said),
    }
}

/// What the client is told.
fn tell(
    limit: &GlobalRateLimit,
    answer: LimitAnswer,
    said: &RateLimitResponse,
    fields: &mut Headers,
) {
    add(&said.response_headers_to_add, fields);
    if answer == LimitAnswer::OverLimit && limit.says_limited {
        let _ = fields.append(LIMITED, b"true");
    }
    if limit.tells_clients {
        rate_limit_fields::add(&said.statuses, fields);
    }
}

/// Adds fields that a service asks for, beside those that are there.
fn add(written: &[messages::HeaderValue], fields: &mut Headers) {
    for (name, value) in written.iter().filter_map(sound_field) {
        // As long as the answer that it came with, which was bounded.
        let _ = fields.append(name.as_bytes(), value);
    }
}
