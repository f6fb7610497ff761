//! Rate limits where they look at a request, and local ones, as `policy::rate_limit` reads them: what each allows. Global ones
//! have a file of their own.

use core::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use http::StatusCode;

use super::descriptor::{Describes, HeaderMatch};
use super::header_ops::HeaderOps;
use super::matching::MatchedField;
use super::origin::Origin;
use super::resilience::PerMillion;
use crate::cluster::{Bucket, BucketSize, LimitCounts};

/// Which rate limit of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RateLimitId(pub u32);

/// Which global rate limit of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GlobalRateLimitId(pub u32);

/// Where in the order of policies a rate limit stands. Istio's order is providers that are asked, tokens, policies on who may
/// ask, faults, CORS, forwarding; the first three hold for inbound requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Before everything: a request that is refused takes a token too.
    First,
    /// Behind providers that are asked (`CUSTOM`).
    BeforeTokens,
    /// Behind tokens: whose is good is known.
    BeforeAccess,
    /// Behind all policies on who may ask: a request that a fault answers takes a token too.
    BeforeFaults,
    /// Behind faults.
    BeforeCors,
    /// Right before forwarding: only what is sent on takes a token.
    BeforeRouter,
}

impl Place {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::First,
        Self::BeforeTokens,
        Self::BeforeAccess,
        Self::BeforeFaults,
        Self::BeforeCors,
        Self::BeforeRouter,
    ];

    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::BeforeTokens => "before tokens",
            Self::BeforeAccess => "before who may ask",
            Self::BeforeFaults => "before faults",
            Self::BeforeCors => "before CORS",
            Self::BeforeRouter => "before the router",
        }
    }
}

/// A rate limit at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limiter {
    /// Where it stands.
    pub place: Place,
    /// Which limit looks at the request there.
    pub limit: Limit,
}

/// A rate limit, and what it tells requests by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A local one.
    Local {
        /// Which.
        id: RateLimitId,
        /// Which of its descriptors a request may have, as its route says; those whose buckets fill slowly first.
        described: Box<[DescribedBy]>,
    },
    /// One that a service keeps. Only for what is sent on.
    Global {
        /// Which.
        id: GlobalRateLimitId,
        /// What descriptors it is told of requests.
        described: Box<[Describes]>,
    },
}

/// A descriptor, and what a request must be to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedBy {
    /// The position of the descriptor in the limit.
    pub descriptor: u32,
    /// One of these lists must hold as a whole.
    pub any: Box<[Box<[EntryMatch]>]>,
}

/// What makes one entry of a descriptor. Entries that are always the same are settled beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryMatch {
    /// The first field of this name has this value.
    Field(MatchedField, Box<str>),
    /// There is no such field.
    Absent(MatchedField),
    /// All of these hold, or not all of them.
    Headers {
        /// Matches on fields.
        all: Box<[HeaderMatch]>,
        /// Whether they are to hold.
        expect: bool,
    },
    /// The client has this address.
    RemoteAddress(IpAddr),
}

/// The rate limits of a virtual host, in the order in which they look at a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLimits {
    /// For each rule, in the order of the rules.
    pub rules: Box<[Box<[Limiter]>]>,
    /// For requests that no rule matches.
    pub otherwise: Box<[Limiter]>,
}

/// One local rate limit (Envoy's `envoy.filters.http.local_ratelimit`).
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// What sets it up.
    pub origin: Origin,
    /// What it holds for: a listener, a virtual host, or one of its routes.
    pub holds_for: Box<str>,
    /// Under which name it counts.
    pub stat_prefix: Box<str>,
    /// The share of requests that it looks at.
    pub enabled: PerMillion,
    /// Of those it would refuse, the share that it does refuse.
    pub enforced: PerMillion,
    /// The bucket; `None` allows everything.
    pub bucket: Option<SizedBucket>,
    /// Buckets of their own for requests that have a descriptor.
    pub descriptors: Box<[Descriptor]>,
    /// A request that has one takes a token from `bucket`, too.
    pub always_takes: bool,
    /// Each client connection has a bucket of its own, and the one here is not used.
    pub per_connection: bool,
    /// What a refused request is answered with, 400 to 599.
    pub status: StatusCode,
    /// What a refused gRPC request is answered with; by the status when absent.
    pub grpc_status: Option<u8>,
    /// Responses say how many tokens are left (`x-ratelimit-…`).
    pub tells_clients: bool,
    /// Run on the answer to a refused request.
    pub response: HeaderOps,
    /// Run on a request that went on although there was no token.
    pub request: HeaderOps,
    /// What it did so far.
    pub counts: Arc<LimitCounts>,
}

