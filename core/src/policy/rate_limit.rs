//! Local rate limits (Envoy's `local_ratelimit` filter): whether a request may pass, by a token bucket.
//!
//! Both shares are rolled for each request, as in Envoy: a limit looks at some requests, takes a token from each, and
//! refuses some of those for which there is none.

use crate::cluster::{Bucket, Limited};
use crate::entropy::{Draw, Entropy};
use crate::snapshot::RateLimit;
use crate::time::Instant;

/// What a limit makes of a request; `None` when it does not look at it. Takes a token and counts. `own` is the bucket of
/// the client's connection, and `index` tells the limits apart that look at one request.
#[must_use]
pub fn decide(
    limit: &RateLimit,
    own: &Bucket,
    entropy: Entropy,
    index: u64,
    now: Instant,
) -> Option<Limited> {
    let is_enabled = limit
        .enabled
        .takes(entropy.draw(Draw::RateLimitEnabled, index));
    if !is_enabled {
        return None;
    }
    let has_token = limit.bucket.as_ref().is_none_or(|sized| {
        let shared = &*sized.bucket;
        let bucket = if limit.per_connection { own } else { shared };
        bucket.take(sized.size, now)
    });
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
    Some(limited)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::*;
    use crate::cluster::{BucketSize, LimitCounts};
    use crate::snapshot::{HeaderOps, Origin, PerMillion, ResourceId, SizedBucket};
    use crate::time::Duration;

    fn limit(enabled: f64, enforced: f64, tokens: Option<u32>) -> RateLimit {
        RateLimit {
            origin: Origin {
                resource: ResourceId(0),
                path: "".into(),
                line: 1,
            },
            holds_for: "".into(),
            stat_prefix: "".into(),
            enabled: PerMillion::from_percent(enabled),
            enforced: PerMillion::from_percent(enforced),
            bucket: tokens.map(|tokens| SizedBucket {
                size: BucketSize::new(tokens, 1, Duration::from_secs(60)),
                bucket: Arc::default(),
            }),
            per_connection: false,
            status: StatusCode::TOO_MANY_REQUESTS,
            grpc_status: None,
            tells_clients: false,
            response: HeaderOps::default(),
            request: HeaderOps::default(),
            counts: Arc::<LimitCounts>::default(),
        }
    }

    /// How many of 10,000 requests were not looked at, passed, went on, and were refused.
    fn tally(limit: &RateLimit, own: &Bucket) -> [u32; 4] {
        let mut tally = [0; 4];
        for n in 0..10_000 {
            let at = match decide(limit, own, Entropy(n), 0, Instant::ZERO) {
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
}
