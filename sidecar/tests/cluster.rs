//! `outrigger control --kubernetes` between an emulator of Kubernetes' API and a sidecar.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::thread;
use std::time::{Duration, Instant};

use outrigger_kubernetes_emulator::Emulator;
use serde_json::{Value, json};

use control::{Control, command, until};
use proxy::{Proxy, application};
use support::PATIENCE;

/// Until there is such an object, and it says so.
fn wait_for(cluster: &Emulator, name: (&str, &str, &str, &str), is_so: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    let (api_version, kind, namespace, of) = name;
    while !cluster
        .get(api_version, kind, namespace, of)
        .is_some_and(|json| is_so(&json))
    {
        assert!(begun.elapsed() < PATIENCE, "{name:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_kubernetes_has_is_what_sidecars_run_by() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let cluster = runtime.block_on(Emulator::start()).unwrap();
    let app = application("the shop");
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "ours"},
               "webhooks": [{"name": "a", "clientConfig": {"service": {"name": "outrigger", "namespace": "outrigger-system"}}}]}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "shop", "namespace": "shop"},
               "spec": {"hosts": ["shop.example"], "location": "MESH_INTERNAL", "resolution": "STATIC",
                        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                        "endpoints": [{"address": "127.0.0.1", "ports": {"http": app.port()}}]}}),
        // Names no secret that there can be: nobody waits for it.
        json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "bad", "namespace": "shop"},
               "spec": {"servers": [{"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*"],
                                     "tls": {"mode": "SIMPLE", "credentialName": "a b"}}]}}),
    ] {
        cluster.apply(&object);
    }
    let at = format!("--kubernetes=http://{}", cluster.addr);
    let more = [
        &at,
        "--listen",
        "127.0.0.1:0",
        "--webhooks",
        "127.0.0.1:0",
        "--service",
        "localhost",
        "--ca-secret",
        "outrigger-system/outrigger-ca",
        "--webhook-configuration",
        "ours",
    ];
    let control = Control::by("127.0.0.1:0", &more.map(String::from));
    let proxy = Proxy::spawn(command(
        control.addr("discovery"),
        "one",
        &["--namespace", "shop"],
    ));
    until(&proxy, "shop.example", "the shop");
    cluster.apply(&json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"hosts": ["shop.example"], "http": [{
            "fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}},
            "route": [{"destination": {"host": "shop.example"}}]}]},
    }));
    until(&proxy, "shop.example", "fault filter abort");
    cluster.delete("networking.istio.io/v1", "VirtualService", "shop", "shop");
    until(&proxy, "shop.example", "the shop");
    let is_pem = |json: &Value| {
        json["data"]["root-cert.pem"]
            .as_str()
            .is_some_and(|text| text.contains("BEGIN"))
    };
    wait_for(
        &cluster,
        ("v1", "ConfigMap", "shop", "istio-ca-root-cert"),
        is_pem,
    );
    wait_for(
        &cluster,
        ("v1", "Secret", "outrigger-system", "outrigger-ca"),
        |json| json["data"]["ca-key.pem"].is_string(),
    );
    let hooks = (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "",
        "ours",
    );
    wait_for(&cluster, hooks, |json| {
        json["webhooks"][0]["clientConfig"]["caBundle"].is_string()
    });
}
