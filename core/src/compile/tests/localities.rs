//! Where endpoints and the workload are, and what clusters make of it.

use super::*;
use crate::snapshot::LocalityPolicy;

/// Nodes, pods of `web` on them and in slices, and other instances of the workload `us`.
const CONFIG: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: a}}}
- {apiVersion: v1, kind: Node, metadata: {name: n2, labels: {failure-domain.beta.kubernetes.io/region: r,
    failure-domain.beta.kubernetes.io/zone: b, topology.istio.io/subzone: s}}}
- {apiVersion: v1, kind: Node, metadata: {name: n3, labels: {other: label}}}
- {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{name: http, port: 80}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: w1, labels: {app: web}}, spec: {nodeName: n1}, status: {podIP: 10.0.0.1}}
- {apiVersion: v1, kind: Pod, metadata: {name: w2, labels: {app: web}}, spec: {nodeName: n2}, status: {podIP: 10.0.0.2}}
- {apiVersion: v1, kind: Pod, metadata: {name: w3, labels: {app: web}}, spec: {nodeName: n3}, status: {podIP: 10.0.0.3}}
- {apiVersion: v1, kind: Pod, metadata: {name: w4, labels: {app: web, istio-locality: q.z}}, spec: {nodeName: n1}, status: {podIP: 10.0.0.4}}
- {apiVersion: v1, kind: Pod, metadata: {name: w5, labels: {app: web, topology.kubernetes.io/zone: c}}, status: {podIP: 10.0.0.5}}
- apiVersion: v1
  kind: Service
  metadata: {name: sliced}
  spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: sliced, labels: {kubernetes.io/service-name: sliced}}
  addressType: IPv4
  ports: [{name: http, port: 80}]
  endpoints:
  - {addresses: [10.0.0.1], targetRef: {kind: Pod, name: w1}, zone: wrong}
  - {addresses: [10.0.0.6], nodeName: n2}
  - {addresses: [10.0.0.7], zone: z}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: us}
spec:
  hosts: [us.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: us}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: us-1, labels: {app: us}}
spec: {address: 10.1.0.1, locality: r/a}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: us-2, labels: {app: us}}
spec: {address: 10.1.0.2, locality: r/b}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: us-3, labels: {app: us}}
spec: {address: 10.1.0.3, locality: r/b}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: us-far, labels: {app: us}}
spec: {address: 10.1.0.4, locality: far}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: us-new, labels: {app: us, pod-template-hash: new}}
spec: {address: 10.1.0.5, locality: r/a}
";

fn workload(labels: &[(&str, &str)]) -> Workload {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Workload {
        labels: labels.iter().map(owned).collect(),
        ..Workload::default()
    }
}

fn rule(policy: &str) -> String {
    let spec = format!("{{host: web, trafficPolicy: {{{policy}}}}}");
    format!("{CONFIG}{}", istio("DestinationRule", "name: web", &spec))
}

/// `locality:priority` of every endpoint.
fn places(snapshot: &Snapshot, cluster: &str) -> String {
    let endpoints = find(snapshot, cluster).endpoints.iter();
    let all: Vec<_> = endpoints
        .map(|e| format!("{}:{}", e.locality, e.priority))
        .collect();
    all.join(" ")
}

#[test]
fn endpoints_are_where_their_nodes_are() {
    let snapshot = compiled(CONFIG);
    assert_eq!(places(&snapshot, "80||web"), "r/a:0 r/b/s:0 :0 q/z:0 /c:0");
    assert_eq!(places(&snapshot, "80||sliced"), "r/a:0 r/b/s:0 /z:0");
}

#[test]
fn places_are_labels_of_endpoints_for_subsets_too() {
    let subsets = "{host: web, subsets: [{name: b, labels: {topology.kubernetes.io/zone: b}}, {name: n1, labels: {kubernetes.io/hostname: n1}}]}";
    let config = format!("{CONFIG}{}", istio("DestinationRule", "name: web", subsets));
    let snapshot = compiled(&config);
    assert_eq!(places(&snapshot, "80|b|web"), "r/b/s:0");
    assert_eq!(places(&snapshot, "80|n1|web"), "r/a:0 q/z:0");
}

#[test]
fn priorities_are_those_of_the_workload() {
    for (labels, policy, want) in [
        (
            &[("istio-locality", "r.b.s")][..],
            "outlierDetection: {}",
            "r/a:1 r/b/s:0 :2 q/z:2 /c:2",
        ),
        (
            &[("istio-locality", "r.b.s")],
            "tls: {mode: DISABLE}",
            "r/a:0 r/b/s:0 :0 q/z:0 /c:0",
        ),
        (
            &[("istio-locality", "q")],
            "outlierDetection: {}",
            "r/a:1 r/b/s:1 :1 q/z:0 /c:1",
        ),
        (&[], "outlierDetection: {}", "r/a:2 r/b/s:2 :0 q/z:2 /c:1"),
        // A policy of one port replaces what stands above it.
        (
            &[("istio-locality", "q")],
            "outlierDetection: {}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]",
            "r/a:0 r/b/s:0 :0 q/z:0 /c:0",
        ),
    ] {
        let mesh = MeshConfig::default();
        let snapshot = compiled_for(&rule(policy), &workload(labels), &mesh);
        assert_eq!(places(&snapshot, "80||web"), want, "{labels:?} {policy}");
    }
}

