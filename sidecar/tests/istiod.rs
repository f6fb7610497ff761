//! Sidecars that run by what istiod's `api` generator tells (`run --xds --xds-kind istiod`), as programs.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/istiod.rs"]
mod istiod;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use outrigger_xds::messages::{Any, Message};

use control::{command, until};
use istiod::Istiod;
use proxy::{Proxy, application};
use support::Told;

const RULES: &str = "networking.istio.io/v1/VirtualService";
const SERVICES: &str = "networking.istio.io/v1/ServiceEntry";
const POLICIES: &str = "security.istio.io/v1/AuthorizationPolicy";
const MESH: &str = "core/v1alpha1/MeshConfig";

/// Istio's messages, as far as the tests send them.
#[derive(Clone, PartialEq, Message)]
struct ServiceEntry {
    #[prost(string, repeated, tag = "1")]
    hosts: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    ports: Vec<ServicePort>,
    #[prost(int32, tag = "4")]
    location: i32,
    #[prost(int32, tag = "5")]
    resolution: i32,
    #[prost(message, repeated, tag = "6")]
    endpoints: Vec<WorkloadEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct ServicePort {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, tag = "2")]
    protocol: String,
    #[prost(string, tag = "3")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct WorkloadEntry {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(btree_map = "string, uint32", tag = "2")]
    ports: BTreeMap<String, u32>,
}

