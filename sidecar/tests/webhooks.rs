//! `outrigger control --webhooks` over TLS, as an API server asks it: a pod gets its sidecar with the roots of this authority, configuration
//! is judged, settings that change are in effect, and all of it is counted.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use support::{PATIENCE, Told};

const NAME: &str = "outrigger.outrigger-system.svc";

/// A control plane in a folder of its own.
struct Control {
    child: Child,
    greeting: String,
    folder: PathBuf,
    told: Told,
}

impl Control {
    fn start(test: &str, settings: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("outrigger-webhooks-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("mesh")).unwrap();
        fs::write(folder.join("settings.yaml"), settings).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args([
                "control",
                "--config",
                "mesh",
                "--ca",
                "ca",
                "--service",
                NAME,
            ])
            .args([
                "--plain",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--webhooks",
                "127.0.0.1:0",
            ])
            .args(["--injection", "settings.yaml"])
            .current_dir(&folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Told::by(child.stderr.take().unwrap());
        let greeting = told.wait_for("discovery 127");
        Self {
            child,
            greeting,
            folder,
            told,
        }
    }

    fn addr(&self, word: &str) -> SocketAddr {
        let (_, rest) = self.greeting.split_once(&format!(" {word} ")).unwrap();
        rest.split([',', ';']).next().unwrap().parse().unwrap()
    }

    fn roots(&self) -> String {
        fs::read_to_string(self.folder.join("ca/root-cert.pem")).unwrap()
    }

    /// The response of a review, asked as an API server does that was told these roots.
    fn review(&self, path: &str, object: &Value) -> Value {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(self.roots().as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
        let name = ServerName::try_from(NAME).unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(self.addr("webhooks")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(client, socket);
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "1", "operation": "CREATE", "namespace": "shop", "object": object},
        })
        .to_string();
        let head = format!(
            "POST {path}?timeout=10s HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        // A server that closes without saying so in TLS has answered, too.
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()["response"].clone()
    }

    fn patch(&self, pod: &Value) -> String {
        let response = self.review("/inject", pod);
        let patch = STANDARD
            .decode(response["patch"].as_str().unwrap())
            .unwrap();
        String::from_utf8(patch).unwrap()
    }

    /// Patches the pod until that says this.
    fn patch_until(&self, pod: &Value, wanted: &str, is_there: bool) -> String {
        let begun = Instant::now();
        loop {
            let patch = self.patch(pod);
            if patch.contains(wanted) == is_there {
                return patch;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{wanted}: {is_there} in {patch}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether a line that it has told since the last time says this.
    fn has_told(&self, words: &str) -> bool {
        self.told.now().iter().any(|line| line.contains(words))
    }

    /// The ConfigMap of the mesh says this from now on.
    fn mesh(&self, config: &str) {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": config},
        });
        let new = self.folder.join(".new");
        fs::write(&new, map.to_string()).unwrap();
        fs::rename(new, self.folder.join("mesh/istio.yaml")).unwrap();
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.addr("admin")).unwrap();
        stream
            .write_all(b"GET /stats/prometheus HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn an_api_server_is_answered() {
    let control = Control::start("answers", "image: first:1\n");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "app", "image": "a"}]},
    });
    let patch = control.patch(&pod);
    let roots = json!(control.roots()).to_string();
    assert!(patch.contains(&roots), "{patch}");
    assert!(patch.contains("\"image\":\"first:1\""), "{patch}");
    let good = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "a"},
        "spec": {"egress": [{"hosts": ["./*"]}]},
    });
    let mut bad = good.clone();
    bad["spec"]["egres"] = json!([]);
    assert_eq!(control.review("/validate", &good)["allowed"], true);
    let denied = control.review("/validate", &bad);
    assert_eq!(denied["allowed"], false);
    assert!(
        denied["status"]["message"]
            .as_str()
            .unwrap()
            .contains("egres"),
        "{denied}"
    );
    let metrics = control.metrics();
    for (name, count) in [
        ("pods_injected", 1),
        ("configuration_allowed", 1),
        ("configuration_denied", 1),
    ] {
        let line = format!("\noutrigger_control_webhook_{name}_total {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
    // Settings that are no good change nothing, and good ones do.
    fs::write(control.folder.join("settings.yaml"), "imge: second:2\n").unwrap();
    assert!(control.patch(&pod).contains("\"image\":\"first:1\""));
    fs::write(control.folder.join("settings.yaml"), "image: second:2\n").unwrap();
    control.patch_until(&pod, "\"image\":\"second:2\"", true);
}

#[test]
fn pods_get_what_the_mesh_says_of_proxies() {
    let control = Control::start("mesh", "drainTime: 3\n");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "app", "image": "a"}]},
    });
    assert!(control.patch(&pod).contains("\"--drain-time=3\""));
    control.mesh(
        "defaultConfig: {concurrency: 2, terminationDrainDuration: 7s, drainDuration: 4s, proxyMetadata: {A: mesh, B: mesh}}",
    );
    let patch = control.patch_until(&pod, "\"--drain-time=7\"", true);
    for wanted in [
        "\"--workers=2\"",
        "\"--listener-drain-time=4\"",
        "{\"name\":\"A\",\"value\":\"mesh\"}",
    ] {
        assert!(patch.contains(wanted), "{wanted}: {patch}");
    }
    // The pod says something else of some of it.
    let mut own = pod.clone();
    own["metadata"]["annotations"] =
        json!({"proxy.istio.io/config": "concurrency: 5\nproxyMetadata: {A: pod}\n"});
    let patch = control.patch(&own);
    for wanted in [
        "\"--workers=5\"",
        "\"--drain-time=7\"",
        "{\"name\":\"A\",\"value\":\"pod\"}",
        "{\"name\":\"B\",\"value\":\"mesh\"}",
    ] {
        assert!(patch.contains(wanted), "{wanted}: {patch}");
    }
    // Nonsense changes nothing, and is told.
    control.mesh("defaultConfig: {concurrency: many}");
    let begun = Instant::now();
    while !control.has_told("pods get what it said before") {
        assert!(begun.elapsed() < PATIENCE, "nobody is told");
        control.patch(&pod);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(control.patch(&pod).contains("\"--workers=2\""));
    control.mesh("defaultConfig: {concurrency: 4}");
    control.patch_until(&pod, "\"--workers=4\"", true);
    fs::remove_file(control.folder.join("mesh/istio.yaml")).unwrap();
    control.patch_until(&pod, "--workers", false);
}
