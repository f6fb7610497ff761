//! What a Sidecar must look like, rule by rule.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{
    CaptureMode, EgressHost, EgressListener, EgressNamespace, IngressListener, Sidecar, outbound,
};
use crate::config::address::{self, Host};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::destination_rule::validate::pool;
use crate::config::names;
use crate::config::names::DEFAULT_ROOT_NAMESPACE;
use crate::config::protocol::Protocol;
use crate::config::report::Report;
use crate::config::server_tls::{self, ServerTls, ServerTlsMode};
use crate::config::service_entry::ServicePort;

/// Checks a Sidecar; the report stands at its `spec`.
pub(in crate::config) fn validate(sidecar: &Sidecar, report: &mut Report) {
    if let Some(selector) = &sidecar.workload_selector {
        report.field("workloadSelector", |report| {
            checks::selector("labels", selector, report);
        });
    }
    if sidecar.ingress.is_empty()
        && sidecar.egress.is_empty()
        && sidecar.outbound_traffic_policy.is_none()
        && sidecar.inbound_connection_pool.is_none()
    {
        report.raise(
            Code::EmptySidecar,
            "this Sidecar changes nothing",
            "set `egress`, `ingress`, `outboundTrafficPolicy` or `inboundConnectionPool`",
        );
    }
    check_ingress(&sidecar.ingress, report);
    if let Some(limits) = &sidecar.inbound_connection_pool {
        report.field("inboundConnectionPool", |report| {
            pool::check(limits, report);
        });
    }
    check_egress(&sidecar.egress, &sidecar.meta.namespace, report);
    if let Some(policy) = &sidecar.outbound_traffic_policy {
        report.field("outboundTrafficPolicy", |report| {
            outbound::validate(policy, report);
        });
    }
}

fn check_ingress(listeners: &[IngressListener], report: &mut Report) {
    let mut seen = BTreeSet::new();
    report.each("ingress", listeners, |report, listener| {
        let Some(port) = &listener.port else {
            return report.raise_in(
                "port",
                Code::RequiredField,
                "an ingress listener needs a port",
                "",
            );
        };
        report.field("port", |report| {
            check_port_shape(port, report);
            report.field("number", |report| checks::port(port.number, report));
            if !seen.insert(port.number) {
                let message = format!("port `{}` stands twice", port.number);
                report.raise_in("number", Code::DuplicatePort, message, "");
            }
        });
        check_bind_ip(&listener.bind, report);
        if !listener.default_endpoint.is_empty() {
            check_default_endpoint(&listener.default_endpoint, report);
        }
        if let Some(tls) = &listener.tls {
            report.field("tls", |report| check_tls(tls, port, report));
        }
        if let Some(limits) = &listener.connection_pool {
            report.field("connectionPool", |report| pool::check(limits, report));
            let is_http = Protocol::parse(&port.protocol).is_some_and(Protocol::is_http);
            if limits.http.is_some() && !is_http {
                report.raise_in(
                    "connectionPool",
                    Code::HttpPoolOnTcp,
                    format!("`http` limits have no effect on a `{}` port", port.protocol),
                    "use `tcp` limits",
                );
            }
        }
    });
}

/// Name, protocol and target port, which a listener's port shares in both directions.
fn check_port_shape(port: &ServicePort, report: &mut Report) {
    if !port.name.is_empty() {
        report.field("name", |report| checks::port_name(&port.name, report));
    }
    report.field("protocol", |report| {
        checks::protocol(&port.protocol, report);
    });
    if port.target_port.is_some_and(|target| target > 0) {
        report.raise_in(
            "targetPort",
            Code::InvalidListener,
            "a listener has no target port",
            "use `defaultEndpoint`",
        );
    }
}

fn check_bind_ip(bind: &str, report: &mut Report) {
    if !bind.is_empty() && address::parse_ip(bind).is_none() {
        let message = format!("`{bind}` is not an IP address");
        report.raise_in("bind", Code::InvalidAddress, message, "");
    }
}

fn check_default_endpoint(endpoint: &str, report: &mut Report) {
    let result = match address::classify(endpoint) {
        Host::Unix(path) => address::check_unix(path),
        Host::Ip(_) | Host::Name(_) => address::split_host_port(endpoint).and_then(|(host, _)| {
            if matches!(host, "" | "127.0.0.1" | "0.0.0.0" | "::1" | "::") {
                Ok(())
            } else {
                Err("is not on this host".into())
            }
        }),
    };
    if let Err(why) = result {
        report.raise_in(
            "defaultEndpoint",
            Code::InvalidListener,
            format!("`{endpoint}` {why}"),
            "use `127.0.0.1:PORT`, `[::1]:PORT`, `0.0.0.0:PORT`, `[::]:PORT` or `unix:///path`",
        );
    }
}

