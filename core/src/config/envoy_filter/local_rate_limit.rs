//! Envoy's `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`.

use super::descriptors::{self, Descriptor, HostLists};
use super::fraction::{Fraction, fraction};
use super::header_option::{HeaderOption, check_headers, headers};
use super::token_bucket::{TokenBucket, token_bucket};
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::report::Report;
use crate::snapshot::Describes;
use crate::time::Duration;

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
    pub rate_limits: Vec<Describes>,
    /// Which of the route's it takes.
    pub stage: u32,
    /// What becomes of those of the route's virtual host.
    pub host_lists: HostLists,
    /// Whether such a request takes a token from `token_bucket` too; absent is yes.
    pub always_consume_default: Option<bool>,
}

/// What carries a rate limit decides what it must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A filter: it may leave everything to routes.
    Listener,
    /// A route.
    Route,
}

/// What responses tell of limits, of either kind.
pub(super) const RATE_LIMIT_HEADERS: &[(&str, i32, bool)] =
    &[("OFF", 0, false), ("DRAFT_VERSION_03", 1, true)];

/// Reads one.
pub(super) fn read(o: &mut Object<'_, '_>) -> LocalRateLimit {
    for field in [
        "localClusterRateLimit",
        "maxDynamicDescriptors",
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
        rate_limits: descriptors::own_rate_limits(o),
        stage: descriptors::stage(o),
        host_lists: descriptors::host_lists(o),
        always_consume_default: o.optional_boolean("alwaysConsumeDefaultTokenBucket"),
    }
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
        check_headers(field, headers, report);
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
