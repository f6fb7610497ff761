//! Configurations of different sizes, and what is asked of them without a connection.

use std::fmt::Write as _;
use std::sync::Arc;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile, from_yaml};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{Source, load};
use outrigger_core::peer::{ListenerKind, Peer};
use outrigger_core::policy::filter_chain::{self, Chosen, Seen};
use outrigger_core::snapshot::Snapshot;

/// A service with three endpoints and one rule that forwards with a timeout and retries.
#[must_use]
pub fn one_service() -> String {
    one_service_speaking("HTTP")
}

/// The same, whose endpoints speak `HTTP` or `HTTP2`, as Istio calls protocols of ports.
#[must_use]
pub fn one_service_speaking(protocol: &str) -> String {
    let mut text = service(0, protocol);
    text.push_str(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s0}
spec:
  hosts: [s0.example]
  http:
  - timeout: 15s
    retries: {attempts: 2, perTryTimeout: 10s, retryOn: 'connect-failure,503'}
    route: [{destination: {host: s0.example}}]
",
    );
    text
}

/// As many services, none of which concerns the first.
#[must_use]
pub fn many_services(count: usize) -> String {
    let mut text = one_service();
    for number in 1..count {
        text.push_str("---");
        text.push_str(&service(number, "HTTP"));
    }
    text
}

/// One service whose VirtualService has as many rules, by exact path and by prefix in turn; the last one matches.
#[must_use]
pub fn many_rules(count: usize) -> String {
    let mut text = service(0, "HTTP");
    text.push_str(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s0}
spec:
  hosts: [s0.example]
  http:
",
    );
    for number in 1..count {
        let kind = if number % 2 == 0 { "exact" } else { "prefix" };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "  - {{match: [{{uri: {{{kind}: /p{number}/}}}}], route: [{{destination: {{host: s0.example}}}}]}}"
        );
    }
    text.push_str(
        "  - {match: [{uri: {prefix: /cart}}], route: [{destination: {host: s0.example}}]}\n",
    );
    text
}

/// An application behind an inbound listener, and as many policies: those that deny and those that allow in turn, by path,
/// method and the client's namespace; the last one allows the request.
#[must_use]
pub fn guarded(policies: usize) -> Arc<Snapshot> {
    let mut text = String::new();
    for number in 0..policies {
        let (action, path) = match number {
            0 => ("ALLOW", "/cart*".to_owned()),
            _ if number % 2 == 0 => ("ALLOW", format!("/p{number}/*")),
            _ => ("DENY", format!("/p{number}/admin")),
        };
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: p{number}}}
spec:
  action: {action}
  rules:
  - to: [{{operation: {{paths: ['{path}'], methods: [GET, HEAD]}}}}]
  - from: [{{source: {{namespaces: [n{number}]}}}}]
"
        );
    }
    let source = Source {
        name: "policies.yaml",
        bytes: text.as_bytes(),
    };
    let workload = Workload::default();
    let inbound = [Inbound {
        listen: ([127, 0, 0, 1], 15_006).into(),
        application: ([127, 0, 0, 1], 8080).into(),
    }];
    let compiled = compile(
        &load(&[source], &workload.namespace).resources,
        &workload,
        &MeshConfig::default(),
        &inbound,
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    Arc::new(compiled.snapshot)
}

/// As many services of port 5432 that do not speak HTTP: each third has an address, each third a block of them, and each third
/// is told by the name that its clients ask for in TLS, on a port of its own.
#[must_use]
pub fn many_chains(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (high, low) = (number / 250, number % 250);
        let (address, port, protocol) = match number % 3 {
            0 => (format!("addresses: [10.0.{high}.{low}]"), 5432, "TCP"),
            1 => (
                format!("addresses: [172.{}.{low}.0/24]", 16 + high),
                5432,
                "TCP",
            ),
            _ => ("addresses: []".to_owned(), 8443, "TLS"),
        };
        // Writing to a `String` cannot fail.
        let _ = write!(
            text,
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{number}}}
spec:
  hosts: [s{number}.example]
  {address}
  resolution: STATIC
  location: MESH_INTERNAL
  ports: [{{number: {port}, name: p, protocol: {protocol}}}]
  endpoints: [{{address: 10.9.0.1}}]
"
        );
    }
    text
}

/// What becomes of three connections: to an address, into a block of addresses, and by a name. How many a rule was found for.
#[must_use]
pub fn choose_chains(snapshot: &Snapshot) -> usize {
    let tls = Seen::Tls {
        name: Some("s8.example"),
        of_mesh: false,
    };
    let connections = [
        ([10, 0, 0, 3], 5432, Seen::Nothing),
        ([172, 16, 7, 9], 5432, Seen::Nothing),
        ([192, 0, 2, 1], 8443, tls),
    ];
    let chosen = connections.map(|(address, port, seen)| {
        let peer = Peer {
            remote: ([127, 0, 0, 1], 40_000).into(),
            local: ([127, 0, 0, 1], 15_001).into(),
            original: Some((address, port).into()),
            listener: ListenerKind::Outbound,
        };
        filter_chain::of_peer(snapshot, &peer, None, seen)
    });
    let rules = (chosen.iter()).filter(|chosen| matches!(chosen, Chosen::Rule(_)));
    rules.count()
}

fn service(number: usize, protocol: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{number}}}
spec:
  hosts: [s{number}.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: {protocol}}}]
  endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}, {{address: 10.0.0.3}}]
"
    )
}

/// Compiles a configuration; the scenarios are valid, so findings are only advice.
#[must_use]
pub fn snapshot(text: &str) -> Arc<Snapshot> {
    Arc::new(from_yaml(text).snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_found_among_few_and_among_many() {
        for services in [10, 5000] {
            assert_eq!(
                choose_chains(&snapshot(&many_chains(services))),
                3,
                "{services}"
            );
        }
    }
}
