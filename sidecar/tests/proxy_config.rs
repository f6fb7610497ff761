//! `PROXY_CONFIG`, as Istio's injection writes it, to `outrigger run`.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::process::Command;

use control::{Control, until};
use proxy::{Folder, Proxy, application, command, shop};
use serde_json::{Value, json};

#[test]
fn what_it_says_counts_and_what_has_no_effect_is_told() {
    let folder = Folder::new("proxy-config");
    folder.write("shop.yaml", &shop(application("shop")));
    let config = json!({
        "concurrency": 2, "terminationDrainDuration": "7s", "drainDuration": "3s", "statNameLength": 9,
        "holdApplicationUntilProxyStarts": true, "discoveryAddress": "istiod.istio-system.svc:15012",
        "tracing": {"zipkin": {"address": "127.0.0.1:9"}, "sampling": 100.0, "tlsSettings": {}},
        "proxyMetadata": {"POD_NAMESPACE": "shop", "OUTRIGGER_LOG": "info", "ISTIO_META_STRANGE": "1"},
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args([
        "run",
        "--outbound",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--config",
    ]);
    command
        .arg(&folder.0)
        .env("PROXY_CONFIG", config.to_string());
    let proxy = Proxy::spawn(command);
    let told = |words: &str| {
        let mut lines = proxy.before.iter();
        let found = lines.find(|line| line.contains(words));
        let found = found.unwrap_or_else(|| panic!("{words} is not in {:#?}", proxy.before));
        assert!(
            found.contains("is not in effect") && found.contains("PROXY_CONFIG"),
            "{found}"
        );
    };
    for field in [
        "statNameLength",
        "tlsSettings",
        "ISTIO_META_STRANGE",
        "holdApplicationUntilProxyStarts",
    ] {
        told(field);
    }
    for field in [
        "concurrency",
        "Duration",
        "discoveryAddress",
        "OUTRIGGER_LOG",
    ] {
        let mut lines = proxy.before.iter();
        assert!(
            !lines.any(|line| line.contains(field)),
            "{:#?}",
            proxy.before
        );
    }
    let info = proxy.admin("GET /server_info");
    let (_, info) = info.split_once("\r\n\r\n").unwrap();
    let info: Value = serde_json::from_str(info).unwrap();
    let options = &info["command_line_options"];
    assert_eq!(
        (&options["concurrency"], &options["drain_time"]),
        (&json!(2), &json!("7s"))
    );
    assert_eq!(info["node"]["metadata"]["NAMESPACE"], "shop");
    let dump = proxy.admin("GET /config_dump");
    assert!(
        dump.contains("127.0.0.1:9"),
        "spans go to the Zipkin: {dump}"
    );
}

#[test]
fn the_command_line_and_variables_go_before_it_and_the_mesh_stands_under_it() {
    let folder = Folder::new("proxy-config-order");
    folder.write("shop.yaml", &shop(application("shop")));
    let other = Folder::new("proxy-config-mesh");
    other.write(
        "mesh.yaml",
        "defaultConfig: {tracing: {zipkin: {address: '127.0.0.1:7'}, sampling: 100}}",
    );
    let mesh = other.0.join("mesh.yaml");
    for (config, zipkin) in [
        (
            r#"{"tracing": {"zipkin": {"address": "127.0.0.1:8"}}}"#,
            "127.0.0.1:8",
        ),
        ("terminationDrainDuration: 7s\n", "127.0.0.1:7"),
    ] {
        let more = ["--mesh-config", mesh.to_str().unwrap(), "--workers", "1"];
        let mut command = command(&folder.0, &more);
        command
            .env("PROXY_CONFIG", config)
            .env("OUTRIGGER_DRAIN_TIME", "9");
        let proxy = Proxy::spawn(command);
        let dump = proxy.admin("GET /config_dump");
        assert!(dump.contains(zipkin), "{zipkin}: {dump}");
        let info = proxy.admin("GET /server_info");
        assert!(info.contains("\"drain_time\": \"9s\""), "{info}");
        assert!(info.contains("\"concurrency\": 1"), "{info}");
    }
}

#[test]
fn a_control_plane_that_it_names_is_listened_to() {
    let folder = Folder::new("proxy-config-xds");
    folder.write("shop.yaml", &shop(application("shop")));
    let control = Control::start(&folder, "127.0.0.1:0");
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(["run", "--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let at = format!("http://{}", control.addr("discovery"));
    let config = json!({"discoveryAddress": at, "concurrency": 1});
    command
        .env("PROXY_CONFIG", config.to_string())
        .env("POD_NAME", "cart-1");
    let proxy = Proxy::spawn(command);
    until(&proxy, "shop.example", "shop");
    control.page("/clients", "~cart-1.default~");
}

#[test]
fn nonsense_ends_the_start() {
    let folder = Folder::new("proxy-config-nonsense");
    folder.write("shop.yaml", &shop(application("shop")));
    for (config, more, why) in [
        ("{", &[][..], "PROXY_CONFIG"),
        (
            "concurrency: many",
            &[],
            "PROXY_CONFIG: `concurrency` cannot be",
        ),
        (
            "tracing: {sampling: 7}",
            &["--record", "run.rec"],
            "a recording does not hold",
        ),
        (
            "discoveryAddress: a:1",
            &["--mesh-config", "mesh.yaml"],
            "`--config` or `--xds`",
        ),
    ] {
        let mut command = match why.contains("--xds") {
            true => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
                command.arg("run").args(more);
                command
            }
            false => command(&folder.0, more),
        };
        let output = command.env("PROXY_CONFIG", config).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{config}: {told}");
        assert!(told.contains(why), "{config}: {told}");
    }
    // What another command is told stands elsewhere.
    let drained = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["version"])
        .env("PROXY_CONFIG", "{")
        .output();
    assert!(drained.unwrap().status.success());
}
