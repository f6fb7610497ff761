//! What a request hashes to (Envoy reference §1.8): a field, a cookie, the client's address or a query parameter.
//!
//! The hashes of several destinations of one route are combined, as Envoy does, because there the route has the policies and
//! not the cluster. A cookie that is missing is made here as a value; sending it to the client is the request machine's.

use core::net::{IpAddr, SocketAddr};
use core::str;
use std::io::Write as _;

use smallvec::SmallVec;

use crate::decision::{HashedBy, RequestHash};
use crate::message::{Headers, Known, RequestHead};
use crate::policy::route;
use crate::snapshot::{HashCookie, HashPolicy, MatchedField};
use crate::xxhash::xxh64;

/// A request, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'a> {
    /// Its head as it will be forwarded.
    pub request: &'a RequestHead,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The client's address on its connection.
    pub remote: SocketAddr,
    /// Our address on that connection.
    pub local: SocketAddr,
}

/// Hashes a request by the policies of a route's destinations, each with the destination's position.
#[must_use]
pub fn of<'p>(
    policies: impl Iterator<Item = (u32, &'p HashPolicy)>,
    hashed: &Hashed<'_>,
) -> RequestHash {
    let mut all = RequestHash::default();
    for (at, policy) in policies {
        let (hash, by) = match policy {
            HashPolicy::Field(name) => (of_field(name, hashed), HashedBy::Field),
            HashPolicy::SourceAddress => (Some(of_source(hashed)), HashedBy::SourceAddress),
            HashPolicy::QueryParameter(name) => {
                let query = hashed.request.query();
                let value = query.and_then(|query| route::parameter(query, name.as_bytes()));
                (value.map(|value| xxh64(value, 0)), HashedBy::QueryParameter)
            }
            HashPolicy::Cookie(cookie) => of_cookie(cookie, hashed),
        };
        let Some(hash) = hash else { continue };
        if by == HashedBy::MadeCookie {
            all.made.push(at);
        }
        // Rotation keeps two equal hashes from cancelling each other out.
        all.by = match all.value {
            None => by,
            Some(_) if all.by == by => by,
            Some(_) => HashedBy::Several,
        };
        all.value = Some(all.value.map_or(hash, |old| old.rotate_left(1) ^ hash));
    }
    all
}

/// All values of the field, sorted, each hashed with the one before as the seed.
fn of_field(name: &MatchedField, hashed: &Hashed<'_>) -> Option<u64> {
    let request = hashed.request;
    match name {
        MatchedField::Method => Some(xxh64(request.method.as_str().as_bytes(), 0)),
        MatchedField::Path => Some(xxh64(&request.path, 0)),
        MatchedField::Authority => Some(xxh64(&request.authority, 0)),
        MatchedField::Scheme => Some(xxh64(hashed.scheme.as_bytes(), 0)),
        MatchedField::Field(name) => {
            let mut values: SmallVec<[&[u8]; 8]> = request.headers.find_all(name).collect();
            values.sort_unstable();
            let chain = values.iter().fold(0, |seed, value| xxh64(value, seed));
            (!values.is_empty()).then_some(chain)
        }
    }
}

/// The client's address: what a gateway has found out, or the last of `x-forwarded-for`, as for a sidecar of Istio
/// (`use_remote_address: false`), or that of the connection.
#[must_use]
pub fn client_address(request: &RequestHead, remote: SocketAddr) -> IpAddr {
    let forwarded = || forwarded_for(&request.headers);
    let known = request.client.or_else(forwarded);
    known.unwrap_or_else(|| remote.ip())
}

fn of_source(hashed: &Hashed<'_>) -> u64 {
    let address = client_address(hashed.request, hashed.remote);
    let mut text: SmallVec<[u8; 64]> = SmallVec::new();
    // Writing to memory does not fail.
    let _ = write!(text, "{address}");
    xxh64(&text, 0)
}

fn forwarded_for(headers: &Headers) -> Option<IpAddr> {
    let last = headers.get_all(Known::XForwardedFor).last()?;
    let last = last.rsplit(|byte| *byte == b',').next()?;
    str::from_utf8(last.trim_ascii()).ok()?.parse().ok()
}