fn compile_rule(policy: &str, labels: &[(&str, &str)]) -> Compiled {
    let text = rule(policy);
    let source = Source {
        name: "config.yaml",
        bytes: text.as_bytes(),
    };
    let resources = load(&[source], "default").resources;
    let registry = &mut Registry::default();
    let mesh = MeshConfig::default();
    compile(
        &resources,
        &workload(labels),
        &mesh,
        &[],
        &Answers::new(),
        registry,
        0,
    )
}

/// What zone-aware routing of `web` goes by.
fn zones(labels: &[(&str, &str)]) -> String {
    let snapshot = compile_rule("loadBalancer: {zoneAwareLbSetting: {}}", labels).snapshot;
    match &find(&snapshot, "80||web").locality_policy {
        LocalityPolicy::ZoneAware(zones) => {
            let one = |(zone, count): &(Box<str>, u32)| format!("{zone}={count}");
            let all: Vec<_> = zones.proxies.iter().map(one).collect();
            format!("{}: {}", zones.own, all.join(" "))
        }
        LocalityPolicy::Alike => "alike".to_owned(),
        LocalityPolicy::Weighted(_) => "weighted".to_owned(),
    }
}

#[test]
fn peers_are_the_endpoints_of_the_own_service() {
    for (labels, want) in [
        (
            &[("app", "us"), ("istio-locality", "r.a")][..],
            "r/a: r/a=1 r/b=2",
        ),
        (
            &[("app", "us"), ("istio-locality", "r.b")],
            "r/b: r/a=1 r/b=2",
        ),
        // Nobody of its kind is in its zone, or in two zones of its region.
        (&[("app", "us"), ("istio-locality", "r.c")], "alike"),
        (&[("app", "us"), ("istio-locality", "far")], "alike"),
        (
            &[
                ("app", "us"),
                ("pod-template-hash", "new"),
                ("istio-locality", "r.a"),
            ],
            "alike",
        ),
        (&[("app", "nobody"), ("istio-locality", "r.a")], "alike"),
        (&[("istio-locality", "r.a")], "alike"),
    ] {
        assert_eq!(zones(labels), want, "{labels:?}");
    }
}

#[test]
fn settings_that_can_do_nothing_are_told() {
    const ZONES: &str = "loadBalancer: {zoneAwareLbSetting: {}}";
    const FAILOVER: &str =
        "loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}, outlierDetection: {}";
    let distribute = |from: &str| {
        format!(
            "loadBalancer: {{localityLbSetting: {{distribute: [{{from: {from}, to: {{a: 100}}}}]}}}}"
        )
    };
    let here = [("app", "us"), ("istio-locality", "r.a")];
    for (labels, policy, want) in [
        (&here[..], ZONES.to_owned(), ""),
        (
            &here[1..],
            ZONES.to_owned(),
            "no-peers spec.trafficPolicy.loadBalancer.zoneAwareLbSetting",
        ),
        (
            &[],
            ZONES.to_owned(),
            "no-locality spec.trafficPolicy.loadBalancer.zoneAwareLbSetting",
        ),
        (&[], ZONES.replace("{}", "{enabled: false}"), ""),
        (&here[1..], FAILOVER.to_owned(), ""),
        (
            &[],
            FAILOVER.to_owned(),
            "no-locality spec.trafficPolicy.loadBalancer.localityLbSetting",
        ),
        (
            &[],
            FAILOVER.replace("{failover", "{enabled: false, failover"),
            "",
        ),
        (
            &[],
            distribute("a"),
            "no-locality spec.trafficPolicy.loadBalancer.localityLbSetting",
        ),
        (&[], distribute("'*'"), ""),
        (&[], "outlierDetection: {}".to_owned(), ""),
        (
            &[],
            format!("tls: {{}}, portLevelSettings: [{{port: {{number: 80}}, {ZONES}}}]"),
            "no-locality spec.trafficPolicy.portLevelSettings[0].loadBalancer.zoneAwareLbSetting",
        ),
    ] {
        let compiled = compile_rule(&policy, labels);
        let told: Vec<_> = compiled
            .findings
            .iter()
            .map(|f| format!("{} {}", f.code, f.path))
            .collect();
        assert_eq!(told.join(", "), want, "{labels:?} {policy}");
    }
}

#[test]
fn warm_up_is_read_in_both_spellings() {
    for (policy, want) in [
        ("simple: RANDOM", None),
        ("warmup: {duration: 5s}", Some((5, 0.1, 1.0))),
        (
            "warmup: {duration: 5s, minimumPercent: 0, aggression: 2}",
            Some((5, 0.0, 2.0)),
        ),
        ("warmupDurationSecs: 7s", Some((7, 0.1, 1.0))),
        (
            "warmup: {duration: 5s}, warmupDurationSecs: 7s",
            Some((5, 0.1, 1.0)),
        ),
    ] {
        let snapshot = compiled(&rule(&format!("loadBalancer: {{{policy}}}")));
        let got = find(&snapshot, "80||web").warm_up;
        let got = got.map(|w| (w.duration.as_secs(), w.minimum, w.aggression));
        assert_eq!(got, want, "{policy}");
    }
}
