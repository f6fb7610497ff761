//! `outrigger run --xds-endpoints workloads` beside a control plane that speaks the workload API as istiod does with ambient on: requests
//! go to workloads that come and go.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/ambient.rs"]
mod ambient;
#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::net::SocketAddr;

use ambient::{Ambient, HOST, NAME, cart, workload};
use control::{command, until};
use outrigger_xds::workload::messages::{Health, Kind, Service, Tunnel, Workload};
use proxy::{Proxy, application};

const UID: &str = "Kubernetes//Pod/shop/";

fn sidecar(mesh: &Ambient, more: &[&str]) -> Proxy {
    let mut all = vec!["--xds-kind", "istiod", "--namespace", "shop"];
    all.extend(["--xds-endpoints", "workloads"]);
    all.extend(more);
    Proxy::spawn(command(mesh.addr, "one", &all))
}

fn set(mesh: &Ambient, name: &str, at: SocketAddr, change: impl FnOnce(&mut Workload)) {
    let mut workload = workload(&format!("{UID}{name}"), at);
    change(&mut workload);
    mesh.set(&workload.uid.clone(), Kind::Workload(workload));
}

fn set_cart(mesh: &Ambient, change: impl FnOnce(&mut Service)) {
    let mut service = cart();
    change(&mut service);
    mesh.set(NAME, Kind::Service(service));
}

#[test]
fn requests_go_to_workloads_that_come_and_go() {
    let mesh = Ambient::start();
    let (one, two) = (application("one"), application("two"));
    set_cart(&mesh, |_| {});
    set(&mesh, "one", one, |_| {});
    let proxy = sidecar(&mesh, &[]);
    until(&proxy, HOST, "one");
    // By its short name and by its address, as any service.
    until(&proxy, "cart", "one");
    until(&proxy, "10.255.0.1", "one");
    set(&mesh, "two", two, |_| {});
    mesh.remove(&format!("{UID}one"));
    until(&proxy, HOST, "two");
    set(&mesh, "two", two, |workload| {
        workload.status = Health::Unhealthy.into();
    });
    until(&proxy, HOST, "no healthy upstream");
    // What cannot be read leaves the last good one.
    set(&mesh, "one", one, |_| {});
    until(&proxy, HOST, "one");
    mesh.set_bytes(&format!("{UID}one"), vec![0xff]);
    mesh.wait_for_refusal("is no message of its type");
    set(&mesh, "two", two, |_| {});
    until(&proxy, HOST, "two");
    until(&proxy, HOST, "one");
    assert_eq!(proxy.end().0, Some(0));
}

#[test]
fn what_changes_while_nobody_listens_is_there_afterwards() {
    let mesh = Ambient::start();
    let (one, two) = (application("one"), application("two"));
    set_cart(&mesh, |_| {});
    set(&mesh, "one", one, |_| {});
    let proxy = sidecar(&mesh, &[]);
    until(&proxy, HOST, "one");
    for (come, gone, at, name) in [("two", "one", two, "two"), ("one", "two", one, "one")] {
        mesh.change_unheard(|mesh| {
            set(mesh, come, at, |_| {});
            mesh.remove(&format!("{UID}{gone}"));
        });
        until(&proxy, HOST, name);
    }
    // It has said what it has, and was sent nothing twice.
    assert_eq!(mesh.sent(NAME), 1);
}

#[test]
fn what_is_not_in_effect_is_told() {
    let mesh = Ambient::start();
    let one = application("one");
    set_cart(&mesh, |_| {});
    set(&mesh, "one", one, |_| {});
    let proxy = sidecar(&mesh, &["--xds-service", NAME]);
    assert_eq!(mesh.wanted(), [NAME]);
    set(&mesh, "one", one, |workload| {
        workload.tunnel_protocol = Tunnel::Hbone.into();
    });
    proxy.wait_for("take tunnels of HTTP (HBONE)");
    until(&proxy, HOST, "one");
    mesh.remove(NAME);
    proxy.wait_for("there is no such service");
    set_cart(&mesh, |_| {});
    until(&proxy, HOST, "one");
}

#[test]
fn nobody_waits_for_a_workload_api_that_there_is_not() {
    let more = ["--xds-endpoints", "workloads"];
    let run = command(([127, 0, 0, 1], 1).into(), "one", &more)
        .output()
        .unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{told}");
    assert!(told.contains("has no workload API"), "{told}");
}

#[test]
fn a_service_is_a_namespace_and_a_host() {
    for bad in ["cart", "/cart", "shop/", "a/b/c"] {
        let more = ["--xds-endpoints", "workloads", "--xds-service", bad];
        let run = command(([127, 0, 0, 1], 1).into(), "one", &more)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "{bad}");
    }
}
