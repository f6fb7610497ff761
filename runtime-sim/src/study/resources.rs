//! The Kubernetes resources that stand for the services of a scenario, as text: the sidecars read them as they read the
//! user's own.
//!
//! A service that the configuration has itself is left alone, and so are replicas that say where they listen.

use core::fmt::Write as _;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use outrigger_core::config::Resources;
use outrigger_core::snapshot::Snapshot;

use super::scenario::{Group, PlannedService, Scenario, Scope};

/// Where replicas listen that get an address from us.
const PORT: u16 = 8080;

/// A replica.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    /// Its service.
    pub(super) service: usize,
    /// Its group in the service.
    pub(super) group: usize,
    /// `recommendation-v2-1`.
    pub(super) name: String,
    /// Where callers reach it.
    pub(super) address: SocketAddr,
}

/// All replicas, with an address each.
pub(super) fn replicas(scenario: &Scenario) -> Vec<Replica> {
    let mut all: Vec<Replica> = Vec::new();
    let groups = || scenario.services.iter().flat_map(|service| &service.groups);
    let taken: BTreeSet<&SocketAddr> = groups().flat_map(|group| &group.addresses).collect();
    // 10.0.0.1 and on; a scenario has far fewer than 2^24 replicas.
    let own = (1_u32..).map(|number| {
        let [_, b, c, d] = number.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(10, b, c, d), PORT))
    });
    let mut own = own.filter(|own| !taken.contains(own));
    for (at, service) in scenario.services.iter().enumerate() {
        for (number, group) in service.groups.iter().enumerate() {
            for index in 0..group.count {
                let own = own
                    .next()
                    .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, PORT).into());
                all.push(Replica {
                    service: at,
                    group: number,
                    name: replica_name(service, number, index),
                    address: group.addresses.get(index).copied().unwrap_or(own),
                });
            }
        }
    }
    all
}

/// Replicas that nobody can ask: they say where they listen, and no endpoint of what was compiled is there.
pub(super) fn unknown<'r>(
    replicas: &'r [Replica],
    scenario: &Scenario,
    snapshot: &Snapshot,
) -> Vec<&'r Replica> {
    let endpoints = snapshot
        .clusters
        .iter()
        .flat_map(|cluster| &cluster.endpoints);
    let known: BTreeSet<&str> = endpoints.map(|endpoint| &*endpoint.text).collect();
    let says = |replica: &&Replica| {
        let group = &scenario.services[replica.service].groups[replica.group];
        !group.addresses.is_empty()
    };
    let replicas = replicas.iter().filter(says);
    replicas
        .filter(|replica| !known.contains(&*replica.address.to_string()))
        .collect()
}

/// By version, and by number where there are several of it.
fn replica_name(service: &PlannedService, group: usize, index: usize) -> String {
    let Group { labels, count, .. } = &service.groups[group];
    let version = labels.get("version");
    let alike = |other: &&Group| other.labels.get("version") == version;
    let before = service.groups[..group].iter().filter(alike);
    let number = before.map(|group| group.count).sum::<usize>() + index + 1;
    let several = *count > 1 || service.groups.iter().filter(alike).count() > 1;
    let mut name = service.name.clone();
    if let Some(version) = version {
        let _ = write!(name, "-{version}");
    }
    if several {
        let _ = write!(name, "-{number}");
    }
    name
}

/// The texts, each with a name for findings.
pub(super) fn texts(
    scenario: &Scenario,
    replicas: &[Replica],
    config: &Resources,
) -> Vec<(String, String)> {
    let of = |what: &str| format!("{what} of {}", scenario.file);
    let mut all = vec![(of("the places"), nodes(scenario))];
    for (at, service) in scenario.services.iter().enumerate() {
        let mut text = String::new();
        if !is_known(service, &scenario.namespace, config) {
            write_service(&mut text, service, &scenario.namespace);
        }
        for (number, group) in service.groups.iter().enumerate() {
            if group.addresses.is_empty() {
                let mut own = replicas
                    .iter()
                    .filter(|replica| (replica.service, replica.group) == (at, number));
                write_group(&mut text, service, number, group, &mut own);
            }
        }
        if scenario.scope == Scope::Called {
            let called = service.stages.iter().flatten().map(|call| call.service);
            write_scope(&mut text, &service.name, called, scenario);
        }
        all.push((of(&service.name), text));
    }
    if scenario.scope == Scope::Called {
        for clients in &scenario.clients {
            let mut text = String::new();
            write_scope(
                &mut text,
                &clients.name,
                [clients.service].into_iter(),
                scenario,
            );
            all.push((of(&clients.name), text));
        }
    }
    all
}

/// The full name of a service.
pub(super) fn host(service: &PlannedService, namespace: &str, config: &Resources) -> String {
    if is_entry(service, config) {
        service.name.clone()
    } else {
        format!("{}.{namespace}.svc.cluster.local", service.name)
    }
}

