//! Precedence by table, from what is written to what is spoken.

use super::*;
use crate::cluster::Registry;
use crate::compile::{Answers, Compiled, Inbound, Workload, compile};
use crate::config::{Source, load};
use crate::time::Duration;

const AS_CLIENT: &str = "as client";

/// `http1`, `http2`, `http2 STREAMS`, `http2 STREAMS INTERVAL/TIMEOUT` or `as client`.
fn text(protocol: UpstreamProtocol) -> String {
    let options = match protocol {
        UpstreamProtocol::Http1 => return "http1".into(),
        UpstreamProtocol::AsClient => return AS_CLIENT.into(),
        UpstreamProtocol::Http2(options) => options,
    };
    let streams = options.max_concurrent_streams;
    let pings = options.keepalive;
    let streams = streams.map(|streams| format!(" {streams}"));
    let seconds = |time: Duration| time.as_secs();
    let pings = pings.map(|p| format!(" {}/{}", seconds(p.interval), seconds(p.timeout)));
    format!(
        "http2{}{}",
        streams.unwrap_or_default(),
        pings.unwrap_or_default()
    )
}

/// What comes of a port protocol, a pool's `http` block and the mesh's policy, on both sides.
fn check(port: Protocol, pool: Option<&str>, h2_upgrade: bool, out: &str, into: &str) {
    let http = pool.map_or_else(String::new, |http| {
        format!(", trafficPolicy: {{connectionPool: {{http: {http}}}}}")
    });
    let rule = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a}}\nspec: {{host: a{http}}}\n"
    );
    let source = Source {
        name: "f",
        bytes: rule.as_bytes(),
    };
    let resources = load(&[source], "default").resources;
    let policy = resources.destination_rules[0].traffic_policy.as_ref();
    let pool = policy.and_then(|policy| policy.connection_pool.as_ref());
    let mesh = MeshConfig {
        h2_upgrade,
        ..MeshConfig::default()
    };
    let got = [outbound(port, pool, &mesh), inbound(port, pool)].map(text);
    assert_eq!(got, [out, into], "{port:?} {pool:?} {h2_upgrade}");
}

#[test]
fn ports_then_pools_then_the_mesh() {
    let all = |protocols: &[Protocol], pool, mesh, out: &str, into: &str| {
        for port in protocols {
            check(*port, pool, mesh, out, into);
        }
    };
    let h1 = &[Protocol::Http][..];
    let h2 = &[Protocol::Http2, Protocol::Grpc, Protocol::GrpcWeb][..];
    let open = &[Protocol::Sniff][..];
    let bytes = &[
        Protocol::Https,
        Protocol::Tls,
        Protocol::Tcp,
        Protocol::Mongo,
        Protocol::Mysql,
        Protocol::Redis,
    ][..];
    let (upgrade, not) = (
        Some("{h2UpgradePolicy: UPGRADE}"),
        Some("{h2UpgradePolicy: DO_NOT_UPGRADE}"),
    );
    let (default, client) = (
        Some("{h2UpgradePolicy: DEFAULT}"),
        Some("{useClientProtocol: true}"),
    );
    for pool in [None, default] {
        for mesh in [false, true] {
            all(h2, pool, mesh, "http2", "http2");
            all(open, pool, mesh, AS_CLIENT, AS_CLIENT);
            all(bytes, pool, mesh, AS_CLIENT, AS_CLIENT);
        }
        all(h1, pool, false, "http1", "http1");
        all(h1, pool, true, "http2", "http1");
    }
    for mesh in [false, true] {
        // A rule's word goes before the mesh's, and makes no HTTP/2 port speak less.
        all(h1, upgrade, mesh, "http2", "http1");
        all(h1, not, mesh, "http1", "http1");
        all(h2, upgrade, mesh, "http2", "http2");
        all(h2, not, mesh, "http2", "http2");
        all(open, upgrade, mesh, "http2", AS_CLIENT);
        all(open, not, mesh, AS_CLIENT, AS_CLIENT);
        for pool in [upgrade, not, client] {
            all(bytes, pool, mesh, AS_CLIENT, AS_CLIENT);
        }
        // The client's word goes before all others.
        for ports in [h1, h2, open] {
            all(ports, client, mesh, AS_CLIENT, AS_CLIENT);
        }
    }
    let unlike = Some("{useClientProtocol: true, h2UpgradePolicy: DO_NOT_UPGRADE}");
    all(h2, unlike, true, AS_CLIENT, AS_CLIENT);
}

