//! Local rate limits (Envoy's `local_ratelimit` filter): whether a request may pass, by token buckets.
//!
//! Both shares are rolled for each request, as in Envoy: a limit looks at some requests, takes a token from each, and
//! refuses some of those for which there is none. A request that has descriptors takes a token from the bucket of each,
//! those that fill slowly first, and then from the limit's own; the first empty one decides.

use super::descriptors::{Described, holds};
use crate::cluster::{Bucket, Limited};
use crate::entropy::{Draw, Entropy};
use crate::snapshot::{DescribedBy, RateLimit, SizedBucket};
use crate::time::Instant;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The request, and where it comes from.
    pub of: Described<'a>,
    /// The bucket that the connection has for itself.
    pub own: &'a Bucket,
    /// The request's random number.
    pub entropy: Entropy,
    /// The time.
    pub now: Instant,
}

/// What a limit made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What it did.
    pub limited: Limited,
    /// Whose bucket decided: the position of a descriptor, or the limit's own.
    pub descriptor: Option<u32>,
}

/// What a limit makes of a request; `None` when it does not look at it. Takes tokens and counts. `index` tells the limits
/// apart that look at one request; `described` says which of its descriptors the request may have.
#[must_use]
pub fn decide(
    limit: &RateLimit,
    described: &[DescribedBy],
    asking: &Asking<'_>,
    index: u64,
) -> Option<Decided> {
    let entropy = asking.entropy;
    let is_enabled = limit
        .enabled
        .takes(entropy.draw(Draw::RateLimitEnabled, index));
    if !is_enabled {
        return None;
    }
    let (has_token, descriptor) = take(limit, described, asking);
    let enforces = || {
        limit
            .enforced
            .takes(entropy.draw(Draw::RateLimitEnforced, index))
    };
    let limited = match has_token {
        true => Limited::Ok,
        false if enforces() => Limited::Enforced,
        false => Limited::NotEnforced,
    };
    limit.counts.count(limited);
    Some(Decided {
        limited,
        descriptor,
    })
}

