//! What a Gateway must look like, rule by rule.

use std::collections::BTreeSet;

use super::{Gateway, Server};
use crate::config::address;
use crate::config::checks;
use crate::config::code::Code;
use crate::config::names;
use crate::config::protocol::Protocol;
use crate::config::report::Report;
use crate::config::server_tls::{self, ServerTls, ServerTlsMode};
use crate::config::service_entry::ServicePort;

/// Checks a Gateway; the report stands at its `spec`.
pub(in crate::config) fn validate(gateway: &Gateway, report: &mut Report) {
    if let Err(why) = names::check_dns_label(&gateway.meta.name) {
        report.raise(
            Code::InvalidName,
            format!(
                "a Gateway's name is a DNS label, and `{}` {why}",
                gateway.meta.name
            ),
            "",
        );
    }
    if gateway.servers.is_empty() {
        report.raise_in(
            "servers",
            Code::RequiredField,
            "a Gateway needs at least one server",
            "",
        );
    }
    let mut port_names = BTreeSet::new();
    report.each("servers", &gateway.servers, |report, server| {
        check_server(server, report);
        if let Some(port) = &server.port
            && !port_names.insert(port.name.as_str())
            && !port.name.is_empty()
        {
            report.field("port", |report| {
                let message = format!("port name `{}` stands twice", port.name);
                report.raise_in("name", Code::DuplicatePort, message, "");
            });
        }
    });
}

fn check_server(server: &Server, report: &mut Report) {
    if server.hosts.is_empty() {
        report.raise_in(
            "hosts",
            Code::RequiredField,
            "a server needs at least one host",
            "use `*` for all",
        );
    }
    report.each("hosts", &server.hosts, |report, host| {
        check_host(host, report);
    });
    match &server.port {
        None => report.raise_in("port", Code::RequiredField, "a server needs a port", ""),
        Some(port) => report.field("port", |report| check_port(port, &server.bind, report)),
    }
    check_bind(server, report);
    if let Some(tls) = &server.tls {
        report.field("tls", |report| server_tls::validate(tls, report));
    }
    if let Some(port) = &server.port {
        check_tls_fits(port, server.tls.as_ref(), report);
    }
}

fn check_host(entry: &str, report: &mut Report) {
    let Some((namespace, host)) = entry.split_once('/') else {
        if address::parse_ip(entry).is_none() {
            checks::listener_host(entry, report);
        }
        return;
    };
    if !matches!(namespace, "*" | ".")
        && let Err(why) = names::check_dns_label(namespace)
    {
        let message = format!("namespace `{namespace}` {why}");
        report.raise(
            Code::InvalidHost,
            message,
            "write `./host`, `*/host` or `namespace/host`",
        );
    }
    if address::parse_ip(host).is_none() {
        checks::listener_host(host, report);
    }
}

const PROTOCOLS: &str = "use HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TLS, TCP, MONGO, MYSQL or REDIS";

fn check_port(port: &ServicePort, bind: &str, report: &mut Report) {
    if port.protocol.is_empty() {
        let message = "a Gateway's port needs a protocol";
        report.raise_in("protocol", Code::RequiredField, message, PROTOCOLS);
    } else if Protocol::parse(&port.protocol).is_none() {
        report.raise_in(
            "protocol",
            Code::InvalidProtocol,
            format!("`{}` is not a protocol", port.protocol),
            PROTOCOLS,
        );
    }
    if port.number > 0 || !bind.starts_with(address::UNIX_PREFIX) {
        report.field("number", |report| checks::port(port.number, report));
    }
    if port.target_port.is_some_and(|target| target > 0) {
        report.raise_in(
            "targetPort",
            Code::InvalidListener,
            "a Gateway's port has no target port",
            "remove it",
        );
    }
    if port.name.is_empty() {
        report.raise_in(
            "name",
            Code::RequiredField,
            "a Gateway's port needs a name",
            "",
        );
    }
}

fn check_bind(server: &Server, report: &mut Report) {
    let bind = server.bind.as_str();
    if let Some(path) = bind.strip_prefix(address::UNIX_PREFIX) {
        if let Err(why) = address::check_unix(path) {
            report.raise_in("bind", Code::InvalidAddress, format!("`{bind}` {why}"), "");
        }
        if server.port.as_ref().is_some_and(|port| port.number != 0) {
            report.raise_in(
                "port",
                Code::InvalidPort,
                "a Unix socket has no port number",
                "use 0",
            );
        }
    } else if !bind.is_empty() && address::parse_ip(bind).is_none() {
        report.raise_in(
            "bind",
            Code::InvalidAddress,
            format!("`{bind}` is not an IP address"),
            "",
        );
    }
}

/// Whether the port's protocol and the `tls` block go together.
fn check_tls_fits(port: &ServicePort, tls: Option<&ServerTls>, report: &mut Report) {
    // An unknown protocol is told elsewhere.
    let Some(protocol) = Protocol::parse(&port.protocol) else {
        return;
    };
    let name = protocol.as_str();
    match tls {
        None if protocol.is_tls() => report.raise(
            Code::InvalidTls,
            format!("a `{name}` server needs `tls`"),
            "set `tls.mode`",
        ),
        Some(tls) if protocol.is_http() && !only_redirects(tls) => report.raise_in(
            "tls",
            Code::InvalidTls,
            format!("a `{name}` server has plain text; `tls` may only hold `httpsRedirect`"),
            "set the protocol to HTTPS, or remove `tls`",
        ),
        Some(_) if !protocol.is_tls() && !protocol.is_http() => report.raise_in(
            "tls",
            Code::InvalidTls,
            format!("a `{name}` server has no TLS"),
            "set the protocol to TLS, or remove `tls`",
        ),
        None | Some(_) => {}
    }
    if tls.is_some_and(|tls| tls.https_redirect) && !protocol.is_http() {
        report.field("tls", |report| {
            report.raise_in(
                "httpsRedirect",
                Code::RedirectOnTls,
                format!("a `{name}` server has no plain requests to redirect"),
                "use it on the HTTP server",
            );
        });
    }
}

fn only_redirects(tls: &ServerTls) -> bool {
    matches!(
        tls.mode,
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough
    ) && tls.ca_certificates.is_empty()
        && tls.private_key.is_empty()
        && tls.server_certificate.is_empty()
}
