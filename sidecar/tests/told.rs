//! What people are told at the objects of a cluster by `outrigger control --kubernetes`, over real sockets.

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

const ISTIO: &str = "networking.istio.io/v1";
const API: &str = "gateway.networking.k8s.io/v1";

/// A cluster with a service.
struct Stage {
    cluster: Emulator,
    // It runs the cluster.
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let cluster = runtime.block_on(Emulator::start()).unwrap();
        let stage = Self {
            cluster,
            _runtime: runtime,
        };
        let app = application("the shop");
        stage.apply(json!({
            "apiVersion": ISTIO, "kind": "ServiceEntry", "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {"hosts": ["shop.example"], "location": "MESH_INTERNAL", "resolution": "STATIC",
                     "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                     "endpoints": [{"address": "127.0.0.1", "ports": {"http": app.port()}}]},
        }));
        stage.apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        }));
        stage
    }

    fn apply(&self, object: Value) {
        assert!(self.cluster.edit(&object), "{object}");
    }

    fn control(&self, more: &[&str]) -> Control {
        let mut all = vec![format!("--kubernetes=http://{}", self.cluster.addr)];
        all.extend(more.iter().map(|word| (*word).to_owned()));
        Control::by("127.0.0.1:0", &all)
    }

    /// A rule that leads to a host, with what is answered instead.
    fn rule(&self, to: &str, abort: u16) {
        self.apply(json!({
            "apiVersion": ISTIO, "kind": "VirtualService", "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {"hosts": ["shop.example"], "http": [{
                "fault": {"abort": {"httpStatus": abort, "percentage": {"value": 100}}},
                "route": [{"destination": {"host": to}}]}]},
        }));
    }

    /// An object once it is so.
    fn once(&self, (api, kind, name): (&str, &str, &str), is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.cluster.get(api, kind, "shop", name);
            let found = found.unwrap_or_default();
            if is_so(&found) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{kind} {name} is {found}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The rule, once a condition of it stands so.
    fn rule_once(&self, kind: &str, status: &str) -> Value {
        self.once((ISTIO, "VirtualService", "shop"), |rule| {
            condition(&rule["status"]["conditions"], kind) == status
        })
    }

    /// An event of such an object and reason.
    fn event(&self, kind: &str, reason: &str) -> Value {
        let begun = Instant::now();
        loop {
            let events = self.cluster.all("v1", "Event");
            let mut found = events.iter().filter(|event| {
                event["involvedObject"]["kind"] == kind && event["reason"] == reason
            });
            if let Some(event) = found.next() {
                assert_eq!(found.next(), None, "it is told once");
                return event.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{reason} is not in {events:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What was asked of the cluster that may have changed something.
    fn writes(&self) -> Vec<String> {
        let all = self.cluster.requests().into_iter();
        all.filter(|request| !request.starts_with("GET")).collect()
    }
}

/// The status of a condition, of none "".
fn condition<'a>(conditions: &'a Value, kind: &str) -> &'a str {
    let mut all = conditions.as_array().into_iter().flatten();
    let found = all.find(|known| known["type"] == kind);
    found
        .and_then(|known| known["status"].as_str())
        .unwrap_or_default()
}

/// Until it has compared everything that it knows with what stands there, so often.
fn compared(control: &Control, at_least: u64) {
    let begun = Instant::now();
    loop {
        let page = control.page("/stats/prometheus", "outrigger_control_told_total ");
        let (_, count) = page.split_once("\noutrigger_control_told_total ").unwrap();
        let count: u64 = count.lines().next().unwrap().parse().unwrap();
        if count >= at_least {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{page}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_found_stands_at_the_object_until_it_is_mended() {
    let stage = Stage::new();
    stage.rule("nowhere.example", 418);
    let both = [stage.control(&[]), stage.control(&[])];
    let rule = stage.rule_once("PassedAnalysis", "False");
    let messages = &rule["status"]["validationMessages"];
    assert_eq!(messages[0]["type"]["code"], "unknown-host", "{messages}");
    assert_eq!(rule["status"]["observedGeneration"], "1");
    let event = stage.event("VirtualService", "UnknownHost");
    assert!(
        event["message"]
            .as_str()
            .is_some_and(|text| text.contains("nowhere.example")),
        "{event}"
    );
    assert_eq!(event["type"], "Warning");
    for control in &both {
        control.page("/findings", "unknown-host");
        control.page("/stats/prometheus", "outrigger_control_warnings 1\n");
        compared(control, 1);
    }
    // Another one, as one that was started again, finds all of it there.
    let before = (stage.writes(), stage.rule_once("PassedAnalysis", "False"));
    let third = stage.control(&[]);
    third.page("/findings", "unknown-host");
    compared(&third, 1);
    assert_eq!(
        before,
        (stage.writes(), stage.rule_once("PassedAnalysis", "False"))
    );
    stage.rule("shop.example", 418);
    let rule = stage.rule_once("PassedAnalysis", "True");
    assert_eq!(rule["status"]["validationMessages"], json!([]));
    assert_eq!(rule["status"]["observedGeneration"], "2");
    third.page("/stats/prometheus", "outrigger_control_warnings 0\n");
}

#[test]
fn what_a_sidecar_refuses_is_told_at_the_object_and_at_its_pod() {
    let stage = Stage::new();
    stage.apply(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "shop"}}));
    stage.rule("shop.example", 418);
    let control = stage.control(&[]);
    let proxy = Proxy::spawn(command(
        control.addr("discovery"),
        "one",
        &["--namespace", "shop"],
    ));
    until(&proxy, "shop.example", "fault filter abort");
    stage.rule("shop.example", 7);
    let rule = stage.rule_once("Reconciled", "False");
    let said = rule["status"]["conditions"].to_string();
    assert!(
        said.contains("shop/one refuses it: ") && said.contains("httpStatus"),
        "{said}"
    );
    let at_rule = stage.event("VirtualService", "Refused");
    let at_pod = stage.event("Pod", "Refuses");
    for event in [at_rule, at_pod] {
        let text = event["message"].as_str().unwrap();
        assert!(text.contains("httpStatus"), "{text}");
    }
    stage.rule("shop.example", 419);
    stage.rule_once("Reconciled", "True");
    until(&proxy, "shop.example", "fault filter abort");
}

#[test]
fn routes_say_who_took_them() {
    let stage = Stage::new();
    let route = |parent: &str, backend: &str| {
        stage.apply(json!({
            "apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "shop"},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": parent}],
                     "rules": [{"backendRefs": [{"name": backend, "port": 80}]}]},
        }));
    };
    route("cart", "none");
    let _control = stage.control(&[]);
    let is = |accepted: &'static str, resolved: &'static str| {
        move |route: &Value| {
            let conditions = &route["status"]["parents"][0]["conditions"];
            condition(conditions, "Accepted") == accepted
                && condition(conditions, "ResolvedRefs") == resolved
        }
    };
    let named = (API, "HTTPRoute", "r");
    let bad = stage.once(named, is("True", "False"));
    let ours = &bad["status"]["parents"][0];
    assert_eq!(ours["controllerName"], "outrigger.dev/control");
    assert_eq!(ours["parentRef"], bad["spec"]["parentRefs"][0]);
    assert_eq!(ours["conditions"][1]["reason"], "BackendNotFound");
    assert_eq!(ours["conditions"][1]["observedGeneration"], 1);
    // Another controller has its own entry, which stays.
    let mut with_other = bad.clone();
    let other = json!({"parentRef": {"name": "edge"}, "controllerName": "example.com/other", "conditions": []});
    with_other["status"]["parents"]
        .as_array_mut()
        .unwrap()
        .insert(0, other.clone());
    with_other["spec"]["rules"][0]["backendRefs"][0]["name"] = json!("cart");
    stage.cluster.apply(&with_other);
    let good = stage.once(named, |route| {
        route["status"]["parents"][1]["conditions"][1]["status"] == "True"
    });
    assert_eq!(good["status"]["parents"][0], other);
    let generation = &good["status"]["parents"][1]["conditions"][0]["observedGeneration"];
    assert_eq!(*generation, good["metadata"]["generation"]);
}

