//! Descriptors of requests: whether a request has an entry, and all entries that it has.
//!
//! A local rate limit knows beforehand which values it has buckets for, so only what depends on the request is looked at; a
//! service that keeps limits is told what each request is. Both come to the same.

use core::net::SocketAddr;
use std::borrow::Cow;

use smallvec::SmallVec;

use super::hash::request_hash::client_address;
use super::route::text_matches;
use crate::message::RequestHead;
use crate::snapshot::{DescriptorAction, EntryMatch, HeaderMatch, MatchedField, REMOTE_ADDRESS};

/// What is described.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// The request.
    pub request: &'a RequestHead,
    /// Its scheme.
    pub scheme: &'a str,
    /// The other end of its connection.
    pub remote: SocketAddr,
}

/// One entry: a key and its value.
pub type Entry<'a> = (&'a str, Cow<'a, [u8]>);

/// The entries that actions make of a request; `None` when one of them can not, or when there would be none.
#[must_use]
pub fn describe<'a>(
    actions: &'a [DescriptorAction],
    of: &Described<'a>,
) -> Option<SmallVec<[Entry<'a>; 4]>> {
    let mut entries = SmallVec::new();
    for action in actions {
        entries.push(match action {
            DescriptorAction::GenericKey(key, value) => (&**key, value.as_bytes().into()),
            DescriptorAction::RequestHeader {
                name,
                key,
                skip_if_absent,
            } => match values(name, of).first() {
                Some(first) => (&**key, Cow::Borrowed(*first)),
                None if *skip_if_absent => continue,
                None => return None,
            },
            DescriptorAction::HeaderValueMatch {
                key,
                value,
                expect_match,
                headers,
            } => match match_alike(headers, *expect_match, of) {
                true => (&**key, value.as_bytes().into()),
                false => return None,
            },
            DescriptorAction::RemoteAddress => {
                let address = client_address(of.request, of.remote);
                let text = address.to_string().into_bytes();
                (REMOTE_ADDRESS, Cow::Owned(text))
            }
        });
    }
    (!entries.is_empty()).then_some(entries)
}

fn match_alike(all: &[HeaderMatch], expect: bool, of: &Described<'_>) -> bool {
    all.iter().all(|header| header_matches(header, of)) == expect
}

/// Whether a request has an entry.
#[must_use]
pub fn holds(entry: &EntryMatch, of: &Described<'_>) -> bool {
    match entry {
        EntryMatch::Field(name, value) => {
            let first = values(name, of).into_iter().next();
            first.is_some_and(|first| first == value.as_bytes())
        }
        EntryMatch::Absent(name) => values(name, of).is_empty(),
        EntryMatch::Headers { all, expect } => match_alike(all, *expect, of),
        EntryMatch::RemoteAddress(address) => client_address(of.request, of.remote) == *address,
    }
}

/// A field that is not there matches nothing, turned round or not, unless it is its presence that matters (Envoy).
fn header_matches(wanted: &HeaderMatch, of: &Described<'_>) -> bool {
    let values = values(&wanted.name, of);
    match &wanted.value {
        None => (values.is_empty() != wanted.present) != wanted.invert,
        Some(_) if values.is_empty() => false,
        Some(text) => values.iter().any(|value| text_matches(text, value)) != wanted.invert,
    }
}

/// All values of a field.
fn values<'a>(name: &'a MatchedField, of: &Described<'a>) -> SmallVec<[&'a [u8]; 2]> {
    let request = of.request;
    let one: &[u8] = match name {
        MatchedField::Field(name) => return request.headers.find_all(name).collect(),
        MatchedField::Method => request.method.as_str().as_bytes(),
        MatchedField::Path => &request.path,
        MatchedField::Authority => &request.authority,
        MatchedField::Scheme => of.scheme.as_bytes(),
    };
    SmallVec::from_slice(&[one])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::TextMatch;

    fn of(request: &RequestHead) -> Described<'_> {
        Described {
            request,
            scheme: "http",
            remote: "10.0.0.9:1".parse().unwrap(),
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
            let got = holds(&entry, &of(&request));
            assert_eq!(got, want, "{fields} {entry:?}");
        }
    }
}
