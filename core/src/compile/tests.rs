//! From YAML to decisions: what a request comes to under a configuration, by table.
//!
//! A request is written `METHOD authority/path name=value…`; what it comes to is a cluster with the path and authority
//! that go upstream where they changed, or the answer given instead.

use std::fmt::Write as _;

use super::*;
use crate::entropy::Entropy;
use crate::message::RequestHead;
use crate::policy::authority::{Selected, select};
use crate::policy::{destination, header_ops, redirect, rewrite, route};
use crate::snapshot::{Action, Cluster, DestinationCluster, Forward, Rule};

mod clusters;
mod identities;
mod kubernetes;
mod localities;
mod names;
mod namespaces;
mod routing;
mod scale;
mod scope;
mod service_names;

/// Two versions of `web` on port 80, `shop` with two ports, and `db` that is no HTTP.
const SERVICES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 8080, name: alt, protocol: HTTP}, {number: 9, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 10.0.1.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.default.svc.cluster.local]
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 10.0.2.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: none, labels: {version: v9}}]
";

fn virtual_service(name: &str, spec: &str) -> String {
    format!(
        "\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

fn with_http(rules: &str) -> String {
    let spec = format!("{{hosts: [web], http: [{rules}]}}");
    format!("{SERVICES}{}", virtual_service("web", &spec))
}

fn compiled(config: &str) -> Snapshot {
    compiled_for(config, &Workload::default(), &MeshConfig::default())
}

/// Names that resolve to 10.9.0.N.
fn answers(all: &[(&str, &[u8])]) -> Answers {
    let address = |n: &u8| core::net::IpAddr::from([10, 9, 0, *n]);
    let answer =
        |(name, last): &(&str, &[u8])| ((*name).into(), last.iter().map(address).collect());
    Answers {
        names: all.iter().map(answer).collect(),
        ..Answers::new()
    }
}

fn compiled_for(config: &str, workload: &Workload, mesh: &MeshConfig) -> Snapshot {
    let source = Source {
        name: "config.yaml",
        bytes: config.as_bytes(),
    };
    let loaded = load(&[source], &workload.namespace);
    let errors: Vec<String> = loaded
        .findings
        .iter()
        .filter(|f| f.severity == crate::config::Severity::Error)
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let registry = &mut Registry::default();
    let compiled = compile(
        &loaded.resources,
        workload,
        mesh,
        &[],
        &answers(&[("api.example.com", &[1]), ("b.test", &[2, 1])]),
        registry,
        0,
    );
    assert_eq!(compiled.findings, []);
    compiled.snapshot
}

fn parse(request: &str) -> RequestHead {
    let mut words = request.split(' ');
    let method = words.next().unwrap().parse().unwrap();
    let target = words.next().unwrap();
    let slash = target.find('/').unwrap();
    let mut head = RequestHead {
        method,
        authority: target[..slash].into(),
        path: target[slash..].into(),
        ..RequestHead::default()
    };
    for field in words {
        let (name, value) = field.split_once('=').unwrap();
        head.headers
            .append(name.as_bytes(), value.as_bytes())
            .unwrap();
    }
    head
}

fn cluster_name(snapshot: &Snapshot, cluster: &DestinationCluster) -> String {
    match cluster {
        DestinationCluster::Known(id) => snapshot.cluster(*id).name.to_string(),
        DestinationCluster::Missing(name) => format!("503 NC {name}"),
        DestinationCluster::Passthrough => "PassthroughCluster".into(),
    }
}

/// The name of a cluster without the part that all test services share.
fn short(name: &str) -> String {
    name.replace("outbound|", "")
        .replace(".default.svc.cluster.local", "")
}

fn outcome(snapshot: &Snapshot, request: &str, entropy: u64) -> String {
    let head = parse(request);
    let virtual_host = match select(&snapshot.hosts, &head.authority, None) {
        Selected::UnknownHost => return "unknown host".into(),
        Selected::NoPort => return "no port".into(),
        Selected::VirtualHost(id, _) => snapshot.virtual_host(id),
    };
    let Some(at) = route::find(virtual_host, &head, "http", None) else {
        return "404 NR".into();
    };
    let rule = &virtual_host.rules[at];
    match &*rule.action {
        Action::Redirect(to) => {
            let location = redirect::location(to, &rule.condition, &head, "http");
            format!(
                "{} {}",
                to.status.as_u16(),
                String::from_utf8(location).unwrap()
            )
        }
        Action::Respond(answer) => {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            format!("{} {body}", answer.status.as_u16())
        }
        Action::Forward(forward) => forwarded(snapshot, rule, forward, head, entropy),
    }
}

fn forwarded(
    snapshot: &Snapshot,
    rule: &Rule,
    forward: &Forward,
    received: RequestHead,
    entropy: u64,
) -> String {
    let at = destination::pick(forward, Entropy(entropy)).unwrap();
    let chosen = &forward.destinations[at];
    let context = header_ops::FormatContext {
        request: &received,
        scheme: "http",
        downstream_remote: None,
        downstream_local: None,
        upstream_host: "",
        route_name: &rule.name,
    };
    let mut head = received.clone();
    header_ops::apply_to_request(&chosen.request, &mut head, &context);
    rewrite::apply(&forward.rewrite, &rule.condition, &mut head);
    let mut out = short(&cluster_name(snapshot, &chosen.cluster));
    if head.path != received.path {
        write!(out, " {}", String::from_utf8_lossy(&head.path)).unwrap();
    }
    if head.authority != received.authority {
        write!(out, " @{}", String::from_utf8_lossy(&head.authority)).unwrap();
    }
    for field in head.headers.iter() {
        if !received.headers.iter().any(|f| f == field) {
            let (name, value) = (
                String::from_utf8_lossy(field.name),
                String::from_utf8_lossy(field.value),
            );
            write!(out, " {name}={value}").unwrap();
        }
    }
    out
}

fn check(config: &str, cases: &[(&str, &str)]) {
    check_snapshot(&compiled(config), config, cases);
}

fn check_snapshot(snapshot: &Snapshot, config: &str, cases: &[(&str, &str)]) {
    for (request, want) in cases {
        assert_eq!(outcome(snapshot, request, 0), *want, "{request}\n{config}");
    }
}

fn find<'s>(snapshot: &'s Snapshot, name: &str) -> &'s Cluster {
    let mut all = snapshot.clusters.iter();
    all.find(|c| short(&c.name) == name)
        .unwrap_or_else(|| panic!("no cluster {name}"))
}

/// The addresses of a cluster's endpoints.
fn addresses(snapshot: &Snapshot, cluster: &str) -> String {
    let endpoints = find(snapshot, cluster).endpoints.iter();
    endpoints.map(|e| &*e.text).collect::<Vec<_>>().join(" ")
}

/// A resource of networking.istio.io; `meta` is the inside of its metadata.
fn istio(kind: &str, meta: &str, spec: &str) -> String {
    format!(
        "\n---\napiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{{meta}}}\nspec: {spec}\n"
    )
}

/// A service of this namespace with one endpoint of this address.
fn service(name: &str, namespace: &str, address: &str) -> String {
    istio(
        "ServiceEntry",
        &format!("name: {name}, namespace: {namespace}"),
        &format!(
            "{{hosts: [{name}.{namespace}.svc.cluster.local], ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: STATIC, endpoints: [{{address: {address}, labels: {{version: v1}}}}]}}"
        ),
    )
}

const TO_V1: &str = "route: [{destination: {host: web, subset: v1}}]";
const TO_V2: &str = "route: [{destination: {host: web, subset: v2}}]";