#[derive(Clone, PartialEq, Message)]
struct VirtualService {
    #[prost(string, repeated, tag = "1")]
    hosts: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    http: Vec<HttpRoute>,
    /// No version of Istio's has it yet.
    #[prost(uint32, tag = "4000")]
    later: u32,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRoute {
    #[prost(message, repeated, tag = "2")]
    route: Vec<HttpRouteDestination>,
    #[prost(message, optional, tag = "8")]
    fault: Option<Fault>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRouteDestination {
    #[prost(message, optional, tag = "1")]
    destination: Option<Destination>,
}

#[derive(Clone, PartialEq, Message)]
struct Destination {
    #[prost(string, tag = "1")]
    host: String,
}

#[derive(Clone, PartialEq, Message)]
struct Fault {
    #[prost(message, optional, tag = "2")]
    abort: Option<Abort>,
}

#[derive(Clone, PartialEq, Message)]
struct Abort {
    #[prost(int32, tag = "2")]
    http_status: i32,
    #[prost(message, optional, tag = "5")]
    percentage: Option<Percent>,
}

#[derive(Clone, PartialEq, Message)]
struct Percent {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct MeshConfig {
    #[prost(bool, tag = "12")]
    enable_tracing: bool,
    #[prost(string, tag = "13")]
    access_log_file: String,
    #[prost(string, tag = "26")]
    trust_domain: String,
}

fn service(host: &str, endpoint: SocketAddr) -> ServiceEntry {
    ServiceEntry {
        hosts: vec![host.into()],
        ports: vec![ServicePort {
            number: 80,
            protocol: "HTTP".into(),
            name: "http".into(),
        }],
        location: 1,
        resolution: 1,
        endpoints: vec![WorkloadEntry {
            address: endpoint.ip().to_string(),
            ports: [("http".into(), endpoint.port().into())].into(),
        }],
    }
}

fn rule(host: &str, http_status: i32) -> VirtualService {
    let destination = Some(Destination { host: host.into() });
    let percentage = Some(Percent { value: 100.0 });
    VirtualService {
        hosts: vec![host.into()],
        http: vec![HttpRoute {
            route: vec![HttpRouteDestination { destination }],
            fault: Some(Fault {
                abort: Some(Abort {
                    http_status,
                    percentage,
                }),
            }),
        }],
        later: 0,
    }
}

/// One that has the settings of a mesh, and a service.
fn stage() -> Istiod {
    let istiod = Istiod::new();
    let mesh = MeshConfig {
        enable_tracing: true,
        access_log_file: "/dev/stdout".into(),
        trust_domain: "cluster.local".into(),
    };
    istiod.set(MESH, "", "mesh.v1alpha1.MeshConfig", &mesh);
    serve(&istiod, "shop", application("old"));
    istiod
}

fn serve(istiod: &Istiod, name: &str, endpoint: SocketAddr) {
    let entry = service(&format!("{name}.example"), endpoint);
    let at = format!("default/{name}");
    istiod.set(SERVICES, &at, "networking.v1alpha3.ServiceEntry", &entry);
}

fn direct(istiod: &Istiod, rule: &VirtualService) {
    let message = "networking.v1alpha3.VirtualService";
    istiod.set(RULES, "default/fault", message, rule);
}

fn of_istiod(istiod: &Istiod, more: &[&str]) -> Command {
    let mut all = vec!["--xds-kind", "istiod"];
    all.extend(more);
    command(istiod.addr, "one", &all)
}

#[test]
fn a_sidecar_runs_by_what_istiod_tells() {
    for runtime in ["tokio", "glommio"] {
        if runtime == "glommio" && !proxy::has_glommio() {
            continue;
        }
        let istiod = stage();
        let one = Proxy::spawn(of_istiod(&istiod, &["--runtime", runtime]));
        until(&one, "shop.example", "old");
        direct(&istiod, &rule("shop.example", 418));
        until(&one, "shop.example", "fault filter abort");
        // What is no good is refused alone, and its last good one holds.
        direct(&istiod, &rule("shop.example", 7));
        let refused = istiod.refusal(RULES);
        assert!(
            refused.contains("default/fault") && refused.contains("httpStatus"),
            "{refused}"
        );
        serve(&istiod, "other", application("other"));
        until(&one, "other.example", "other");
        until(&one, "shop.example", "fault filter abort");
        // Another one in its place, and a change meanwhile.
        istiod.restart();
        istiod.remove(RULES, "default/fault");
        serve(&istiod, "shop", application("new"));
        until(&one, "shop.example", "new");
        let (code, log) = one.end();
        assert_eq!(code, Some(0));
        let last = log.lines().last().unwrap();
        assert!(last.contains("shop.example"), "the mesh's log has {last}");
    }
}

#[test]
fn a_field_that_nobody_knows_is_told_by_its_number() {
    let istiod = stage();
    let one = Proxy::spawn(of_istiod(&istiod, &[]));
    until(&one, "shop.example", "old");
    let later = VirtualService {
        later: 1,
        ..rule("shop.example", 418)
    };
    direct(&istiod, &later);
    let told = one.wait_for("field 4000 of VirtualService");
    assert!(told.contains("VirtualService default/fault"), "{told}");
    // The rest of it counts, as where istiod has it from.
    until(&one, "shop.example", "fault filter abort");
}

#[test]
fn who_may_not_be_told_hears_why_and_starts_once_he_may() {
    let istiod = stage();
    istiod.refuse(true);
    let mut child = of_istiod(&istiod, &[])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = Told::by(child.stderr.take().unwrap());
    let before = told.until("ENABLE_XDS_API_GENERATOR_AUTH=false");
    let why = before.last().unwrap();
    assert!(
        why.contains("PermissionDenied") && why.contains("root namespace"),
        "{why}"
    );
    assert!(
        !before.iter().any(|line| line.contains("outbound 127")),
        "nothing listens: {before:?}"
    );
    istiod.refuse(false);
    told.wait_for("outbound 127");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_policy_or_a_mesh_that_cannot_be_read_lets_nobody_start() {
    let torn = |message: &str| Any {
        type_url: format!("type.googleapis.com/istio.{message}"),
        value: vec![0x0a, 0x09].into(),
    };
    for (type_url, name, message, wanted) in [
        (
            POLICIES,
            "default/p",
            "security.v1beta1.AuthorizationPolicy",
            "AuthorizationPolicy: `default/p` cannot be read",
        ),
        (
            MESH,
            "",
            "mesh.v1alpha1.MeshConfig",
            "MeshConfig: `` cannot be read",
        ),
    ] {
        let istiod = stage();
        istiod.put(type_url, name, torn(message));
        let run = of_istiod(&istiod, &[]).output().unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{told}");
        assert!(told.contains(wanted), "{told}");
        assert!(told.contains("nothing is started without it"), "{told}");
    }
}
