//! Match entries of HTTP rules.

use super::check_gateways;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::header_name;
use crate::config::report::Report;
use crate::config::value::quoted;
use crate::config::virtual_service::{HttpMatchRequest, StringMatch};
use crate::snapshot::{Regex, RegexFault};

/// Longer patterns are refused, as Istio does for Envoy's sake.
const MAX_REGEX: usize = 1024;

/// Checks one entry of `match`.
pub(super) fn check(entry: &HttpMatchRequest, has_gateway: bool, report: &mut Report) {
    for (name, text) in [
        ("uri", &entry.uri),
        ("scheme", &entry.scheme),
        ("method", &entry.method),
        ("authority", &entry.authority),
    ] {
        if let Some(text) = text {
            // An empty prefix of a path matches everything, and that is a way to say so.
            report.field(name, |report| check_text(text, name == "uri", report));
        }
    }
    if let Some(uri) = &entry.uri {
        report.field("uri", |report| check_path(uri, report));
    }
    let maps = [
        ("headers", &entry.headers, true),
        ("withoutHeaders", &entry.without_headers, true),
        ("queryParams", &entry.query_params, false),
    ];
    for (field, map, are_headers) in maps {
        report.field(field, |report| {
            for (name, text) in map {
                report.key(name, |report| {
                    if are_headers {
                        check_header_name(name, has_gateway, report);
                    }
                    // Istio reads `*` as "any value" under `withoutHeaders` only.
                    if field != "withoutHeaders" || *text != StringMatch::Regex("*".to_owned()) {
                        check_text(text, false, report);
                    }
                });
            }
        });
    }
    if entry.port != 0 {
        report.field("port", |report| checks::port(entry.port, report));
    }
    report.field("sourceLabels", |report| {
        checks::labels(&entry.source_labels, report);
    });
    checks::namespace_in("sourceNamespace", &entry.source_namespace, report);
    report.field("gateways", |report| check_gateways(&entry.gateways, report));
}

fn check_header_name(name: &str, has_gateway: bool, report: &mut Report) {
    if header_name::is_claim(name) && !has_gateway {
        report.raise(
            Code::InvalidMatch,
            format!(
                "{} matches a claim of a token, which only gateways know",
                quoted(name)
            ),
            "bind the VirtualService to a gateway, or match a header",
        );
    } else {
        header_name::matched(name, report);
    }
}

/// Checks a match on text; the report stands at it.
pub(super) fn check_text(text: &StringMatch, allow_empty_prefix: bool, report: &mut Report) {
    match text {
        StringMatch::Prefix(prefix) if prefix.is_empty() && !allow_empty_prefix => report.raise_in(
            "prefix",
            Code::InvalidMatch,
            "an empty prefix matches everything",
            "write `{}` to match any value",
        ),
        StringMatch::Regex(regex) => report.field("regex", |report| {
            check_regex(regex, Regex::whole, report);
        }),
        StringMatch::Exact(_) | StringMatch::Prefix(_) | StringMatch::Present => {}
    }
}

/// Tells a match of paths that no path has: each begins with a slash, but for the `*` of OPTIONS (RFC 9112 §3.2.4).
fn check_path(uri: &StringMatch, report: &mut Report) {
    let (field, text) = match uri {
        StringMatch::Exact(text) => ("exact", text),
        StringMatch::Prefix(text) => ("prefix", text),
        StringMatch::Regex(text) => ("regex", text),
        StringMatch::Present => return,
    };
    let first = text.chars().next();
    let is_word = first.is_some_and(char::is_alphanumeric);
    // What a pattern begins with may stand for a slash.
    let is_hopeless = match uri {
        StringMatch::Regex(text) => is_word && !text.contains(['|', '?', '*', '{', '(', '[', '\\']),
        StringMatch::Exact(_) | StringMatch::Prefix(_) => is_word,
        StringMatch::Present => false,
    };
    if is_hopeless {
        let message = format!(
            "{} is the beginning of no path, so this never matches",
            quoted(text)
        );
        let help = format!(
            "paths begin with `/`: write {}",
            quoted(&format!("/{text}"))
        );
        report.raise_in(field, Code::NeverMatches, message, help);
    }
}

/// Checks a regular expression, compiled as it will be used.
pub(super) fn check_regex(
    pattern: &str,
    compile: impl FnOnce(&str) -> Result<Regex, RegexFault>,
    report: &mut Report,
) {
    let (why, part) = if pattern.is_empty() {
        ("is empty".to_owned(), 0..0)
    } else if pattern.len() > MAX_REGEX {
        (
            format!("is longer than {MAX_REGEX} bytes"),
            0..pattern.len(),
        )
    } else {
        match compile(pattern) {
            Ok(_) => return,
            Err(RegexFault { why, part }) => (why, part),
        }
    };
    report.raise_within(
        (pattern, part),
        Code::InvalidRegex,
        format!("pattern {} {why}", quoted(pattern)),
        "regular expressions have RE2's syntax",
    );
}
