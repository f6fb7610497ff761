//! The three services of the tutorial, each instance in a pod of its own whose connections and questions for names are captured, with
//! rules of the tutorial as they stand. No application knows of a proxy.
//!
//! Needs to be root on Linux with `ip`, and iptables or nft. Where it may not make namespaces it says so and tests nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use pods::{Pods, call, get, serve_tier};
use proxy::{Folder, Proxy, command, has_glommio};

#[path = "../../intercept/tests/cable/mod.rs"]
mod cable;
#[path = "support/pods.rs"]
mod pods;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

const ALL_TO_V2: &str = include_str!("../../examples/tutorial/01-all-to-v2.yaml");
const CANARY: &str = include_str!("../../examples/tutorial/03-canary-90-10.yaml");
const SAFARI: &str = include_str!("../../examples/tutorial/05-safari-to-v2.yaml");
const REGISTRY_ONLY: &str = include_str!("../../examples/tutorial/10-registry-only.yaml");

/// The pods of the mesh: a name, and its labels `app` and `version`.
const MESH: [(&str, &str, &str); 4] = [
    ("customer", "customer", "v1"),
    ("preference", "preference", "v1"),
    ("one", "recommendation", "v1"),
    ("two", "recommendation", "v2"),
];

/// Services, endpoints and pods, as Kubernetes shows them.
fn services(pods: &Pods) -> String {
    let mut text = String::new();
    for (number, app) in ["customer", "preference", "recommendation"]
        .iter()
        .enumerate()
    {
        text += &format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {app}}}\nspec:\n  clusterIP: 10.96.0.{}\n  \
             selector: {{app: {app}}}\n  ports: [{{name: http, port: 8080}}]\n---\n",
            number + 1
        );
    }
    for (name, app, version) in MESH {
        let address = pods.address(name);
        text += &format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, labels: {{kubernetes.io/service-name: \
             {app}}}}}\naddressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints:\n- addresses: [{address}]\n  \
             targetRef: {{kind: Pod, name: {name}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: \
             {app}, version: {version}}}}}\nspec: {{containers: [{{name: app}}]}}\nstatus: {{podIP: {address}, podIPs: [{{ip: \
             {address}}}]}}\n---\n"
        );
    }
    text
}

/// A sidecar in a pod, with what Istio's injector would tell it.
fn sidecar(pods: &Pods, folder: &Folder, runtime: &str, pod: (&str, &str, &str)) -> Proxy {
    let (name, app, version) = pod;
    let (app, version) = (format!("app={app}"), format!("version={version}"));
    let options = [
        ["--runtime", runtime],
        ["--interception", "REDIRECT"],
        ["--outbound", "127.0.0.1:15001"],
        ["--inbound", "0.0.0.0:15006"],
        ["--dns", "127.0.0.1:15053"],
        ["--dns-server", "10.78.0.9:53"],
        ["--label", &app],
        ["--label", &version],
        ["--minimum-drain-time", "0"],
    ];
    let run = command(&folder.0, options.as_flattened());
    pods.within(name, || Proxy::spawn(run))
}

/// Applications in all pods, whose connections are captured, without a sidecar yet. What the last tier waits for before it answers
/// `/slow`, and tells when it has heard it.
fn applications(pods: &Pods) -> (Receiver<()>, Sender<()>) {
    let (heard, hears) = channel();
    let (lets_go, held) = channel();
    let mut held = Some((heard, held));
    for (name, app, version) in MESH {
        let next = match app {
            "customer" => Some("preference"),
            "preference" => Some("recommendation"),
            _ => None,
        };
        let hold = (name == "two").then(|| held.take()).flatten();
        let own = match next {
            Some(_) => app.to_owned(),
            None => format!("{app} {version}"),
        };
        pods.within(name, || {
            let listener = TcpListener::bind("0.0.0.0:8080").unwrap();
            serve_tier(listener, own, next, hold);
        });
        pods.capture(name);
    }
    (hears, lets_go)
}

/// Whom a visitor outside of the mesh is answered by, and how often.
fn visits(pods: &Pods, count: usize, agent: &str) -> BTreeMap<String, usize> {
    let to = format!("{}:8080", pods.address("customer"));
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let answer = pods.outside(|| get(&to, "customer", "/", agent));
        *seen.entry(answer).or_default() += 1;
    }
    seen
}

fn start_all(pods: &Pods, folder: &Folder, runtime: &str) -> Vec<Proxy> {
    let all = MESH.into_iter();
    all.map(|pod| sidecar(pods, folder, runtime, pod)).collect()
}

/// Waits until it is so.
fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < support::PATIENCE, "it never is");
    }
}

fn chain(version: &str) -> String {
    format!("200 customer => preference => recommendation {version}")
}

