//! Consistent hashing, compiled (reference §1.2 `loadBalancer.consistentHash`).
//!
//! A cluster turns hashes into endpoints; what of a request is hashed is the business of the routes that lead to it, and
//! Istio looks the two up in different ways (`traffic_policy`).

use core::fmt::Write as _;

use crate::config::destination_rule::{self as written, HashKey, HashRing, HttpCookie};
use crate::snapshot::{ConsistentHash, HashCookie, HashPolicy, HashTableKind, MatchedField};

/// Points of a ring when nobody says (Istio, Envoy).
const DEFAULT_RING: u64 = 1024;

/// Entries of a Maglev table when nobody says (Envoy).
const DEFAULT_MAGLEV: u64 = 65_537;

/// How a cluster looks hashes up.
#[must_use]
pub(super) fn lookup(
    written: &written::ConsistentHash,
    balance_factor: Option<u32>,
) -> ConsistentHash {
    let ring = |size: u64| HashTableKind::Ring {
        min_size: if size == 0 { DEFAULT_RING } else { size },
    };
    ConsistentHash {
        table: match written.ring {
            Some(HashRing::Ring(size)) => ring(size),
            Some(HashRing::Maglev(size)) => HashTableKind::Maglev {
                size: size.unwrap_or(DEFAULT_MAGLEV),
            },
            None => ring(written.minimum_ring_size),
        },
        balance_factor,
    }
}

/// What routes to the cluster hash; `None` when there is nothing.
#[must_use]
pub(super) fn policy(written: &written::ConsistentHash) -> Option<Box<HashPolicy>> {
    let policy = match written.key.as_ref()? {
        HashKey::HeaderName(name) => HashPolicy::Field(MatchedField::new(name)?),
        HashKey::Cookie(cookie) => HashPolicy::Cookie(HashCookie {
            name: cookie.name.as_str().into(),
            make: make(cookie),
        }),
        HashKey::SourceIp(true) => HashPolicy::SourceAddress,
        HashKey::SourceIp(false) => return None,
        HashKey::QueryParameterName(name) => HashPolicy::QueryParameter(name.as_str().into()),
    };
    Some(Box::new(policy))
}

/// What stands behind the value of a made cookie, in Envoy's order. Whole seconds count; none is a session cookie.
fn make(cookie: &HttpCookie) -> Option<Box<str>> {
    let seconds = cookie.ttl?.as_secs();
    let mut text = String::new();
    if seconds > 0 {
        // Writing to a string does not fail.
        let _ = write!(text, "; Max-Age={seconds}");
    }
    if !cookie.path.is_empty() {
        let _ = write!(text, "; Path={}", cookie.path);
    }
    for attribute in &cookie.attributes {
        let _ = write!(text, "; {}", attribute.name);
        if !attribute.value.is_empty() {
            let _ = write!(text, "={}", attribute.value);
        }
    }
    text.push_str("; HttpOnly");
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::destination_rule::HttpCookieAttribute;
    use crate::time::Duration;

    #[test]
    fn sizes() {
        let table = |ring, minimum_ring_size| {
            let written = written::ConsistentHash {
                ring,
                minimum_ring_size,
                ..Default::default()
            };
            lookup(&written, None).table
        };
        let ring = |min_size| HashTableKind::Ring { min_size };
        assert_eq!(table(None, 0), ring(1024));
        assert_eq!(table(None, 7), ring(7), "the old spelling");
        assert_eq!(table(Some(HashRing::Ring(0)), 0), ring(1024));
        assert_eq!(table(Some(HashRing::Ring(9)), 0), ring(9));
        for (written, size) in [(None, 65_537), (Some(251), 251)] {
            let want = HashTableKind::Maglev { size };
            assert_eq!(table(Some(HashRing::Maglev(written)), 0), want);
        }
    }

    #[test]
    fn cookies_are_made_in_envoys_order() {
        let attribute = |name: &str, value: &str| HttpCookieAttribute {
            name: name.into(),
            value: value.into(),
        };
        let cookie = |ttl, path: &str, attributes| HttpCookie {
            name: "sid".into(),
            path: path.into(),
            ttl,
            attributes,
        };
        let two = vec![attribute("SameSite", "Strict"), attribute("Secure", "")];
        for (cookie, want) in [
            (cookie(None, "/", Vec::new()), None),
            (
                cookie(Some(Duration::ZERO), "", Vec::new()),
                Some("; HttpOnly"),
            ),
            (
                cookie(Some(Duration::from_millis(1500)), "", Vec::new()),
                Some("; Max-Age=1; HttpOnly"),
            ),
            (
                cookie(Some(Duration::from_secs(60)), "/p", two),
                Some("; Max-Age=60; Path=/p; SameSite=Strict; Secure; HttpOnly"),
            ),
        ] {
            assert_eq!(make(&cookie).as_deref(), want, "{cookie:?}");
        }
    }

    #[test]
    fn keys() {
        let compiled = |key| {
            policy(&written::ConsistentHash {
                key: Some(key),
                ..Default::default()
            })
        };
        let field = compiled(HashKey::HeaderName("X-User".into()));
        let want = HashPolicy::Field(MatchedField::new("x-user").unwrap());
        assert_eq!(field.as_deref(), Some(&want));
        assert_eq!(
            compiled(HashKey::SourceIp(true)).as_deref(),
            Some(&HashPolicy::SourceAddress)
        );
        assert_eq!(compiled(HashKey::SourceIp(false)), None);
        assert_eq!(compiled(HashKey::HeaderName(":status".into())), None);
    }
}
