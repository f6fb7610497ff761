//! Descriptors of a local rate limit, and the actions of routes that make descriptors of requests (Envoy's
//! `config.route.v3.RateLimit`), as far as they are honoured: what a request says about itself.

use super::token_bucket::{TokenBucket, token_bucket};
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::report::Report;
use crate::snapshot::{MatchedField, Regex, RegexFault, TextMatch};

/// Requests that these entries describe have a bucket of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Descriptor {
    /// Keys and values, all of which must be the same, in this order.
    pub entries: Vec<(String, String)>,
    /// What is allowed.
    pub token_bucket: TokenBucket,
}

/// One entry of a descriptor that is made of a request. Without it there is no descriptor.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `generic_key`: always the same.
    GenericKey(String, String),
    /// `request_headers`: the value of a field.
    RequestHeader {
        /// Which field.
        name: MatchedField,
        /// The key of the entry.
        key: String,
        /// Without the field the entry is left out.
        skip_if_absent: bool,
    },
    /// `header_value_match`: always the same, if fields match or if they do not.
    HeaderValueMatch {
        /// The key of the entry.
        key: String,
        /// Its value.
        value: String,
        /// Whether they are to match.
        expect_match: bool,
        /// All of these.
        headers: Vec<HeaderMatcher>,
    },
    /// `remote_address`: the client's address.
    RemoteAddress,
}

/// Envoy's `config.route.v3.HeaderMatcher`.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderMatcher {
    /// Which field.
    pub name: MatchedField,
    /// What its value must be; `None` when only its presence matters.
    pub value: Option<TextMatch>,
    /// Whether it is to be there.
    pub present: bool,
    /// The opposite.
    pub invert: bool,
}

/// Reads the descriptors of a limit.
pub(super) fn descriptors(o: &mut Object<'_, '_>) -> Vec<Descriptor> {
    let read = o.messages("descriptors", |o| {
        let entries = o.messages("entries", |entry| {
            (entry.string("key"), entry.string("value"))
        });
        let token_bucket = o.message("tokenBucket", token_bucket);
        if entries.iter().any(|(_, value)| value.is_empty()) {
            let message = "an entry without a value, which would have a bucket for each value";
            o.report()
                .raise_in("entries", Code::NotInEffect, message, "");
            return None;
        }
        if entries.is_empty() || token_bucket.is_none() {
            let message = "a descriptor needs `entries` and a `token_bucket`";
            o.report().raise(Code::InvalidPolicy, message, "");
        }
        Some(Descriptor {
            entries,
            token_bucket: token_bucket?,
        })
    });
    read.into_iter().flatten().collect()
}

/// Reads `rate_limits`: lists of actions, each of which makes one descriptor.
pub(super) fn rate_limits(o: &mut Object<'_, '_>) -> Vec<Vec<Action>> {
    let read = o.messages("rateLimits", |o| {
        for field in ["disableKey", "limit", "hitsAddend", "applyOnStreamDone"] {
            not_in_effect(o, field);
        }
        let actions = o.messages("actions", action);
        if o.integer::<u32>("stage") != 0 {
            let message = "no rate limit has a stage but 0";
            o.report().raise_in("stage", Code::NotInEffect, message, "");
            return None;
        }
        // Without one of its entries a descriptor is another one.
        actions.into_iter().collect::<Option<Vec<_>>>()
    });
    read.into_iter()
        .flatten()
        .filter(|a| !a.is_empty())
        .collect()
}

fn not_in_effect(o: &mut Object<'_, '_>, field: &'static str) -> bool {
    let is_there = o.take(field).is_some();
    if is_there {
        let message = format!("`{field}` is not in effect");
        o.report().raise_in(field, Code::NotInEffect, message, "");
    }
    is_there
}