#[test]
fn the_tutorial_holds_for_applications_that_know_of_no_proxy() {
    let Some(pods) = Pods::new("tutorial", &MESH.map(|(name, ..)| name)) else {
        return;
    };
    let _tiers = applications(&pods);
    let folder = Folder::new("pods-tutorial");
    folder.write("services.yaml", &services(&pods));
    for runtime in ["tokio", "glommio"] {
        if runtime == "glommio" && !has_glommio() {
            eprintln!("glommio is not tried: this machine does not let us");
            continue;
        }
        folder.write("rules.yaml", ALL_TO_V2);
        let sidecars = start_all(&pods, &folder, runtime);
        let all = visits(&pods, 10, "curl");
        assert_eq!(all, [(chain("v2"), 10)].into(), "{runtime}");
        // Rules change under applications that run.
        let hear = |rules: &str| {
            folder.write("rules.yaml", rules);
            for sidecar in &sidecars {
                sidecar.wait_for("reloaded; revision");
            }
        };
        hear(CANARY);
        let split = visits(&pods, 100, "curl");
        let of_v1 = split.get(&chain("v1")).copied().unwrap_or_default();
        assert!((70..100).contains(&of_v1), "{runtime}: {split:?}");
        hear(SAFARI);
        // Workers hold what was read a moment later.
        until(|| visits(&pods, 1, "Safari").contains_key(&chain("v2")));
        let safari = visits(&pods, 5, "Safari");
        assert_eq!(safari, [(chain("v2"), 5)].into(), "{runtime}");
        assert_eq!(
            visits(&pods, 5, "curl"),
            [(chain("v1"), 5)].into(),
            "{runtime}"
        );
        // Where only the registry may be reached nobody else is, and who is in it all the same.
        hear(REGISTRY_ONLY);
        let outside = || call("10.78.0.9:7000", "elsewhere.test", "/");
        until(|| pods.as_application("customer", outside).is_none());
        let all: usize = visits(&pods, 4, "curl").values().sum();
        assert_eq!(all, 4, "{runtime}");
    }
}

/// istio/istio#11130, #4341: an application that is up before its sidecar hangs, or never recovers.
#[test]
fn an_application_that_is_up_before_its_sidecar_is_refused_at_once_and_served_later() {
    let Some(pods) = Pods::new("early", &MESH.map(|(name, ..)| name)) else {
        return;
    };
    let _tiers = applications(&pods);
    let folder = Folder::new("pods-early");
    folder.write("services.yaml", &services(&pods));
    folder.write("rules.yaml", ALL_TO_V2);
    let direct = format!("{}:8080", pods.address("two"));
    // Nobody is kept waiting by a sidecar that is not there.
    let refused = pods.as_application("customer", || {
        TcpStream::connect("10.96.0.3:8080")
            .map(drop)
            .unwrap_err()
            .kind()
    });
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    // What runs as the sidecar's user, as an init container may, has the network.
    let rest = MESH.into_iter().filter(|(name, ..)| *name != "customer");
    let others: Vec<Proxy> = rest
        .map(|pod| sidecar(&pods, &folder, "tokio", pod))
        .collect();
    let init = pods.within("customer", || get(&direct, "recommendation", "/", "init"));
    assert_eq!(init, "200 recommendation v2");
    let own = sidecar(&pods, &folder, "tokio", MESH[0]);
    assert_eq!(visits(&pods, 3, "curl"), [(chain("v2"), 3)].into());
    drop((own, others));
}

/// istio/istio#34855, #36660, #15704: a drain cuts requests off, or an application's own calls while it finishes its work.
#[test]
fn a_pod_that_ends_finishes_its_work_with_calls_of_its_own() {
    let Some(pods) = Pods::new("ends", &MESH.map(|(name, ..)| name)) else {
        return;
    };
    let (hears, lets_go) = applications(&pods);
    let folder = Folder::new("pods-ends");
    folder.write("services.yaml", &services(&pods));
    folder.write("rules.yaml", ALL_TO_V2);
    let mut sidecars = start_all(&pods, &folder, "tokio");
    let to = format!("{}:8080", pods.address("customer"));
    let answer = std::thread::scope(|scope| {
        let visit = scope.spawn(|| pods.outside(|| get(&to, "customer", "/slow", "curl")));
        hears.recv().unwrap();
        // The visitor's request is on its way through the pod that is to end.
        let preference = sidecars.remove(1);
        preference.signal("-TERM");
        preference.wait_for("draining");
        // Its application goes on calling others.
        let other = pods.as_application("preference", || {
            call("10.96.0.3:8080", "recommendation", "/")
        });
        assert_eq!(other.as_deref(), Some("200 recommendation v2"));
        lets_go.send(()).unwrap();
        let answer = visit.join().unwrap();
        let mut preference = preference;
        assert_eq!(preference.wait().0, Some(0));
        answer
    });
    assert_eq!(answer, chain("v2"));
}
