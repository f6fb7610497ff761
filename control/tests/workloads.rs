//! What the workload API tells of, as core reads it: it is good, and endpoints are where workloads are. Replays the fuzz corpus, too, also
//! cut, and with another byte in each.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

#[path = "../../fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod corpus;
#[path = "../../fuzz/src/workloads.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz target, where it is a library"
)]
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Workload as Client, compile};
use outrigger_core::config::{Finding, MeshConfig, Source, load};
use outrigger_xds::messages::{Any, DeltaDiscoveryResponse, Node, Resource};
use outrigger_xds::workload::messages::{
    Address, AppProtocol, Health, Kind, Message as _, NetworkAddress, Port, PortList, Service,
    Workload,
};
use outrigger_xds::workload::{self, ADDRESS, Asked, kind};
use proptest::prelude::*;

#[test]
fn addresses() {
    corpus::replay(env!("CARGO_MANIFEST_DIR"), "workloads", |bytes| {
        workloads::addresses(bytes);
        for at in (0..bytes.len()).step_by(bytes.len() / 24 + 1) {
            workloads::addresses(&bytes[..at]);
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x15;
            workloads::addresses(&changed);
        }
    });
}

fn port(service: u32, target: u32, spoken: i32) -> Port {
    Port {
        service_port: service,
        target_port: target,
        app_protocol: spoken,
    }
}

fn any_service(number: u8) -> impl Strategy<Value = Service> {
    let ports = prop::collection::btree_map(1..5_u32, (0..2_u32, 0..4_i32), 1..4);
    ports.prop_map(move |ports| Service {
        namespace: "shop".into(),
        hostname: format!("s{number}.example"),
        addresses: vec![NetworkAddress {
            address: vec![10, 0, 0, number],
            ..NetworkAddress::default()
        }],
        ports: ports
            .into_iter()
            .map(|(of, (target, spoken))| port(of, target * 7000, spoken))
            .collect(),
        ..Service::default()
    })
}

fn any_workload(number: u8) -> impl Strategy<Value = Workload> {
    let ports = prop::collection::btree_map(1..5_u32, 0..2_u32, 0..3);
    let services = prop::collection::btree_map(0..3_u8, ports, 0..3);
    (services, any::<bool>()).prop_map(move |(services, is_ready)| Workload {
        uid: format!("w{number}"),
        addresses: vec![vec![10, 1, 0, number]],
        status: if is_ready {
            Health::Healthy
        } else {
            Health::Unhealthy
        }
        .into(),
        services: services
            .into_iter()
            .map(|(service, ports)| {
                let unknown = AppProtocol::Unknown.into();
                let ports = ports.into_iter();
                let ports = ports.map(|(of, target)| port(of, target * 8000, unknown));
                let name = format!("shop/s{service}.example");
                (
                    name,
                    PortList {
                        ports: ports.collect(),
                    },
                )
            })
            .collect(),
        ..Workload::default()
    })
}

/// What core has of what the workload API tells, by host and port; and what it finds.
fn compiled(services: &[Service], workloads: &[Workload]) -> (Table, Vec<Finding>) {
    let resource = |name: String, kind: Kind| Resource {
        version: "1".into(),
        resource: Some(Any {
            type_url: ADDRESS.into(),
            value: Address { kind: Some(kind) }.encode_to_vec().into(),
        }),
        name,
    };
    let services = services.iter().map(|service| {
        let name = format!("{}/{}", service.namespace, service.hostname);
        resource(name, Kind::Service(service.clone()))
    });
    let workloads = workloads
        .iter()
        .map(|workload| resource(workload.uid.clone(), Kind::Workload(workload.clone())));
    let mut client = workload::Client::new(Asked::default());
    let response = DeltaDiscoveryResponse {
        type_url: ADDRESS.into(),
        resources: services.chain(workloads).collect(),
        ..DeltaDiscoveryResponse::default()
    };
    let heard = client.take(response).unwrap();
    assert_eq!(heard.answer.error_detail, None);
    let mut objects = outrigger_xds::client::Client::new(Node::default(), &[kind()]);
    objects.take(heard.told);
    let texts: Vec<(String, String)> = objects
        .candidates()
        .map(|candidate| {
            (
                candidate.object.key.name.to_string(),
                candidate.object.json.to_string(),
            )
        })
        .collect();
    let sources: Vec<Source<'_>> = texts
        .iter()
        .map(|(name, text)| Source {
            name,
            bytes: text.as_bytes(),
        })
        .collect();
    let loaded = load(&sources, "shop");
    let client = Client {
        namespace: "shop".into(),
        ..Client::default()
    };
    let compiled = compile(
        &loaded.resources,
        &client,
        &MeshConfig::default(),
        &[],
        &Answers::default(),
        &mut Registry::default(),
        0,
    );
    let clusters = compiled.snapshot.clusters.iter();
    let table = clusters
        .filter(|cluster| cluster.host.ends_with(".example"))
        .map(|cluster| {
            let endpoints = cluster
                .endpoints
                .iter()
                .map(|endpoint| endpoint.text.to_string());
            (
                (cluster.host.to_string(), u32::from(cluster.port)),
                endpoints.collect(),
            )
        });
    (table.collect(), loaded.findings)
}

/// Endpoints, by host and port.
type Table = BTreeMap<(String, u32), BTreeSet<String>>;

/// The same, as ztunnel would pick them.
fn model(services: &[Service], workloads: &[Workload]) -> Table {
    let mut table = Table::new();
    for service in services {
        let name = format!("{}/{}", service.namespace, service.hostname);
        for port in &service.ports {
            let ready = workloads
                .iter()
                .filter(|one| one.status() == Health::Healthy);
            let endpoints = ready.filter_map(|workload| {
                let own = &workload.services.get(&name)?.ports;
                let own = own.iter().find(|own| own.service_port == port.service_port);
                let target = own.map_or(port.target_port, |own| own.target_port);
                let last = workload.addresses[0][3];
                (target > 0).then(|| format!("10.1.0.{last}:{target}"))
            });
            let key = (service.hostname.clone(), port.service_port);
            table.insert(key, endpoints.collect());
        }
    }
    table
}

proptest! {
    #[test]
    fn endpoints_are_where_workloads_are(
        services in (any_service(0), any_service(1), any_service(2)),
        workloads in (any_workload(0), any_workload(1), any_workload(2), any_workload(3)),
    ) {
        let services = [services.0, services.1, services.2];
        let workloads = [workloads.0, workloads.1, workloads.2, workloads.3];
        let (table, findings) = compiled(&services, &workloads);
        let bad: Vec<_> = findings.iter().filter(|finding| finding.blocks()).collect();
        prop_assert!(bad.is_empty(), "{:?}", bad);
        prop_assert_eq!(table, model(&services, &workloads));
    }
}
