//! Descriptors of a local rate limit, and the actions of routes that make descriptors of requests (Envoy's
//! `config.route.v3.RateLimit`), for both kinds of limits, as far as they are honoured: what a request says about itself.

use super::token_bucket::{TokenBucket, token_bucket};
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::report::Report;
use crate::snapshot::{
    Describes, DescriptorAction, HeaderMatch, MatchedField, Regex, RegexFault, TextMatch,
};

/// Requests that these entries describe have a bucket of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Descriptor {
    /// Keys and values, all of which must be the same, in this order.
    pub entries: Vec<(String, String)>,
    /// What is allowed.
    pub token_bucket: TokenBucket,
}

/// What becomes of what the virtual host of a route says of its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostLists {
    /// It holds where the route says nothing.
    #[default]
    Override,
    /// It holds as well.
    Include,
    /// It does not hold.
    Ignore,
}

const HOST_LISTS: &[(&str, i32, HostLists)] = &[
    ("OVERRIDE", 0, HostLists::Override),
    ("INCLUDE", 1, HostLists::Include),
    ("IGNORE", 2, HostLists::Ignore),
];

/// Stages are 0 to so much (Envoy).
const LAST_STAGE: u32 = 10;

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

/// Reads the `rate_limits` of a filter, whose lists have no stages (Envoy).
pub(super) fn own_rate_limits(o: &mut Object<'_, '_>) -> Vec<Describes> {
    let read = rate_limits(o);
    let (own, staged): (Vec<_>, Vec<_>) = read.into_iter().partition(|by| by.stage == 0);
    if !staged.is_empty() {
        let message = "a list of a filter has no stage";
        o.report()
            .raise_in("rateLimits", Code::NotInEffect, message, "");
    }
    own
}

/// Reads `rate_limits`: lists of actions, each of which makes one descriptor.
pub(super) fn rate_limits(o: &mut Object<'_, '_>) -> Vec<Describes> {
    let read = o.messages("rateLimits", |o| {
        for field in ["disableKey", "limit"] {
            not_in_effect(o, field);
        }
        let stage = stage(o);
        let hits = o.message("hitsAddend", |hits| {
            not_in_effect(hits, "format");
            hits.optional_integer("number")
        });
        let actions = o.messages("actions", action);
        // Whoever is told at the end of a request does not limit it.
        if not_in_effect(o, "applyOnStreamDone") {
            return None;
        }
        // Without one of its entries a descriptor is another one.
        let actions = actions.into_iter().collect::<Option<Vec<_>>>()?;
        let actions = actions.into();
        let hits = hits.flatten();
        Some(Describes {
            stage,
            actions,
            hits,
        })
    });
    read.into_iter()
        .flatten()
        .filter(|by| !by.actions.is_empty())
        .collect()
}

/// Reads the number by which limits and lists of actions find each other.
pub(super) fn stage(o: &mut Object<'_, '_>) -> u32 {
    let stage = o.integer("stage");
    if stage > LAST_STAGE {
        let message = "a stage is 0 to 10";
        o.report()
            .raise_in("stage", Code::InvalidPolicy, message, "");
    }
    stage
}

/// Reads what becomes of the lists of virtual hosts.
pub(super) fn host_lists(o: &mut Object<'_, '_>) -> HostLists {
    o.symbol("vhRateLimits", HOST_LISTS).unwrap_or_default()
}

/// Tells a field that is there and does nothing.
pub(super) fn not_in_effect(o: &mut Object<'_, '_>, field: &'static str) -> bool {
    let is_there = o.take(field).is_some();
    if is_there {
        let message = format!("`{field}` is not in effect");
        o.report().raise_in(field, Code::NotInEffect, message, "");
    }
    is_there
}

/// `None` for what is not honoured, which is told.
fn action(o: &mut Object<'_, '_>) -> Option<DescriptorAction> {
    let mut found = None;
    o.message("genericKey", |o| {
        let key = or(o.string("descriptorKey"), "generic_key");
        found = Some(DescriptorAction::GenericKey(
            key,
            o.string("descriptorValue").into(),
        ));
    });
    o.message("requestHeaders", |o| {
        let (name, key) = (o.string("headerName"), o.string("descriptorKey"));
        let skip_if_absent = o.boolean("skipIfAbsent");
        found =
            field(&name, "headerName", o.report()).map(|name| DescriptorAction::RequestHeader {
                name,
                key: key.into(),
                skip_if_absent,
            });
    });
    o.message("headerValueMatch", |o| {
        let headers = o.messages("headers", header_matcher);
        let value = o.string("descriptorValue");
        let key = or(o.string("descriptorKey"), "header_match");
        let expect_match = o.optional_boolean("expectMatch").unwrap_or(true);
        let headers = headers.into_iter().collect::<Option<Vec<_>>>();
        found = headers.map(|headers| DescriptorAction::HeaderValueMatch {
            key,
            value: value.into(),
            expect_match,
            headers: headers.into(),
        });
    });
    o.message("remoteAddress", |_| {
        found = Some(DescriptorAction::RemoteAddress);
    });
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

fn or(text: String, default: &str) -> Box<str> {
    match text.is_empty() {
        true => default.into(),
        false => text.into(),
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

fn header_matcher(o: &mut Object<'_, '_>) -> Option<HeaderMatch> {
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
    Some(HeaderMatch {
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