#[test]
fn settings_of_connections_hold_where_they_are_always_http2() {
    let both = "maxConcurrentStreams: 7, http2KeepAlive: {interval: 3s, timeout: 1s}";
    let whole = format!("{{{both}}}");
    let upgraded = format!("{{h2UpgradePolicy: UPGRADE, {both}}}");
    let client = format!("{{useClientProtocol: true, {both}}}");
    let (http, http2, open) = (Protocol::Http, Protocol::Http2, Protocol::Sniff);
    for (port, pool, mesh, out, into) in [
        (http2, &*whole, false, "http2 7 3/1", "http2 7 3/1"),
        (http, &whole, false, "http1", "http1"),
        (http, &whole, true, "http2 7 3/1", "http1"),
        (http, &upgraded, false, "http2 7 3/1", "http1"),
        (open, &whole, false, AS_CLIENT, AS_CLIENT),
        (open, &upgraded, false, "http2 7 3/1", AS_CLIENT),
        (http2, &client, false, AS_CLIENT, AS_CLIENT),
        (http2, "{maxConcurrentStreams: 0}", false, "http2", "http2"),
        (
            http2,
            "{maxConcurrentStreams: 1}",
            false,
            "http2 1",
            "http2 1",
        ),
        (
            http2,
            "{maxRequestsPerConnection: 3}",
            false,
            "http2",
            "http2",
        ),
    ] {
        check(port, Some(pool), mesh, out, into);
    }
}

/// A configuration on a workload `app: shop` whose application is at `port`.
fn compiled(yaml: &str, port: u16) -> Compiled {
    let source = Source {
        name: "f",
        bytes: yaml.as_bytes(),
    };
    let resources = load(&[source], "default").resources;
    let workload = Workload {
        labels: [("app".to_owned(), "shop".to_owned())].into(),
        ..Workload::default()
    };
    let at = |port| ([127, 0, 0, 1], port).into();
    let inbound = [Inbound {
        listen: at(15006),
        application: at(port),
    }];
    let (mesh, answers) = (MeshConfig::default(), Answers::new());
    let registry = &mut Registry::default();
    compile(
        &resources, &workload, &mesh, &inbound, &answers, registry, 0,
    )
}

/// What is spoken to the clusters of a configuration, by name.
fn spoken(yaml: &str, port: u16) -> Vec<(String, String)> {
    let compiled = compiled(yaml, port);
    let clusters = compiled.snapshot.clusters.iter();
    clusters
        .map(|cluster| (cluster.name.to_string(), text(cluster.protocol)))
        .collect()
}

#[test]
fn every_cluster_says_what_it_speaks() {
    let yaml = "
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  ports:
  - {name: http-a, port: 1}
  - {name: grpc, port: 2}
  - {name: x, port: 3, appProtocol: kubernetes.io/h2c}
  - {name: grpc-web-b, port: 4}
  - {name: other, port: 5}
  - {name: https, port: 6}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out}
spec:
  hosts: [out.test]
  resolution: STATIC
  ports: [{number: 1, name: a, protocol: HTTP2}, {number: 2, name: http, protocol: ''}, {number: 3, name: c, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop
  trafficPolicy:
    connectionPool: {http: {maxConcurrentStreams: 3}}
    portLevelSettings: [{port: {number: 1}, connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}]
  subsets:
  - {name: s, trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}}
  - {name: t, trafficPolicy: {portLevelSettings: [{port: {number: 2}, connectionPool: {http: {maxConcurrentStreams: 5}}}]}}
";
    let spoken = spoken(yaml, 80);
    for (port, host, subset, want) in [
        (1, "shop", "", "http2"),
        (2, "shop", "", "http2 3"),
        (3, "shop", "", "http2 3"),
        (4, "shop", "", "http2 3"),
        (5, "shop", "", AS_CLIENT),
        (6, "shop", "", AS_CLIENT),
        (1, "shop", "s", AS_CLIENT),
        (2, "shop", "s", AS_CLIENT),
        (1, "shop", "t", "http2"),
        (2, "shop", "t", "http2 5"),
        (3, "shop", "t", "http2 3"),
        (1, "out", "", "http2"),
        (2, "out", "", AS_CLIENT),
        (3, "out", "", "http1"),
    ] {
        let host = match host {
            "shop" => "shop.default.svc.cluster.local",
            _ => "out.test",
        };
        let name = format!("outbound|{port}|{subset}|{host}");
        let found = spoken.iter().find(|(cluster, _)| *cluster == name);
        assert_eq!(found.map(|(_, said)| &**said), Some(want), "{name}");
    }
    let (_, inbound) = spoken
        .iter()
        .find(|(name, _)| name == "inbound|80||")
        .unwrap();
    assert_eq!(inbound, AS_CLIENT, "no service has this port");
}

