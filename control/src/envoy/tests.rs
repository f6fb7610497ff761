//! What is told of a world, as tables.

use std::collections::BTreeMap;

use outrigger_core::config::Source;
use outrigger_xds::envoy::ENDPOINTS;
use outrigger_xds::envoy::endpoint::{ClusterLoadAssignment, HEALTHY};
use outrigger_xds::messages::{Message as _, Resource};
use serde_json::{Value, json};

use super::view::View;
use super::views::part;
use crate::documents;
use crate::hub::Hub;
use crate::scope::Scope;
use crate::viewer::Viewer;
use crate::world::Touched;

pub(super) fn hub(texts: &[Value]) -> Hub {
    let text: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    let source = Source {
        name: "world.json",
        bytes: text.as_bytes(),
    };
    let (changes, findings) = documents::changes(&[source]);
    assert_eq!(findings, []);
    let hub = Hub::default();
    for change in changes {
        hub.apply(change);
    }
    hub.push(Touched::default());
    hub
}

pub(super) fn viewer(namespace: &str) -> Viewer {
    Viewer {
        id: format!("sidecar~10.0.0.1~one.{namespace}~{namespace}.svc.cluster.local"),
        namespace: namespace.into(),
        labels: BTreeMap::new(),
        is_gateway: false,
        is_proven: false,
        is_grpc: false,
    }
}

pub(super) fn view(hub: &Hub, viewer: &Viewer, before: Option<&View>) -> View {
    let scope = hub.ask(|world| Scope::new(viewer, world));
    View::new(part(&scope, hub), viewer, before)
}

fn entry(host: &str, spec: &Value) -> Value {
    let mut whole = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": host, "namespace": "shop"},
        "spec": {"hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
                 "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}]},
    });
    for (name, value) in spec.as_object().unwrap() {
        whole["spec"][name] = value.clone();
    }
    whole
}

fn rule(host: &str, spec: &Value) -> Value {
    let mut whole = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": host, "namespace": "shop"},
        "spec": {"host": host},
    });
    for (name, value) in spec.as_object().unwrap() {
        whole["spec"][name] = value.clone();
    }
    whole
}