fn check_tls(tls: &ServerTls, port: &ServicePort, report: &mut Report) {
    let unsupported = [
        ("subjectAltNames", !tls.subject_alt_names.is_empty()),
        ("httpsRedirect", tls.https_redirect),
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
        ("tlsCertificates", !tls.tls_certificates.is_empty()),
        (
            "mode",
            matches!(
                tls.mode,
                ServerTlsMode::IstioMutual | ServerTlsMode::AutoPassthrough
            ),
        ),
    ];
    for (field, _) in unsupported.into_iter().filter(|(_, is_set)| *is_set) {
        let message = match field {
            "mode" => format!("`{}` is not possible in a Sidecar", tls.mode.as_str()),
            _ => format!("`{field}` is not possible in a Sidecar"),
        };
        report.raise_in(field, Code::InvalidTls, message, "");
    }
    if !Protocol::parse(&port.protocol).is_some_and(Protocol::is_tls) {
        report.raise(
            Code::InvalidTls,
            format!("a `{}` port has no TLS to terminate", port.protocol),
            "set the port's protocol to HTTPS or TLS",
        );
    }
    server_tls::validate(tls, report);
}

fn check_egress(listeners: &[EgressListener], namespace: &str, report: &mut Report) {
    let mut numbers = BTreeSet::new();
    let mut sockets = BTreeSet::new();
    let mut at = 0;
    report.each("egress", listeners, |report, listener| {
        at += 1;
        match &listener.port {
            None if at < listeners.len() => report.raise(
                Code::InvalidListener,
                "a listener without port takes all ports, so there is one of them at most, and it stands last",
                "move it to the end, or give it a port",
            ),
            None => {}
            Some(port) => {
                report.field("port", |report| check_port_shape(port, report));
                check_egress_bind(listener, port.number, report);
                let is_new = if port.number == 0 {
                    sockets.insert(listener.bind.as_str())
                } else {
                    numbers.insert(port.number)
                };
                if !is_new {
                    let message = "another listener has the same port or socket";
                    report.raise_in("port", Code::DuplicatePort, message, "");
                }
            }
        }
        check_egress_hosts(&listener.hosts, namespace, report);
    });
}

fn check_egress_bind(listener: &EgressListener, number: u32, report: &mut Report) {
    if number != 0 {
        report.field("port", |report| {
            report.field("number", |report| checks::port(number, report));
        });
        return check_bind_ip(&listener.bind, report);
    }
    match listener.bind.strip_prefix(address::UNIX_PREFIX) {
        None => report.raise_in(
            "port",
            Code::InvalidPort,
            "port 0 stands for a Unix socket, and `bind` names none",
            "set `bind: unix:///path`, or a port number",
        ),
        Some(path) => {
            if let Err(why) = address::check_unix(path) {
                let message = format!("`{}` {why}", listener.bind);
                report.raise_in("bind", Code::InvalidAddress, message, "");
            }
        }
    }
    if listener.capture_mode == CaptureMode::IpTables {
        report.raise_in(
            "captureMode",
            Code::InvalidListener,
            "nothing can be captured for a Unix socket",
            "use `DEFAULT` or `NONE`",
        );
    }
}

fn check_egress_hosts(hosts: &[String], namespace: &str, report: &mut Report) {
    if hosts.is_empty() {
        return report.raise_in(
            "hosts",
            Code::RequiredField,
            "an egress listener needs at least one host",
            "use `./*` for the own namespace, `*/*` for everything, `~/*` for nothing",
        );
    }
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    report.each("hosts", hosts, |report, entry| {
        let Some(host) = EgressHost::parse(entry) else {
            return report.raise(
                Code::InvalidHost,
                format!("`{entry}` is not of the form `namespace/host`"),
                "write `./host`, `*/host` or `namespace/host`",
            );
        };
        check_egress_host(entry, host, report);
        let of = match host.namespace {
            EgressNamespace::Any => "*",
            // Under the root namespace it stands for the namespace of each workload that has no Sidecar.
            EgressNamespace::Own if namespace == DEFAULT_ROOT_NAMESPACE => ".",
            EgressNamespace::Own => namespace,
            EgressNamespace::Named(name) => name,
            EgressNamespace::None => return,
        };
        if host.excludes {
            return;
        }
        let known = seen.entry(of).or_default();
        let is_covered = known.contains("*") || known.contains(host.host);
        if is_covered || (host.host == "*" && !known.is_empty()) {
            let message = format!("`{entry}` overlaps with another entry");
            report.raise(Code::DuplicateEgressHost, message, "keep the wider one");
        }
        known.insert(host.host);
    });
    if seen.len() > 1 && seen.get("*").is_some_and(|hosts| hosts.contains("*")) {
        report.raise_in(
            "hosts",
            Code::DuplicateEgressHost,
            "`*/*` already imports everything, the other hosts add nothing",
            "remove one or the other",
        );
    }
}

fn check_egress_host(entry: &str, host: EgressHost<'_>, report: &mut Report) {
    if let EgressNamespace::Named(name) = host.namespace
        && names::check_dns_label(name).is_err()
    {
        let message = format!("`{entry}` does not begin with a namespace, `*`, `.` or `~`");
        report.raise(Code::InvalidHost, message, "");
    }
    checks::listener_host(host.host, report);
}
