//! What a ServiceEntry must look like, rule by rule.

use super::{Resolution, ServiceEntry, ServicePort};
use crate::config::address;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::names;
use crate::config::protocol::Protocol;
use crate::config::report::Report;
use crate::config::workload_entry::{self, EndpointRules};

/// More hosts than this are refused by the Kubernetes schema.
const MAX_HOSTS: usize = 256;

/// Checks a ServiceEntry; the report stands at its `spec`.
pub(in crate::config) fn validate(entry: &ServiceEntry, report: &mut Report) {
    check_hosts(entry, report);
    check_addresses(entry, report);
    check_ports(entry, report);
    check_endpoints(entry, report);
    check_resolution(entry, report);
    check_shared_ports(entry, report);
    report.field("exportTo", |report| {
        checks::export_to(&entry.export_to, &entry.meta.namespace, true, report);
    });
}

fn check_hosts(entry: &ServiceEntry, report: &mut Report) {
    if entry.hosts.is_empty() {
        report.raise_in(
            "hosts",
            Code::RequiredField,
            "a ServiceEntry needs at least one host",
            "",
        );
    }
    if entry.hosts.len() > MAX_HOSTS {
        let message = format!(
            "{} hosts are more than the {MAX_HOSTS} allowed",
            entry.hosts.len()
        );
        report.raise_in("hosts", Code::InvalidHost, message, "");
    }
    report.each("hosts", &entry.hosts, |report, host| {
        if host == "*" {
            let help = "name a domain: `*.example.com`";
            report.raise(Code::InvalidHost, "a service can not be every host", help);
        } else if let Err(why) = names::check_host(host) {
            report.raise(Code::InvalidHost, format!("`{host}` {why}"), "");
        } else if names::is_partial_wildcard(host) && entry.resolution != Resolution::DynamicDns {
            report.raise(
                Code::PartialWildcard,
                format!("`{host}` has a wildcard that is not a whole label"),
                "write `*.` and a domain",
            );
        }
    });
}

fn check_addresses(entry: &ServiceEntry, report: &mut Report) {
    let takes_blocks = matches!(entry.resolution, Resolution::None | Resolution::Static);
    report.each("addresses", &entry.addresses, |report, text| {
        if let Err(why) = address::parse_block(text) {
            report.raise(Code::InvalidAddress, format!("`{text}` {why}"), "");
        } else if text.contains('/') && !takes_blocks {
            report.raise(
                Code::InvalidResolution,
                format!(
                    "`{text}` is a CIDR block, and `{}` takes only single addresses",
                    entry.resolution.as_str()
                ),
                "use `resolution: NONE` or `STATIC`",
            );
        }
    });
}

fn check_ports(entry: &ServiceEntry, report: &mut Report) {
    let mut at = 0;
    report.each("ports", &entry.ports, |report, port| {
        let earlier = &entry.ports[..at];
        at += 1;
        if earlier.iter().any(|p| p.name == port.name) && !port.name.is_empty() {
            let message = format!("port name `{}` stands twice", port.name);
            report.raise_in("name", Code::DuplicatePort, message, "");
        }
        if earlier.iter().any(|p| p.number == port.number) && port.number != 0 {
            let message = format!("port `{}` stands twice", port.number);
            report.raise_in("number", Code::DuplicatePort, message, "");
        }
        report.field("number", |report| checks::port(port.number, report));
        if let Some(target) = port.target_port.filter(|target| *target != 0) {
            report.field("targetPort", |report| checks::port(target, report));
        }
        report.field("name", |report| checks::port_name(&port.name, report));
        report.field("protocol", |report| checks::protocol(&port.protocol, report));
        let is_tcp = matches!(port.protocol.as_str(), "" | "TCP");
        let has_number = port.number != 0;
        if entry.addresses.is_empty() && is_tcp && has_number && !allocates_addresses(entry) {
            report.raise(
                Code::TcpWithoutAddress,
                format!("without `addresses`, port `{}` is told from other TCP services only by its number", port.number),
                "set `addresses`, or a protocol that carries a host",
            );
        }
    });
}

/// The label by which a ServiceEntry refuses an address of its own.
const AUTO_ALLOCATE: &str = "networking.istio.io/enable-autoallocate-ip";

/// Whether Istio would give the service an address: not where traffic keeps the address it was sent to.
fn allocates_addresses(entry: &ServiceEntry) -> bool {
    let refuses = entry
        .meta
        .labels
        .get(AUTO_ALLOCATE)
        .is_some_and(|v| v.eq_ignore_ascii_case("false"));
    entry.resolution != Resolution::None && !refuses
}

fn check_endpoints(entry: &ServiceEntry, report: &mut Report) {
    if let Some(selector) = &entry.workload_selector {
        report.field("workloadSelector", |report| {
            checks::selector("labels", selector, report);
        });
        if !entry.endpoints.is_empty() {
            report.raise_in(
                "endpoints",
                Code::OneOf,
                "endpoints come either from `endpoints` or from `workloadSelector`",
                "remove one of the two",
            );
        }
        if entry.resolution == Resolution::None {
            report.raise_in(
                "workloadSelector",
                Code::SelectorUnused,
                "with `resolution: NONE` traffic goes to the dialled address and the selector is not used",
                "set `resolution: STATIC`",
            );
        }
    }
    let service_ports: Vec<&str> = entry.ports.iter().map(|port| port.name.as_str()).collect();
    let rules = match entry.resolution {
        Resolution::Static => EndpointRules {
            service_ports: Some(&service_ports),
            may_be_name: false,
            may_be_socket: true,
        },
        Resolution::Dns | Resolution::DnsRoundRobin => EndpointRules {
            service_ports: Some(&service_ports),
            may_be_name: true,
            may_be_socket: false,
        },
        // Endpoints are refused as a whole there.
        Resolution::None | Resolution::DynamicDns => return,
    };
    report.each("endpoints", &entry.endpoints, |report, endpoint| {
        workload_entry::validate(endpoint, rules, report);
    });
}

