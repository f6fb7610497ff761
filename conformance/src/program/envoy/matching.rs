//! From a rule's condition to a route's match.

use outrigger_core::snapshot::{Condition, FieldMatch, PathMatch, QueryMatch, TextMatch};
use serde_json::{Value, json};

use super::words::text_match;

/// Envoy's `RouteMatch`.
pub(super) fn route_match(condition: &Condition) -> Value {
    let mut matched = match &condition.path {
        None => json!({ "prefix": "/" }),
        Some(path) => path_match(path),
    };
    let pseudo = [
        (":method", &condition.method),
        (":scheme", &condition.scheme),
        (":authority", &condition.authority),
    ];
    let pseudo = pseudo
        .into_iter()
        .filter_map(|(name, wanted)| Some(header(name, wanted.as_ref()?)));
    let headers: Vec<Value> = pseudo.chain(condition.fields.iter().map(field)).collect();
    if !headers.is_empty() {
        matched["headers"] = headers.into();
    }
    if !condition.query.is_empty() {
        matched["query_parameters"] = condition.query.iter().map(query).collect();
    }
    matched
}

fn path_match(path: &PathMatch) -> Value {
    let (kind, path, ignore_case) = match path {
        PathMatch::Exact { path, ignore_case } => ("path", path, *ignore_case),
        PathMatch::Prefix { path, ignore_case } => ("prefix", path, *ignore_case),
        PathMatch::Regex(regex) => return json!({ "safe_regex": { "regex": regex.pattern } }),
    };
    let mut matched = json!({ kind: path });
    if ignore_case {
        matched["case_sensitive"] = false.into();
    }
    matched
}

/// Envoy's `HeaderMatcher`.
pub(super) fn header(name: &str, wanted: &TextMatch) -> Value {
    match text_match(wanted) {
        Some(text) => json!({ "name": name, "string_match": text }),
        None => json!({ "name": name, "present_match": true }),
    }
}

fn field(field: &FieldMatch) -> Value {
    let mut matcher = header(field.name.as_str(), &field.value);
    if field.negated {
        matcher["invert_match"] = true.into();
        if field.value != TextMatch::Present {
            matcher["treat_missing_header_as_empty"] = true.into();
        }
    }
    matcher
}

fn query(query: &QueryMatch) -> Value {
    match text_match(&query.value) {
        Some(text) => json!({ "name": query.name, "string_match": text }),
        None => json!({ "name": query.name, "present_match": true }),
    }
}
