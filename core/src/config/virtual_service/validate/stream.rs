//! TLS and TCP rules.

use super::action::{check_destination, check_weights};
use super::check_gateways;
use crate::config::address::{parse_block, parse_ip};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::names;
use crate::config::report::Report;
use crate::config::value::quoted;
use crate::config::virtual_service::{L4Match, RouteDestination, TcpRoute, TlsRoute};

/// Checks one entry of `tls`.
pub(super) fn check_tls(rule: &TlsRoute, hosts: &[String], report: &mut Report) {
    if rule.matches.is_empty() {
        report.raise(
            Code::RequiredField,
            "a TLS rule needs at least one match",
            "add `match: [{sniHosts: […]}]`",
        );
    }
    report.each("match", &rule.matches, |report, entry| {
        if entry.sni_hosts.is_empty() {
            let message = "a TLS match needs at least one SNI host";
            report.raise(Code::RequiredField, message, "add `sniHosts`");
        }
        report.each("sniHosts", &entry.sni_hosts, |report, sni| {
            check_sni(sni, hosts, report);
        });
        check_match(&entry.connection, report);
    });
    check_route(&rule.route, report);
}

/// Checks one entry of `tcp`.
pub(super) fn check_tcp(rule: &TcpRoute, report: &mut Report) {
    report.each("match", &rule.matches, |report, entry| {
        check_match(entry, report);
    });
    check_route(&rule.route, report);
}

fn check_route(route: &[RouteDestination], report: &mut Report) {
    if route.is_empty() {
        report.raise(Code::RouteWithoutAction, "the rule has no `route`", "");
    }
    report.each("route", route, |report, entry| {
        report.field("destination", |report| {
            check_destination(&entry.destination, report);
        });
    });
    report.field("route", |report| {
        check_weights(route.iter().map(|entry| entry.weight), report);
    });
}

fn check_sni(sni: &str, hosts: &[String], report: &mut Report) {
    let shown = quoted(sni);
    // An address is a well-formed name too, except for its last label.
    if parse_ip(sni).is_some() {
        report.raise(
            Code::SniIpAddress,
            format!("SNI host {shown} is an IP address, which clients do not send"),
            "match by `destinationSubnets`",
        );
    } else if !names::is_passthrough_sni(sni)
        && let Err(why) = names::check_host(sni)
    {
        report.raise(Code::InvalidHost, format!("SNI host {shown} {why}"), "");
        return;
    }
    if parse_ip(sni).is_none() && !hosts.iter().any(|host| names::covers(host, sni)) {
        report.raise(
            Code::SniHost,
            format!("SNI host {shown} is not covered by any of the VirtualService's hosts"),
            "add it to `hosts`",
        );
    }
}

fn check_match(entry: &L4Match, report: &mut Report) {
    report.each(
        "destinationSubnets",
        &entry.destination_subnets,
        |report, subnet| {
            if let Err(why) = parse_block(subnet) {
                report.raise(
                    Code::InvalidAddress,
                    format!("{} {why}", quoted(subnet)),
                    "",
                );
            }
        },
    );
    if entry.port != 0 {
        report.field("port", |report| checks::port(entry.port, report));
    }
    report.field("sourceLabels", |report| {
        checks::labels(&entry.source_labels, report);
    });
    report.field("gateways", |report| check_gateways(&entry.gateways, report));
    checks::namespace_in("sourceNamespace", &entry.source_namespace, report);
}
