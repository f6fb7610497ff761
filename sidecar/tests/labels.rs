//! `--labels-file`, which the downward API changes: what selects the workload is in effect, whoever says it.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::time::Instant;

use control::{Control, command, until};
use proxy::{Folder, Proxy, application, shop};
use support::PATIENCE;

/// Workloads with this label reach `other.example` alone.
const SELECTING: &str = "apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: back, namespace: default}
spec:
  workloadSelector: {labels: {tier: back}}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress: [{hosts: ['./other.example']}]
";

fn mesh(test: &str) -> Folder {
    let folder = Folder::new(test);
    folder.write("shop.yaml", &shop(application("shop")));
    let other = shop(application("other")).replace("shop", "other");
    folder.write("other.yaml", &other);
    folder.write("back.yaml", SELECTING);
    folder
}

/// Asks until a host is there, or not.
fn reaches(proxy: &Proxy, host: &str, is_there: bool) {
    let begun = Instant::now();
    loop {
        let answer = proxy.get(host);
        if answer.starts_with("HTTP/1.1 200 ") == is_there {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{host}: {answer}");
    }
}

/// The labels change under a run, as files of the downward API do.
fn follows(proxy: &Proxy, labels: &Folder) {
    until(proxy, "shop.example", "shop");
    labels.write("labels", "app=\"cart\"\ntier=\"back\"\n");
    reaches(proxy, "shop.example", false);
    reaches(proxy, "other.example", true);
    proxy.page("/server_info", "\"tier\": \"back\"");
    // Nonsense changes nothing.
    labels.write("labels", "tier=front\n");
    proxy.wait_for("line 1 is no KEY=\"VALUE\"; kept the labels that it had");
    reaches(proxy, "shop.example", false);
    labels.write("labels", "app=\"cart\"\n");
    reaches(proxy, "shop.example", true);
    // What the command line says goes before.
    labels.write("labels", "fixed=\"other\"\ntier=\"back\"\n");
    reaches(proxy, "shop.example", false);
    proxy.page("/server_info", "\"fixed\": \"said\"");
}

#[test]
fn labels_that_change_select_other_rules_of_files() {
    let (mesh, labels) = (mesh("labels-files"), Folder::new("labels-files-pod"));
    labels.write("labels", "app=\"cart\"\n");
    let file = labels.0.join("labels");
    let more = [
        "--labels-file",
        file.to_str().unwrap(),
        "--label",
        "fixed=said",
    ];
    let proxy = Proxy::start(&mesh.0, &more);
    follows(&proxy, &labels);
}

#[test]
fn labels_that_change_are_told_to_the_control_plane() {
    let (mesh, labels) = (mesh("labels-xds"), Folder::new("labels-xds-pod"));
    labels.write("labels", "app=\"cart\"\n");
    let control = Control::start(&mesh, "127.0.0.1:0");
    let file = labels.0.join("labels");
    let more = [
        "--labels-file",
        file.to_str().unwrap(),
        "--label",
        "fixed=said",
    ];
    let proxy = Proxy::spawn(command(control.addr("discovery"), "one", &more));
    follows(&proxy, &labels);
    // Each is one stream after the other, and none of them a failure.
    control.page("/stats/prometheus", "outrigger_control_clients 1\n");
    let stats = proxy.page("/stats", "control_plane.streams: 4\n");
    assert!(
        stats.contains("control_plane.streams_failed: 0\n"),
        "{stats}"
    );
    // It goes on being told.
    mesh.write(
        "other.yaml",
        &shop(application("moved")).replace("shop", "other"),
    );
    until(&proxy, "other.example", "moved");
}