fn assignment(resource: &Resource) -> ClusterLoadAssignment {
    let any = resource.resource.as_ref().unwrap();
    assert_eq!(
        any.type_url,
        "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    );
    ClusterLoadAssignment::decode(any.value.clone()).unwrap()
}

/// Each place as `priority region/zone/sub_zone weight: address weight, …`.
fn told(view: &View, name: &str) -> Vec<String> {
    let Some(resource) = view.get(ENDPOINTS, name) else {
        return vec!["there is none".into()];
    };
    let assignment = assignment(&resource);
    assert_eq!(
        (&*assignment.cluster_name, &*resource.name),
        (name, name),
        "it goes by its name"
    );
    let places = assignment.endpoints.into_iter().map(|place| {
        let at = place.locality.unwrap();
        let endpoints = place.lb_endpoints.into_iter().map(|one| {
            assert_eq!(one.health_status, HEALTHY);
            let address = one.endpoint.unwrap().address.unwrap();
            let text = match (address.socket_address, address.pipe) {
                (Some(socket), None) => format!("{}:{}", socket.address, socket.port_value),
                (None, Some(pipe)) => pipe.path,
                _ => panic!("one of the two"),
            };
            format!("{text} {}", one.load_balancing_weight.unwrap())
        });
        let endpoints: Vec<String> = endpoints.collect();
        format!(
            "{} {}/{}/{} {}: {}",
            place.priority,
            at.region,
            at.zone,
            at.sub_zone,
            place.load_balancing_weight.unwrap(),
            endpoints.join(", ")
        )
    });
    places.collect()
}

#[test]
fn endpoints_are_told_by_the_names_of_istiod() {
    let texts = [
        entry(
            "plain.shop",
            &json!({"endpoints": [{"address": "10.0.0.1"}, {"address": "fd00::2", "weight": 3}, {"address": "unix:///run/a"}]}),
        ),
        entry(
            "placed.shop",
            &json!({"endpoints": [
                {"address": "10.0.0.1", "locality": "eu/a/r1", "labels": {"v": "1"}},
                {"address": "10.0.0.2", "locality": "us/b", "weight": 4},
                {"address": "10.0.0.3", "locality": "eu/a/r1", "weight": 2},
            ]}),
        ),
        rule(
            "placed.shop",
            &json!({"subsets": [{"name": "one", "labels": {"v": "1"}}, {"name": "none", "labels": {"v": "2"}}]}),
        ),
        entry(
            "shared.shop",
            &json!({"endpoints": [{"address": "10.0.0.1", "locality": "eu/a"}, {"address": "10.0.0.2", "locality": "us/b"}]}),
        ),
        rule(
            "shared.shop",
            &json!({"trafficPolicy": {"loadBalancer": {"localityLbSetting": {"distribute": [{"from": "*", "to": {"eu/*": 80, "us/*": 20}}]}}}}),
        ),
        entry(
            "heavy.shop",
            &json!({"endpoints": [{"address": "10.0.0.1", "weight": u32::MAX}, {"address": "10.0.0.2", "weight": u32::MAX}]}),
        ),
        entry("empty.shop", &json!({"endpoints": []})),
        entry(
            "named.shop",
            &json!({"resolution": "DNS", "endpoints": [{"address": "somewhere.example"}]}),
        ),
        entry("away.shop", &json!({"resolution": "NONE"})),
        entry(
            "hidden.shop",
            &json!({"exportTo": ["."], "endpoints": [{"address": "10.0.0.1"}]}),
        ),
    ];
    let hub = hub(&texts);
    let mut viewer = viewer("other");
    viewer
        .labels
        .insert("topology.istio.io/locality".into(), "eu.a.r1".into());
    let view = view(&hub, &viewer, None);
    let none = "there is none";
    let half = u32::MAX / 3;
    let heavy = format!(
        "0 // {}: 10.0.0.1:8080 {half}, 10.0.0.2:8080 {half}",
        half * 2
    );
    for (name, want) in [
        (
            "outbound|80||plain.shop",
            &["0 // 5: 10.0.0.1:8080 1, fd00::2:8080 3, /run/a 1"][..],
        ),
        (
            "outbound|80||placed.shop",
            &[
                "0 eu/a/r1 3: 10.0.0.1:8080 1, 10.0.0.3:8080 2",
                "0 us/b/ 4: 10.0.0.2:8080 4",
            ],
        ),
        (
            "outbound|80|one|placed.shop",
            &["0 eu/a/r1 1: 10.0.0.1:8080 1"],
        ),
        ("outbound|80|none|placed.shop", &[]),
        ("outbound|80|two|placed.shop", &[none]),
        ("outbound|81||placed.shop", &[none]),
        (
            "outbound|80||shared.shop",
            &["0 eu/a/ 80: 10.0.0.1:8080 1", "0 us/b/ 20: 10.0.0.2:8080 1"],
        ),
        ("outbound|80||heavy.shop", &[&heavy]),
        ("outbound|80||empty.shop", &[]),
        // Of a name nobody is told an address.
        ("outbound|80||named.shop", &[]),
        ("outbound|80||away.shop", &[none]),
        ("outbound|80||hidden.shop", &[none]),
        ("outbound|80||nobody.shop", &[none]),
        ("BlackHoleCluster", &[none]),
        ("", &[none]),
    ] {
        assert_eq!(told(&view, name), want, "{name}");
    }
    let all: Vec<String> = view
        .all(ENDPOINTS)
        .iter()
        .map(|one| one.name.clone())
        .collect();
    assert_eq!(
        all,
        [
            "outbound|80|none|placed.shop",
            "outbound|80|one|placed.shop",
            "outbound|80||empty.shop",
            "outbound|80||heavy.shop",
            "outbound|80||named.shop",
            "outbound|80||placed.shop",
            "outbound|80||plain.shop",
            "outbound|80||shared.shop",
        ]
    );
}

#[test]
fn a_version_is_of_what_stands_there_and_of_nothing_else() {
    let of = |texts: &[Value]| {
        let view = view(&hub(texts), &viewer("shop"), None);
        let found = view.get(ENDPOINTS, "outbound|80||a.shop").unwrap();
        found.version.clone()
    };
    let a = |address: &str| entry("a.shop", &json!({"endpoints": [{"address": address}]}));
    let b = entry("b.shop", &json!({"endpoints": [{"address": "10.0.0.9"}]}));
    assert_eq!(of(&[a("10.0.0.1")]), of(&[b, a("10.0.0.1")]));
    assert_ne!(of(&[a("10.0.0.1")]), of(&[a("10.0.0.2")]));
}

#[test]
fn what_is_no_good_leaves_the_last_good_one_in_use() {
    let good = entry("a.shop", &json!({"endpoints": [{"address": "10.0.0.1"}]}));
    let bad = entry(
        "a.shop",
        &json!({"endpoints": [{"address": "10.0.0.1"}], "resolution": "NEVER"}),
    );
    let b = |address: &str| entry("b.shop", &json!({"endpoints": [{"address": address}]}));
    let before = view(&hub(&[good, b("10.0.0.1")]), &viewer("shop"), None);
    let hub = hub(&[bad, b("10.0.0.2")]);
    let after = view(&hub, &viewer("shop"), Some(&before));
    let fresh = view(&hub, &viewer("shop"), None);
    let a = "outbound|80||a.shop";
    assert_eq!(told(&after, a), told(&before, a));
    assert_eq!(told(&fresh, a), ["there is none"]);
    for view in [after, fresh] {
        let told = told(&view, "outbound|80||b.shop");
        assert_eq!(told, ["0 // 1: 10.0.0.2:8080 1"]);
    }
}
