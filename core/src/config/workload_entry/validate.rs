//! What an endpoint must look like.

use super::Workload;
use crate::config::address::{self, Host};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::names;
use crate::config::report::Report;

/// What the place of an endpoint adds to its rules.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct EndpointRules<'a> {
    /// The names of the ServiceEntry's ports; `None` for an endpoint on its own.
    pub(in crate::config) service_ports: Option<&'a [&'a str]>,
    /// `address` may be a name.
    pub(in crate::config) may_be_name: bool,
    /// `address` may be a Unix socket, or missing where `network` is set.
    pub(in crate::config) may_be_socket: bool,
}

/// Checks an endpoint; the report stands at it.
pub(in crate::config) fn validate(
    workload: &Workload,
    rules: EndpointRules<'_>,
    report: &mut Report,
) {
    let is_socket = check_address(workload, rules, report);
    check_ports(workload, rules, report);
    report.field("labels", |report| checks::labels(&workload.labels, report));
    if is_socket {
        if !workload.ports.is_empty() {
            report.raise_in(
                "ports",
                Code::InvalidEndpoint,
                "a Unix socket has no ports",
                "remove `ports`",
            );
        }
        if rules.service_ports.is_some_and(|ports| ports.len() != 1) {
            report.raise_in(
                "address",
                Code::InvalidEndpoint,
                "a Unix socket can serve only one port, and the service has another number of ports",
                "give the service exactly one port",
            );
        }
    }
}

/// Answers whether the address is a Unix socket.
fn check_address(workload: &Workload, rules: EndpointRules<'_>, report: &mut Report) -> bool {
    let text = workload.address.as_str();
    if text.is_empty() {
        if workload.network.is_empty() || !rules.may_be_socket {
            report.raise_in(
                "address",
                Code::RequiredField,
                "an endpoint needs an address",
                "",
            );
        } else {
            report.raise_in(
                "network",
                Code::AddressUnset,
                format!(
                    "without an address, `{}` is reached only through its gateways",
                    workload.network
                ),
                "",
            );
        }
        return false;
    }
    match address::classify(text) {
        Host::Ip(_) => {}
        Host::Unix(path) if rules.may_be_socket => {
            if let Err(why) = address::check_unix(path) {
                report.raise_in(
                    "address",
                    Code::InvalidAddress,
                    format!("`{text}` {why}"),
                    "",
                );
            }
            return true;
        }
        Host::Name(_) if !rules.may_be_name => report.raise_in(
            "address",
            Code::InvalidAddress,
            format!("`{text}` is not an IP address"),
            "use `resolution: DNS` for endpoints that are names",
        ),
        Host::Name(_) | Host::Unix(_) => {
            if let Err(why) = names::check_fqdn(text) {
                let message =
                    format!("`{text}` is neither an IP address nor a host name: it {why}");
                report.raise_in("address", Code::InvalidAddress, message, "");
            }
        }
    }
    false
}

fn check_ports(workload: &Workload, rules: EndpointRules<'_>, report: &mut Report) {
    report.field("ports", |report| {
        for (name, number) in &workload.ports {
            report.key(name, |report| {
                if let Some(known) = rules.service_ports
                    && !known.contains(&name.as_str())
                {
                    report.raise(
                        Code::InvalidEndpoint,
                        format!("the service has no port named `{name}`"),
                        format!("its ports are {}", list(known)),
                    );
                }
                checks::port_name(name, report);
                checks::port(*number, report);
            });
        }
    });
}

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
