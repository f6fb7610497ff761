//! What a running program tells of itself: levels that change while it runs, and lines for people and machines.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::process::Stdio;

use proxy::{Folder, Proxy, application, command, refused, shop};
use support::Told;

/// A finding that nobody has to act on.
const FOREIGN: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n";

#[test]
fn levels_change_while_it_runs() {
    let folder = Folder::new("levels");
    folder.write("shop.yaml", &shop(application("shop")));
    folder.write("foreign.yaml", FOREIGN);
    let proxy = Proxy::start(&folder.0, &[]);
    let told = proxy.admin("POST /logging");
    assert!(
        told.contains("active loggers:\n  access_log: info\n"),
        "{told}"
    );
    assert!(proxy.admin("GET /logging").contains(" 405 "));

    let told = proxy.admin("POST /logging?paths=config:debug");
    assert!(told.contains("  config: debug\n"), "{told}");
    proxy.signal("-HUP");
    let finding = proxy.wait_for("[kind-ignored]");
    assert!(finding.starts_with("20"), "{finding}");
    assert!(finding.contains("Z debug: "), "{finding}");
    let levels = ["debug: ", "info: ", "warning: ", "error: "];
    let told = levels.map(|level| finding.matches(level).count());
    assert_eq!(told.iter().sum::<usize>(), 1, "{finding}");
    proxy.wait_for("Z info: reloaded; revision 2");

    let told = proxy.admin("POST /logging?level=off");
    assert!(told.contains("  main: off\n"), "{told}");
    proxy.signal("-HUP");
    while !proxy
        .admin("GET /stats")
        .contains("config_reload_success: 2\n")
    {
        std::thread::yield_now();
    }
    for query in ["level=loud", "cook=debug", "verbose"] {
        let refused = proxy.admin(&format!("POST /logging?{query}"));
        assert!(refused.contains(" 400 "), "{query}: {refused}");
    }
    // Of what was off in between nothing comes later.
    proxy.admin("POST /logging?level=info");
    proxy.signal("-HUP");
    let told = proxy.wait_for("reloaded; revision ");
    assert!(told.contains("revision 4:"), "{told}");
}

#[test]
fn machines_read_json() {
    let folder = Folder::new("json-events");
    folder.write("shop.yaml", &shop(application("shop")));
    folder.write(
        "telemetry.yaml",
        "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: a}\n\
         spec: {accessLogging: [{providers: [{name: nobody}]}]}\n",
    );
    let mut run = command(&folder.0, &["--log-format", "json"]);
    let mut child = run
        .env("OUTRIGGER_LOG", "warning,main:info")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = Told::by(child.stderr.take().unwrap());
    let lines = told.until("outbound ");
    let _ = child.kill();
    let _ = child.wait();
    let lines: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let finding = lines.iter().find(|line| line["code"] == "unknown-provider");
    let finding = finding.expect("it is told");
    assert_eq!(finding["level"], "warning");
    assert_eq!(finding["logger"], "config");
    assert_eq!(finding["line"], 4);
    let file = finding["file"].as_str().unwrap();
    assert!(file.ends_with("telemetry.yaml"), "{finding}");
    let greeting = lines.last().unwrap();
    assert_eq!(greeting["logger"], "main");
    assert!(greeting["message"].as_str().unwrap().contains(" admin "));
}

/// A service that fails is ejected, and one that may have nobody waiting refuses; both are told with their numbers.
#[test]
fn what_happens_to_clusters_is_told() {
    let folder = Folder::new("incidents");
    let failing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = failing.local_addr().unwrap();
    // Nobody listens there any more.
    drop(failing);
    let rule = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: shop}\n\
         spec: {host: shop.example, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, \
         baseEjectionTime: 60s, maxEjectionPercent: 100}}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop, annotations: \
         {outrigger.dev/local-rate-limit: 1/h}}\nspec: {hosts: [shop.example], \
         http: [{retries: {attempts: 0}, route: [{destination: {host: shop.example}}]}]}\n";
    folder.write("shop.yaml", &(shop(addr) + rule));
    let proxy = Proxy::start(&folder.0, &[]);
    let answer = proxy.get("shop.example");
    assert!(answer.contains(" 503 "), "{answer}");
    let answer = proxy.get("shop.example");
    assert!(answer.contains(" 429 "), "{answer}");
    // In whatever order.
    let mut told = vec![proxy.wait_for("Z warning: "), proxy.wait_for("Z warning: ")];
    told.sort_by_key(|line| line.contains("limit"));
    let ejected = format!(
        "outbound|80||shop.example: {addr} is ejected for 60 s (consecutive_5xx: 1 in a row); 1 of 1 endpoints are out"
    );
    assert!(told[0].ends_with(&ejected), "{told:?}");
    let limit = "VirtualService default/shop, its HTTP rules: the limit of requests in a time is reached, and refused 1";
    assert!(told[1].ends_with(limit), "{told:?}");
}

#[test]
fn levels_that_there_are_not_are_refused() {
    let folder = Folder::new("no-levels");
    let (code, told) = refused(&folder.0, &["--log-level", "loud"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("`loud` is no level"), "{told}");
    let run = command(&folder.0, &[])
        .env("OUTRIGGER_LOG", "cook:info")
        .output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(
        told.contains("OUTRIGGER_LOG: `cook` is no logger"),
        "{told}"
    );
}
