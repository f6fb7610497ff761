//! Envoy's `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`, in one of the wrappers people write.

use super::descriptors::{self, Action, Descriptor};
use super::token_bucket::{TokenBucket, token_bucket};
use crate::config::code::Code;
use crate::config::decode::{Object, object};
use crate::config::header_name;
use crate::config::node::Node;
use crate::config::report::Report;
use crate::time::Duration;

/// The name of the message; a type is named by an URL that ends in it.
const MESSAGE: &str = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";

/// Messages that carry another one as a plain mapping.
const WRAPPERS: [&str; 2] = ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"];

/// Envoy fills no bucket more often.
const LEAST_INTERVAL: Duration = Duration::from_millis(50);

/// A local rate limit as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalRateLimit {
    /// The beginning of its counters' names.
    pub stat_prefix: String,
    /// What a refused request is answered with; absent is 429.
    pub status: Option<u32>,
    /// How much is allowed; absent is everything.
    pub token_bucket: Option<TokenBucket>,
    /// For which requests it counts; absent is none.
    pub enabled: Option<Fraction>,
    /// For which of those it refuses; absent is none.
    pub enforced: Option<Fraction>,
    /// Added to the answer to a refused request.
    pub response_headers: Vec<HeaderOption>,
    /// Added to a request that would have been refused.
    pub request_headers: Vec<HeaderOption>,
    /// Responses tell how much is left.
    pub tells_clients: bool,
    /// Each client connection has a bucket of its own.
    pub per_connection: bool,
    /// gRPC clients are answered `RESOURCE_EXHAUSTED` instead of `UNAVAILABLE`.
    pub resource_exhausted: bool,
    /// Requests that have buckets of their own.
    pub descriptors: Vec<Descriptor>,
    /// What descriptors are made of requests; those of the route when there are none.
    pub rate_limits: Vec<Vec<Action>>,
    /// Whether such a request takes a token from `token_bucket` too; absent is yes.
    pub always_consume_default: Option<bool>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    /// The part.
    pub numerator: u32,
    /// The whole: 100, 10,000 or 1,000,000.
    pub denominator: u32,
}

/// A header field to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOption {
    /// Its name.
    pub name: String,
    /// Its value, which may hold format operators.
    pub value: String,
    /// It takes the place of what is there.
    pub overwrite: bool,
}

/// What carries a rate limit decides what it must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A filter: it may leave everything to routes.
    Listener,
    /// A route.
    Route,
}

const DENOMINATORS: &[(&str, i32, u32)] = &[
    ("HUNDRED", 0, 100),
    ("TEN_THOUSAND", 1, 10_000),
    ("MILLION", 2, 1_000_000),
];

/// Whether a header option overwrites; `None` for what this proxy does not do.
const APPEND_ACTIONS: &[(&str, i32, Option<bool>)] = &[
    ("APPEND_IF_EXISTS_OR_ADD", 0, Some(false)),
    ("ADD_IF_ABSENT", 1, None),
    ("OVERWRITE_IF_EXISTS_OR_ADD", 2, Some(true)),
    ("OVERWRITE_IF_EXISTS", 3, None),
];

const RATE_LIMIT_HEADERS: &[(&str, i32, bool)] =
    &[("OFF", 0, false), ("DRAFT_VERSION_03", 1, true)];

/// Whether a typed configuration is a local rate limit.
pub(super) fn is_local_rate_limit(config: &Node) -> bool {
    let text = |key: &str| config.field(key).and_then(|entry| entry.value.text());
    text("@type").is_some_and(|url| {
        is_url_of(url, MESSAGE)
            || WRAPPERS.iter().any(|wrapper| is_url_of(url, wrapper))
                && text("typeUrl").is_some_and(|url| is_url_of(url, MESSAGE))
    })
}

fn is_url_of(url: &str, message: &str) -> bool {
    url.rsplit('/').next() == Some(message)
}

/// Reads one, which `is_local_rate_limit`.
pub(super) fn read(report: &mut Report, config: &Node) -> LocalRateLimit {
    object(report, config, |o| {
        let is_wrapped = !is_url_of(&o.string("@type"), MESSAGE);
        if is_wrapped {
            o.string("typeUrl");
            o.message("value", message).unwrap_or_default()
        } else {
            message(o)
        }
    })
}

