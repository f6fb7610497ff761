//! The objects of a mesh of so many services: each with a rule, an EndpointSlice and its pods, ten to a namespace.

use outrigger_xds::{Change, KINDS, Key, Kind, Object};
use serde_json::{Value, json};

/// Services of a namespace.
pub const IN_A_NAMESPACE: usize = 10;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Services.
    pub services: usize,
    /// Endpoints of each.
    pub endpoints: usize,
    /// Whether a Sidecar of the root namespace has each workload know its own namespace alone.
    pub scoped: bool,
}

/// The namespace of a service.
#[must_use]
pub fn namespace(service: usize) -> String {
    format!("ns-{}", service / IN_A_NAMESPACE)
}

/// All objects, kind by kind, as a source tells them first.
#[must_use]
pub fn all(size: Size) -> Vec<Change> {
    let mut objects: Vec<Object> = Vec::new();
    for service in 0..size.services {
        objects.push(object(&the_service(service), 1));
        objects.push(object(&the_rule(service), 1));
        objects.push(slice(service, size.endpoints, 1, ""));
        objects.extend((0..size.endpoints).map(|at| object(&the_pod(service, at), 1)));
    }
    if size.scoped {
        let sidecar = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "default", "namespace": "istio-system"},
            "spec": {"egress": [{"hosts": ["./*", "istio-system/*"]}]},
        });
        objects.push(object(&sidecar, 1));
    }
    let kinds = KINDS.iter().map(|kind| {
        let of_kind = objects.iter().filter(|object| object.key.kind == kind);
        Change::All(kind, of_kind.cloned().collect())
    });
    kinds.collect()
}

/// The EndpointSlice of a service, with something to know it by.
#[must_use]
pub fn slice(service: usize, endpoints: usize, version: u64, mark: &str) -> Object {
    let name = format!("svc-{service}");
    let of: Vec<Value> = (0..endpoints)
        .map(|at| {
            json!({
                "addresses": [address(service, at)], "conditions": {"ready": true}, "nodeName": format!("node-{}", at % 50), "zone": "z1",
                "targetRef": {"kind": "Pod", "name": format!("{name}-{at}"), "namespace": namespace(service)},
            })
        })
        .collect();
    let json = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{name}-x7k2p"), "namespace": namespace(service), "labels": {"kubernetes.io/service-name": name},
                     "annotations": {"mark": mark}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": of,
    });
    object(&json, version)
}

fn the_service(service: usize) -> Value {
    let name = format!("svc-{service}");
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace(service), "labels": {"app": name}},
        "spec": {"clusterIP": format!("10.200.{}.{}", service / 250, service % 250 + 1), "selector": {"app": name},
                 "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]},
    })
}

fn the_rule(service: usize) -> Value {
    let name = format!("svc-{service}");
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace(service)},
        "spec": {"hosts": [name], "http": [
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "timeout": "2s", "route": [{"destination": {"host": name}}]},
            {"route": [{"destination": {"host": name}}], "retries": {"attempts": 3, "perTryTimeout": "2s"}}]},
    })
}

fn the_pod(service: usize, at: usize) -> Value {
    let name = format!("svc-{service}");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{name}-{at}"), "namespace": namespace(service), "labels": {"app": name, "version": "v1"}},
        "spec": {"serviceAccountName": name, "nodeName": format!("node-{}", at % 50)},
        "status": {"podIP": address(service, at), "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn address(service: usize, at: usize) -> String {
    format!("10.{}.{}.{}", 1 + service / 250, service % 250, at + 1)
}

/// As a source tells of it.
fn object(json: &Value, version: u64) -> Object {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = Kind::named(&text(&json["apiVersion"]), &text(&json["kind"]));
    let kind = kind.expect("the kinds above are in the table");
    Object {
        key: Key {
            kind,
            namespace: text(&json["metadata"]["namespace"]).into(),
            name: text(&json["metadata"]["name"]).into(),
        },
        version: version.to_string().into(),
        json: json.clone(),
    }
}
