//! Services with and without their endpoints, as tables.

use outrigger_xds::Kind;
use outrigger_xds::carried::key_of;
use outrigger_xds::envoy::endpoint::{ClusterLoadAssignment, Endpoint, Metadata};
use outrigger_xds::envoy::places::{Pipe, SocketAddress};
use outrigger_xds::envoy::{ENDPOINTS, any};
use outrigger_xds::messages::{DeltaDiscoveryResponse, Resource};
use outrigger_xds::structs::from_json;
use serde_json::json;

use super::*;

fn object(kind: &str, name: &str, spec: Value) -> Object {
    let kind = Kind::named("networking.istio.io/v1", kind).unwrap();
    Object {
        key: key_of(kind, name).unwrap(),
        version: "1".into(),
        json: json!({"metadata": {}, "spec": spec}),
    }
}

fn service(spec: &Value) -> Object {
    let mut whole = json!({
        "hosts": ["cart.shop.svc.cluster.local"], "resolution": "STATIC", "workloadSelector": {"labels": {"app": "cart"}},
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}, {"number": 90, "name": "grpc", "protocol": "GRPC"}],
    });
    for (name, value) in spec.as_object().unwrap() {
        whole[name] = value.clone();
    }
    object("ServiceEntry", "shop/synthetic-cart", whole)
}

fn rule(host: &str, subset: &str, labels: Value) -> Object {
    let subsets = json!([{"name": subset, "labels": labels}]);
    object(
        "DestinationRule",
        &format!("shop/{subset}"),
        json!({"host": host, "subsets": subsets}),
    )
}

/// An endpoint by its address and port; with a port of 0 a Unix socket.
fn endpoint(address: &str, port: u32) -> LbEndpoint {
    let address = match port {
        0 => Address {
            socket_address: None,
            pipe: Some(Pipe {
                path: address.into(),
            }),
        },
        port_value => Address {
            socket_address: Some(SocketAddress {
                address: address.into(),
                port_value,
            }),
            pipe: None,
        },
    };
    LbEndpoint {
        endpoint: Some(Endpoint {
            address: Some(address),
            hostname: String::new(),
        }),
        ..LbEndpoint::default()
    }
}

fn told(clusters: &[(&str, Vec<LbEndpoint>)]) -> Assignments {
    let mut told = Assignments::default();
    told.want(
        clusters
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
    );
    let resources = clusters.iter().map(|(name, endpoints)| {
        let place = LocalityLbEndpoints {
            locality: Some(Locality {
                region: "eu".into(),
                zone: "a".into(),
                sub_zone: String::new(),
            }),
            lb_endpoints: endpoints.clone(),
            ..LocalityLbEndpoints::default()
        };
        let assignment = ClusterLoadAssignment {
            cluster_name: (*name).to_owned(),
            endpoints: vec![place],
        };
        Resource {
            version: "1".into(),
            resource: Some(any(ENDPOINTS, &assignment)),
            name: (*name).to_owned(),
        }
    });
    let response = DeltaDiscoveryResponse {
        resources: resources.collect(),
        type_url: ENDPOINTS.type_url(),
        ..DeltaDiscoveryResponse::default()
    };
    told.take(response).unwrap();
    told
}

const HTTP: &str = "outbound|80||cart.shop.svc.cluster.local";
const GRPC: &str = "outbound|90||cart.shop.svc.cluster.local";
const V1: &str = "outbound|80|v1|cart.shop.svc.cluster.local";

#[test]
fn services_without_endpoints_are_asked_about() {
    let of = |objects: &[Object]| {
        let names = lacking(objects.iter(), &Subsets::new(objects.iter()));
        names.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(of(&[service(&json!({}))]), [HTTP, GRPC]);
    for other in [
        json!({"endpoints": [{"address": "10.0.0.1"}]}),
        json!({"resolution": "NONE"}),
        json!({"resolution": "DNS"}),
        json!({"hosts": []}),
        json!({"ports": []}),
    ] {
        assert!(of(&[service(&other)]).is_empty(), "{other}");
    }
    let one = service(&json!({"ports": [{"number": 80, "name": "http"}]}));
    for (host, is_meant) in [
        ("cart", true),
        ("cart.shop.svc.cluster.local", true),
        ("*.shop.svc.cluster.local", true),
        ("user", false),
    ] {
        let names = of(&[one.clone(), rule(host, "v1", json!({}))]);
        assert_eq!(names.contains(&V1.to_owned()), is_meant, "{host}");
    }
}

#[test]
fn endpoints_are_put_where_somebody_would_have_written_them() {
    let mode = json!({"tlsMode": "istio"});
    let secured = LbEndpoint {
        metadata: Some(Metadata {
            filter_metadata: [("envoy.transport_socket_match".to_owned(), from_json(&mode))].into(),
        }),
        load_balancing_weight: Some(3),
        ..endpoint("10.0.0.2", 8080)
    };
    let sick = LbEndpoint {
        health_status: 2,
        ..endpoint("10.0.0.3", 8080)
    };
    let told = told(&[
        (
            HTTP,
            vec![
                endpoint("10.0.0.1", 8080),
                secured.clone(),
                sick,
                endpoint("/run/a", 0),
            ],
        ),
        (GRPC, vec![endpoint("10.0.0.1", 9090)]),
        (V1, vec![secured]),
    ]);
    let rules = [rule("cart", "v1", json!({"version": "v1"}))];
    let subsets = Subsets::new(rules.iter());
    let json = filled(&service(&json!({})), &subsets, &told).unwrap();
    assert_eq!(
        json["spec"]["endpoints"],
        json!([
            {"address": "10.0.0.1", "locality": "eu/a", "ports": {"http": 8080, "grpc": 9090}},
            {"address": "10.0.0.2", "locality": "eu/a", "ports": {"http": 8080}, "weight": 3,
             "labels": {"security.istio.io/tlsMode": "istio", "version": "v1"}},
            {"address": "unix:///run/a", "locality": "eu/a"},
        ])
    );
    assert!(json["spec"]["workloadSelector"].is_null());
}

#[test]
fn of_several_at_one_address_each_is_one() {
    let told = told(&[
        (
            HTTP,
            vec![endpoint("10.0.0.1", 81), endpoint("10.0.0.1", 82)],
        ),
        (
            GRPC,
            vec![endpoint("10.0.0.1", 91), endpoint("10.0.0.1", 92)],
        ),
    ]);
    let json = filled(&service(&json!({})), &Subsets::default(), &told).unwrap();
    let endpoints = each(&json["spec"]["endpoints"]);
    let ports: Vec<&Value> = endpoints.map(|one| &one["ports"]).collect();
    assert_eq!(
        ports,
        [
            &json!({"http": 81, "grpc": 91}),
            &json!({"http": 82, "grpc": 92})
        ]
    );
}

#[test]
fn what_nobody_has_said_stays_as_it_is_and_none_is_none() {
    let nobody = filled(&service(&json!({})), &Subsets::default(), &told(&[]));
    assert_eq!(nobody, None);
    let none = told(&[(HTTP, vec![])]);
    let json = filled(&service(&json!({})), &Subsets::default(), &none).unwrap();
    assert_eq!(json["spec"]["endpoints"], json!([]));
}
