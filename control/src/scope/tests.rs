//! That a client is sent enough: what it compiles of its part of a world is what it would compile of all of it. And not too
//! much: tables of who sees what.

use std::collections::BTreeMap;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Workload, compile};
use outrigger_core::config::{MeshConfig, Source, load};
use outrigger_xds::{Change, KINDS, Kind, Object};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::documents;
use crate::followers::followers;

fn world(texts: &[Value]) -> World {
    let mut world = World::default();
    for change in changes(texts) {
        world.apply(change);
    }
    world
}

fn changes(texts: &[Value]) -> Vec<Change> {
    let text: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    let source = Source {
        name: "world.json",
        bytes: text.as_bytes(),
    };
    let (changes, findings) = documents::changes(&[source]);
    assert_eq!(findings, []);
    changes
}

fn viewer(namespace: &str, app: &str) -> Viewer {
    Viewer {
        id: format!("sidecar~10.0.0.1~{app}.{namespace}~{namespace}"),
        namespace: namespace.into(),
        labels: [("app".to_owned(), app.to_owned())].into(),
        is_gateway: false,
        is_proven: true,
        is_grpc: false,
    }
}

fn seen(world: &World, viewer: &Viewer) -> Vec<String> {
    let scope = Scope::new(viewer, world);
    let kinds = KINDS.iter().flat_map(|kind| world.of_kind(kind));
    kinds
        .filter(|(key, known)| scope.sees(world, key, known))
        .map(|(key, _)| format!("{} {}", key.kind.kind, name_of(key)))
        .collect()
}

fn service(namespace: &str, name: &str, export: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"networking.istio.io/exportTo": export}},
        "spec": {"selector": {"app": name}, "clusterIP": "10.9.0.1", "ports": [{"name": "http", "port": 80}]},
    })
}

fn pod(namespace: &str, app: &str, version: &str, host: u8) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{app}-{version}"), "namespace": namespace, "labels": {"app": app, "version": version}},
        "spec": {"nodeName": format!("n{}", host % 2), "serviceAccountName": app, "containers": [{"name": "app"}]},
        "status": {"podIP": format!("10.0.0.{host}"), "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn slice(namespace: &str, app: &str, pods: &[(&str, u8)]) -> Value {
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|(version, host)| {
            json!({
                "addresses": [format!("10.0.0.{host}")], "conditions": {"ready": true}, "nodeName": format!("n{}", host % 2),
                "targetRef": {"kind": "Pod", "name": format!("{app}-{version}"), "namespace": namespace},
            })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{app}-1"), "namespace": namespace, "labels": {"kubernetes.io/service-name": app}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
    })
}

fn node(name: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": zone}},
    })
}

