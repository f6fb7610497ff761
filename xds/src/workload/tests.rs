//! What becomes of services and workloads.

mod orders;
mod stream;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::messages::*;
use super::*;
use crate::client as objects;
use crate::messages::{Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Resource};

const CART: &str = "shop/cart.shop.svc.cluster.local";

fn resource(name: &str, kind: Kind) -> Resource {
    let value = Address { kind: Some(kind) }.encode_to_vec();
    Resource {
        version: format!("{:x}", crc(&value)),
        resource: Some(Any {
            type_url: ADDRESS.into(),
            value: value.into(),
        }),
        name: name.into(),
    }
}

/// Something that is other where the bytes are.
fn crc(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

fn port(service: u32, target: u32, spoken: AppProtocol) -> Port {
    Port {
        service_port: service,
        target_port: target,
        app_protocol: spoken.into(),
    }
}

fn cart() -> Service {
    Service {
        name: "cart".into(),
        namespace: "shop".into(),
        hostname: "cart.shop.svc.cluster.local".into(),
        addresses: vec![NetworkAddress {
            address: vec![10, 0, 0, 1],
            ..NetworkAddress::default()
        }],
        ports: vec![port(80, 8080, AppProtocol::Http11)],
        ..Service::default()
    }
}

fn pod(number: u8) -> Workload {
    Workload {
        uid: format!("Kubernetes//Pod/shop/cart-{number}"),
        name: format!("cart-{number}"),
        namespace: "shop".into(),
        addresses: vec![vec![10, 1, 0, number]],
        service_account: "cart".into(),
        canonical_name: "cart".into(),
        canonical_revision: "v1".into(),
        services: [(CART.into(), PortList::default())].into(),
        ..Workload::default()
    }
}

fn of_service(service: Service) -> Resource {
    let name = format!("{}/{}", service.namespace, service.hostname);
    resource(&name, Kind::Service(service))
}

fn of_workload(workload: Workload) -> Resource {
    resource(&workload.uid.clone(), Kind::Workload(workload))
}

fn response(resources: Vec<Resource>, removed: Vec<String>) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        resources,
        removed_resources: removed,
        type_url: ADDRESS.into(),
        nonce: "n".into(),
        ..DeltaDiscoveryResponse::default()
    }
}

/// A client, and the objects that stand in what it is told.
struct Both {
    client: Client,
    objects: objects::Client,
}

impl Both {
    fn new() -> Self {
        Self::around(Around::default())
    }

    fn around(around: Around) -> Self {
        Self {
            client: Client::new(Asked {
                around,
                ..Asked::default()
            }),
            objects: objects::Client::new(Node::default(), &[kind()]),
        }
    }

    fn take(&mut self, resources: Vec<Resource>, removed: Vec<String>) -> DeltaDiscoveryRequest {
        let heard = self.client.take(response(resources, removed)).unwrap();
        self.objects.take(heard.told);
        let now = self.objects.now();
        self.objects.settle(&BTreeMap::new(), now);
        heard.answer
    }

    fn documents(&self) -> Vec<Value> {
        self.objects
            .in_use()
            .map(|object| object.json.clone())
            .collect()
    }

    fn troubles(&self) -> Vec<String> {
        self.client
            .troubles()
            .map(|trouble| format!("{trouble:?}"))
            .collect()
    }
}

fn made(around: Around, service: Service, workloads: Vec<Workload>) -> (Vec<Value>, Vec<String>) {
    let mut both = Both::around(around);
    let mut all = vec![of_service(service)];
    all.extend(workloads.into_iter().map(of_workload));
    let answer = both.take(all, Vec::new());
    assert_eq!(answer.error_detail, None);
    (both.documents(), both.troubles())
}

#[test]
fn a_service_with_what_runs_behind_it_is_a_service_entry() {
    let (documents, troubles) = made(Around::default(), cart(), vec![pod(1)]);
    assert_eq!(
        documents,
        [json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": "cart.shop.svc.cluster.local~1", "namespace": "shop", "annotations": {}},
            "spec": {
                "hosts": ["cart.shop.svc.cluster.local"], "addresses": ["10.0.0.1"],
                "location": "MESH_INTERNAL", "resolution": "STATIC",
                "ports": [{"number": 80, "name": "port-80", "protocol": "HTTP", "targetPort": 8080}],
                "endpoints": [{
                    "address": "10.1.0.1", "serviceAccount": "cart",
                    "labels": {
                        "service.istio.io/canonical-name": "cart", "service.istio.io/canonical-revision": "v1",
                        "security.istio.io/tlsMode": "disabled",
                    },
                }],
            },
        })]
    );
    assert_eq!(troubles, [""; 0]);
}