/// Takes a token from every bucket that the request is for, until one is empty. Says whose bucket tells how much is left:
/// the empty one, or the first.
fn take(limit: &RateLimit, described: &[DescribedBy], asking: &Asking<'_>) -> (bool, Option<u32>) {
    let mut first = None;
    for by in described {
        let descriptor = Some(by.descriptor);
        let has_it = by
            .any
            .iter()
            .any(|all| all.iter().all(|one| holds(one, &asking.of)));
        if !has_it {
            continue;
        }
        let SizedBucket { size, bucket } = &limit.descriptors[by.descriptor as usize].sized;
        if !bucket.take(*size, asking.now) {
            return (false, descriptor);
        }
        first = first.or(descriptor);
    }
    if first.is_some() && !limit.always_takes {
        return (true, first);
    }
    let has_token = limit.bucket.as_ref().is_none_or(|sized| {
        let shared = &*sized.bucket;
        let bucket = if limit.per_connection {
            asking.own
        } else {
            shared
        };
        bucket.take(sized.size, asking.now)
    });
    (has_token, first.filter(|_| has_token))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::BucketSize;
    use crate::message::RequestHead;
    use crate::snapshot::{Descriptor, EntryMatch, MatchedField, Origin, PerMillion, ResourceId};
    use crate::time::Duration;

    fn sized(tokens: u32) -> SizedBucket {
        SizedBucket {
            size: BucketSize::new(tokens, 1, Duration::from_secs(60)),
            bucket: Arc::default(),
        }
    }

    fn asking<'a>(request: &'a RequestHead, own: &'a Bucket, n: u64) -> Asking<'a> {
        Asking {
            of: Described {
                request,
                scheme: "http",
                remote: "10.0.0.9:1".parse().unwrap(),
            },
            own,
            entropy: Entropy(n),
            now: Instant::ZERO,
        }
    }

    fn limit(enabled: f64, enforced: f64, tokens: Option<u32>) -> RateLimit {
        let origin = Origin {
            resource: ResourceId(0),
            path: "".into(),
            line: 1,
        };
        RateLimit {
            enabled: PerMillion::from_percent(enabled),
            enforced: PerMillion::from_percent(enforced),
            bucket: tokens.map(sized),
            ..RateLimit::new(origin)
        }
    }

    /// How many of 10,000 requests were not looked at, passed, went on, and were refused.
    fn tally(limit: &RateLimit, own: &Bucket) -> [u32; 4] {
        let mut tally = [0; 4];
        let request = RequestHead::default();
        for n in 0..10_000 {
            let decided = decide(limit, &[], &asking(&request, own, n), 0);
            let at = match decided.map(|decided| decided.limited) {
                None => 0,
                Some(Limited::Ok) => 1,
                Some(Limited::NotEnforced) => 2,
                Some(Limited::Enforced) => 3,
            };
            tally[at] += 1;
        }
        tally
    }

    #[test]
    fn shares_decide_who_is_looked_at_and_who_is_refused() {
        let own = Bucket::default();
        for (enabled, enforced, tokens, want) in [
            (0.0, 100.0, Some(1), [10_000, 0, 0, 0]),
            (100.0, 100.0, Some(7), [0, 7, 0, 9_993]),
            (100.0, 0.0, Some(7), [0, 7, 9_993, 0]),
            (100.0, 100.0, None, [0, 10_000, 0, 0]),
        ] {
            let limit = limit(enabled, enforced, tokens);
            assert_eq!(tally(&limit, &own), want, "{enabled} {enforced} {tokens:?}");
            let [enabled, enforced, ok, limited] = limit.counts.named().map(|(_, count)| count);
            assert_eq!(enabled, u64::from(want[1] + want[2] + want[3]));
            assert_eq!(
                [ok, enforced],
                [u64::from(want[1]), u64::from(want[3])],
                "counts tell the same"
            );
            assert_eq!(limited, u64::from(want[2] + want[3]));
        }
        let half = limit(50.0, 50.0, Some(100));
        let [passed_by, ok, went_on, refused] = tally(&half, &own);
        assert!(passed_by.abs_diff(5_000) < 200, "{passed_by}");
        assert_eq!(ok, 100);
        assert!(went_on.abs_diff(refused) < 200, "{went_on} {refused}");
    }

    #[test]
    fn a_connection_has_its_own_bucket() {
        let limit = RateLimit {
            per_connection: true,
            ..limit(100.0, 100.0, Some(3))
        };
        for _ in 0..2 {
            assert_eq!(tally(&limit, &Bucket::default())[1], 3);
        }
    }

    #[test]
    fn the_first_empty_bucket_decides() {
        let described = |descriptor: u32, user: &str| DescribedBy {
            descriptor,
            any: Box::new([Box::new([EntryMatch::Field(
                MatchedField::new("x-user").unwrap(),
                user.into(),
            )])]),
        };
        let described = [described(1, "jo"), described(0, "max"), described(0, "jo")];
        let play = |always_takes: bool| {
            let limit = RateLimit {
                descriptors: [2, 1]
                    .map(|tokens| Descriptor {
                        entries: Box::default(),
                        sized: sized(tokens),
                    })
                    .into(),
                always_takes,
                ..limit(100.0, 100.0, Some(3))
            };
            let own = Bucket::default();
            ["jo", "jo", "max", "max", "eve", "eve"].map(|user| {
                let mut request = RequestHead::default();
                request.headers.append(b"x-user", user.as_bytes()).unwrap();
                let decided = decide(&limit, &described, &asking(&request, &own, 0), 0).unwrap();
                (decided.limited == Limited::Ok, decided.descriptor)
            })
        };
        let (ok, no) = (true, false);
        let of = |descriptor| Some(descriptor);
        // Jo's second one is refused by the bucket with one token and takes none from the others.
        assert_eq!(
            play(true),
            [
                (ok, of(1)),
                (no, of(1)),
                (ok, of(0)),
                (no, of(0)),
                (ok, None),
                (no, None)
            ]
        );
        assert_eq!(
            play(false),
            [
                (ok, of(1)),
                (no, of(1)),
                (ok, of(0)),
                (no, of(0)),
                (ok, None),
                (ok, None)
            ]
        );
    }
}
