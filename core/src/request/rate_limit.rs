//! A request's way past the rate limits of its listener and its route: local ones, and those that a service is asked about.
//!
//! What the service is asked, and what follows from its answer, is in `external`.

use bytes::Bytes;
use http::StatusCode;

use super::{Context, Verdict, grpc, operations, scheme};
use crate::cluster::{Bucket, Limited};
use crate::decision::{Details, RateLimitSeen, Record, RouteDecision};
use crate::entropy::Draw;
use crate::message::{Known, ResponseHead};
use crate::peer::ListenerKind;
use crate::policy::descriptors::{Described, describe};
use crate::policy::rate_limit::{self, Asking, Decided};
use crate::policy::{authority, header_ops};
use crate::snapshot::{
    DestinationCluster, HeaderOps, Limit, Limiter, Place, RateLimit, SizedBucket, Snapshot,
};
use crate::time::{Duration, Instant};

/// The port that an authority without one stands for.
const HTTP_PORT: u16 = 80;

/// What limits made of a request.
#[derive(Debug)]
pub(super) enum Met {
    /// One refused it: the answer.
    Refused(Verdict),
    /// The service of the one at this position is to be asked about it.
    Asks(u32),
}

/// What has a request met at a place, of limits from this position on? In order, until one refuses or a service is to be asked.
/// `to` is where it would be sent, and nobody is asked about a request that is not sent on.
pub(super) fn check(
    context: &Context<'_>,
    (place, from): (Place, u32),
    to: Option<&DestinationCluster>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Met> {
    let snapshot = &context.view.snapshot;
    if !snapshot.has_rate_limits() {
        return None;
    }
    let numbered = (0..).zip(limiters(context.peer.listener, record, snapshot));
    for (index, limiter) in numbered.skip(from as usize) {
        if limiter.place != place {
            continue;
        }
        match &limiter.limit {
            Limit::Local { id, described } => {
                let own = context.own_bucket;
                let asking = Asking {
                    of: self::described(context, record),
                    own,
                    entropy: record.entropy,
                    now: context.now,
                };
                let limit = snapshot.rate_limit(*id);
                let decided = rate_limit::decide(limit, described, &asking, u64::from(index));
                let Some(decided) = decided else { continue };
                let Decided {
                    limited,
                    descriptor,
                } = decided;
                let (tokens, next_token) = left(limit, descriptor, own, context.now);
                record.rate_limit = Some(RateLimitSeen {
                    limit: *id,
                    descriptor,
                    limited,
                    tokens,
                    next_token,
                });
                if let Some(refused) = obey((limited, limit), limiter, context, record, response) {
                    return Some(Met::Refused(refused));
                }
            }
            Limit::Global { id, described } => {
                // Envoy asks about nothing whose cluster there is not.
                let is_sent = to.is_some_and(|to| !matches!(to, DestinationCluster::Missing(_)));
                let enabled = snapshot.global_rate_limit(*id).enabled;
                let drawn = || (record.entropy).draw(Draw::RateLimitEnabled, u64::from(index));
                let of = || self::described(context, record);
                let mut all = described.iter();
                if is_sent
                    && enabled.takes(drawn())
                    && all.any(|by| describe(&by.actions, &of()).is_some())
                {
                    return Some(Met::Asks(index));
                }
            }
        }
    }
    None
}

/// What a request is to rate limits.
pub(super) fn described<'a>(context: &Context<'_>, record: &'a Record) -> Described<'a> {
    Described {
        request: &record.request,
        scheme: scheme(&record.request),
        remote: context.peer.remote,
    }
}

/// Does what a local limit has decided.
fn obey(
    (limited, limit): (Limited, &RateLimit),
    limiter: &Limiter,
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    match limited {
        Limited::Ok => None,
        Limited::NotEnforced => {
            let name = route_name(record, &context.view.snapshot);
            operations::apply_to_request(context, &limit.request, name, record);
            None
        }
        Limited::Enforced => {
            let refusal = Refusal {
                place: limiter.place,
                status: limit.status,
                details: Details::RateLimited,
                grpc_status: limit.grpc_status,
                operations: &limit.response,
                text: Bytes::from_static(b"local_rate_limited"),
            };
            Some(refuse(context, refusal, record, response))
        }
    }
}

/// The limits that look at a request.
pub(super) fn limiters<'a>(
    at: ListenerKind,
    record: &Record,
    snapshot: &'a Snapshot,
) -> &'a [Limiter] {
    match record.route {
        // What is mirrored has passed them.
        RouteDecision::NotReached | RouteDecision::Mirror { .. } => &[],
        RouteDecision::UnknownHost => {
            let (all, port) = match at {
                ListenerKind::Gateway(port) => (&snapshot.unknown_host_limits_at_gateways, port),
                ListenerKind::Outbound | ListenerKind::Inbound(_) => {
                    let (_, port) = authority::split(&record.request.authority);
                    (&snapshot.unknown_host_limits, port.unwrap_or(HTTP_PORT))
                }
            };
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

/// How a request is refused for a limit.
pub(super) struct Refusal<'a> {
    /// Where the limit stands.
    pub(super) place: Place,
    pub(super) status: StatusCode,
    pub(super) details: Details,
    /// What a gRPC client is told; by the status when absent.
    pub(super) grpc_status: Option<u8>,
    pub(super) operations: &'a HeaderOps,
    pub(super) text: Bytes,
}

/// Refuses a request: the route's response operations run first, then the limit's.
pub(super) fn refuse(
    context: &Context<'_>,
    refusal: Refusal<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    response.clear();
    response.status = refusal.status;
    record.details = refusal.details;
    operations::operate_on_response(context, record, response);
    if refusal.place == Place::BeforeRouter {
        operations::decorate_response(context, record, response);
    }
    let name = route_name(record, &context.view.snapshot);
    let format = operations::format_context(context.peer, record, name, "");
    header_ops::apply_to_response(refusal.operations, response, &format);
    let is_grpc = || grpc::is_request(&record.request);
    if let Some(code) = refusal.grpc_status.filter(|_| is_grpc()) {
        grpc::set_status(response, code);
    }
    Verdict::Reply(refusal.text)
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