#[test]
fn an_application_is_spoken_to_as_its_service_says() {
    let service = |name: &str, created: &str, port: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}{created}}}\nspec: {{selector: {{app: shop}}, ports: [{port}]}}\n"
        )
    };
    let plain = "{name: http, port: 80, targetPort: 8080}";
    let grpc = "{name: grpc, port: 80, targetPort: 8080}";
    let young = ", creationTimestamp: '2024-01-02T00:00:00Z'";
    let old = ", creationTimestamp: '2024-01-01T00:00:00Z'";
    let sidecar = |protocol: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: s}}\nspec: {{ingress: [{{port: \
             {{number: 9000, name: x, protocol: {protocol}}}, defaultEndpoint: '127.0.0.1:8080'}}]}}\n"
        )
    };
    let entry = "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec: {hosts: [e.test], \
                 resolution: STATIC, workloadSelector: {labels: {app: shop}}, ports: [{number: 80, targetPort: 8080, name: x, \
                 protocol: GRPC}]}\n";
    let rule = |http: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: a}}\nspec: {{host: a, \
             trafficPolicy: {{connectionPool: {{http: {http}}}}}}}\n"
        )
    };
    for (yaml, want) in [
        (service("a", "", plain), "http1"),
        (service("a", "", grpc), "http2"),
        (service("a", "", "{port: 80, targetPort: 8080}"), AS_CLIENT),
        (service("a", "", "{name: grpc, port: 80}"), AS_CLIENT),
        (entry.to_owned(), "http2"),
        (service("a", "", grpc) + &service("b", "", plain), "http2"),
        (
            service("a", young, grpc) + &service("b", old, plain),
            "http1",
        ),
        (service("a", "", grpc) + &sidecar("HTTP"), "http1"),
        (service("a", "", plain) + &sidecar("HTTP2"), "http2"),
        (
            service("a", "", grpc) + &rule("{maxConcurrentStreams: 9}"),
            "http2 9",
        ),
        (
            service("a", "", grpc) + &rule("{useClientProtocol: true}"),
            AS_CLIENT,
        ),
        // The application is no peer that could be upgraded.
        (
            service("a", "", plain) + &rule("{h2UpgradePolicy: UPGRADE}"),
            "http1",
        ),
    ] {
        let spoken = spoken(&yaml, 8080);
        let (_, said) = spoken
            .iter()
            .find(|(name, _)| name == "inbound|8080||")
            .unwrap();
        assert_eq!(said, want, "{yaml}");
    }
}

/// The names of the virtual hosts that translate gRPC-Web.
fn translated(yaml: &str, port: u16) -> Vec<String> {
    let compiled = compiled(yaml, port);
    let hosts = compiled.snapshot.virtual_hosts.iter();
    let translated = hosts.filter(|host| host.grpc_web);
    translated.map(|host| host.name.to_string()).collect()
}

#[test]
fn ports_of_grpc_web_are_translated_on_both_sides() {
    let yaml = "
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{name: grpc-web, port: 80, targetPort: 8080}, {name: grpc, port: 81}, {name: x, port: 82, appProtocol: grpc-web}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop], http: [{match: [{port: 82}], route: [{destination: {host: shop, port: {number: 81}}}]}]}
";
    let host = "shop.default.svc.cluster.local";
    let outbound = [format!("{host}:80"), format!("{host}:82")];
    let inbound = "inbound|http|8080".to_owned();
    let both = [&outbound[..], &[inbound]].concat();
    assert_eq!(translated(yaml, 8080), both);
    assert_eq!(translated(yaml, 81), outbound);
}
