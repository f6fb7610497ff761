//! HTTP rules: which parts a rule must have and which exclude each other.

use super::{action, conditions, policy};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::header_name;
use crate::config::report::Report;
use crate::config::virtual_service::{HttpRoute, StringMatch};

/// What a rule must know about its VirtualService.
#[derive(Clone, Copy)]
pub(super) struct Enclosing {
    /// The VirtualService has no hosts: others delegate to it.
    pub(super) is_delegate: bool,
    /// It is bound to a gateway other than the mesh.
    pub(super) has_gateway: bool,
}

/// Checks one entry of `http`.
pub(super) fn check(rule: &HttpRoute, place: Enclosing, report: &mut Report) {
    report.each("match", &rule.matches, |report, entry| {
        conditions::check(entry, place.has_gateway, report);
    });
    check_action(rule, place.is_delegate, report);
    report.field("route", |report| {
        action::check_destinations(&rule.route, report);
    });
    if let Some(headers) = &rule.headers {
        report.field("headers", |report| action::check_headers(headers, report));
    }
    if let Some(redirect) = &rule.redirect {
        report.field("redirect", |report| {
            action::check_redirect(redirect, report);
        });
        check_prefix_redirect(rule, report);
    }
    if let Some(response) = &rule.direct_response {
        report.field("directResponse", |report| {
            action::check_direct_response(response, report);
        });
    }
    if let Some(rewrite) = &rule.rewrite {
        report.field("rewrite", |report| action::check_rewrite(rewrite, report));
    }
    check_authority(rule, report);
    checks::duration_in("timeout", rule.timeout, report);
    if let Some(retries) = &rule.retries {
        report.field("retries", |report| policy::check_retry(retries, report));
    }
    if let Some(fault) = &rule.fault {
        report.field("fault", |report| policy::check_fault(fault, report));
    }
    if let Some(cors) = &rule.cors_policy {
        report.field("corsPolicy", |report| policy::check_cors(cors, report));
    }
    policy::check_mirrors(rule, report);
}

/// A rule does one thing: forward, redirect, answer or delegate.
fn check_action(rule: &HttpRoute, is_delegate: bool, report: &mut Report) {
    let has = [
        ("route", !rule.route.is_empty()),
        ("redirect", rule.redirect.is_some()),
        ("directResponse", rule.direct_response.is_some()),
        ("fault", rule.fault.is_some()),
        ("rewrite", rule.rewrite.is_some()),
    ];
    let present = |names: &[&str]| -> Vec<&'static str> {
        has.iter()
            .filter(|(name, is)| *is && names.contains(name))
            .map(|(name, _)| *name)
            .collect()
    };
    let (action, excluded) = if let Some(delegate) = &rule.delegate {
        if delegate.name.is_empty() {
            let help = "name a VirtualService without `hosts`";
            report.raise_in("delegate", Code::RequiredField, "`name` is missing", help);
        }
        checks::namespace_in("delegate.namespace", &delegate.namespace, report);
        if is_delegate {
            report.raise_in(
                "delegate",
                Code::DelegateShape,
                "a delegate may not delegate further",
                "name the destinations here",
            );
        }
        (
            "delegate",
            present(&["route", "redirect", "directResponse"]),
        )
    } else if rule.redirect.is_some() {
        (
            "redirect",
            present(&["route", "directResponse", "fault", "rewrite"]),
        )
    } else if rule.direct_response.is_some() {
        ("directResponse", present(&["route", "fault", "rewrite"]))
    } else if rule.route.is_empty() {
        report.raise(
            Code::RouteWithoutAction,
            "the rule has no `route`, `redirect`, `directResponse` or `delegate`",
            "say what happens to a request that matches",
        );
        return;
    } else {
        return;
    };
    for other in excluded {
        report.raise_in(
            other,
            Code::RouteConflict,
            format!("`{other}` and `{action}` exclude each other"),
            "keep one of them",
        );
    }
}

/// The authority of a request is replaced once: by the rewrite, or by one header operation of the rule.
fn check_authority(rule: &HttpRoute, report: &mut Report) {
    let rewrite = rule.rewrite.as_ref();
    let mut first = rewrite
        .filter(|rewrite| !rewrite.authority.is_empty())
        .map(|_| "rewrite.authority".to_owned());
    let headers = rule.headers.as_ref();
    let Some(request) = headers.and_then(|headers| headers.request.as_ref()) else {
        return;
    };
    for (operation, fields) in [("set", &request.set), ("add", &request.add)] {
        for (name, value) in fields {
            if !header_name::is_authority(name) {
                continue;
            }
            let here = format!("headers.request.{operation}[{name:?}]");
            if let Some(first) = &first {
                let message = format!("`{first}` replaces the authority already");
                report.field(&format!("headers.request.{operation}"), |report| {
                    report.key(name, |report| {
                        report.raise(Code::RouteConflict, message, "keep one of them");
                    });
                });
            } else if !value.is_empty() {
                first = Some(here);
            }
        }
    }
}

/// `redirect.prefixRewrite` needs to know which prefix was matched; without a match on `uri` that is `/`.
fn check_prefix_redirect(rule: &HttpRoute, report: &mut Report) {
    let Some(redirect) = &rule.redirect else {
        return;
    };
    if redirect.prefix_rewrite.is_empty() {
        return;
    }
    let has_prefix = |uri: &Option<StringMatch>| matches!(uri, None | Some(StringMatch::Prefix(_)));
    if rule.matches.iter().any(|entry| !has_prefix(&entry.uri)) {
        report.raise_in(
            "redirect.prefixRewrite",
            Code::InvalidRedirect,
            "`prefixRewrite` needs `prefix` where an entry of `match` asks for `uri`",
            "match by prefix, or use `redirect.uri`",
        );
    }
}
