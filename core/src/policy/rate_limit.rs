//! Local rate limits (Envoy's `local_ratelimit` filter): whether a request may pass, by token buckets.
//!
//! Both shares are rolled for each request, as in Envoy: a limit looks at some requests, takes a token from each, and
//! refuses some of those for which there is none. A request that has descriptors takes a token from the bucket of each,
//! those that fill slowly first, and then from the limit's own; the first empty one decides.

use core::net::SocketAddr;

use smallvec::SmallVec;

use super::hash::request_hash::client_address;
use super::route::text_matches;
use crate::cluster::{Bucket, Limited};
use crate::entropy::{Draw, Entropy};
use crate::message::RequestHead;
use crate::snapshot::{EntryMatch, HeaderMatch, Limiter, MatchedField, RateLimit, SizedBucket};
use crate::time::Instant;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The request.
    pub request: &'a RequestHead,
    /// Its scheme.
    pub scheme: &'a str,
    /// The other end of the connection.
    pub remote: SocketAddr,
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
/// apart that look at one request.
#[must_use]
pub fn decide(
    limit: &RateLimit,
    limiter: &Limiter,
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
    let (has_token, descriptor) = take(limit, limiter, asking);
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
fn take(limit: &RateLimit, limiter: &Limiter, asking: &Asking<'_>) -> (bool, Option<u32>) {
    let mut first = None;
    for by in &limiter.described {
        let descriptor = Some(by.descriptor);
        let has_it = by
            .any
            .iter()
            .any(|all| all.iter().all(|one| holds(one, asking)));
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

fn holds(entry: &EntryMatch, asking: &Asking<'_>) -> bool {
    match entry {
        EntryMatch::Field(name, value) => {
            let first = values(name, asking).into_iter().next();
            first.is_some_and(|first| first == value.as_bytes())
        }
        EntryMatch::Absent(name) => values(name, asking).is_empty(),
        EntryMatch::Headers { all, expect } => {
            all.iter().all(|header| header_matches(header, asking)) == *expect
        }
        EntryMatch::RemoteAddress(address) => {
            client_address(&asking.request.headers, asking.remote) == *address
        }
    }
}

/// A field that is not there matches nothing, turned round or not, unless it is its presence that matters (Envoy).
fn header_matches(wanted: &HeaderMatch, asking: &Asking<'_>) -> bool {
    let values = values(&wanted.name, asking);
    match &wanted.value {
        None => (values.is_empty() != wanted.present) != wanted.invert,
        Some(_) if values.is_empty() => false,
        Some(text) => values.iter().any(|value| text_matches(text, value)) != wanted.invert,
    }
}

/// All values of a field.
fn values<'a>(name: &'a MatchedField, asking: &Asking<'a>) -> SmallVec<[&'a [u8]; 2]> {
    let request = asking.request;
    let one: &[u8] = match name {
        MatchedField::Field(name) => return request.headers.find_all(name).collect(),
        MatchedField::Method => request.method.as_str().as_bytes(),
        MatchedField::Path => &request.path,
        MatchedField::Authority => &request.authority,
        MatchedField::Scheme => asking.scheme.as_bytes(),
    };
    SmallVec::from_slice(&[one])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::BucketSize;
    use crate::snapshot::{
        DescribedBy, Descriptor, Origin, PerMillion, Place, RateLimitId, ResourceId, TextMatch,
    };
    use crate::time::Duration;

    fn sized(tokens: u32) -> SizedBucket {
        SizedBucket {
            size: BucketSize::new(tokens, 1, Duration::from_secs(60)),
            bucket: Arc::default(),
        }
    }

    fn limiter() -> Limiter {
        Limiter {
            place: Place::First,
            limit: RateLimitId(0),
            described: Box::default(),
        }
    }

    fn asking<'a>(request: &'a RequestHead, own: &'a Bucket, n: u64) -> Asking<'a> {
        Asking {
            request,
            scheme: "http",
            remote: "10.0.0.9:1".parse().unwrap(),
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
            let decided = decide(limit, &limiter(), &asking(&request, own, n), 0);
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

    fn request(fields: &str) -> RequestHead {
        let mut request = RequestHead::default();
        for (name, value) in fields
            .split("; ")
            .filter_map(|field| field.split_once(": "))
        {
            request
                .headers
                .append(name.as_bytes(), value.as_bytes())
                .unwrap();
        }
        request.path = b"/productpage?x".to_vec();
        request
    }

    #[test]
    fn entries_are_made_of_what_a_request_says() {
        let field = |name| MatchedField::new(name).unwrap();
        let is = |name, value: &str| EntryMatch::Field(field(name), value.into());
        let header = |name, value: Option<TextMatch>, present, invert| EntryMatch::Headers {
            all: Box::new([HeaderMatch {
                name: field(name),
                value,
                present,
                invert,
            }]),
            expect: true,
        };
        let jo = || Some(TextMatch::Exact("jo".into()));
        let page = Some(TextMatch::Prefix("/productpage".into()));
        let from = |address: &str| EntryMatch::RemoteAddress(address.parse().unwrap());
        for (fields, entry, want) in [
            ("x-user: jo", is("x-user", "jo"), true),
            ("x-user: jo; x-user: max", is("x-user", "jo"), true),
            ("x-user: max; x-user: jo", is("x-user", "jo"), false),
            ("", is("x-user", "jo"), false),
            ("", is(":method", "GET"), true),
            ("", EntryMatch::Absent(field("x-user")), true),
            ("x-user: jo", EntryMatch::Absent(field("x-user")), false),
            ("", header(":path", page, true, false), true),
            ("x-user: jo", header("x-user", jo(), true, false), true),
            ("x-user: jo", header("x-user", jo(), true, true), false),
            ("x-user: max", header("x-user", jo(), true, true), true),
            ("", header("x-user", jo(), true, false), false),
            ("", header("x-user", jo(), true, true), false),
            (
                "x-user: max; x-user: jo",
                header("x-user", jo(), true, false),
                true,
            ),
            (
                "x-user: max; x-user: jo",
                header("x-user", jo(), true, true),
                false,
            ),
            ("x-user: jo", header("x-user", None, true, false), true),
            ("", header("x-user", None, true, false), false),
            ("", header("x-user", None, false, false), true),
            ("", header("x-user", None, true, true), true),
            (
                "",
                EntryMatch::Headers {
                    all: Box::default(),
                    expect: false,
                },
                false,
            ),
            ("", from("10.0.0.9"), true),
            (
                "x-forwarded-for: 10.0.0.7, 10.0.0.8",
                from("10.0.0.8"),
                true,
            ),
            ("x-forwarded-for: 10.0.0.8", from("10.0.0.9"), false),
        ] {
            let request = request(fields);
            let own = Bucket::default();
            let got = holds(&entry, &asking(&request, &own, 0));
            assert_eq!(got, want, "{fields} {entry:?}");
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
        let limiter = Limiter {
            described: Box::new([described(1, "jo"), described(0, "max"), described(0, "jo")]),
            ..limiter()
        };
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
                let request = request(&format!("x-user: {user}"));
                let decided = decide(&limit, &limiter, &asking(&request, &own, 0), 0).unwrap();
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
