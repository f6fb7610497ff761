//! Endpoints and settings of clusters.

use super::*;
use crate::snapshot::{Balancing, ConsistentHash, HashPolicy, HashTableKind, MatchedField};

#[test]
fn subsets_hold_the_endpoints_with_their_labels() {
    let snapshot = compiled(SERVICES);
    for (name, want) in [
        ("80||web", &["10.0.0.1:80", "10.0.0.2:80"][..]),
        ("80|v1|web", &["10.0.0.1:80"]),
        ("80|v2|web", &["10.0.0.2:80"]),
        ("80|none|web", &[]),
        ("8080||shop", &["10.0.1.1:8080"]),
        ("9||shop", &["10.0.1.1:9"]),
    ] {
        let endpoints = find(&snapshot, name).endpoints.iter();
        let got: Vec<&str> = endpoints.map(|e| &*e.text).collect();
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn service_entries_name_their_endpoints() {
    let config = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.test]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, weight: 3, locality: r/z/s}
  - {address: 10.0.0.2, ports: {http: 9090}}
  - {address: 'unix:///run/a.sock'}
  - {address: 10.0.0.1}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b}
spec:
  hosts: [b.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: c}
spec: {hosts: ['*.c.test'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE, location: MESH_EXTERNAL}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: d}
spec:
  hosts: [d.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  workloadSelector: {labels: {app: d}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: d1, labels: {app: d}}
spec: {address: 10.0.3.1, labels: {app: x}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: d2}
spec: {address: 10.0.3.2, labels: {app: other}}
";
    let snapshot = compiled(config);
    for (name, want) in [
        (
            "80||a.test",
            "10.0.0.1:8080*3 10.0.0.2:9090*1 /run/a.sock*1",
        ),
        ("80||b.test", "10.9.0.1:80*1 10.9.0.2:80*1"),
        ("80||*.c.test", ""),
        ("80||d.test", "10.0.3.1:80*1"),
    ] {
        let endpoints = find(&snapshot, name).endpoints.iter();
        let got: Vec<String> = endpoints
            .map(|e| format!("{}*{}", e.text, e.weight))
            .collect();
        assert_eq!(got.join(" "), want, "{name}");
    }
    assert_eq!(
        find(&snapshot, "80||*.c.test").balancing,
        Balancing::Passthrough
    );
    assert_eq!(
        &*find(&snapshot, "80||a.test").endpoints[0].locality,
        "r/z/s"
    );
    check(
        config,
        &[
            ("GET x.c.test/", "80||*.c.test"),
            ("GET c.test/", "unknown host"),
        ],
    );
}

#[test]
fn policy_blocks_become_cluster_settings() {
    let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: {tcp: {connectTimeout: 2s, idleTimeout: 7s}, http: {maxRequestsPerConnection: 5}}
    portLevelSettings:
    - {port: {number: 8080}, loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: s, labels: {}, trafficPolicy: {connectionPool: {http: {idleTimeout: 9s}}}}
";
    let snapshot = compiled(&format!("{SERVICES}{rule}"));
    let seconds = crate::time::Duration::from_secs;
    for (name, balancing, connect, idle, max) in [
        ("80||shop", Balancing::RoundRobin, 2, 7, Some(5)),
        ("8080||shop", Balancing::Random, 10, 3600, None),
        ("80|s|shop", Balancing::RoundRobin, 10, 9, None),
        ("8080|s|shop", Balancing::Random, 10, 9, None),
        ("80||web", Balancing::LeastRequest, 10, 3600, None),
    ] {
        let cluster = find(&snapshot, name);
        assert_eq!(cluster.balancing, balancing, "{name}");
        assert_eq!(cluster.connect_timeout, seconds(connect), "{name}");
        assert_eq!(cluster.idle_timeout, Some(seconds(idle)), "{name}");
        assert_eq!(cluster.max_requests_per_connection, max, "{name}");
    }
}

