//! What a VirtualService must look like, rule by rule, as Istio's own validation has it.

mod action;
mod conditions;
mod policy;
mod route;
mod stream;

use std::borrow::Cow;

use super::{MESH_GATEWAY, VirtualService};
use crate::config::address::parse_ip;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::names;
use crate::config::report::Report;
use crate::config::value::quoted;

/// Checks a VirtualService; the report stands at its `spec`.
pub(super) fn validate(service: &VirtualService, report: &mut Report) {
    if service.is_delegate() && !report.is_unread("hosts") {
        check_delegate(service, report);
    }
    check_hosts(service, report);
    report.field("gateways", |report| {
        check_gateways(&service.gateways, report);
    });
    if service.http.is_empty() && service.tls.is_empty() && service.tcp.is_empty() {
        report.raise(
            Code::NoRoutes,
            "the VirtualService has no rule",
            "add at least one entry to `http`, `tls` or `tcp`",
        );
    }
    let place = route::Enclosing {
        is_delegate: service.is_delegate(),
        has_gateway: service
            .gateways
            .iter()
            .any(|gateway| gateway != MESH_GATEWAY),
    };
    report.each("http", &service.http, |report, rule| {
        route::check(rule, place, report);
    });
    report.each("tls", &service.tls, |report, rule| {
        stream::check_tls(rule, &service.hosts, report);
    });
    report.each("tcp", &service.tcp, |report, rule| {
        stream::check_tcp(rule, report);
    });
    report.field("exportTo", |report| {
        checks::export_to(&service.export_to, &service.meta.namespace, false, report);
    });
}

fn check_delegate(service: &VirtualService, report: &mut Report) {
    let parts = [
        ("gateways", service.gateways.is_empty()),
        ("tls", service.tls.is_empty()),
        ("tcp", service.tcp.is_empty()),
    ];
    for (part, is_empty) in parts {
        if !is_empty {
            report.raise_in(
                part,
                Code::DelegateShape,
                format!("a VirtualService without hosts is a delegate and may not have `{part}`"),
                "add `hosts`, or leave only `http`",
            );
        }
    }
}

fn check_hosts(service: &VirtualService, report: &mut Report) {
    let on_mesh = service.binds_to_mesh();
    let has_sni = !service.tls.is_empty();
    let mut all_valid = true;
    report.each("hosts", &service.hosts, |report, host| {
        if let Err(why) = names::check_host(host) {
            if parse_ip(host).is_none() && !(has_sni && names::is_passthrough_sni(host)) {
                report.raise(
                    Code::InvalidHost,
                    format!("host {} {why}", quoted(host)),
                    "",
                );
                all_valid = false;
            }
        } else if on_mesh && host == "*" {
            report.raise(
                Code::WildcardMeshHost,
                "host `*` may not be bound to the mesh",
                "name the hosts, or name a gateway in `gateways`",
            );
            all_valid = false;
        }
    });
    if all_valid {
        check_duplicate_hosts(&service.hosts, report);
    }
}

/// Tells hosts that an earlier host equals or covers, or the reverse.
fn check_duplicate_hosts(hosts: &[String], report: &mut Report) {
    /// The Kubernetes schema has no bound, and comparing all with all must have one.
    const MAX_COMPARED: usize = 2000;
    let lower: Vec<Cow<'_, str>> = hosts
        .iter()
        .take(MAX_COMPARED)
        .map(|host| names::normalize(host))
        .collect();
    for (index, host) in lower.iter().enumerate() {
        let other = lower[..index]
            .iter()
            .position(|earlier| names::overlaps(earlier, host));
        let Some(other) = other else { continue };
        report.field("hosts", |report| {
            report.index(index, |report| {
                report.raise(
                    Code::DuplicateHost,
                    format!(
                        "host {} overlaps {}",
                        quoted(&hosts[index]),
                        quoted(&hosts[other])
                    ),
                    "keep the one you mean, or move the other to a VirtualService of its own",
                );
            });
        });
    }
}

/// Checks a list of gateways, of the resource or of one match; the report stands at the list.
fn check_gateways(gateways: &[String], report: &mut Report) {
    for (index, gateway) in gateways.iter().enumerate() {
        report.index(index, |report| check_gateway(gateway, report));
    }
}

fn check_gateway(gateway: &str, report: &mut Report) {
    const HELP: &str = "write `name`, `namespace/name` or `mesh`";
    let shown = quoted(gateway);
    if let Some((namespace, name)) = gateway.split_once('/') {
        for (what, part) in [("namespace", namespace), ("name", name)] {
            if let Err(why) = names::check_dns_label(part) {
                let message = format!("the {what} of gateway {shown} {why}");
                report.raise(Code::InvalidGateway, message, HELP);
            }
        }
        return;
    }
    if let Err(why) = names::check_fqdn(gateway) {
        report.raise(Code::InvalidGateway, format!("gateway {shown} {why}"), HELP);
    } else if let Some((name, rest)) = gateway.split_once('.') {
        let namespace = rest.split('.').next().unwrap_or(rest);
        report.raise(
            Code::LegacyGateway,
            format!("gateway {shown} is named in a form that Istio no longer recommends"),
            format!("write `{namespace}/{name}`"),
        );
    }
}

#[cfg(test)]
mod tests;
