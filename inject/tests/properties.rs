//! Whatever pod comes: injection twice is injection once, its patch makes what it says, and the application stays what it was.

mod strict;

use std::collections::BTreeMap;

use outrigger_inject::{Around, Settings, inject};
use proptest::prelude::*;
use serde_json::{Value, json};

fn probe() -> impl Strategy<Value = Value> {
    let port = prop_oneof![Just(json!(8080)), Just(json!("web")), Just(json!("none"))];
    let handler = (0..4, port).prop_map(|(kind, port)| match kind {
        0 => json!({"httpGet": {"path": "/", "port": port}}),
        1 => json!({"tcpSocket": {"port": port}}),
        2 => json!({"grpc": {"port": 9000}}),
        _ => json!({"exec": {"command": ["a"]}}),
    });
    (handler, proptest::option::of(1..5i64)).prop_map(|(mut probe, timeout)| {
        if let Some(timeout) = timeout {
            probe["timeoutSeconds"] = timeout.into();
        }
        probe
    })
}

fn container(name: String) -> impl Strategy<Value = Value> {
    let probes = prop::collection::btree_map(
        prop::sample::select(vec!["livenessProbe", "readinessProbe", "startupProbe"]),
        probe(),
        0..3,
    );
    (probes, any::<bool>()).prop_map(move |(probes, has_port)| {
        let mut container = json!({"name": name, "image": "i"});
        for (field, probe) in probes {
            container[field] = probe;
        }
        if has_port {
            container["ports"] = json!([{"name": "web", "containerPort": 8080}]);
        }
        container
    })
}

fn annotations() -> impl Strategy<Value = Value> {
    let some = vec![
        ("sidecar.istio.io/nativeSidecar", "false"),
        ("sidecar.istio.io/interceptionMode", "TPROXY"),
        ("sidecar.istio.io/interceptionMode", "NONE"),
        ("sidecar.istio.io/rewriteAppHTTPProbers", "false"),
        ("sidecar.istio.io/proxyCPU", "1"),
        ("sidecar.istio.io/status", "{}"),
        (
            "sidecar.istio.io/userVolume",
            "{\"data\": {\"emptyDir\": {}}}",
        ),
        (
            "proxy.istio.io/config",
            "holdApplicationUntilProxyStarts: false",
        ),
        ("traffic.sidecar.istio.io/includeInboundPorts", "*"),
        ("mine", "x"),
    ];
    prop::collection::vec(prop::sample::select(some), 0..5).prop_map(|pairs| {
        let map: BTreeMap<&str, &str> = pairs.into_iter().collect();
        json!(map)
    })
}

fn pod() -> impl Strategy<Value = Value> {
    let containers = (1..4usize).prop_flat_map(|count| {
        (0..count)
            .map(|at| container(format!("c{at}")))
            .collect::<Vec<_>>()
    });
    let init = (0..2usize).prop_flat_map(|count| {
        (0..count)
            .map(|at| container(format!("i{at}")))
            .collect::<Vec<_>>()
    });
    (containers, init, annotations(), any::<bool>()).prop_map(
        |(containers, init, annotations, volume)| {
            let mut pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "p", "namespace": "n", "annotations": annotations},
                "spec": {"containers": containers},
            });
            if !init.is_empty() {
                pod["spec"]["initContainers"] = init.into();
            }
            if volume {
                pod["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
            }
            pod
        },
    )
}

/// The application's containers without their probes.
fn application(pod: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for field in ["initContainers", "containers"] {
        for container in pod["spec"][field].as_array().into_iter().flatten() {
            let mut container = container.clone();
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(fields) = container.as_object_mut() {
                    fields.remove(probe);
                }
            }
            let name = container["name"].as_str().unwrap_or_default();
            if !name.starts_with("istio-") {
                all.push(container);
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn injection_is_what_it_says(pod in pod(), cni in any::<bool>(), roots in any::<bool>()) {
        let settings = Settings { cni, roots: roots.then(|| "PEM".to_owned()), ..Settings::default() };
        let none = BTreeMap::new();
        let around = Around { namespace: "n", namespaces: &none };
        let once = inject(&pod, around, &settings).unwrap();
        prop_assert_eq!(once.told.len(), 1);
        prop_assert_eq!(&once.told[0].why_not, &None);
        prop_assert_eq!(strict::fault(&once.object), None);
        prop_assert_eq!(application(&once.object), application(&pod));

        let patch: json_patch::Patch =
            serde_json::from_value(serde_json::to_value(&once.patch).unwrap()).unwrap();
        let mut patched = pod;
        json_patch::patch(&mut patched, &patch).unwrap();
        prop_assert_eq!(&patched, &once.object);

        let twice = inject(&once.object, around, &settings).unwrap();
        prop_assert_eq!(&twice.patch, &[]);
        prop_assert_eq!(&twice.object, &once.object);
    }
}