fn is_entry(service: &PlannedService, config: &Resources) -> bool {
    let mut hosts = config.service_entries.iter().flat_map(|entry| &entry.hosts);
    hosts.any(|host| *host == service.name)
}

/// Whether the configuration has a service itself.
pub(super) fn is_known(service: &PlannedService, namespace: &str, config: &Resources) -> bool {
    let mut services = config.services.iter();
    is_entry(service, config)
        || services.any(|s| s.meta.name == service.name && s.meta.namespace == namespace)
}

fn write_service(text: &mut String, service: &PlannedService, namespace: &str) {
    let PlannedService { name, port, .. } = service;
    let _ = write!(
        text,
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {port}, targetPort: {PORT}}}]}}\n"
    );
}

fn write_group(
    text: &mut String,
    service: &PlannedService,
    number: usize,
    group: &Group,
    replicas: &mut dyn Iterator<Item = &Replica>,
) {
    let name = &service.name;
    let (mut endpoints, mut pods) = (String::new(), String::new());
    let node = match group.locality.as_str() {
        "" => String::new(),
        place => format!("nodeName: {}", node_name(place)),
    };
    for replica in replicas {
        let (pod, ip) = (&replica.name, replica.address.ip());
        let _ = writeln!(
            endpoints,
            "- {{addresses: [{ip}], conditions: {{ready: true}}, targetRef: {{kind: Pod, name: {pod}}}, {node}}}"
        );
        let _ = writeln!(
            pods,
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {pod}\n  labels: {}\nspec: {{{node}}}",
            labels(name, group)
        );
    }
    let _ = write!(
        text,
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{name: {name}-{number}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         ports: [{{name: http, port: {PORT}, protocol: TCP}}]\nendpoints:\n{endpoints}{pods}"
    );
}

fn labels(app: &str, group: &Group) -> String {
    let mut text = format!("{{app: {app}");
    for (key, value) in &group.labels {
        let _ = write!(text, ", {key}: \"{value}\"");
    }
    text.push('}');
    text
}

/// A node for each place, because Kubernetes knows places of nodes.
fn nodes(scenario: &Scenario) -> String {
    let groups = scenario.services.iter().flat_map(|s| &s.groups);
    let mut places: Vec<&str> = groups.map(|group| group.locality.as_str()).collect();
    places.sort_unstable();
    places.dedup();
    let mut text = String::new();
    for place in places.into_iter().filter(|place| !place.is_empty()) {
        let labels = place_labels(place).map(|(key, value)| format!("{key}: \"{value}\""));
        let labels: Vec<_> = labels.collect();
        let (name, labels) = (node_name(place), labels.join(", "));
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n"
        );
    }
    text
}

fn node_name(place: &str) -> String {
    format!(
        "node.{}",
        place.replace('/', ".").replace('_', "-").to_lowercase()
    )
}

/// The labels by which Kubernetes and Istio know a place.
pub(super) fn place_labels(place: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let keys = [
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.istio.io/subzone",
    ];
    let parts = place.split('/').filter(|part| !part.is_empty());
    keys.into_iter().zip(parts)
}

/// A Sidecar resource that lets a workload know the services that it calls.
fn write_scope(
    text: &mut String,
    app: &str,
    called: impl Iterator<Item = usize>,
    scenario: &Scenario,
) {
    let mut hosts: Vec<String> = called
        .map(|at| {
            format!(
                "\"*/{}.{}.svc.cluster.local\"",
                scenario.services[at].name, scenario.namespace
            )
        })
        .collect();
    hosts.sort();
    hosts.dedup();
    if hosts.is_empty() {
        // Istio's word for none.
        hosts.push("\"~/*\"".to_owned());
    }
    let (namespace, hosts) = (&scenario.namespace, hosts.join(", "));
    let _ = write!(
        text,
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: scope-{app}, namespace: {namespace}}}\n\
         spec: {{workloadSelector: {{labels: {{app: {app}}}}}, egress: [{{hosts: [{hosts}]}}]}}\n"
    );
}

#[cfg(test)]
mod tests {
    use outrigger_core::config::Source;

    use super::*;
    use crate::study::read;

    /// Addresses of ours are none that the scenario names.
    #[test]
    fn no_two_replicas_share_an_address() {
        let text = "duration: 1s\nservices:\n  a: {replicas: 2}\n  b: {replicas: [{addresses: ['10.0.0.2:8080']}]}\n\
                    clients: {u: {asks: a, rate: 1/s}}\n";
        let source = Source {
            name: "s",
            bytes: text.as_bytes(),
        };
        let scenario = read(source).expect("it is good");
        let addresses: Vec<String> = replicas(&scenario)
            .iter()
            .map(|replica| replica.address.to_string())
            .collect();
        assert_eq!(
            addresses,
            ["10.0.0.1:8080", "10.0.0.3:8080", "10.0.0.2:8080"]
        );
    }
}