fn check_resolution(entry: &ServiceEntry, report: &mut Report) {
    let name = entry.resolution.as_str();
    match entry.resolution {
        Resolution::Static => {}
        Resolution::None => {
            if !entry.endpoints.is_empty() {
                report.raise_in(
                    "endpoints",
                    Code::InvalidResolution,
                    "with `resolution: NONE` traffic goes to the dialled address, not to endpoints",
                    "set `resolution: STATIC` or `DNS`, or remove the endpoints",
                );
            }
        }
        Resolution::Dns | Resolution::DnsRoundRobin => {
            if entry.endpoints.is_empty() {
                check_hosts_resolve(entry, report);
            }
            check_shared_address(entry, report);
            if entry.resolution == Resolution::DnsRoundRobin && entry.endpoints.len() > 1 {
                let message = format!("`{name}` takes one endpoint at most");
                report.raise_in(
                    "endpoints",
                    Code::InvalidResolution,
                    message,
                    "use `resolution: DNS`",
                );
            }
        }
        Resolution::DynamicDns => check_dynamic(entry, report),
    }
}

/// Without endpoints the hosts themselves are looked up, so each must be a name.
fn check_hosts_resolve(entry: &ServiceEntry, report: &mut Report) {
    report.each("hosts", &entry.hosts, |report, host| {
        if names::is_wildcard(host) && host != "*" {
            report.raise(
                Code::InvalidResolution,
                format!("`{host}` can not be looked up"),
                "name endpoints, or set `resolution: DYNAMIC_DNS` or `NONE`",
            );
        }
    });
}

/// With an address and bytes that nobody reads, connections to one host and to the other look alike.
fn check_shared_address(entry: &ServiceEntry, report: &mut Report) {
    let is_stream =
        |port: &ServicePort| Protocol::parse(&port.protocol).is_some_and(|p| !p.is_http());
    if entry.hosts.len() > 1 && !entry.addresses.is_empty() && entry.ports.iter().any(is_stream) {
        report.raise_in(
            "addresses",
            Code::SharedAddress,
            "several hosts share these addresses, so connections to them can not be told apart",
            "split the ServiceEntry",
        );
    }
}

fn check_dynamic(entry: &ServiceEntry, report: &mut Report) {
    let name = entry.resolution.as_str();
    report.each("hosts", &entry.hosts, |report, host| {
        if !names::is_wildcard(host) {
            let message = format!("`{name}` is for wildcard hosts, and `{host}` is none");
            report.raise(Code::InvalidResolution, message, "use `resolution: DNS`");
        }
    });
    for (field, is_set) in [
        ("addresses", !entry.addresses.is_empty()),
        ("endpoints", !entry.endpoints.is_empty()),
    ] {
        if is_set {
            let message =
                format!("`{name}` finds addresses from the request, `{field}` has no meaning");
            report.raise_in(
                field,
                Code::InvalidResolution,
                message,
                format!("remove `{field}`"),
            );
        }
    }
    report.each("ports", &entry.ports, |report, port| {
        let carries_host = matches!(
            Protocol::parse(&port.protocol),
            Some(Protocol::Http | Protocol::Tls | Protocol::Grpc | Protocol::Http2)
        );
        if !carries_host {
            report.raise_in(
                "protocol",
                Code::InvalidResolution,
                format!("`{name}` works for HTTP, HTTP2, GRPC and TLS ports only"),
                "",
            );
        }
    });
    let waypoint = entry.meta.labels.get("istio.io/use-waypoint");
    let uses_waypoint = waypoint.is_some_and(|v| !v.is_empty() && !v.eq_ignore_ascii_case("none"));
    if entry.location == super::Location::Internal && uses_waypoint {
        let message = format!("`{name}` behind a waypoint must be `MESH_EXTERNAL`");
        report.raise_in("location", Code::InvalidResolution, message, "");
    }
}

/// Several hosts can share a port only where the bytes on it name the host.
fn check_shared_ports(entry: &ServiceEntry, report: &mut Report) {
    if entry.hosts.len() < 2 || entry.resolution == Resolution::None {
        return;
    }
    let is_mute =
        |protocol: &str| Protocol::parse(protocol).is_none_or(|p| !p.is_http() && !p.is_tls());
    if let Some(at) = entry.ports.iter().position(|port| is_mute(&port.protocol)) {
        report.field("ports", |report| {
            report.index(at, |report| {
                report.raise(
                    Code::SharedPort,
                    "several hosts can not share a port whose protocol does not name the host",
                    "split the ServiceEntry, or set the protocol to HTTP or TLS",
                );
            });
        });
    }
}