fn message(o: &mut Object<'_, '_>) -> LocalRateLimit {
    for field in [
        "localClusterRateLimit",
        "maxDynamicDescriptors",
        "stage",
        "vhRateLimits",
        "customResponseBody",
    ] {
        if o.take(field).is_some() {
            let message = format!("`{field}` is not in effect");
            o.report().raise_in(field, Code::NotInEffect, message, "");
        }
    }
    LocalRateLimit {
        stat_prefix: o.string("statPrefix"),
        status: o
            .message("status", |status| status.optional_integer("code"))
            .flatten(),
        token_bucket: o.message("tokenBucket", token_bucket),
        enabled: o.message("filterEnabled", fraction),
        enforced: o.message("filterEnforced", fraction),
        response_headers: headers(o, "responseHeadersToAdd"),
        request_headers: headers(o, "requestHeadersToAddWhenNotEnforced"),
        tells_clients: o
            .symbol("enableXRatelimitHeaders", RATE_LIMIT_HEADERS)
            .unwrap_or_default(),
        per_connection: o.boolean("localRateLimitPerDownstreamConnection"),
        resource_exhausted: o.boolean("rateLimitedAsResourceExhausted"),
        descriptors: descriptors::descriptors(o),
        rate_limits: descriptors::rate_limits(o),
        always_consume_default: o.optional_boolean("alwaysConsumeDefaultTokenBucket"),
    }
}

fn fraction(o: &mut Object<'_, '_>) -> Fraction {
    if !o.string("runtimeKey").is_empty() {
        let message = "there is no runtime to look a key up in: `default_value` holds";
        o.report()
            .raise_in("runtimeKey", Code::RuntimeKey, message, "");
    }
    let value = o.message("defaultValue", |value| Fraction {
        numerator: value.integer("numerator"),
        denominator: value.symbol("denominator", DENOMINATORS).unwrap_or(100),
    });
    value.unwrap_or(Fraction {
        numerator: 0,
        denominator: 100,
    })
}

fn headers(o: &mut Object<'_, '_>, name: &'static str) -> Vec<HeaderOption> {
    let all = o.messages(name, |option| {
        let header = option.message("header", |header| {
            let message = "`raw_value` is not in effect";
            if header.take("rawValue").is_some() {
                header
                    .report()
                    .raise_in("rawValue", Code::NotInEffect, message, "");
            }
            HeaderOption {
                name: header.string("key"),
                value: header.string("value"),
                overwrite: false,
            }
        });
        let append = option.optional_boolean("append");
        let action = option.symbol("appendAction", APPEND_ACTIONS);
        if option.boolean("keepEmptyValue") {
            let message = "`keep_empty_value` is not in effect";
            option
                .report()
                .raise_in("keepEmptyValue", Code::NotInEffect, message, "");
        }
        if action == Some(None) {
            let message = "this action is not in effect: the field is left out";
            option
                .report()
                .raise_in("appendAction", Code::NotInEffect, message, "");
            return None;
        }
        Some(HeaderOption {
            overwrite: append == Some(false) || action == Some(Some(true)),
            ..header?
        })
    });
    all.into_iter().flatten().collect()
}

/// Checks one, told at the typed configuration that holds it: by Envoy's rules, and for what can never do anything.
pub(super) fn check(limit: &LocalRateLimit, holder: Holder, report: &mut Report) {
    let mut invalid = |field: &str, message: &str| {
        report.raise_in(field, Code::InvalidPolicy, message, "");
    };
    if limit.stat_prefix.is_empty() {
        invalid("statPrefix", "a rate limit needs a `stat_prefix`");
    }
    let buckets = limit
        .descriptors
        .iter()
        .map(|d| ("descriptors", &d.token_bucket));
    let default = limit.token_bucket.iter().map(|b| ("tokenBucket", b));
    for (field, bucket) in default.chain(buckets) {
        if bucket.max_tokens == 0 || bucket.tokens_per_fill == Some(0) {
            invalid(field, "a bucket that is never filled");
        }
        if bucket.fill_interval < LEAST_INTERVAL {
            invalid(field, "a bucket is filled every 50 ms at most");
        }
    }
    match &limit.token_bucket {
        Some(_) => {}
        None if holder == Holder::Route => {
            invalid("tokenBucket", "for a route there must be a `token_bucket`");
        }
        None => {}
    }
    if limit.per_connection && !limit.descriptors.is_empty() {
        let message = "buckets of descriptors are shared by all connections";
        report.raise_in("descriptors", Code::NotInEffect, message, "");
    }
    if limit.status.is_some_and(|code| code > 599) {
        let message = "a status is 400 to 599";
        report.raise_in("status", Code::InvalidStatus, message, "");
    }
    for (field, headers) in [
        ("responseHeadersToAdd", &limit.response_headers),
        ("requestHeadersToAddWhenNotEnforced", &limit.request_headers),
    ] {
        report.each(field, headers, |report, header| {
            header_name::written(&header.name, false, report);
            header_name::value(&header.value, report);
        });
    }
    // Zero that was written is meant: to exempt a route, or to count only.
    let help = "set `default_value`";
    if limit.token_bucket.is_none() {
        return;
    }
    if limit.enabled.is_none() {
        let message = "this rate limit looks at no request: `filter_enabled` is 0 % when absent";
        report.raise(Code::RateLimitWithoutEffect, message, help);
    } else if limit.enforced.is_none() && limit.request_headers.is_empty() {
        let message = "this rate limit refuses nothing: `filter_enforced` is 0 % when absent";
        report.raise(Code::RateLimitWithoutEffect, message, help);
    }
}