#[test]
fn each_field_of_a_workload_is_where_an_endpoint_has_it() {
    let ours = || Around {
        network: "n1".into(),
        trust_domain: "td".into(),
    };
    let gateway = || {
        Some(GatewayAddress {
            hbone_mtls_port: 15008,
        })
    };
    type Change = fn(&mut Workload);
    let cases: [(Change, &str, Value); 17] = [
        (
            |w| w.service_account.clear(),
            "/serviceAccount",
            json!("default"),
        ),
        (|w| w.namespace.clear(), "/serviceAccount", json!("cart")),
        (
            |w| w.trust_domain = "td".into(),
            "/serviceAccount",
            json!("cart"),
        ),
        // Who is of another mesh is no account of ours.
        (
            |w| w.trust_domain = "far".into(),
            "/serviceAccount",
            Value::Null,
        ),
        (|w| w.namespace = "b".into(), "/serviceAccount", Value::Null),
        (|w| w.network = "n1".into(), "/network", json!("n1")),
        (
            |w| w.capacity = Some(UInt32Value { value: 7 }),
            "/weight",
            json!(7),
        ),
        (|_| {}, "/weight", Value::Null),
        (
            |w| w.node = "node-1".into(),
            "/labels/kubernetes.io~1hostname",
            json!("node-1"),
        ),
        (
            |w| w.cluster_id = "c".into(),
            "/labels/topology.istio.io~1cluster",
            json!("c"),
        ),
        (
            |w| w.tunnel_protocol = Tunnel::Istio.into(),
            "/labels/security.istio.io~1tlsMode",
            json!("istio"),
        ),
        (
            |w| w.tunnel_protocol = Tunnel::Hbone.into(),
            "/labels/networking.istio.io~1tunnel",
            json!("http"),
        ),
        (
            |w| {
                w.locality = Some(Locality {
                    region: "r".into(),
                    zone: "z".into(),
                    ..Locality::default()
                });
            },
            "/locality",
            json!("r/z"),
        ),
        (
            |w| {
                w.locality = Some(Locality {
                    subzone: "s".into(),
                    ..Locality::default()
                });
            },
            "/locality",
            json!("//s"),
        ),
        (
            |w| w.addresses = vec![vec![1], vec![0; 16], vec![10, 1, 0, 2]],
            "/address",
            json!("::"),
        ),
        (
            |w| {
                let ports = vec![port(80, 9090, AppProtocol::Unknown)];
                w.services = [(CART.into(), PortList { ports })].into();
            },
            "/ports/port-80",
            json!(9090),
        ),
        (
            |w| {
                w.addresses.clear();
                w.hostname = "cart.example".into();
            },
            "/address",
            json!("cart.example"),
        ),
    ];
    for (change, at, value) in cases {
        let mut workload = pod(1);
        change(&mut workload);
        let (documents, _) = made(ours(), cart(), vec![workload.clone()]);
        let endpoint = &documents[0]["spec"]["endpoints"][0];
        let found = endpoint.pointer(at).cloned().unwrap_or(Value::Null);
        assert_eq!(found, value, "{workload:?}");
    }
    // What is left out, and what is told of it.
    let cases: [(Change, &[&str]); 6] = [
        (|w| w.status = Health::Unhealthy.into(), &[]),
        (|w| w.capacity = Some(UInt32Value { value: 0 }), &[]),
        (|w| w.addresses.clear(), &["NoAddress"]),
        (|w| w.addresses = vec![vec![1, 2, 3]], &["NoAddress"]),
        (|w| w.services.clear(), &[]),
        (|w| w.network = "n2".into(), &["ElsewhereOnly"]),
    ];
    for (change, told) in cases {
        let mut workload = pod(1);
        workload.network_gateway = gateway();
        change(&mut workload);
        let (documents, troubles) = made(ours(), cart(), vec![workload.clone()]);
        assert_eq!(
            documents[0]["spec"]["endpoints"],
            Value::Null,
            "{workload:?}"
        );
        let wanted: Vec<String> = told
            .iter()
            .map(|told| format!("{told}({CART:?})"))
            .collect();
        assert_eq!(troubles, wanted);
    }
}