#[test]
fn what_may_not_be_read_or_written_keeps_nobody_from_serving() {
    let stage = Stage::new();
    stage.rule("nowhere.example", 418);
    stage.cluster.forbid(Some("/destinationrules"));
    let control = stage.control(&[]);
    control.page("/ready", "LIVE");
    control.page("/kinds", "left-out");
    control.page("/findings", "kind-forbidden");
    control.told.wait_for("counts as empty until it may");
    stage.rule_once("PassedAnalysis", "False");
    stage.cluster.forbid(Some("/status"));
    stage.rule("shop.example", 418);
    let told = control.told.wait_for("no more is said of this");
    assert!(
        told.contains("403") && told.contains("VirtualService"),
        "{told}"
    );
    let followed = r#""kind":"DestinationRule","state":"followed""#;
    control.page("/kinds", followed);
}

#[test]
fn without_what_decides_who_is_let_in_nothing_is_served() {
    let stage = Stage::new();
    stage.cluster.forbid(Some("/authorizationpolicies"));
    let control = stage.control(&["--no-events", "--no-status"]);
    let page = control.page("/ready", "authorizationpolicies of security.istio.io");
    assert!(page.contains("403"), "{page}");
    control
        .told
        .wait_for("nothing is served without what decides who is let in");
    stage.cluster.forbid(None);
    control.page("/ready", "LIVE");
    stage.rule("nowhere.example", 418);
    control.page("/findings", "unknown-host");
    compared(&control, 1);
    assert_eq!(stage.writes(), Vec::<String>::new(), "it was told not to");
}
