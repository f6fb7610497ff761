//! `outrigger control` and sidecars that run by what it says (`run --xds`), as programs.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use control::{Control, command, proven, proving, until};
use proxy::{Folder, Proxy, application, shop};
use support::Told;

fn rule(status: u16) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: fault, namespace: default}}\n\
         spec:\n  hosts: [shop.example]\n  http:\n  - fault: {{abort: {{httpStatus: {status}, percentage: {{value: 100}}}}}}\n\
         \x20   route: [{{destination: {{host: shop.example}}}}]\n"
    )
}

#[test]
fn sidecars_learn_what_changes() {
    for runtime in ["tokio", "glommio"] {
        if runtime == "glommio" && !proxy::has_glommio() {
            continue;
        }
        let config = Folder::new(&format!("control-changes-{runtime}"));
        config.write("shop.yaml", &shop(application("old")));
        let control = Control::start(&config, "127.0.0.1:0");
        let at = control.addr("discovery");
        let one = Proxy::spawn(command(at, "one", &["--runtime", runtime]));
        let two = Proxy::spawn(command(at, "two", &["--runtime", runtime]));
        assert!(one.get("shop.example").ends_with("old"));
        let listed = control.page("/clients", "~two.default~");
        assert!(
            listed.contains("sidecar~0.0.0.0~one.default~default.svc.cluster.local"),
            "{listed}"
        );
        config.write("shop.yaml", &shop(application("new")));
        until(&one, "shop.example", "new");
        until(&two, "shop.example", "new");
        config.write("rule.yaml", &rule(418));
        until(&one, "shop.example", "fault filter abort");
        fs::remove_file(config.0.join("rule.yaml")).unwrap();
        until(&one, "shop.example", "new");
        control.page("/stats/prometheus", "outrigger_control_unanswered 0\n");
        one.page("/stats", "control_plane.connected_state: 1\n");
        assert_eq!(one.end().0, Some(0));
        control.page("/stats/prometheus", "outrigger_control_clients 1\n");
    }
}

#[test]
fn what_is_no_good_is_refused_alone() {
    let config = Folder::new("control-refused");
    config.write("shop.yaml", &shop(application("old")));
    config.write("rule.yaml", &rule(418));
    let control = Control::start(&config, "127.0.0.1:0");
    let proxy = Proxy::spawn(command(control.addr("discovery"), "one", &[]));
    until(&proxy, "shop.example", "fault filter abort");
    // No status of HTTP, while the service moves.
    config.write("rule.yaml", &rule(7));
    let refused = control.told.wait_for("refused");
    assert!(
        refused.contains("default/fault") && refused.contains("httpStatus"),
        "{refused}"
    );
    let listed = control.page("/clients", "httpStatus");
    assert!(
        listed.contains("networking.istio.io/v1/VirtualService"),
        "{listed}"
    );
    until(&proxy, "shop.example", "fault filter abort");
    config.write(
        "other.yaml",
        &shop(application("other")).replace("shop", "other"),
    );
    until(&proxy, "other.example", "other");
    until(&proxy, "shop.example", "fault filter abort");
    fs::remove_file(config.0.join("rule.yaml")).unwrap();
    until(&proxy, "shop.example", "old");
}

#[test]
fn a_file_that_cannot_be_read_changes_nothing() {
    let config = Folder::new("control-unreadable");
    config.write("shop.yaml", &shop(application("old")));
    let control = Control::start(&config, "127.0.0.1:0");
    let proxy = Proxy::spawn(command(control.addr("discovery"), "one", &[]));
    until(&proxy, "shop.example", "old");
    config.write("shop.yaml", "kind: [");
    control.told.wait_for("kept what is served");
    until(&proxy, "shop.example", "old");
    config.write("shop.yaml", &shop(application("new")));
    until(&proxy, "shop.example", "new");
}

#[test]
fn without_a_control_plane_what_came_last_stays() {
    let config = Folder::new("control-gone");
    config.write("shop.yaml", &shop(application("old")));
    let first = Control::start(&config, "127.0.0.1:0");
    let at = first.addr("discovery");
    let proxy = Proxy::spawn(command(at, "one", &[]));
    until(&proxy, "shop.example", "old");
    first.signal("-KILL");
    drop(first);
    proxy.wait_for("kept what is in use");
    until(&proxy, "shop.example", "old");
    // Another one, with something else.
    config.write("shop.yaml", &shop(application("new")));
    let second = Control::start(&config, &at.to_string());
    until(&proxy, "shop.example", "new");
    // What it had of the first one was not sent again: nothing else has changed.
    second.page(
        "/stats/prometheus",
        "outrigger_control_response_objects_total 1\n",
    );
}

