//! When a rule applies, as calls of gRPC can be held against it (gRFC A28).
//!
//! A call is always a POST, and its path has no query. What can be decided by that is decided here.

use outrigger_core::snapshot::{Condition, FieldMatch, MatchedField, PathMatch, TextMatch};
use outrigger_xds::envoy::route::{HeaderMatcher, HeaderValue, Path, RegexMatcher, RouteMatch};

/// What each call is.
const METHOD: &str = "POST";

/// A rule becomes no more routes than this: each field that must not be something may be missing, or be something else.
const MOST: usize = 16;

/// What a condition comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Matches {
    /// No call is meant.
    Never,
    /// Those are meant that one of these matches.
    These(Vec<RouteMatch>),
    /// Those, and perhaps others: what more must hold cannot be said.
    Wider(Vec<RouteMatch>, Vec<&'static str>),
}

/// What a field comes to.
enum Field {
    Always,
    Never,
    /// One of these must hold.
    Any(Vec<HeaderMatcher>),
    /// That cannot be said.
    Unsaid(&'static str),
}

/// What a condition comes to for calls of gRPC.
pub(super) fn matches(condition: &Condition) -> Matches {
    let is_post = condition
        .method
        .as_ref()
        .is_none_or(|text| takes(text, METHOD));
    if !is_post || !condition.query.is_empty() {
        return Matches::Never;
    }
    let (path, case_sensitive) = path(condition.path.as_ref());
    let mut all = vec![RouteMatch {
        path: Some(path),
        case_sensitive,
        headers: Vec::new(),
    }];
    let mut unsaid = Vec::new();
    let others = [
        (condition.scheme.as_ref(), "`scheme`"),
        (condition.authority.as_ref(), "`authority`"),
    ];
    for (text, what) in others {
        if text.is_some_and(|text| *text != TextMatch::Present) {
            unsaid.push(what);
        }
    }
    if !condition.claims.is_empty() {
        unsaid.push("claims of tokens");
    }
    for field in &condition.fields {
        match of_field(field) {
            Field::Always => {}
            Field::Never => return Matches::Never,
            Field::Any(any) if all.len() * any.len() <= MOST => {
                let with = |one: &RouteMatch, field: &HeaderMatcher| {
                    let mut one = one.clone();
                    one.headers.push(field.clone());
                    one
                };
                all = all
                    .iter()
                    .flat_map(|one| any.iter().map(move |field| with(one, field)))
                    .collect();
            }
            Field::Any(_) => unsaid.push("so many `withoutHeaders`"),
            Field::Unsaid(what) => unsaid.push(what),
        }
    }
    if unsaid.is_empty() {
        Matches::These(all)
    } else {
        Matches::Wider(all, unsaid)
    }
}

fn path(path: Option<&PathMatch>) -> (Path, Option<bool>) {
    let insensitive = |ignore: bool| ignore.then_some(false);
    match path {
        None => (Path::Prefix(String::new()), None),
        Some(PathMatch::Exact { path, ignore_case }) => {
            (Path::Exact(path.to_string()), insensitive(*ignore_case))
        }
        Some(PathMatch::Prefix { path, ignore_case }) => {
            (Path::Prefix(path.to_string()), insensitive(*ignore_case))
        }
        Some(PathMatch::Regex(regex)) => (Path::Regex(expression(&regex.pattern)), None),
    }
}

fn of_field(field: &FieldMatch) -> Field {
    let name = match &field.name {
        MatchedField::Method => {
            return match takes(&field.value, METHOD) == field.negated {
                true => Field::Never,
                false => Field::Always,
            };
        }
        MatchedField::Path => return Field::Unsaid("`:path` among headers"),
        MatchedField::Authority => return Field::Unsaid("`:authority`"),
        MatchedField::Scheme => return Field::Unsaid("`:scheme`"),
        MatchedField::Field(name) => name.as_str(),
    };
    if name.ends_with("-bin") {
        return Field::Unsaid("headers of bytes (`-bin`)");
    }
    let value = match &field.value {
        TextMatch::Exact(text) => HeaderValue::Exact(text.to_string()),
        TextMatch::Prefix(text) => HeaderValue::Prefix(text.to_string()),
        TextMatch::Regex(regex) => HeaderValue::Regex(expression(&regex.pattern)),
        TextMatch::Present => HeaderValue::Present(true),
    };
    let matcher = |value, invert_match| HeaderMatcher {
        name: name.to_owned(),
        value: Some(value),
        invert_match,
    };
    let mut any = vec![matcher(value, field.negated)];
    // To us a field that is missing is empty text, and to gRPC one that is missing is never anything.
    let is_text = field.value != TextMatch::Present;
    if field.negated && is_text && !takes(&field.value, "") {
        any.push(matcher(HeaderValue::Present(true), true));
    }
    Field::Any(any)
}

fn expression(pattern: &str) -> RegexMatcher {
    RegexMatcher {
        regex: pattern.to_owned(),
    }
}

fn takes(text: &TextMatch, value: &str) -> bool {
    match text {
        TextMatch::Exact(wanted) => **wanted == *value,
        TextMatch::Prefix(wanted) => value.starts_with(&**wanted),
        TextMatch::Regex(regex) => regex.program.is_match(value.as_bytes()),
        TextMatch::Present => true,
    }
}
