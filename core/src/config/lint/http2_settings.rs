//! Settings of HTTP/2 connections in a DestinationRule, against what is spoken to the ports of its host.

use super::Lint;
use super::destination_rules::{about, policies};
use crate::config::code::Code;
use crate::config::destination_rule::{ConnectionPoolSettings, DestinationRule, HttpSettings};
use crate::config::protocol::Protocol;

/// Checks all DestinationRules.
pub(super) fn lint(lint: &mut Lint<'_>) {
    let rules = lint.tables.rules().clone();
    for (host, rules) in &rules {
        for rule in rules.iter().filter(|rule| !rule.meta.rejected) {
            settings(lint, host, rule);
        }
    }
}

/// Tells what holds for always-HTTP/2 ports only, where no port is one.
fn settings(lint: &mut Lint<'_>, host: &str, rule: &DestinationRule) {
    let mesh_upgrades = lint.mesh.h2_upgrade;
    let Some(known) = lint.tables.host(host) else {
        return;
    };
    let ports = &known.ports;
    let mut found = Vec::new();
    for (path, policy) in policies(rule) {
        let all: Vec<Protocol> = ports.values().copied().collect();
        let pool = policy.connection_pool.as_ref();
        found.extend(without_effect(&path, pool, &all, mesh_upgrades));
        for (at, entry) in policy.port_level_settings.iter().enumerate() {
            // A port that the host does not have is told elsewhere.
            let Some(port) = entry.port.and_then(|port| ports.get(&port)) else {
                continue;
            };
            let path = format!("{path}.portLevelSettings[{at}]");
            let pool = entry.connection_pool.as_ref();
            found.extend(without_effect(&path, pool, &[*port], mesh_upgrades));
        }
    }
    for (path, message, help) in found {
        lint.tell(about(rule), path, Code::Http2WithoutEffect, message, help);
    }
}

/// The settings of a pool for these ports that do nothing: path, what is said, and what to do.
fn without_effect(
    path: &str,
    pool: Option<&ConnectionPoolSettings>,
    ports: &[Protocol],
    mesh_upgrades: bool,
) -> Vec<(String, String, &'static str)> {
    let Some(http) = pool.and_then(|pool| pool.http.as_ref()) else {
        return Vec::new();
    };
    let is_always_http2 =
        |port: &Protocol| port.is_http2() || http.h2_upgrade_policy.upgrades(*port, mesh_upgrades);
    let (why, help) = if http.use_client_protocol {
        (
            "`useClientProtocol` lets the client decide what is spoken",
            "remove one of the two",
        )
    } else if !ports.iter().any(is_always_http2) {
        (
            "no port it is for is always spoken to in HTTP/2",
            "name the port `http2-…` or `grpc-…`, or set `h2UpgradePolicy: UPGRADE`",
        )
    } else {
        return Vec::new();
    };
    let written = written(http).into_iter();
    let told = written.map(|field| {
        let message = format!("`{field}` is not in effect: {why}");
        (format!("{path}.connectionPool.http.{field}"), message, help)
    });
    told.collect()
}

/// Which of the settings are there.
fn written(http: &HttpSettings) -> Vec<&'static str> {
    let streams = (http.max_concurrent_streams > 0).then_some("maxConcurrentStreams");
    let pings = http.http2_keep_alive.is_some().then_some("http2KeepAlive");
    streams.into_iter().chain(pings).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, istio, service};

    #[test]
    fn settings_without_a_port_to_hold_for_are_told() {
        let path = "http2-without-effect spec.trafficPolicy.connectionPool.http.";
        let streams = format!("{path}maxConcurrentStreams");
        let pings = format!("{path}http2KeepAlive");
        let both = "maxConcurrentStreams: 3, http2KeepAlive: {interval: 1s, timeout: 1s}";
        for (port, http, expected) in [
            ("grpc", both.to_owned(), vec![]),
            ("http", both.to_owned(), vec![&*streams, &*pings]),
            ("http", format!("h2UpgradePolicy: UPGRADE, {both}"), vec![]),
            (
                "http",
                "maxConcurrentStreams: 0, maxRetries: 1".to_owned(),
                vec![],
            ),
            (
                "grpc",
                "useClientProtocol: true, maxConcurrentStreams: 3".to_owned(),
                vec![&streams],
            ),
        ] {
            let port = format!("{{name: {port}, port: 80}}");
            let spec =
                format!("{{host: a, trafficPolicy: {{connectionPool: {{http: {{{http}}}}}}}}}");
            let rule = istio("DestinationRule", "name: r", &spec);
            check(&[&service("a", "default", &port), &rule], &expected);
        }
    }
}
