//! What is taken of an object: of a large cluster's pods, nodes and endpoints a sidecar reads little, and what is not kept need not be sent.

use serde_json::{Map, Value, json};

/// Fields of `metadata` that say nothing to a mesh. The version is told beside the object.
const SET_BY_SERVERS: [&str; 5] = [
    "managedFields",
    "resourceVersion",
    "selfLink",
    "ownerReferences",
    "finalizers",
];

/// What `kubectl apply` keeps for itself: the whole object, once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The injector's notes on a pod.
const INJECTED: &str = "sidecar.istio.io/status";

/// Leaves of an object of such a group and kind what a mesh reads. What was left out is never read: see
/// `outrigger_core::config` for what is.
pub(crate) fn trim(group: &str, kind: &str, object: &mut Value) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in SET_BY_SERVERS {
            meta.remove(field);
        }
        let is_large = matches!(
            (group, kind),
            ("", "Pod" | "Node") | ("discovery.k8s.io", _)
        );
        annotations(meta, is_large);
    }
    match (group, kind) {
        ("", "Pod") => pod(object),
        ("", "Node" | "Namespace") => keep(object, &["apiVersion", "kind", "metadata"]),
        ("", "Service") => remove(object, "status"),
        ("discovery.k8s.io", "EndpointSlice") => slice(object),
        // What the addresses are that Istio has given it.
        ("networking.istio.io", "ServiceEntry") => {
            if let Some(status) = object.get_mut("status") {
                keep(status, &["addresses"]);
            }
        }
        // Of our own writing, or of other controllers.
        (group, _) if group.ends_with(".istio.io") || group == "gateway.networking.k8s.io" => {
            remove(object, "status");
        }
        _ => {}
    }
}

fn annotations(meta: &mut Map<String, Value>, is_large: bool) {
    let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    annotations.retain(|name, _| {
        let (prefix, _) = name.split_once('/').unwrap_or(("", name));
        let ours = prefix.ends_with("istio.io") || prefix.ends_with("outrigger.dev");
        name != LAST_APPLIED && name != INJECTED && (ours || !is_large)
    });
    if annotations.is_empty() {
        meta.remove("annotations");
    }
}

fn pod(pod: &mut Value) {
    keep(pod, &["apiVersion", "kind", "metadata", "spec", "status"]);
    if let Some(spec) = pod.get_mut("spec") {
        keep(
            spec,
            &[
                "nodeName",
                "serviceAccountName",
                "hostname",
                "subdomain",
                "hostNetwork",
                "containers",
            ],
        );
        for container in list(spec, "containers") {
            keep(container, &["name", "ports"]);
        }
    }
    if let Some(status) = pod.get_mut("status") {
        keep(status, &["podIP", "podIPs", "phase", "conditions"]);
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            conditions.retain(|condition| condition["type"] == "Ready");
            for condition in conditions {
                // Its times change while nothing else does.
                keep(condition, &["type", "status"]);
            }
        }
    }
}

fn slice(slice: &mut Value) {
    for endpoint in list(slice, "endpoints") {
        keep(
            endpoint,
            &[
                "addresses",
                "conditions",
                "hostname",
                "nodeName",
                "zone",
                "targetRef",
            ],
        );
        if let Some(target) = endpoint.get_mut("targetRef") {
            keep(target, &["kind", "namespace", "name"]);
        }
    }
}

fn list<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    let found = object.get_mut(field).and_then(Value::as_array_mut);
    found.into_iter().flatten()
}

fn keep(object: &mut Value, fields: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| fields.contains(&name.as_str()));
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(field);
    }
}

/// An object with its `apiVersion` and `kind`, which lists leave out of their items.
pub(crate) fn name(object: &mut Value, api_version: &str, kind: &str) {
    if object["apiVersion"].is_null() {
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(group: &str, kind: &str, object: &Value) -> Value {
        let mut object = object.clone();
        trim(group, kind, &mut object);
        object
    }

    #[test]
    fn what_nobody_reads_is_left_out() {
        let meta = json!({"name": "a", "resourceVersion": "7", "managedFields": [{}], "annotations": {LAST_APPLIED: "{}", "x/y": "z"}});
        for (group, kind, object, left) in [
            (
                "",
                "ConfigMap",
                json!({"metadata": meta, "data": {"a": "b"}}),
                json!({"metadata": {"name": "a", "annotations": {"x/y": "z"}}, "data": {"a": "b"}}),
            ),
            (
                "",
                "Node",
                json!({"metadata": meta, "status": {"images": []}}),
                json!({"metadata": {"name": "a"}}),
            ),
            (
                "",
                "Pod",
                json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n", "volumes": [], "containers": [{"name": "c", "image": "i", "ports": []}]},
                    "status": {"podIP": "10.0.0.1", "containerStatuses": [], "conditions": [{"type": "Initialized"}, {"type": "Ready", "status": "True", "lastTransitionTime": "x"}]}}),
                json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": []}]},
                    "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}}),
            ),
            (
                "discovery.k8s.io",
                "EndpointSlice",
                json!({"endpoints": [{"addresses": ["10.0.0.1"], "hints": {}, "targetRef": {"kind": "Pod", "name": "p", "uid": "u"}}]}),
                json!({"endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "p"}}]}),
            ),
            (
                "networking.istio.io",
                "VirtualService",
                json!({"spec": {"hosts": []}, "status": {"conditions": []}}),
                json!({"spec": {"hosts": []}}),
            ),
            (
                "networking.istio.io",
                "ServiceEntry",
                json!({"status": {"conditions": [], "addresses": [{"value": "240.240.0.1"}]}}),
                json!({"status": {"addresses": [{"value": "240.240.0.1"}]}}),
            ),
        ] {
            assert_eq!(trimmed(group, kind, &object), left, "{kind}");
        }
    }
}