/// `None` for what is not honoured, which is told.
fn action(o: &mut Object<'_, '_>) -> Option<Action> {
    let mut found = None;
    o.message("genericKey", |o| {
        let key = or(o.string("descriptorKey"), "generic_key");
        found = Some(Action::GenericKey(key, o.string("descriptorValue")));
    });
    o.message("requestHeaders", |o| {
        let (name, key) = (o.string("headerName"), o.string("descriptorKey"));
        let skip_if_absent = o.boolean("skipIfAbsent");
        found = field(&name, "headerName", o.report()).map(|name| Action::RequestHeader {
            name,
            key,
            skip_if_absent,
        });
    });
    o.message("headerValueMatch", |o| {
        let headers = o.messages("headers", header_matcher);
        let value = o.string("descriptorValue");
        let key = or(o.string("descriptorKey"), "header_match");
        let expect_match = o.optional_boolean("expectMatch").unwrap_or(true);
        let headers = headers.into_iter().collect::<Option<Vec<_>>>();
        found = headers.map(|headers| Action::HeaderValueMatch {
            key,
            value,
            expect_match,
            headers,
        });
    });
    o.message("remoteAddress", |_| found = Some(Action::RemoteAddress));
    for other in [
        "sourceCluster",
        "destinationCluster",
        "dynamicMetadata",
        "metadata",
        "extension",
        "maskedRemoteAddress",
        "queryParameterValueMatch",
        "queryParameters",
    ] {
        if not_in_effect(o, other) {
            return None;
        }
    }
    found
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() {
        default.to_owned()
    } else {
        text
    }
}

fn field(name: &str, at: &str, report: &mut Report) -> Option<MatchedField> {
    let field = MatchedField::new(name);
    if field.is_none() {
        let message = "this is no name of a header field";
        report.raise_in(at, Code::InvalidHeaderName, message, "");
    }
    field
}

fn header_matcher(o: &mut Object<'_, '_>) -> Option<HeaderMatcher> {
    let name = o.string("name");
    let name = field(&name, "name", o.report());
    let mut value = None;
    // Old spellings first, each a field of its own.
    for (key, pattern) in [
        ("exactMatch", Pattern::Exact),
        ("prefixMatch", Pattern::Prefix),
        ("suffixMatch", Pattern::Suffix),
        ("containsMatch", Pattern::Contains),
    ] {
        if let Some(text) = o.optional_string(key) {
            value = pattern.compile(&text, false);
        }
    }
    o.message("safeRegexMatch", |o| value = regex(o));
    o.message("stringMatch", |o| {
        let ignore_case = o.boolean("ignoreCase");
        for (key, pattern) in [
            ("exact", Pattern::Exact),
            ("prefix", Pattern::Prefix),
            ("suffix", Pattern::Suffix),
            ("contains", Pattern::Contains),
        ] {
            if let Some(text) = o.optional_string(key) {
                value = pattern.compile(&text, ignore_case);
            }
        }
        o.message("safeRegex", |o| value = regex(o));
    });
    let present = o.optional_boolean("presentMatch");
    let invert = o.boolean("invertMatch");
    for other in ["rangeMatch", "treatMissingHeaderAsEmpty"] {
        if not_in_effect(o, other) {
            return None;
        }
    }
    Some(HeaderMatcher {
        name: name?,
        value,
        present: present.unwrap_or(true),
        invert,
    })
}

fn regex(o: &mut Object<'_, '_>) -> Option<TextMatch> {
    o.take("googleRe2");
    let pattern = o.string("regex");
    match Regex::whole(&pattern) {
        Ok(regex) => Some(TextMatch::Regex(Box::new(regex))),
        Err(RegexFault { why, part }) => {
            let message = format!("the pattern {why}");
            o.report().field("regex", |report| {
                report.raise_within((&pattern, part), Code::InvalidRegex, message, "");
            });
            None
        }
    }
}

/// Where a text stands in a value.
#[derive(Clone, Copy)]
enum Pattern {
    Exact,
    Prefix,
    Suffix,
    Contains,
}

impl Pattern {
    fn compile(self, text: &str, ignore_case: bool) -> Option<TextMatch> {
        let plain = regex::escape(text);
        let case = if ignore_case { "(?i)" } else { "" };
        let pattern = match (self, ignore_case) {
            (Self::Exact, false) => return Some(TextMatch::Exact(text.into())),
            (Self::Prefix, false) => return Some(TextMatch::Prefix(text.into())),
            (Self::Exact, true) => format!("{case}{plain}"),
            (Self::Prefix, true) => format!("{case}{plain}(?s:.*)"),
            (Self::Suffix, _) => format!("{case}(?s:.*){plain}"),
            (Self::Contains, _) => format!("{case}(?s:.*){plain}(?s:.*)"),
        };
        let regex = Regex::whole(&pattern).ok()?;
        Some(TextMatch::Regex(Box::new(regex)))
    }
}
