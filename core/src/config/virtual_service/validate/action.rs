//! Destinations, header operations, rewrites, redirects and fixed answers.

use std::collections::BTreeMap;

use super::conditions::check_regex;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::header_name;
use crate::config::names;
use crate::config::report::Report;
use crate::config::value::quoted;
use crate::config::virtual_service::{
    Destination, HeaderOperations, Headers, HttpDirectResponse, HttpRedirect, HttpRewrite,
    HttpRouteDestination, RedirectPort,
};
use crate::snapshot::Regex;

const LARGE_BODY: usize = 100 << 10;
const MAX_BODY: usize = 1 << 20;

/// Redirect codes that Envoy knows.
const REDIRECT_CODES: [u32; 5] = [301, 302, 303, 307, 308];

/// Checks `http[].route`; the report stands at the list.
pub(super) fn check_destinations(route: &[HttpRouteDestination], report: &mut Report) {
    for (index, entry) in route.iter().enumerate() {
        report.index(index, |report| {
            report.field("destination", |report| {
                check_destination(&entry.destination, report);
            });
            if let Some(headers) = &entry.headers {
                report.field("headers", |report| check_headers(headers, report));
            }
        });
    }
    check_weights(route.iter().map(|entry| entry.weight), report);
}

/// Weights of a list of destinations; the report stands at the list.
pub(super) fn check_weights(weights: impl ExactSizeIterator<Item = i32>, report: &mut Report) {
    let count = weights.len();
    let mut total = 0i64;
    for (index, weight) in weights.enumerate() {
        total += i64::from(weight);
        if weight < 0 {
            report.index(index, |report| {
                let message = format!("weight `{weight}` is negative");
                report.raise_in("weight", Code::InvalidWeight, message, "");
            });
        }
    }
    let is_unread = |index| report.is_unread(&format!("[{index}]"));
    if count > 1 && total == 0 && !(0..count).any(is_unread) {
        report.raise(
            Code::InvalidWeight,
            "the weights of the destinations total 0",
            "give at least one destination a `weight`",
        );
    }
}

/// Checks a destination; the report stands at it.
pub(super) fn check_destination(destination: &Destination, report: &mut Report) {
    let host = &destination.host;
    if host.is_empty() {
        report.raise(
            Code::RequiredField,
            "`host` is missing",
            "say where to: `host: …`",
        );
    } else if host == "*" {
        report.raise_in(
            "host",
            Code::InvalidHost,
            "`*` is no destination",
            "name a service",
        );
    } else if let Err(why) = names::check_host(host) {
        report.raise_in(
            "host",
            Code::InvalidHost,
            format!("host {} {why}", quoted(host)),
            "",
        );
    }
    let subset = &destination.subset;
    if !subset.is_empty()
        && let Err(why) = names::check_dns_label(subset)
    {
        let message = format!("subset {} {why}", quoted(subset));
        report.raise_in("subset", Code::InvalidName, message, "");
    }
    if let Some(port) = destination.port {
        report.field("port.number", |report| checks::port(port, report));
    }
}

/// Checks header operations; the report stands at `headers`.
pub(super) fn check_headers(headers: &Headers, report: &mut Report) {
    let sides = [
        ("request", &headers.request, true),
        ("response", &headers.response, false),
    ];
    for (side, operations, is_request) in sides {
        if let Some(operations) = operations {
            report.field(side, |report| {
                check_operations(operations, is_request, report);
            });
        }
    }
}

fn check_operations(operations: &HeaderOperations, is_request: bool, report: &mut Report) {
    let check_map = |report: &mut Report, map: &BTreeMap<String, String>| {
        for (name, value) in map {
            report.key(name, |report| {
                header_name::written(name, is_request, report);
                header_name::value(value, report);
            });
        }
    };
    report.field("set", |report| check_map(report, &operations.set));
    report.field("add", |report| check_map(report, &operations.add));
    report.each("remove", &operations.remove, |report, name| {
        header_name::written(name, false, report);
    });
}