fn of_cookie(cookie: &HashCookie, hashed: &Hashed<'_>) -> (Option<u64>, HashedBy) {
    let headers = &hashed.request.headers;
    if let Some(value) = cookie_value(headers, cookie.name.as_bytes()) {
        return (Some(xxh64(value, 0)), HashedBy::Cookie);
    }
    if cookie.make.is_none() {
        return (None, HashedBy::Nothing);
    }
    let value = made_value(hashed.remote, hashed.local);
    (Some(xxh64(&value, 0)), HashedBy::MadeCookie)
}

/// The value of the first cookie of this name, without quotes around it; `None` when that is empty.
fn cookie_value<'h>(headers: &'h Headers, name: &[u8]) -> Option<&'h [u8]> {
    let fields = headers.get_all(Known::Cookie);
    let mut pairs = fields.flat_map(|field| field.split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| {
        let spaces = pair.iter().take_while(|byte| **byte == b' ').count();
        pair[spaces..].strip_prefix(name)?.strip_prefix(b"=")
    })?;
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    Some(bare.unwrap_or(value)).filter(|value| !value.is_empty())
}

/// The value of a cookie that is made: the same for all requests of a connection, so that requests that race get one.
#[must_use]
pub fn made_value(remote: SocketAddr, local: SocketAddr) -> [u8; 16] {
    let mut text: SmallVec<[u8; 128]> = SmallVec::new();
    // Writing to memory does not fail.
    let _ = write!(text, "{remote}{local}");
    let hash = xxh64(&text, 0);
    let mut value = [0; 16];
    let _ = write!(&mut value[..], "{hash:016x}");
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::FieldName;

    fn hash(policies: &[HashPolicy], path: &str, fields: &[(&str, &str)]) -> RequestHash {
        let mut request = RequestHead {
            path: path.as_bytes().to_vec(),
            authority: b"shop".to_vec(),
            ..RequestHead::default()
        };
        for (name, value) in fields {
            let headers = &mut request.headers;
            headers.append(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let hashed = Hashed {
            request: &request,
            scheme: "http",
            remote: "127.0.0.1:39382".parse().unwrap(),
            local: "127.7.1.1:10000".parse().unwrap(),
        };
        of((0..).zip(policies), &hashed)
    }

    fn field(name: &str) -> HashPolicy {
        HashPolicy::Field(MatchedField::new(name).unwrap())
    }

    fn cookie(make: Option<&str>) -> HashPolicy {
        HashPolicy::Cookie(HashCookie {
            name: "sid".into(),
            make: make.map(Into::into),
        })
    }

    #[test]
    fn fields_by_all_their_values() {
        let of = |fields: &[(&str, &str)]| hash(&[field("X-User")], "/", fields).value;
        assert_eq!(of(&[("x-other", "a")]), None);
        assert_eq!(of(&[("x-user", "a")]), Some(xxh64(b"a", 0)));
        assert_eq!(of(&[("x-user", "")]), Some(xxh64(b"", 0)));
        let both = of(&[("x-user", "a"), ("x-user", "b")]);
        assert_eq!(both, Some(xxh64(b"b", xxh64(b"a", 0))));
        assert_eq!(of(&[("x-user", "b"), ("x-user", "a")]), both);
        assert_ne!(of(&[("x-user", "ab")]), both);
        for (name, want) in [
            (":authority", "shop"),
            ("host", "shop"),
            (":path", "/a?b"),
            (":method", "GET"),
            (":scheme", "http"),
        ] {
            let got = hash(&[field(name)], "/a?b", &[]);
            assert_eq!(got.value, Some(xxh64(want.as_bytes(), 0)), "{name}");
        }
        assert!(FieldName::new("x-user").is_some());
    }

    #[test]
    fn query_parameters_as_they_stand() {
        let policy = [HashPolicy::QueryParameter("q".into())];
        for (path, want) in [
            ("/", None),
            ("/?Q=a", None),
            ("/?qq=a", None),
            ("/?a=1&q=x&q=y", Some("x")),
            ("/?q=a%2Db", Some("a%2Db")),
            ("/?q=", Some("")),
            ("/?q", Some("")),
        ] {
            let got = hash(&policy, path, &[]);
            assert_eq!(
                got.value,
                want.map(|text| xxh64(text.as_bytes(), 0)),
                "{path}"
            );
        }
    }

    #[test]
    fn the_source_is_the_last_forwarded_address_or_the_connection() {
        let of = |fields: &[(&str, &str)]| hash(&[HashPolicy::SourceAddress], "/", fields);
        let want = |text: &str| Some(xxh64(text.as_bytes(), 0));
        assert_eq!(of(&[]).value, want("127.0.0.1"));
        for (forwarded, address) in [
            ("10.1.1.1", "10.1.1.1"),
            ("1.1.1.1, 10.1.1.1", "10.1.1.1"),
            ("1.1.1.1,2001:DB8::1 ", "2001:db8::1"),
            ("10.1.1.1:80", "127.0.0.1"),
            ("", "127.0.0.1"),
            ("10.1.1.1, unknown", "127.0.0.1"),
        ] {
            let got = of(&[("x-forwarded-for", forwarded)]);
            assert_eq!(got.value, want(address), "{forwarded}");
        }
        let several = [
            ("x-forwarded-for", "10.1.1.1"),
            ("x-forwarded-for", "10.1.1.2"),
        ];
        assert_eq!(of(&several).value, want("10.1.1.2"));
    }

    /// What Envoy 1.40 took as the value of the cookie `sid`.
    #[test]
    fn cookies_as_envoy_reads_them() {
        for (field, want) in [
            ("sid=abc", Some("abc")),
            ("a=1; sid=abc", Some("abc")),
            ("a=1;sid=abc;sid=def", Some("abc")),
            ("sid=\"abc\"", Some("abc")),
            ("sid=\"a", Some("\"a")),
            ("sid=a=b", Some("a=b")),
            ("x; sid=abc", Some("abc")),
            ("sid=", None),
            ("sid=; sid=abc", None),
            ("sid=\"\"", None),
            ("sid =abc", None),
            ("SID=abc", None),
            ("xsid=abc", None),
        ] {
            let got = hash(&[cookie(None)], "/", &[("cookie", field)]).value;
            assert_eq!(got, want.map(|text| xxh64(text.as_bytes(), 0)), "{field}");
        }
        let two_fields = [("cookie", "a=1"), ("cookie", "sid=abc")];
        let got = hash(&[cookie(None)], "/", &two_fields);
        assert_eq!(
            (got.value, got.by),
            (Some(xxh64(b"abc", 0)), HashedBy::Cookie)
        );
    }

    #[test]
    fn a_missing_cookie_is_made_if_it_may_be() {
        let none = hash(&[cookie(None)], "/", &[]);
        assert_eq!(none, RequestHash::default());
        let made = hash(&[cookie(Some("; HttpOnly"))], "/", &[]);
        // The value that Envoy 1.40 made for these addresses.
        assert_eq!(made.value, Some(xxh64(b"7fd663c01853f7c4", 0)));
        assert_eq!((made.by, &made.made[..]), (HashedBy::MadeCookie, &[0][..]));
        let kept = hash(&[cookie(Some(""))], "/", &[("cookie", "sid=x")]);
        assert!(kept.made.is_empty() && kept.by == HashedBy::Cookie);
    }

    #[test]
    fn several_policies_are_combined() {
        let (a, b) = (xxh64(b"1", 0), xxh64(b"2", 0));
        let fields = [("x-a", "1"), ("x-b", "2")];
        let got = |policies: &[HashPolicy]| hash(policies, "/", &fields);
        let both = got(&[field("x-a"), field("x-b")]);
        assert_eq!(
            (both.value, both.by),
            (Some(a.rotate_left(1) ^ b), HashedBy::Field)
        );
        assert_eq!(got(&[field("x-c"), field("x-b")]).value, Some(b));
        let mixed = got(&[field("x-a"), HashPolicy::SourceAddress]);
        assert_eq!(mixed.by, HashedBy::Several);
        let same = got(&[field("x-a"), field("x-a")]).value;
        assert_eq!(same, Some(a.rotate_left(1) ^ a));
    }
}
