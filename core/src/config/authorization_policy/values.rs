//! Values that rules compare with: addresses, ports, paths, accounts, and the keys of `when`.

use crate::config::address;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::report::Report;

use super::{Condition, Values};

/// Tells each value that `complain` has something against. Empty ones are told by the caller.
fn each(values: &[String], report: &mut Report, complain: impl Fn(&str) -> Option<String>) {
    for (at, value) in values.iter().enumerate() {
        if let Some(why) = complain(value).filter(|_| !value.is_empty()) {
            report.index(at, |report| {
                report.raise(Code::InvalidPolicy, format!("`{value}` {why}"), "");
            });
        }
    }
}

/// IP addresses and CIDR blocks.
pub(super) fn check_ips(values: &[String], report: &mut Report) {
    each(values, report, |value| address::parse_block(value).err());
}

/// Port numbers, as text; Istio lets 0 pass.
pub(super) fn check_ports(values: &[String], report: &mut Report) {
    each(values, report, |value| {
        let is_port = value.bytes().all(|b| b.is_ascii_digit()) && value.parse::<u16>().is_ok();
        (!is_port).then(|| "is not a port number".to_owned())
    });
}

/// Service accounts, `account` or `namespace/account`.
pub(super) fn check_service_accounts(values: &[String], report: &mut Report) {
    const MOST: usize = 16;
    if values.len() > MOST {
        let message = format!(
            "{} service accounts are more than the {MOST} allowed",
            values.len()
        );
        report.raise(Code::InvalidPolicy, message, "");
    }
    each(values, report, |value| {
        let parts: Vec<&str> = value.split('/').collect();
        if value.contains('*') {
            Some("has a wildcard, which an account may not".to_owned())
        } else if parts.len() > 2 || parts.contains(&"") {
            Some("is not of the form `account` or `namespace/account`".to_owned())
        } else {
            (value.len() > 320).then(|| "is longer than 320 characters".to_owned())
        }
    });
}

/// Text with one wildcard at one end at most.
fn check_wildcards(values: &[String], report: &mut Report) {
    each(values, report, |value| {
        let inner = value.strip_prefix('*').unwrap_or(value);
        let inner = if inner.len() == value.len() {
            inner.strip_suffix('*').unwrap_or(inner)
        } else {
            inner
        };
        inner
            .contains('*')
            .then(|| "has a wildcard elsewhere than at one end".to_owned())
    });
}

/// Trust domains.
pub(super) fn check_trust_domains(values: &[String], report: &mut Report) {
    check_wildcards(values, report);
    each(values, report, |value| {
        value
            .contains('/')
            .then(|| "has a `/`, which no trust domain has".to_owned())
    });
}

/// Paths: text, with a wildcard at an end, or a template of segments `{*}` and, last, `{**}`.
pub(super) fn check_paths(values: &[String], report: &mut Report) {
    each(values, report, |value| {
        let is_template = value.contains("{*}") || value.contains("{**}");
        let mut after_rest = false;
        for segment in value.trim_matches('/').split('/') {
            match segment {
                "{*}" | "{**}" if after_rest => {
                    return Some("has something after `{**}`".to_owned());
                }
                "{*}" => {}
                "{**}" => after_rest = true,
                text if text.contains(['{', '}']) => {
                    return Some("has a brace outside of `{*}` and `{**}`".to_owned());
                }
                text if is_template && !is_path_text(text) => {
                    return Some(format!(
                        "has the segment `{text}`, which a template can not hold"
                    ));
                }
                _ => {}
            }
        }
        None
    });
}

/// Characters of a path segment (RFC 3986 §3.3) without `*`.
fn is_path_text(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&b);
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// Reads and checks one entry of `when`.
pub(super) fn check_condition(o: &mut Object<'_, '_>, is_custom: bool) -> Condition {
    let key = o.string("key");
    let values = Values {
        any: o.strings("values"),
        none: o.strings("notValues"),
    };
    if key.is_empty() {
        o.report()
            .raise_in("key", Code::RequiredField, "a condition needs a key", "");
        return Condition { key, values };
    }
    if values.is_empty() {
        let message = format!("condition `{key}` compares with nothing");
        o.report()
            .raise(Code::RequiredField, message, "set `values` or `notValues`");
    }
    if let Some(why) = key_complaint(&key) {
        o.report()
            .raise_in("key", Code::InvalidPolicy, format!("`{key}` {why}"), "");
    } else if key.starts_with(FILTER_STATE) {
        let message = format!(
            "`{key}` is not known to this proxy: a rule that allows by it never applies, and one that denies applies without it"
        );
        o.report().raise_in("key", Code::NotInEffect, message, "");
    }
    let needs_identity = matches!(
        key.as_str(),
        "source.namespace" | "source.serviceAccount" | "source.trustDomain" | "source.principal"
    ) || key.starts_with("request.auth.");
    if is_custom && needs_identity {
        let message = format!("`{key}` can not be used with action `CUSTOM`");
        o.report().raise_in("key", Code::InvalidPolicy, message, "");
    }
    check_values("values", &key, &values.any, o.report());
    check_values("notValues", &key, &values.none, o.report());
    Condition { key, values }
}

fn check_values(field: &'static str, key: &str, list: &[String], report: &mut Report) {
    report.field(field, |report| {
        for (at, _) in (list.iter().enumerate()).filter(|(_, value)| value.is_empty()) {
            report.index(at, |report| {
                let message = "an empty value matches nothing";
                report.raise(Code::InvalidPolicy, message, "remove it");
            });
        }
        match key {
            "source.ip" | "remote.ip" | "destination.ip" => check_ips(list, report),
            "destination.port" => check_ports(list, report),
            "source.serviceAccount" => check_service_accounts(list, report),
            "source.trustDomain" => check_wildcards(list, report),
            _ => {}
        }
    });
}

/// What Envoy's filters say of a request, of which there are none here.
pub(crate) const FILTER_STATE: &str = "experimental.envoy.filters.";

/// What is wrong with a key of `when`.
fn key_complaint(key: &str) -> Option<&'static str> {
    const WITH_NAME: [&str; 3] = ["request.headers", "request.auth.claims", FILTER_STATE];
    const PLAIN: [&str; 12] = [
        "source.ip",
        "remote.ip",
        "source.namespace",
        "source.serviceAccount",
        "source.principal",
        "source.trustDomain",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "destination.ip",
        "destination.port",
        "connection.sni",
    ];
    if WITH_NAME.iter().any(|prefix| key.starts_with(prefix)) {
        let name = key.strip_suffix(']').and_then(|rest| rest.split_once('['));
        return match name {
            Some((before, name)) if !before.is_empty() && !name.is_empty() => None,
            Some(_) | None => Some("needs a name in brackets: `request.headers[x-name]`"),
        };
    }
    if PLAIN.contains(&key) {
        None
    } else if key == "destination.namespace" {
        Some("is said by the policy's own namespace")
    } else if key.starts_with("destination.labels") {
        Some("is said by the policy's selector")
    } else if matches!(key, "destination.name" | "destination.user") {
        Some("went away with v1alpha1")
    } else {
        Some("is not an attribute")
    }
}
