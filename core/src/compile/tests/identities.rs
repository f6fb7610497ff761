//! What endpoints and services are called in metrics.

use std::sync::Arc;

use super::{compiled, find};
use crate::cluster::Registry;
use crate::compile::{Answers, Inbound, Workload, compile};
use crate::config::mesh::MeshConfig;
use crate::config::{Source, load};
use crate::snapshot::Snapshot;

const RESOURCES: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-v1-5c7-abcde, namespace: shop, labels: {app: web, version: v1, pod-template-hash: 5c7}}
status: {podIPs: [{ip: 10.0.0.1}], conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: old, namespace: shop, labels: {app: web, app.kubernetes.io/name: legacy}}
spec: {address: 10.0.0.2}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: abroad}
spec:
  hosts: [api.bank.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.3, labels: {app: bank}}, {address: 10.0.0.4}]
";

/// Workload, namespace, canonical service and its revision of each endpoint.
fn identities(snapshot: &Snapshot, cluster: &str) -> Vec<String> {
    let endpoints = find(snapshot, cluster).endpoints.iter();
    let told = endpoints.map(|endpoint| {
        let named = &endpoint.identity;
        let (workload, namespace) = (&named.workload, &named.namespace);
        let (service, revision) = (&named.canonical_service, &named.canonical_revision);
        format!("{workload}/{namespace} {service}@{revision}")
    });
    told.collect()
}

fn service(snapshot: &Snapshot, cluster: &str) -> String {
    let service = find(snapshot, cluster).service.as_ref();
    service.map_or_else(String::new, |service| {
        format!("{} {} {}", service.host, service.name, service.namespace)
    })
}

/// For a workload with this label `app` in the namespace `shop`, in front of a port of its application.
fn behind(app: &str, port: u16, registry: &mut Registry) -> Snapshot {
    let source = Source {
        name: "config.yaml",
        bytes: RESOURCES.as_bytes(),
    };
    let workload = Workload {
        namespace: "shop".into(),
        labels: [("app".to_owned(), app.to_owned())].into(),
        ..Workload::default()
    };
    let at = |port: u16| ([127, 0, 0, 1], port).into();
    let inbound = Inbound {
        listen: at(15006),
        application: at(port),
    };
    let (mesh, answers) = (MeshConfig::default(), Answers::new());
    let resources = load(&[source], "shop").resources;
    compile(
        &resources,
        &workload,
        &mesh,
        &[inbound],
        &answers,
        registry,
        0,
    )
    .snapshot
}

#[test]
fn endpoints_are_named_by_what_runs_there() {
    let snapshot = compiled(RESOURCES);
    let web = "80||web.shop.svc.cluster.local";
    assert_eq!(
        identities(&snapshot, web),
        ["web-v1/shop web@v1", "old/shop legacy@latest"]
    );
    assert_eq!(
        service(&snapshot, web),
        "web.shop.svc.cluster.local web shop"
    );
    let bank = "80||api.bank.test";
    assert_eq!(
        identities(&snapshot, bank),
        ["/abroad bank@latest", "/abroad @"]
    );
    assert_eq!(
        service(&snapshot, bank),
        "api.bank.test api.bank.test abroad"
    );
}

#[test]
fn an_application_has_the_name_of_the_service_that_selects_it() {
    for (app, port, want) in [
        ("web", 8080, "web.shop.svc.cluster.local web shop"),
        ("web", 9090, ""),
        ("other", 8080, ""),
    ] {
        let snapshot = behind(app, port, &mut Registry::default());
        assert_eq!(
            service(&snapshot, &format!("inbound|{port}||")),
            want,
            "{app} {port}"
        );
    }
}

#[test]
fn names_are_the_same_value_in_the_next_snapshot() {
    let mut registry = Registry::default();
    let [one, other] = [0, 1].map(|_| behind("web", 8080, &mut registry));
    let named = |snapshot: &Snapshot| {
        let web = find(snapshot, "80||web.shop.svc.cluster.local");
        Arc::clone(&web.endpoints[0].identity)
    };
    assert!(Arc::ptr_eq(&named(&one), &named(&other)));
}
