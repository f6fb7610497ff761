//! Envoy's `envoy.extensions.filters.http.ratelimit.v3.RateLimit`, and what routes say to it (`RateLimitPerRoute`).

use super::descriptors::{self, HostLists, not_in_effect};
use super::fraction::{Fraction, fraction};
use super::header_option::{HeaderOption, check_headers, headers};
use super::local_rate_limit::RATE_LIMIT_HEADERS;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::header_name;
use crate::config::report::Report;
use crate::snapshot::Describes;
use crate::time::Duration;

/// A global rate limit as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GlobalRateLimit {
    /// What the service knows its limits by.
    pub domain: String,
    /// Which lists of actions it takes.
    pub stage: u32,
    /// It is about requests from outside alone, or from within alone; empty is both.
    pub request_type: String,
    /// How long an answer may take; absent is 20 ms.
    pub timeout: Option<Duration>,
    /// Requests are refused when the service can not be asked.
    pub denies_on_failure: bool,
    /// A share of them is; absent is as above.
    pub denied_on_failure: Option<Fraction>,
    /// gRPC clients are answered `RESOURCE_EXHAUSTED` instead of `UNAVAILABLE`.
    pub resource_exhausted: bool,
    /// Whom to ask.
    pub service: Option<Service>,
    /// Responses tell how much is left.
    pub tells_clients: bool,
    /// Refusals do not say `x-envoy-ratelimited`.
    pub hides_limited: bool,
    /// What a refused request is answered with; absent is 429.
    pub status: Option<u32>,
    /// What is answered when the service can not be asked; absent is 500.
    pub status_on_error: Option<u32>,
    /// Added to the answer to a refused request.
    pub response_headers: Vec<HeaderOption>,
    /// For which requests it is asked; absent is all.
    pub enabled: Option<Fraction>,
    /// Which of those that are over a limit are refused; absent is all.
    pub enforced: Option<Fraction>,
    /// What descriptors are made of requests; those of the route when there are none.
    pub rate_limits: Vec<Describes>,
}

/// Whom to ask: `config.ratelimit.v3.RateLimitServiceConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Such as `outbound|8081||ratelimit.default.svc.cluster.local`; empty where Google's client of gRPC is to ask.
    pub cluster: String,
    /// What calls say as their host; empty is the service's.
    pub authority: String,
    /// Fields of calls.
    pub metadata: Vec<(String, String)>,
}

/// What a route says to the filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GlobalPerRoute {
    /// What becomes of what its virtual host says.
    pub host_lists: HostLists,
    /// What descriptors are made of requests, whatever else is said.
    pub rate_limits: Vec<Describes>,
    /// What the service knows its limits by; empty is what the filter says.
    pub domain: String,
}

/// Versions of the service's interface.
const VERSIONS: &[(&str, i32, bool)] = &[("AUTO", 0, false), ("V2", 1, false), ("V3", 2, true)];

const OVERRIDES: &[(&str, i32, ())] = &[
    ("DEFAULT", 0, ()),
    ("OVERRIDE_POLICY", 1, ()),
    ("INCLUDE_POLICY", 2, ()),
    ("IGNORE_POLICY", 3, ()),
];

/// Reads one.
pub(super) fn read(o: &mut Object<'_, '_>) -> GlobalRateLimit {
    if !o.string("statPrefix").is_empty() {
        let message = "`stat_prefix` is not in effect: all limits of a cluster count together";
        o.report()
            .raise_in("statPrefix", Code::NotInEffect, message, "");
    }
    let status = |o: &mut Object<'_, '_>, name| {
        o.message(name, |status| status.optional_integer("code"))
            .flatten()
    };
    GlobalRateLimit {
        domain: o.string("domain"),
        stage: descriptors::stage(o),
        request_type: o.string("requestType"),
        timeout: o.duration("timeout"),
        denies_on_failure: o.boolean("failureModeDeny"),
        denied_on_failure: o.message("failureModeDenyPercent", fraction),
        resource_exhausted: o.boolean("rateLimitedAsResourceExhausted"),
        service: o.message("rateLimitService", service).flatten(),
        tells_clients: o
            .symbol("enableXRatelimitHeaders", RATE_LIMIT_HEADERS)
            .unwrap_or_default(),
        hides_limited: o.boolean("disableXEnvoyRatelimitedHeader"),
        status: status(o, "rateLimitedStatus"),
        status_on_error: status(o, "statusOnError"),
        response_headers: headers(o, "responseHeadersToAdd"),
        enabled: o.message("filterEnabled", fraction),
        enforced: o.message("filterEnforced", fraction),
        rate_limits: descriptors::own_rate_limits(o),
    }
}

fn service(o: &mut Object<'_, '_>) -> Option<Service> {
    let is_v3 = o.symbol("transportApiVersion", VERSIONS);
    if is_v3 != Some(true) {
        let message = "Envoy speaks the third version alone";
        let help = "write `transport_api_version: V3`";
        o.report()
            .raise_in("transportApiVersion", Code::InvalidPolicy, message, help);
    }
    o.message("grpcService", |o| {
        for field in ["timeout", "retryPolicy"] {
            not_in_effect(o, field);
        }
        let metadata = o.messages("initialMetadata", |header| {
            not_in_effect(header, "rawValue");
            let name = header.string("key");
            header_name::plain(&name, header.report());
            (name, header.string("value"))
        });
        let mut service = Service {
            metadata,
            ..Service::default()
        };
        not_in_effect(o, "googleGrpc");
        o.message("envoyGrpc", |o| {
            for field in ["retryPolicy", "maxReceiveMessageLength", "skipEnvoyHeaders"] {
                not_in_effect(o, field);
            }
            service.cluster = o.string("clusterName");
            service.authority = o.string("authority");
        });
        service
    })
}

/// Reads what a route says.
pub(super) fn read_per_route(o: &mut Object<'_, '_>) -> GlobalPerRoute {
    if o.symbol("overrideOption", OVERRIDES).is_some() {
        let message =
            "`override_option` is not in effect, in Envoy neither: `vh_rate_limits` holds";
        o.report()
            .raise_in("overrideOption", Code::NotInEffect, message, "");
    }
    GlobalPerRoute {
        host_lists: descriptors::host_lists(o),
        rate_limits: descriptors::own_rate_limits(o),
        domain: o.string("domain"),
    }
}

/// Checks one by Envoy's rules, told at the typed configuration that holds it.
pub(super) fn check(limit: &GlobalRateLimit, report: &mut Report) {
    let mut invalid = |field: &str, message: &str| {
        report.raise_in(field, Code::InvalidPolicy, message, "");
    };
    if limit.domain.is_empty() {
        invalid("domain", "a rate limit needs a `domain`");
    }
    if !["", "both", "external", "internal"].contains(&limit.request_type.as_str()) {
        let message = "a type of requests is `internal`, `external` or `both`";
        invalid("requestType", message);
    }
    if limit.service.is_none() {
        let message = "a rate limit needs a service that is asked over gRPC";
        invalid("rateLimitService", message);
    }
    for (field, code) in [
        ("rateLimitedStatus", limit.status),
        ("statusOnError", limit.status_on_error),
    ] {
        if code.is_some_and(|code| code > 599) {
            let message = "a status is 100 to 599";
            report.raise_in(field, Code::InvalidStatus, message, "");
        }
    }
    check_headers("responseHeadersToAdd", &limit.response_headers, report);
    if limit.request_type == "internal" {
        let message = "no request is an internal one to a sidecar, so this limit looks at none";
        report.raise_in("requestType", Code::RateLimitWithoutEffect, message, "");
    }
}
