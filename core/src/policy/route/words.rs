//! What rules ask for, in words: for explanations and stories. It matches nothing.

use super::Unmet;
use crate::message::RequestHead;
use crate::snapshot::{
    ClaimMatch, Condition, FieldMatch, MatchedField, PathMatch, QueryMatch, TextMatch,
};

/// What a condition asks for, one entry for each part.
#[must_use]
pub fn conditions(condition: &Condition) -> Vec<String> {
    let mut all: Vec<String> = condition.path.iter().map(path).collect();
    for (name, wanted) in [
        ("method", &condition.method),
        ("scheme", &condition.scheme),
        ("authority", &condition.authority),
    ] {
        all.extend(wanted.iter().map(|wanted| named(name, wanted)));
    }
    all.extend(condition.fields.iter().map(field));
    all.extend(condition.query.iter().map(query));
    all.extend(condition.claims.iter().map(claim));
    all
}

/// What is asked for, and what is there. `scheme` is as in [`super::find`].
#[must_use]
pub fn unmet(unmet: Unmet<'_>, request: &RequestHead, scheme: &str) -> String {
    let found = |bytes: &[u8]| format!("it is {}", quoted(bytes));
    let (wanted, found) = match unmet {
        Unmet::Path(wanted) => (path(wanted), found(request.path_only())),
        Unmet::Method(wanted) => (
            named("method", wanted),
            found(request.method.as_str().as_bytes()),
        ),
        Unmet::Scheme(wanted) => (named("scheme", wanted), found(scheme.as_bytes())),
        Unmet::Authority(wanted) => (named("authority", wanted), found(&request.authority)),
        Unmet::Field(wanted) => (field(wanted), values(&wanted.name, request, scheme)),
        Unmet::Query(wanted) => {
            let found = request.query().map_or_else(
                || "there is no query".to_owned(),
                |query| format!("the query is {}", quoted(query)),
            );
            (query(wanted), found)
        }
        // What a token says is nobody's business but its bearer's.
        Unmet::Claim(wanted) => (claim(wanted), "the token does not say so".to_owned()),
    };
    format!("{wanted}: {found}")
}

/// A match on a text.
#[must_use]
pub fn text(wanted: &TextMatch) -> String {
    match wanted {
        TextMatch::Exact(exact) => format!("exactly `{exact}`"),
        TextMatch::Prefix(prefix) => format!("prefix `{prefix}`"),
        TextMatch::Regex(regex) => format!("regex `{}`", regex.pattern),
        TextMatch::Present => "present".to_owned(),
    }
}

fn named(name: &str, wanted: &TextMatch) -> String {
    format!("{name} {}", text(wanted))
}

fn path(wanted: &PathMatch) -> String {
    let (how, path, ignore_case) = match wanted {
        PathMatch::Exact { path, ignore_case } => ("exactly", path, *ignore_case),
        PathMatch::Prefix { path, ignore_case } => ("prefix", path, *ignore_case),
        PathMatch::Regex(regex) => ("regex", &regex.pattern, false),
    };
    let case = if ignore_case { ", in any case" } else { "" };
    format!("path {how} `{path}`{case}")
}

fn field(wanted: &FieldMatch) -> String {
    let not = if wanted.negated { "not " } else { "" };
    let value = text(&wanted.value);
    format!("header `{}` {not}{value}", wanted.name.as_str())
}

fn query(wanted: &QueryMatch) -> String {
    let value = text(&wanted.value);
    format!("query parameter `{}` {value}", wanted.name)
}

fn claim(wanted: &ClaimMatch) -> String {
    let not = if wanted.negated { "not " } else { "" };
    let value = text(&wanted.value);
    format!("claim `{}` {not}{value}", wanted.path.join("."))
}

/// The values of a field that a rule looks at.
fn values(field: &MatchedField, request: &RequestHead, scheme: &str) -> String {
    let value = match field {
        MatchedField::Field(name) => {
            let values: Vec<String> = request.headers.find_all(name).map(quoted).collect();
            if values.is_empty() {
                return "it is absent".to_owned();
            }
            values.join(" and ")
        }
        MatchedField::Method => quoted(request.method.as_str().as_bytes()),
        MatchedField::Path => quoted(&request.path),
        MatchedField::Authority => quoted(&request.authority),
        MatchedField::Scheme => quoted(scheme.as_bytes()),
    };
    format!("it is {value}")
}

fn quoted(bytes: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(bytes))
}