#[test]
fn each_field_of_a_service_is_where_a_service_entry_has_it() {
    let lb = |mode: Mode, scopes: &[Scope]| {
        Some(LoadBalancing {
            routing_preference: scopes.iter().map(|scope| i32::from(*scope)).collect(),
            mode: mode.into(),
            ..LoadBalancing::default()
        })
    };
    let zone = [Scope::Network, Scope::Region, Scope::Zone];
    let node = [
        Scope::Network,
        Scope::Region,
        Scope::Zone,
        Scope::Subzone,
        Scope::Node,
    ];
    let distribution = "/metadata/annotations/networking.istio.io~1traffic-distribution";
    let change = |change: &dyn Fn(&mut Service)| {
        let mut service = cart();
        change(&mut service);
        service
    };
    for (service, at, value) in [
        (
            change(&|s| s.addresses.clear()),
            "/spec/addresses",
            Value::Null,
        ),
        (
            change(&|s| s.addresses[0].length = Some(24)),
            "/spec/addresses",
            json!(["10.0.0.1/24"]),
        ),
        (
            change(&|s| s.addresses[0].address = vec![1]),
            "/spec/addresses",
            Value::Null,
        ),
        (
            change(&|s| s.visibility = Visibility::Namespace.into()),
            "/spec/exportTo",
            json!(["."]),
        ),
        (
            change(&|s| s.subject_alt_names = vec!["b".into(), "a".into()]),
            "/spec/subjectAltNames",
            json!(["a", "b"]),
        ),
        (
            change(&|s| s.load_balancing = lb(Mode::Failover, &zone)),
            distribution,
            json!("PreferSameZone"),
        ),
        (
            change(&|s| s.load_balancing = lb(Mode::Failover, &node)),
            distribution,
            json!("PreferSameNode"),
        ),
        (
            change(&|s| s.load_balancing = lb(Mode::Strict, &node)),
            distribution,
            Value::Null,
        ),
        (
            change(&|s| s.load_balancing = lb(Mode::Passthrough, &[])),
            "/spec/resolution",
            json!("NONE"),
        ),
        (
            change(&|s| s.load_balancing = lb(Mode::Passthrough, &[])),
            "/spec/endpoints",
            Value::Null,
        ),
        (
            change(&|s| {
                s.ports = vec![
                    port(443, 443, AppProtocol::Tls),
                    port(0, 1, AppProtocol::Tcp),
                    port(70_000, 1, AppProtocol::Tcp),
                ];
            }),
            "/spec/ports",
            json!([{"number": 443, "name": "port-443", "protocol": "TLS"}]),
        ),
        (
            change(&|s| {
                s.ports = vec![
                    port(9, 9, AppProtocol::Unknown),
                    port(7, 9, AppProtocol::Grpc),
                    port(7, 8, AppProtocol::Tcp),
                ];
            }),
            "/spec/ports",
            json!([{"number": 7, "name": "port-7", "protocol": "GRPC", "targetPort": 9}, {"number": 9, "name": "port-9"}]),
        ),
    ] {
        let (documents, _) = made(Around::default(), service.clone(), vec![pod(1)]);
        let found = documents[0].pointer(at).cloned().unwrap_or(Value::Null);
        assert_eq!(found, value, "{service:?}");
    }
    let (_, troubles) = made(
        Around::default(),
        change(&|s| s.load_balancing = lb(Mode::Strict, &node)),
        Vec::new(),
    );
    assert_eq!(troubles, [format!("Strict({CART:?})")]);
    let (documents, _) = made(
        Around::default(),
        change(&|s| s.ports.clear()),
        vec![pod(1)],
    );
    assert!(
        documents.is_empty(),
        "a service without ports serves nobody"
    );
}

#[test]
fn who_is_of_another_mesh_is_named_as_what_he_is() {
    let mut far = pod(1);
    far.trust_domain = "far".into();
    let (documents, _) = made(Around::default(), cart(), vec![far, pod(2)]);
    assert_eq!(
        documents[0]["spec"]["subjectAltNames"],
        json!(["spiffe://far/ns/shop/sa/cart"])
    );
    assert_eq!(
        documents[0]["spec"]["endpoints"][1]["serviceAccount"],
        "cart"
    );
}

#[test]
fn a_port_has_the_endpoints_that_serve_it() {
    let mut service = cart();
    // Named ports of Kubernetes: each pod says its own.
    service.ports = vec![
        port(80, 0, AppProtocol::Http11),
        port(81, 0, AppProtocol::Http11),
        port(82, 8082, AppProtocol::Tcp),
    ];
    let serves = |number: u8, ports: &[u32]| {
        let ports = ports
            .iter()
            .map(|of| port(*of, 8000 + of, AppProtocol::Unknown));
        let mut workload = pod(number);
        workload.services = [(
            CART.into(),
            PortList {
                ports: ports.collect(),
            },
        )]
        .into();
        workload
    };
    let (documents, _) = made(
        Around::default(),
        service,
        vec![serves(1, &[80]), serves(2, &[80, 81])],
    );
    let told: Vec<_> = documents
        .iter()
        .map(|document| {
            let spec = &document["spec"];
            let list = |field: &str, of: &str| {
                let all = spec[field].as_array().into_iter().flatten();
                all.map(|one| one[of].to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            format!(
                "{}: {} at {}",
                document["metadata"]["name"],
                list("ports", "number"),
                list("endpoints", "address")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#""cart.shop.svc.cluster.local~1": 80 82 at "10.1.0.1" "10.1.0.2""#,
            r#""cart.shop.svc.cluster.local~2": 81 at "10.1.0.2""#,
        ]
    );
}