impl RateLimit {
    /// A limit without a bucket that looks at all requests and would answer 429. Who needs more sets the fields.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            holds_for: Box::default(),
            stat_prefix: Box::default(),
            enabled: PerMillion::ALL,
            enforced: PerMillion::ALL,
            bucket: None,
            descriptors: Box::default(),
            always_takes: true,
            per_connection: false,
            status: StatusCode::TOO_MANY_REQUESTS,
            grpc_status: None,
            tells_clients: false,
            response: HeaderOps::default(),
            request: HeaderOps::default(),
            counts: Arc::default(),
        }
    }
}

/// Requests that have something in common, and their bucket.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// Keys and values.
    pub entries: Box<[(Box<str>, Box<str>)]>,
    /// What is allowed.
    pub sized: SizedBucket,
}

/// A bucket and its size.
#[derive(Clone, Debug)]
pub struct SizedBucket {
    /// How much it holds and how fast it fills.
    pub size: BucketSize,
    /// What is in it, shared with older and newer snapshots.
    pub bucket: Arc<Bucket>,
}

/// The same rate limits, full and with nothing counted. Those that shared a bucket or counts still do.
pub(super) fn apart(limits: &[RateLimit]) -> Box<[RateLimit]> {
    let (mut buckets, mut counts) = (Twins::default(), Twins::default());
    let mut all: Box<[RateLimit]> = limits.into();
    for limit in &mut all {
        let of_descriptors = limit.descriptors.iter_mut().map(|d| &mut d.sized);
        for sized in of_descriptors.chain(&mut limit.bucket) {
            sized.bucket = buckets.of(&sized.bucket);
        }
        limit.counts = counts.of(&limit.counts);
    }
    all
}

/// New values in the place of old ones: one for each.
struct Twins<T>(Vec<(Arc<T>, Arc<T>)>);

impl<T> Default for Twins<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> Twins<T> {
    fn of(&mut self, old: &Arc<T>) -> Arc<T> {
        let mut known = self.0.iter();
        if let Some((_, new)) = known.find(|(known, _)| Arc::ptr_eq(known, old)) {
            return Arc::clone(new);
        }
        let new = Arc::<T>::default();
        self.0.push((Arc::clone(old), Arc::clone(&new)));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ResourceId;
    use crate::time::Duration;

    #[test]
    fn limits_apart_share_what_they_shared_and_nothing_with_the_others() {
        let size = BucketSize::new(1, 1, Duration::from_secs(1));
        let origin = || Origin {
            resource: ResourceId(0),
            path: Box::default(),
            line: 1,
        };
        let limit = |bucket: &Arc<Bucket>| RateLimit {
            bucket: Some(SizedBucket {
                size,
                bucket: Arc::clone(bucket),
            }),
            ..RateLimit::new(origin())
        };
        let shared = Arc::default();
        let all = [limit(&shared), limit(&shared), limit(&Arc::default())];
        let own = apart(&all);
        let bucket =
            |of: &[RateLimit], at: usize| of[at].bucket.as_ref().map(|b| Arc::as_ptr(&b.bucket));
        assert_eq!(bucket(&own, 0), bucket(&own, 1));
        assert_ne!(bucket(&own, 0), bucket(&own, 2));
        assert_ne!(bucket(&own, 0), bucket(&all, 0));
        assert!(!Arc::ptr_eq(&own[0].counts, &all[0].counts));
    }
}