#[test]
fn no_traffic_is_taken_before_a_first_configuration() {
    // Whoever comes is never answered.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = command(nobody.local_addr().unwrap(), "one", &[])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = Told::by(child.stderr.take().unwrap());
    let lines = told.until("waiting for a first configuration");
    assert!(
        !lines.iter().any(|line| line.contains("outbound")),
        "{lines:?}"
    );
    let kill = Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_policy_that_is_no_good_lets_nobody_start() {
    let config = Folder::new("control-policy");
    config.write("shop.yaml", &shop(application("old")));
    config.write(
        "policy.yaml",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: default}\n\
         spec: {action: DENY, rules: [{to: [{operation: {ports: ['no-port']}}]}]}\n",
    );
    let control = Control::start(&config, "127.0.0.1:0");
    let run = command(control.addr("discovery"), "one", &[])
        .output()
        .unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{told}");
    assert!(
        told.contains("AuthorizationPolicy default/p") && told.contains("nothing was started"),
        "{told}"
    );
}

#[test]
fn clear_text_is_for_this_machine() {
    let config = Folder::new("control-plain");
    let control = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["control", "--plain", "0.0.0.0:0", "--config"])
        .arg(&config.0)
        .output()
        .unwrap();
    assert_eq!(control.status.code(), Some(2));
    let run = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["run", "--xds", "http://192.0.2.1:15010"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
}

#[test]
fn over_tls_everybody_is_who_he_proves_to_be() {
    let config = Folder::new("control-secure");
    config.write("shop.yaml", &shop(application("old")));
    let (_, more) = proving(&config);
    let control = Control::start_with(&config, "127.0.0.1:0", &more);
    let shopping = Proxy::spawn(proven(&control, &config, "default-shop", &[]));
    until(&shopping, "shop.example", "old");
    let listed = control.page("/clients", "\"proven\":true");
    assert!(listed.contains("~one.default~"), "{listed}");
    config.write("shop.yaml", &shop(application("new")));
    until(&shopping, "shop.example", "new");
    // Who is of another namespace than he says is told nothing.
    let mut thief = proven(
        &control,
        &config,
        "other-thief",
        &["--namespace", "default"],
    )
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let told = Told::by(thief.stderr.take().unwrap());
    told.wait_for("the node says to be of namespace `default`, and its identity is of `other`");
    thief.kill().unwrap();
    thief.wait().unwrap();
    // And whose token nobody knows gets no certificate.
    fs::write(
        config.0.join("other-thief.token"),
        "a token that nobody knows of",
    )
    .unwrap();
    let mut unknown = proven(&control, &config, "other-thief", &["--namespace", "other"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = Told::by(unknown.stderr.take().unwrap());
    told.wait_for("Unauthenticated");
    unknown.kill().unwrap();
    unknown.wait().unwrap();
    control.page(
        "/stats/prometheus",
        "outrigger_control_clients_strange_total 1\n",
    );
}

#[test]
fn a_certificate_of_the_mesh_proves_who_one_is_from_the_first_connection_on() {
    let config = Folder::new("control-certificate");
    config.write("shop.yaml", &shop(application("old")));
    let (ca, more) = proving(&config);
    let control = Control::start_with(&config, "127.0.0.1:0", &more);
    let identity = config.0.join("identity");
    let issued = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args([
            "ca",
            "issue",
            "--namespace",
            "default",
            "--service-account",
            "shop",
        ])
        .arg(&ca)
        .arg("--out")
        .arg(&identity)
        .output()
        .unwrap();
    assert!(issued.status.success(), "{issued:?}");
    let at = format!("localhost:{}", control.addr("secure").port());
    let run = |identity: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command
            .args([
                "run",
                "--workers",
                "1",
                "--outbound",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
            ])
            .args([
                "--workload-name",
                "one",
                "--xds",
                &at,
                "--token",
                "/nowhere/token",
            ])
            .arg("--ca-roots")
            .arg(ca.join("root-cert.pem"))
            .args(identity);
        command
    };
    let shown = identity.to_string_lossy().into_owned();
    let shopping = Proxy::spawn(run(&["--identity", &shown]));
    until(&shopping, "shop.example", "old");
    let listed = control.page("/clients", "\"proven\":true");
    assert!(listed.contains("~one.default~"), "{listed}");
    // With neither it is nobody.
    let mut nobody = run(&[]).stderr(Stdio::piped()).spawn().unwrap();
    let told = Told::by(nobody.stderr.take().unwrap());
    told.wait_for("neither a token");
    nobody.kill().unwrap();
    nobody.wait().unwrap();
}
