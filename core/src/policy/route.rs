//! Which rule of a virtual host a request falls under.
//!
//! Owns the meaning of every match (Istio HTTPMatchRequest, Envoy route matching). The order of rules was settled when
//! the snapshot was compiled; which few can be meant is known to the snapshot's rule index.

pub mod words;

use crate::jose::{Claim, Claims};
use crate::message::RequestHead;
use crate::snapshot::{
    ClaimMatch, Condition, FieldMatch, MatchedField, PathMatch, QueryMatch, TextMatch, VirtualHost,
};

/// The position of the first rule whose condition holds. `scheme` is `http` or `https`, as the client used it; `claims` are those
/// of the token that says who asks, where one was accepted.
#[must_use]
pub fn find(
    virtual_host: &VirtualHost,
    request: &RequestHead,
    scheme: &str,
    claims: Option<&Claims>,
) -> Option<usize> {
    match &virtual_host.index {
        Some(index) => index.find(request.path_only(), |at| {
            let rule = virtual_host.rules.get(at);
            rule.is_some_and(|rule| holds(&rule.condition, request, scheme, claims))
        }),
        None => virtual_host
            .rules
            .iter()
            .position(|rule| holds(&rule.condition, request, scheme, claims)),
    }
}

/// Whether every part of a condition holds.
#[must_use]
pub(crate) fn holds(
    condition: &Condition,
    request: &RequestHead,
    scheme: &str,
    claims: Option<&Claims>,
) -> bool {
    unmet(condition, request, scheme, claims).is_none()
}

/// A part of a condition that does not hold for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet<'c> {
    /// The path is another one.
    Path(&'c PathMatch),
    /// The method is.
    Method(&'c TextMatch),
    /// The scheme is.
    Scheme(&'c TextMatch),
    /// The authority is.
    Authority(&'c TextMatch),
    /// A field is not there, has another value, or is there where it must not be.
    Field(&'c FieldMatch),
    /// A query parameter is not there, or has another value.
    Query(&'c QueryMatch),
    /// A claim is not there, has another value, or has one that it must not have.
    Claim(&'c ClaimMatch),
}

/// The first part of a condition that does not hold, in the order in which parts are looked at; `None` when all hold.
/// `scheme` and `claims` are as in [`find`].
#[must_use]
pub fn unmet<'c>(
    condition: &'c Condition,
    request: &RequestHead,
    scheme: &str,
    claims: Option<&Claims>,
) -> Option<Unmet<'c>> {
    let misses = |wanted: &'c Option<TextMatch>, text: &[u8]| {
        let wanted = wanted.as_ref();
        wanted.filter(|wanted| !text_matches(wanted, text))
    };
    let path = condition.path.as_ref();
    if let Some(wanted) = path.filter(|wanted| !path_matches(wanted, request.path_only())) {
        return Some(Unmet::Path(wanted));
    }
    if let Some(wanted) = misses(&condition.method, request.method.as_str().as_bytes()) {
        return Some(Unmet::Method(wanted));
    }
    if let Some(wanted) = misses(&condition.scheme, scheme.as_bytes()) {
        return Some(Unmet::Scheme(wanted));
    }
    if let Some(wanted) = misses(&condition.authority, &request.authority) {
        return Some(Unmet::Authority(wanted));
    }
    let mut fields = condition.fields.iter();
    if let Some(wanted) = fields.find(|wanted| !field_matches(wanted, request, scheme)) {
        return Some(Unmet::Field(wanted));
    }
    let mut query = condition.query.iter();
    if let Some(wanted) = query.find(|wanted| !query_matches(wanted, request.query())) {
        return Some(Unmet::Query(wanted));
    }
    let unmet = (condition.claims.iter()).find(|wanted| !claim_matches(wanted, claims));
    unmet.map(Unmet::Claim)
}

/// Holds a text that is there against a StringMatch. Regexes match the whole text.
#[must_use]
pub(super) fn text_matches(wanted: &TextMatch, text: &[u8]) -> bool {
    match wanted {
        TextMatch::Exact(exact) => exact.as_bytes() == text,
        TextMatch::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
        TextMatch::Regex(regex) => regex.program.is_match(text),
        TextMatch::Present => true,
    }
}

/// Holds a path without query against a uri match. A prefix is plain text: `/foo` matches `/foobar`.
#[must_use]
fn path_matches(wanted: &PathMatch, path: &[u8]) -> bool {
    match wanted {
        PathMatch::Exact {
            path: exact,
            ignore_case: false,
        } => exact.as_bytes() == path,
        PathMatch::Exact {
            path: exact,
            ignore_case: true,
        } => exact.as_bytes().eq_ignore_ascii_case(path),
        PathMatch::Prefix {
            path: prefix,
            ignore_case,
        } => path.get(..prefix.len()).is_some_and(|start| {
            if *ignore_case {
                start.eq_ignore_ascii_case(prefix.as_bytes())
            } else {
                start == prefix.as_bytes()
            }
        }),
        PathMatch::Regex(regex) => regex.program.is_match(path),
    }
}

fn field_matches(wanted: &FieldMatch, request: &RequestHead, scheme: &str) -> bool {
    let is_match = match &wanted.name {
        MatchedField::Method => text_matches(&wanted.value, request.method.as_str().as_bytes()),
        MatchedField::Path => text_matches(&wanted.value, &request.path),
        MatchedField::Authority => text_matches(&wanted.value, &request.authority),
        MatchedField::Scheme => text_matches(&wanted.value, scheme.as_bytes()),
        MatchedField::Field(name) => {
            let mut values = request.headers.find_all(name);
            match values.next() {
                // Envoy's `treat_missing_header_as_empty`, which Istio sets for `withoutHeaders` with a value.
                None => {
                    wanted.negated
                        && wanted.value != TextMatch::Present
                        && text_matches(&wanted.value, b"")
                }
                Some(first) => {
                    text_matches(&wanted.value, first)
                        || values.any(|value| text_matches(&wanted.value, value))
                }
            }
        }
    };
    is_match != wanted.negated
}

fn claim_matches(wanted: &ClaimMatch, claims: Option<&Claims>) -> bool {
    let claim = claims.and_then(|claims| Claim::at(claims, &wanted.path));
    let is_match = claim.is_some_and(|claim| {
        let mut texts = claim.texts();
        texts.any(|text| text_matches(&wanted.value, text.as_bytes()))
    });
    is_match != wanted.negated
}

fn query_matches(wanted: &QueryMatch, query: Option<&[u8]>) -> bool {
    query
        .and_then(|query| parameter(query, wanted.name.as_bytes()))
        .is_some_and(|value| text_matches(&wanted.value, value))
}

/// The first value of a query parameter, still percent-encoded; empty when it has no `=`.
pub(super) fn parameter<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    query.split(|byte| *byte == b'&').find_map(|pair| {
        let value = pair.strip_prefix(name)?;
        match value.split_first() {
            None => Some(value),
            Some((b'=', value)) => Some(value),
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests;
