//! One match entry as a compiled condition, and whether it concerns this client at all (reference §1.1, §2.4).

use std::collections::BTreeMap;

use super::Input;
use super::labels::is_subset;
use super::side::Side;
use crate::config::header_name::{self, is_claim};
use crate::config::virtual_service::{HttpMatchRequest, StringMatch};
use crate::snapshot::{
    ClaimMatch, Condition, FieldMatch, MatchedField, PathMatch, QueryMatch, Regex, TextMatch,
};

/// Whether an entry may hold for requests of this workload to this service port. Gateways of the entry itself, which a resource of
/// `namespace` names, take the place of the client's labels and namespace.
#[must_use]
pub(super) fn concerns(
    entry: &HttpMatchRequest,
    namespace: &str,
    (input, side): (&Input<'_>, Side<'_>),
    port: u16,
) -> bool {
    if entry.port != 0 && entry.port != u32::from(port) {
        return false;
    }
    if !entry.gateways.is_empty() {
        return side.is_among(&entry.gateways, namespace, &input.mesh.cluster_domain);
    }
    let workload = input.workload;
    is_subset(&entry.source_labels, &workload.labels)
        && (entry.source_namespace.is_empty() || entry.source_namespace == workload.namespace)
}

/// Whether an entry holds for every request it concerns, so that nothing after it can be reached.
#[must_use]
pub(super) fn is_catch_all(condition: &Condition) -> bool {
    condition.is_only_path()
        && match &condition.path {
            None => true,
            Some(PathMatch::Prefix { path, .. }) => matches!(&**path, "" | "/"),
            Some(PathMatch::Regex(regex)) => &*regex.pattern == ".*",
            Some(PathMatch::Exact { .. }) => false,
        }
}

/// The condition of an entry; `None` when no request can meet it (a pattern that validation refuses, or a field that
/// requests do not have).
#[must_use]
pub(super) fn compile(entry: &HttpMatchRequest) -> Option<Condition> {
    let mut fields = Vec::new();
    let mut claims = Vec::new();
    for (name, value) in &entry.headers {
        if is_claim(name) {
            claims.push(claim(name, value, false)?);
            continue;
        }
        fields.push(FieldMatch {
            name: MatchedField::new(name)?,
            value: in_map(value)?,
            negated: false,
        });
    }
    for (name, value) in &entry.without_headers {
        if is_claim(name) {
            claims.push(claim(name, value, true)?);
            continue;
        }
        // A field that no request has is always without a match.
        if let Some(name) = MatchedField::new(name) {
            let value = in_map(value)?;
            fields.push(FieldMatch {
                name,
                value,
                negated: true,
            });
        }
    }
    Some(Condition {
        path: path(entry.uri.as_ref(), entry.ignore_uri_case)?,
        method: optional(entry.method.as_ref())?,
        scheme: optional(entry.scheme.as_ref())?,
        authority: optional(entry.authority.as_ref())?,
        fields: fields.into(),
        query: query(&entry.query_params)?,
        claims: claims.into(),
    })
}

/// A match on a claim, by the name that stands for it: `@request.auth.claims.a.b`, or `@request.auth.claims[a][b]`.
fn claim(name: &str, value: &StringMatch, negated: bool) -> Option<ClaimMatch> {
    let path = header_name::claim_path(name)?;
    Some(ClaimMatch {
        path: path.into_iter().map(Into::into).collect(),
        value: in_map(value)?,
        negated,
    })
}

fn path(uri: Option<&StringMatch>, ignore_case: bool) -> Option<Option<PathMatch>> {
    let text = |text: &str| -> Box<str> {
        if ignore_case {
            text.to_ascii_lowercase().into()
        } else {
            text.into()
        }
    };
    Some(match uri {
        None | Some(StringMatch::Present) => None,
        Some(StringMatch::Exact(exact)) => Some(PathMatch::Exact {
            path: text(exact),
            ignore_case,
        }),
        Some(StringMatch::Prefix(prefix)) => Some(PathMatch::Prefix {
            path: text(prefix),
            ignore_case,
        }),
        Some(StringMatch::Regex(regex)) => {
            Some(PathMatch::Regex(Box::new(Regex::whole(regex).ok()?)))
        }
    })
}

fn query(params: &BTreeMap<String, StringMatch>) -> Option<Box<[QueryMatch]>> {
    let compiled = params.iter().map(|(name, value)| {
        Some(QueryMatch {
            name: name.as_str().into(),
            value: in_map(value)?,
        })
    });
    compiled.collect()
}

fn optional(value: Option<&StringMatch>) -> Option<Option<TextMatch>> {
    match value {
        None => Some(None),
        Some(value) => text(value).map(Some),
    }
}

/// Compiles a StringMatch; `None` when its pattern is invalid.
#[must_use]
pub(super) fn text(value: &StringMatch) -> Option<TextMatch> {
    Some(match value {
        StringMatch::Exact(exact) => TextMatch::Exact(exact.as_str().into()),
        StringMatch::Prefix(prefix) => TextMatch::Prefix(prefix.as_str().into()),
        StringMatch::Regex(regex) => TextMatch::Regex(Box::new(Regex::whole(regex).ok()?)),
        StringMatch::Present => TextMatch::Present,
    })
}

/// In maps the regex `*` means presence, as Istio's translator reads it.
fn in_map(value: &StringMatch) -> Option<TextMatch> {
    match value {
        StringMatch::Regex(regex) if regex == "*" => Some(TextMatch::Present),
        StringMatch::Exact(_)
        | StringMatch::Prefix(_)
        | StringMatch::Regex(_)
        | StringMatch::Present => text(value),
    }
}
