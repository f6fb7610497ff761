//! Workloads of many kinds, whole and reduced: the same comes of both, and the labels that matter are told.

use super::*;
use crate::cluster::Registry;
use crate::compile::{Answers, Inbound, compile};
use crate::config::destination_rule::{LocalityLbSetting, ZoneAwareLbSetting};
use crate::config::{Source, load};
use crate::snapshot::Snapshot;

const SHOP: &str = "
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: shop-1, labels: {kubernetes.io/service-name: shop}}
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1], nodeName: n1}, {addresses: [10.0.0.2], nodeName: n2}]
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: a}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: b}}
";

fn of_kind(kind: &str, spec: &str) -> String {
    let group = match kind {
        "Pod" => "v1",
        _ => "networking.istio.io/v1",
    };
    format!("{SHOP}---\napiVersion: {group}\nkind: {kind}\nmetadata: {{name: it}}\nspec: {spec}\n")
}

fn workload(labels: &[&str]) -> Workload {
    let labels = labels.iter().map(|label| label.split_once('=').unwrap());
    Workload {
        labels: labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        ..Workload::default()
    }
}

/// Compiles for workloads of many kinds, whole and reduced, and expects the same; says which labels matter.
fn matter(yaml: &str, mesh: &MeshConfig, has_inbound: bool) -> String {
    let source = Source {
        name: "f",
        bytes: yaml.as_bytes(),
    };
    let loaded = load(&[source], "default");
    assert!(
        !loaded.findings.iter().any(|finding| finding.blocks()),
        "{:?}",
        loaded.findings
    );
    let resources = loaded.resources;
    let address = |port| ([127, 0, 0, 1], port).into();
    let inbound = has_inbound.then(|| Inbound {
        listen: address(15006),
        application: address(8080),
    });
    let inbound: Vec<_> = inbound.into_iter().collect();
    let place = "topology.kubernetes.io/zone=a";
    let region = "topology.kubernetes.io/region=r";
    let labels = ["app=shop", "version=v1", region, place];
    for count in 0..16 {
        let some = (0..4)
            .filter(|bit| count & 1 << bit != 0)
            .map(|bit| labels[bit]);
        let whole = workload(&some.collect::<Vec<_>>());
        let snapshot = |workload: &Workload| {
            let registry = &mut Registry::default();
            let compiled = compile(
                &resources,
                workload,
                mesh,
                &inbound,
                &Answers::new(),
                registry,
                0,
            );
            // What it is called decides nothing.
            let snapshot = Snapshot {
                peer_metadata: None,
                ..compiled.snapshot
            };
            format!("{snapshot:?}")
        };
        let alike = reduced(&resources, mesh, &whole, has_inbound);
        assert_eq!(snapshot(&alike), snapshot(&whole), "{whole:?}\n{yaml}");
    }
    let all = reduced(&resources, mesh, &workload(&labels), has_inbound);
    let matter = all
        .labels
        .into_keys()
        .filter(|label| !PLACES.contains(&label.as_str()));
    matter.collect::<Vec<_>>().join(" ")
}

#[test]
fn labels_matter_where_something_selects_by_them() {
    let route = "route: [{destination: {host: shop}}]";
    let selected = |kind: &str, spec: &str| of_kind(kind, spec);
    let policy = |policy: &str| {
        of_kind(
            "DestinationRule",
            &format!("{{host: shop, trafficPolicy: {policy}}}"),
        )
    };
    for (yaml, outbound, inbound) in [
        (SHOP.to_owned(), "", "app"),
        (policy("{outlierDetection: {}}"), "", "app"),
        (
            policy("{connectionPool: {http: {http2MaxRequests: 3}}}"),
            "",
            "app",
        ),
        (
            policy(
                "{portLevelSettings: [{port: {number: 80}, connectionPool: {http: {http2MaxRequests: 3}}}]}",
            ),
            "",
            "app",
        ),
        (
            policy(
                "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [version]}}}",
            ),
            "app version",
            "app version",
        ),
        (
            policy(
                "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: r, to: q}]}}}",
            ),
            "",
            "app",
        ),
        (
            selected(
                "DestinationRule",
                "{host: shop, workloadSelector: {matchLabels: {version: v1}}, trafficPolicy: {outlierDetection: {}}}",
            ),
            "version",
            "app version",
        ),
        (
            selected(
                "Sidecar",
                "{workloadSelector: {labels: {app: shop}}, egress: [{hosts: ['~/*']}]}",
            ),
            "app",
            "app",
        ),
        (
            selected(
                "Telemetry",
                "{selector: {matchLabels: {version: v1}}, accessLogging: [{providers: [{name: envoy}]}]}",
            )
            .replace("networking.istio.io/v1\nkind: Telemetry", "telemetry.istio.io/v1\nkind: Telemetry"),
            "version",
            "app version",
        ),
        (
            selected(
                "PeerAuthentication",
                "{selector: {matchLabels: {version: v1}}, mtls: {mode: DISABLE}}",
            )
            .replace("networking.istio.io/v1\nkind: Peer", "security.istio.io/v1\nkind: Peer"),
            "",
            "app version",
        ),
        (
            selected(
                "VirtualService",
                &format!(
                    "{{hosts: [shop], http: [{{match: [{{sourceLabels: {{version: v1}}}}], timeout: 1s, {route}}}, {{{route}}}]}}"
                ),
            ),
            "version",
            "app version",
        ),
    ] {
        let mesh = MeshConfig::default();
        assert_eq!(matter(&yaml, &mesh, false), outbound, "{yaml}");
        assert_eq!(matter(&yaml, &mesh, true), inbound, "{yaml}");
    }
}

#[test]
fn all_labels_matter_where_the_mesh_balances_by_them() {
    let zones = MeshConfig {
        zone_aware_lb_setting: Some(ZoneAwareLbSetting::default()),
        ..MeshConfig::default()
    };
    let by_labels = LocalityLbSetting {
        failover_priority: vec!["version".to_owned()],
        ..LocalityLbSetting::default()
    };
    let labels = MeshConfig {
        locality_lb_setting: by_labels,
        ..MeshConfig::default()
    };
    for mesh in [zones, labels] {
        assert_eq!(matter(SHOP, &mesh, false), "app version");
    }
}