#[test]
fn clusters_stand_by_name() {
    let inbound = [8080, 9090, 8080].map(|port| Inbound {
        listen: ([0, 0, 0, 0], 15006).into(),
        application: ([127, 0, 0, 1], port).into(),
    });
    let elsewhere = Inbound {
        application: ([127, 0, 0, 2], 8080).into(),
        ..inbound[0]
    };
    let inbound = [inbound[0], inbound[1], inbound[2], elsewhere];
    let loaded = load(
        &[Source {
            name: "config.yaml",
            bytes: SERVICES.as_bytes(),
        }],
        "default",
    );
    let registry = &mut Registry::default();
    let (workload, mesh) = (Workload::default(), MeshConfig::default());
    let snapshot = compile(
        &loaded.resources,
        &workload,
        &mesh,
        &inbound,
        &Answers::new(),
        registry,
        0,
    )
    .snapshot;
    let names: Vec<&str> = snapshot.clusters.iter().map(|c| &*c.name).collect();
    assert!(names.windows(2).all(|two| two[0] < two[1]), "{names:?}");
    let applications: Vec<&str> = snapshot
        .inbound
        .iter()
        .map(|id| match &*snapshot.virtual_host(*id).rules[0].action {
            Action::Forward(Forward { destinations, .. }) => match &destinations[0].cluster {
                DestinationCluster::Known(id) => &*snapshot.cluster(*id).endpoints[0].text,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    let want = [
        "127.0.0.1:8080",
        "127.0.0.1:9090",
        "127.0.0.1:8080",
        "127.0.0.2:8080",
    ];
    assert_eq!(applications, want);
}

#[test]
fn inbound_listeners_forward_to_the_application() {
    let inbound = [Inbound {
        listen: ([0, 0, 0, 0], 15006).into(),
        application: ([127, 0, 0, 1], 8080).into(),
    }];
    let (resources, workload, mesh) = (
        Resources::default(),
        Workload::default(),
        MeshConfig::default(),
    );
    let registry = &mut Registry::default();
    let first = compile(
        &resources,
        &workload,
        &mesh,
        &inbound,
        &Answers::new(),
        registry,
        0,
    )
    .snapshot;
    let virtual_host = first.virtual_host(first.inbound[0]);
    assert_eq!(&*virtual_host.name, "inbound|http|8080");
    assert_eq!(&*virtual_host.rules[0].name, "default");
    assert_eq!(&*first.clusters[0].name, "inbound|8080||");
    assert_eq!(&*first.clusters[0].endpoints[0].text, "127.0.0.1:8080");
    // The state of an endpoint outlives the snapshot that named it first.
    let second = compile(
        &resources,
        &workload,
        &mesh,
        &inbound,
        &Answers::new(),
        registry,
        first.revision,
    )
    .snapshot;
    let state = |s: &Snapshot| s.clusters[0].endpoints[0].state.id();
    assert_eq!((second.revision, state(&second)), (2, state(&first)));
}

/// The annotation stands in for the default; whatever else is written stays, and the factor is for what hashes.
#[test]
fn annotations_say_how_endpoints_are_picked() {
    let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: shop
  annotations: {outrigger.dev/load-balancer: PEAK_EWMA, outrigger.dev/hash-balance-factor: '150'}
spec:
  host: shop
  trafficPolicy:
    portLevelSettings:
    - {port: {number: 8080}, loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: least, trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}
  - {name: ring, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}
  - name: maglev
    trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 251}}}}
";
    let snapshot = compiled(&format!("{SERVICES}{rule}"));
    let hashed = |table| {
        Balancing::ConsistentHash(ConsistentHash {
            table,
            balance_factor: Some(150),
        })
    };
    let field = MatchedField::new("x-user").map(HashPolicy::Field);
    for (name, balancing, policy) in [
        ("80||shop", Balancing::PeakEwma, None),
        ("8080||shop", Balancing::Random, None),
        ("80|least|shop", Balancing::PeakEwma, None),
        ("80||web", Balancing::LeastRequest, None),
        (
            "80|ring|shop",
            hashed(HashTableKind::Ring { min_size: 1024 }),
            field,
        ),
        (
            "8080|maglev|shop",
            hashed(HashTableKind::Maglev { size: 251 }),
            Some(HashPolicy::SourceAddress),
        ),
    ] {
        let cluster = find(&snapshot, name);
        assert_eq!(cluster.balancing, balancing, "{name}");
        assert_eq!(cluster.hash_policy.as_deref(), policy.as_ref(), "{name}");
    }
}