fn istio(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    let group = match kind {
        "PeerAuthentication" | "AuthorizationPolicy" => "security",
        _ => "networking",
    };
    json!({
        "apiVersion": format!("{group}.istio.io/v1"), "kind": kind,
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

const NAMESPACES: [&str; 3] = ["a", "b", "istio-system"];
const APPS: [&str; 3] = ["cart", "stock", "web"];

fn exports() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => Just(vec![]),
        2 => Just(vec!["*"]),
        2 => Just(vec!["."]),
        1 => Just(vec!["b"]),
        1 => Just(vec!["~"]),
    ]
}

fn a_service() -> impl Strategy<Value = Vec<Value>> {
    let which = (0_usize..3, 0_usize..3, exports(), any::<bool>(), 1_u8..100);
    which.prop_map(|(namespace, app, export, two, host)| {
        let (namespace, app) = (NAMESPACES[namespace], APPS[app]);
        let mut all = vec![
            service(namespace, app, &export.join(",")),
            pod(namespace, app, "v1", host),
            node("n0", "z0"),
            node("n1", "z1"),
        ];
        if two {
            all.push(pod(namespace, app, "v2", host + 100));
            all.push(slice(namespace, app, &[("v1", host), ("v2", host + 100)]));
        } else {
            all.push(slice(namespace, app, &[("v1", host)]));
        }
        all
    })
}

fn host() -> impl Strategy<Value = String> {
    (0_usize..3, 0_usize..3, any::<bool>()).prop_map(|(namespace, app, is_short)| {
        if is_short {
            APPS[app].to_owned()
        } else {
            format!("{}.{}.svc.cluster.local", APPS[app], NAMESPACES[namespace])
        }
    })
}

fn a_rule() -> impl Strategy<Value = Vec<Value>> {
    let which = (0_usize..3, host(), host(), exports(), 0_u8..3);
    which.prop_map(|(namespace, host, to, export, number)| {
        let spec = json!({"hosts": [host], "exportTo": export, "http": [{"route": [{"destination": {"host": to, "port": {"number": 80}}}]}]});
        vec![istio("VirtualService", NAMESPACES[namespace], &format!("r{number}"), spec)]
    })
}

fn a_destination_rule() -> impl Strategy<Value = Vec<Value>> {
    let which = (0_usize..3, host(), exports(), 0_u8..3);
    which.prop_map(|(namespace, host, export, number)| {
        let spec = json!({
            "host": host, "exportTo": export, "subsets": [{"name": "v1", "labels": {"version": "v1"}}],
            "trafficPolicy": {"connectionPool": {"http": {"http1MaxPendingRequests": number + 1}}},
        });
        vec![istio("DestinationRule", NAMESPACES[namespace], &format!("d{number}"), spec)]
    })
}

fn a_sidecar() -> impl Strategy<Value = Vec<Value>> {
    let egress = prop::sample::subsequence(
        vec![
            "./*",
            "*/*",
            "b/*",
            "istio-system/*",
            "*/cart.b.svc.cluster.local",
            "~b/web.b.svc.cluster.local",
            "*/*.b.svc.cluster.local",
        ],
        1..4,
    );
    let which = (0_usize..3, egress, prop::option::of(0_usize..3), 0_u8..3);
    which.prop_map(|(namespace, hosts, app, number)| {
        let mut spec = json!({"egress": [{"hosts": hosts}]});
        if let Some(app) = app {
            spec["workloadSelector"] = json!({"labels": {"app": APPS[app]}});
        }
        vec![istio(
            "Sidecar",
            NAMESPACES[namespace],
            &format!("s{number}"),
            spec,
        )]
    })
}

fn an_entry() -> impl Strategy<Value = Vec<Value>> {
    let which = (0_usize..3, exports(), any::<bool>(), 0_u8..2);
    which.prop_map(|(namespace, export, selects, number)| {
        let mut spec = json!({
            // One of each host: which of two holds is for core to say, who is told of both where both are imported.
            "hosts": [format!("out{number}.{}.example", NAMESPACES[namespace])], "exportTo": export, "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        });
        if selects {
            spec["workloadSelector"] = json!({"labels": {"app": "cart"}});
        } else {
            spec["endpoints"] = json!([{"address": "192.0.2.7"}]);
        }
        let namespace = NAMESPACES[namespace];
        let workload = json!({"address": "192.0.2.9", "labels": {"app": "cart"}});
        vec![
            istio("ServiceEntry", namespace, &format!("e{number}"), spec),
            istio("WorkloadEntry", namespace, "w", workload),
        ]
    })
}

fn a_policy() -> impl Strategy<Value = Vec<Value>> {
    (0_usize..3, any::<bool>()).prop_map(|(namespace, is_strict)| {
        let mode = if is_strict { "STRICT" } else { "DISABLE" };
        vec![istio(
            "PeerAuthentication",
            NAMESPACES[namespace],
            "default",
            json!({"mtls": {"mode": mode}}),
        )]
    })
}

fn worlds() -> impl Strategy<Value = Vec<Value>> {
    let piece = prop_oneof![
        5 => a_service(),
        4 => a_rule(),
        3 => a_destination_rule(),
        2 => a_sidecar(),
        2 => an_entry(),
        1 => a_policy(),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| {
        // One of each name.
        let all = pieces.into_iter().flatten();
        let by_name: BTreeMap<String, Value> = all
            .map(|json| {
                (
                    format!(
                        "{} {} {}",
                        json["kind"], json["metadata"]["namespace"], json["metadata"]["name"]
                    ),
                    json,
                )
            })
            .collect();
        by_name.into_values().collect()
    })
}

/// What a workload makes of documents, in all that decides.
fn compiled(objects: &[Value], viewer: &Viewer) -> String {
    let texts: Vec<(String, String)> = objects
        .iter()
        .map(|json| {
            let name = format!(
                "{}/{}/{}",
                json["kind"], json["metadata"]["namespace"], json["metadata"]["name"]
            );
            (name, json.to_string())
        })
        .collect();
    let sources: Vec<Source<'_>> = texts
        .iter()
        .map(|(name, text)| Source {
            name,
            bytes: text.as_bytes(),
        })
        .collect();
    let loaded = load(&sources, &viewer.namespace);
    let workload = Workload {
        namespace: viewer.namespace.clone(),
        labels: viewer.labels.clone(),
        ..Workload::default()
    };
    let mesh = MeshConfig::default();
    let mut registry = Registry::default();
    let answers = Answers::new();
    let compiled = compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &answers,
        &mut registry,
        0,
    );
    format!("{:#?}", compiled.snapshot)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_part_of_the_world_is_enough(texts in worlds(), namespace in 0_usize..2, app in 0_usize..3) {
        let viewer = viewer(NAMESPACES[namespace], APPS[app]);
        let world = world(&texts);
        let scope = Scope::new(&viewer, &world);
        let part: Vec<Value> = texts
            .iter()
            .filter(|json| {
                let name = |name: &str| json["metadata"][name].as_str().unwrap_or_default();
                let kind = Kind::named(json["apiVersion"].as_str().unwrap(), json["kind"].as_str().unwrap()).unwrap();
                let key = Key { kind, namespace: name("namespace").into(), name: name("name").into() };
                scope.sees(&world, &key, world.get(&key).unwrap())
            })
            .cloned()
            .collect();
        let (of_part, of_all) = (compiled(&part, &viewer), compiled(&texts, &viewer));
        let mut lines = of_part.lines().zip(of_all.lines());
        let differs = lines.find(|(of_part, of_all)| of_part != of_all);
        prop_assert_eq!(differs, None, "{} of {}", part.len(), texts.len());
        prop_assert_eq!(of_part.len(), of_all.len());
    }

    /// Change by change, what is told to be touched is all that a client sees otherwise than before.
    #[test]
    fn nothing_that_changes_goes_untold(before in worlds(), after in worlds(), app in 0_usize..3) {
        let viewer = viewer("a", APPS[app]);
        let mut world = world(&before);
        let mut scope = Scope::new(&viewer, &world);
        for change in changes(&after) {
            let had = has(&world, &scope);
            let touched = world.apply(change);
            let mut told = touched.keys.clone();
            let mut is_whole = false;
            if scope.is_concerned(&touched, &world) {
                let new = Scope::new(&viewer, &world);
                is_whole = new != scope;
                scope = new;
            }
            told.extend(followers(&touched, &world));
            let has = has(&world, &scope);
            let names: BTreeSet<_> = had.keys().chain(has.keys()).cloned().collect();
            let other = names.into_iter().filter(|name| had.get(name) != has.get(name));
            for name in other {
                prop_assert!(is_whole || told.contains(&name), "{:?} changed untold", name);
            }
        }
    }
}

fn has(world: &World, scope: &Scope) -> BTreeMap<Key, String> {
    let kinds = KINDS.iter().flat_map(|kind| world.of_kind(kind));
    let seen = kinds.filter(|(key, known)| scope.sees(world, key, known));
    let seen: Vec<_> = seen.map(|(key, _)| key).collect();
    let found = KINDS.iter().flat_map(|kind| scope.all(world, kind));
    let found: Vec<_> = found.collect();
    let keys: Vec<_> = found.iter().map(|(key, _)| *key).collect();
    assert_eq!(
        keys, seen,
        "all that is seen is found where it is looked for"
    );
    found
        .into_iter()
        .map(|(key, known)| (key.clone(), known.packed.version.clone()))
        .collect()
}

#[test]
fn what_is_not_imported_is_not_sent() {
    let texts = [
        service("a", "cart", ""),
        pod("a", "cart", "v1", 1),
        slice("a", "cart", &[("v1", 1)]),
        service("b", "stock", ""),
        pod("b", "stock", "v1", 2),
        slice("b", "stock", &[("v1", 2)]),
        service("b", "web", "."),
        node("n0", "z0"),
        node("n1", "z1"),
        istio("Sidecar", "a", "s", json!({"egress": [{"hosts": ["./*"]}]})),
    ];
    assert_eq!(
        seen(&world(&texts), &viewer("a", "cart")),
        [
            "Node n1",
            "Service a/cart",
            "EndpointSlice a/cart-1",
            "Pod a/cart-v1",
            "Sidecar a/s"
        ]
        .map(String::from)
        .to_vec(),
    );
    let all = seen(&world(&texts), &viewer("c", "cart"));
    assert!(
        all.contains(&"Service b/stock".into()) && !all.contains(&"Service b/web".into()),
        "{all:?}"
    );
    assert!(!all.contains(&"Sidecar a/s".into()));
}

#[test]
fn secrets_go_to_the_gateway_that_names_them_and_has_proved_who_it_is() {
    let secret = |namespace: &str, name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": {}});
    let server = |name: &str| {
        json!({"selector": {"app": "edge"}, "servers": [{"port": {"number": 443, "name": "https", "protocol": "HTTPS"},
               "hosts": ["*"], "tls": {"mode": "SIMPLE", "credentialName": name}}]})
    };
    let texts = [
        secret("a", "own"),
        secret("a", "other"),
        secret("b", "own"),
        istio("Gateway", "a", "g", server("own")),
        istio("Gateway", "b", "g", server("own")),
    ];
    let world = world(&texts);
    let gateway = Viewer {
        is_gateway: true,
        ..viewer("a", "edge")
    };
    let secrets = |viewer: &Viewer| {
        let seen = seen(&world, viewer).into_iter();
        seen.filter(|name| name.starts_with("Secret"))
            .collect::<Vec<_>>()
    };
    assert_eq!(secrets(&gateway), ["Secret a/own"]);
    let unproven = Viewer {
        is_proven: false,
        ..gateway.clone()
    };
    assert_eq!(secrets(&unproven), [""; 0]);
    assert_eq!(
        secrets(&viewer("a", "edge")),
        [""; 0],
        "no sidecar has secrets"
    );
    let elsewhere = Viewer {
        labels: BTreeMap::new(),
        ..gateway
    };
    assert_eq!(secrets(&elsewhere), [""; 0], "no gateway of that label");
}

#[test]
fn an_object_is_a_change_once() {
    let texts = [service("a", "cart", "")];
    let mut world = world(&texts);
    assert!(
        changes(&texts)
            .into_iter()
            .all(|change| world.apply(change).is_empty())
    );
    let bytes = world.bytes();
    assert!(bytes > 100);
    let gone: Vec<Object> = Vec::new();
    let touched = world.apply(Change::All(kind("", "Service"), gone));
    let names: Vec<String> = touched.keys.iter().map(name_of).collect();
    assert_eq!(names, ["a/cart"]);
    assert!(world.is_empty() && world.bytes() == 0);
}