/// Checks `rewrite`; the report stands at it.
pub(super) fn check_rewrite(rewrite: &HttpRewrite, report: &mut Report) {
    let HttpRewrite {
        uri,
        authority,
        uri_regex_rewrite,
    } = rewrite;
    if uri.is_empty() && authority.is_empty() && uri_regex_rewrite.is_none() {
        report.raise(
            Code::InvalidRewrite,
            "the rewrite changes nothing",
            "set `uri`, `uriRegexRewrite` or `authority`",
        );
    }
    let Some(regex) = uri_regex_rewrite else {
        return;
    };
    if !uri.is_empty() {
        report.raise(
            Code::InvalidRewrite,
            "`uri` and `uriRegexRewrite` exclude each other",
            "keep one of them",
        );
    }
    report.field("uriRegexRewrite", |report| {
        if regex.pattern.is_empty() || regex.rewrite.is_empty() {
            report.raise(
                Code::InvalidRewrite,
                "`match` and `rewrite` are both required",
                "",
            );
        } else {
            report.field("match", |report| {
                check_regex(&regex.pattern, Regex::anywhere, report);
            });
        }
    });
}

/// Checks `redirect`; the report stands at it.
pub(super) fn check_redirect(redirect: &HttpRedirect, report: &mut Report) {
    let HttpRedirect {
        uri,
        prefix_rewrite,
        authority,
        scheme,
        port,
        redirect_code,
    } = redirect;
    let texts = [uri, prefix_rewrite, authority, scheme];
    if texts.iter().all(|text| text.is_empty()) && port.is_none() {
        report.raise(
            Code::InvalidRedirect,
            "the redirect changes nothing",
            "set `uri`, `prefixRewrite`, `authority`, `scheme` or `port`",
        );
    }
    if !uri.is_empty() && !prefix_rewrite.is_empty() {
        report.raise(
            Code::InvalidRedirect,
            "`uri` and `prefixRewrite` exclude each other",
            "keep one of them",
        );
    }
    if !matches!(scheme.as_str(), "" | "http" | "https") {
        let message = format!("scheme {} is neither `http` nor `https`", quoted(scheme));
        report.raise_in("scheme", Code::InvalidRedirect, message, "");
    }
    if let Some(RedirectPort::Number(port)) = port {
        report.field("port", |report| checks::port(*port, report));
    }
    check_redirect_code(*redirect_code, report);
}

fn check_redirect_code(code: u32, report: &mut Report) {
    if code == 0 || REDIRECT_CODES.contains(&code) {
        return;
    }
    let help = "use 301, 302, 303, 307 or 308";
    let (kind, message) = if (300..=399).contains(&code) {
        (
            Code::RedirectCodeWithoutEffect,
            format!("`{code}` is no redirect that can be sent"),
        )
    } else {
        (
            Code::InvalidRedirect,
            format!("`{code}` is not a redirect code"),
        )
    };
    report.raise_in("redirectCode", kind, message, help);
}

/// Checks `directResponse`; the report stands at it.
pub(super) fn check_direct_response(response: &HttpDirectResponse, report: &mut Report) {
    check_status("status", i64::from(response.status), report);
    let length = response
        .body
        .as_ref()
        .map_or(0, |body| body.as_bytes().len());
    if length > MAX_BODY {
        let message = format!("the body has {length} bytes, more than 1 MiB");
        report.raise_in(
            "body",
            Code::BodyTooLarge,
            message,
            "serve it from a service",
        );
    } else if length > LARGE_BODY {
        let message = format!("the body has {length} bytes; every proxy keeps it in memory");
        report.raise_in("body", Code::LargeBody, message, "serve it from a service");
    }
}

/// The status of an answer that the proxy makes: 200 to 599.
pub(super) fn check_status(field: &str, status: i64, report: &mut Report) {
    if !(200..=599).contains(&status) {
        let message = format!("status `{status}` is not between 200 and 599");
        report.raise_in(field, Code::InvalidStatus, message, "");
    }
}
