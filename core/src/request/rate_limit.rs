//! A request's way past the local rate limits of its listener and its route.

use bytes::Bytes;

use super::{Context, Verdict, grpc, operations, scheme};
use crate::cluster::{Bucket, Limited};
use crate::decision::{Details, RateLimitSeen, Record, RouteDecision};
use crate::message::{Known, ResponseHead};
use crate::policy::rate_limit::{self, Asking, Decided};
use crate::policy::{authority, header_ops};
use crate::snapshot::{Limiter, Place, RateLimit, SizedBucket, Snapshot};
use crate::time::{Duration, Instant};

/// The port that an authority without one stands for.
const HTTP_PORT: u16 = 80;

/// Asks the limits at a place, in order, until one refuses.
pub(super) fn check(
    context: &Context<'_>,
    place: Place,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    let snapshot = &context.view.snapshot;
    if snapshot.rate_limits.is_empty() {
        return None;
    }
    for (index, limiter) in (0..).zip(limiters(record, snapshot)) {
        if limiter.place != place {
            continue;
        }
        let limit = snapshot.rate_limit(limiter.limit);
        let own = context.own_bucket;
        let asking = Asking {
            request: &record.request,
            scheme: scheme(&record.request),
            remote: context.peer.remote,
            own,
            entropy: record.entropy,
            now: context.now,
        };
        let Some(decided) = rate_limit::decide(limit, limiter, &asking, index) else {
            continue;
        };
        let Decided {
            limited,
            descriptor,
        } = decided;
        let (tokens, next_token) = left(limit, descriptor, own, context.now);
        record.rate_limit = Some(RateLimitSeen {
            limit: limiter.limit,
            descriptor,
            limited,
            tokens,
            next_token,
        });
        match limited {
            Limited::Ok => {}
            Limited::NotEnforced => {
                operations::apply_to_request(
                    context,
                    &limit.request,
                    route_name(record, snapshot),
                    record,
                );
            }
            Limited::Enforced => {
                return Some(refuse(context, limiter, record, response));
            }
        }
    }
    None
}

/// The limits that look at a request.
fn limiters<'a>(record: &Record, snapshot: &'a Snapshot) -> &'a [Limiter] {
    match record.route {
        // What is mirrored has passed them.
        RouteDecision::NotReached | RouteDecision::Mirror { .. } => &[],
        RouteDecision::UnknownHost => {
            let (_, port) = authority::split(&record.request.authority);
            let port = port.unwrap_or(HTTP_PORT);
            let all = &snapshot.unknown_host_limits;
            let at = all.binary_search_by_key(&port, |(port, _)| *port);
            at.map_or(&[], |at| &all[at].1)
        }
        RouteDecision::NoRule { virtual_host } => {
            let limits = &snapshot.virtual_host(virtual_host).limits;
            limits.as_ref().map_or(&[], |limits| &limits.otherwise)
        }
        RouteDecision::Rule {
            virtual_host, rule, ..
        } => {
            let limits = &snapshot.virtual_host(virtual_host).limits;
            let limits = limits.as_ref();
            limits.map_or(&[], |limits| &limits.rules[rule as usize])
        }
    }
}

fn route_name<'a>(record: &Record, snapshot: &'a Snapshot) -> &'a str {
    match record.route {
        RouteDecision::Rule {
            virtual_host, rule, ..
        }
        | RouteDecision::Mirror {
            virtual_host, rule, ..
        } => &snapshot.virtual_host(virtual_host).rules[rule as usize].name,
        RouteDecision::NotReached | RouteDecision::UnknownHost | RouteDecision::NoRule { .. } => "",
    }
}

/// 429 with Envoy's text; the route's response operations run first, then the limit's.
fn refuse(
    context: &Context<'_>,
    limiter: &Limiter,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let snapshot = &context.view.snapshot;
    let limit = snapshot.rate_limit(limiter.limit);
    response.clear();
    response.status = limit.status;
    record.details = Details::RateLimited;
    operations::operate_on_response(context, record, response);
    if limiter.place == Place::BeforeRouter {
        operations::decorate_response(context, record, response);
    }
    let name = route_name(record, snapshot);
    let format = operations::format_context(context.peer, record, name, "");
    header_ops::apply_to_response(&limit.response, response, &format);
    if let Some(code) = limit
        .grpc_status
        .filter(|_| grpc::is_request(&record.request))
    {
        grpc::set_status(response, code);
    }
    Verdict::Reply(Bytes::from_static(b"local_rate_limited"))
}

/// What is in the bucket that decided, and how long until there is a token.
fn left(limit: &RateLimit, descriptor: Option<u32>, own: &Bucket, now: Instant) -> (u32, Duration) {
    let Some(sized) = deciding(limit, descriptor) else {
        return (u32::MAX, Duration::ZERO);
    };
    let is_own = limit.per_connection && descriptor.is_none();
    let bucket = if is_own { own } else { &sized.bucket };
    (
        bucket.tokens(sized.size, now),
        bucket.next_token(sized.size, now),
    )
}

fn deciding(limit: &RateLimit, descriptor: Option<u32>) -> Option<&SizedBucket> {
    match descriptor {
        Some(at) => limit.descriptors.get(at as usize).map(|d| &d.sized),
        None => limit.bucket.as_ref(),
    }
}

/// Tells the client how many tokens are left, if a limit that looked at its request does so (`x-ratelimit-…`, the third
/// draft of the IETF's RateLimit fields; the reset is when there is a token again).
pub(super) fn tell(context: &Context<'_>, record: &Record, response: &mut ResponseHead) {
    let Some(seen) = &record.rate_limit else {
        return;
    };
    let limit = context.view.snapshot.rate_limit(seen.limit);
    let Some(sized) = deciding(limit, seen.descriptor).filter(|_| limit.tells_clients) else {
        return;
    };
    let (own, now) = (context.own_bucket, context.now);
    let (tokens, next_token) = left(limit, seen.descriptor, own, now);
    let seconds = next_token.as_nanos().div_ceil(1_000_000_000);
    let headers = &mut response.headers;
    for (name, value) in [
        (Known::XRatelimitLimit, u128::from(sized.size.max_tokens())),
        (Known::XRatelimitRemaining, tokens.into()),
        (Known::XRatelimitReset, seconds),
    ] {
        headers.append_known(name, value.to_string().as_bytes());
    }
}
