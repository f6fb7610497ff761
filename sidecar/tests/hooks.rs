//! What runs beside a sidecar in its container: `drain` and `wait` as hooks, variables of the environment, and what the program says of
//! itself.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use proxy::{Folder, Proxy, application, command, shop};
use serde_json::Value;
use support::PATIENCE;

/// Longer than any test.
const EVER: &str = "1000";

fn outrigger(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(words).env_remove("OUTRIGGER_ADMIN");
    command
}

/// Exit code, standard output and standard error.
fn ran(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// An address that nobody listens at.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn drain_ends_when_the_last_connection_has_and_the_sidecar_goes_on() {
    let folder = Folder::new("hook-drain");
    folder.write("shop.yaml", &shop(application("shop")));
    let app = TcpListener::bind("127.0.0.1:0").unwrap();
    let inbound = format!("127.0.0.1:0={}", app.local_addr().unwrap());
    let more = [
        "--inbound",
        &inbound,
        "--minimum-drain-time",
        "0",
        "--drain-time",
        EVER,
    ];
    let mut proxy = Proxy::start(&folder.0, &more);
    let admin = proxy.addr("admin").to_string();
    let mut client = TcpStream::connect(proxy.addr("inbound")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut served = app.accept().unwrap().0;
    assert!(proxy.admin("GET /drained").contains(" 503 "));

    let (code, _, told) = ran(outrigger(&[
        "drain",
        "--admin",
        &admin,
        "--timeout",
        "300ms",
    ]));
    assert_eq!(code, Some(1));
    assert!(
        told.contains("1 connections from elsewhere are open"),
        "{told}"
    );

    let mut hook = outrigger(&["drain", "--timeout", "100s"]);
    let mut hook = hook
        .env("OUTRIGGER_ADMIN", &admin)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    served
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(hook.wait().unwrap().code(), Some(0));

    assert!(TcpStream::connect(proxy.addr("inbound")).is_err());
    assert!(
        proxy.get("shop.example").ends_with("shop"),
        "the application still reaches others"
    );
    assert!(proxy.admin("GET /drained").ends_with("DRAINED\n"));
    proxy.signal("-TERM");
    assert_eq!(proxy.wait().0, Some(0));
}

/// Nobody elsewhere has to hear of it, so the minimum time is not waited for.
#[test]
fn drain_ends_at_once_where_nobody_comes_from_elsewhere() {
    let folder = Folder::new("hook-outbound");
    folder.write("shop.yaml", &shop(application("shop")));
    let socket = folder.0.join("admin.sock");
    let admin = format!("unix:{}", socket.display());
    let more = [
        "--minimum-drain-time",
        EVER,
        "--drain-time",
        EVER,
        "--admin",
        &admin,
    ];
    let proxy = Proxy::start(&folder.0, &more);
    let (code, _, told) = ran(outrigger(&["drain", "--admin", &admin]));
    assert_eq!((code, &*told), (Some(0), ""));
    assert!(proxy.get("shop.example").ends_with("shop"));
}

#[test]
fn hooks_say_that_nobody_is_there() {
    let (code, _, told) = ran(outrigger(&["drain", "--admin", &nobody()]));
    assert_eq!(code, Some(2));
    assert!(told.contains("no sidecar answers"), "{told}");
    let (code, _, told) = ran(outrigger(&[
        "wait",
        "--admin",
        &nobody(),
        "--timeout",
        "1ms",
    ]));
    assert_eq!(code, Some(1));
    assert!(told.contains("was not ready within 0.001 s"), "{told}");
}

#[test]
fn wait_ends_when_the_sidecar_is_ready() {
    let folder = Folder::new("hook-wait");
    folder.write("shop.yaml", &shop(application("shop")));
    let admin = nobody();
    let hook = outrigger(&["wait", "--admin", &admin]).spawn();
    let proxy = Proxy::start(&folder.0, &["--admin", &admin]);
    assert_eq!(hook.unwrap().wait().unwrap().code(), Some(0));
    drop(proxy);
}

#[test]
fn a_run_can_be_told_everything_by_the_environment() {
    let folder = Folder::new("hook-environment");
    folder.write("shop.yaml", &shop(application("shop")));
    folder.write("labels", "version=\"v1\"\ntier=\"back\"\n");
    let mut run = outrigger(&["run", "--outbound", "127.0.0.1:0"]);
    run.env("OUTRIGGER_CONFIG", &folder.0)
        .env("OUTRIGGER_ADMIN", "127.0.0.1:0")
        .env("OUTRIGGER_LABEL", "app=cart\nversion=v2")
        .env("OUTRIGGER_LABELS_FILE", folder.0.join("labels"))
        .env("OUTRIGGER_LENIENT", "yes")
        .env("OUTRIGGER_OUTBOUND", "192.0.2.1:1")
        .env("OUTRIGGER_MAX_REQUEST_BODY", "")
        .env("ISTIO_CPU_LIMIT", "2")
        .env("POD_NAME", "cart-1")
        .env("POD_NAMESPACE", "shop")
        .env("TERMINATION_DRAIN_DURATION_SECONDS", "7");
    let proxy = Proxy::spawn(run);
    let info = proxy.admin("GET /server_info");
    let info: Value = serde_json::from_str(info.split_once("\r\n\r\n").unwrap().1).unwrap();
    let said = &info["command_line_options"];
    assert_eq!(
        (&said["concurrency"], &said["drain_time"]),
        (&2.into(), &"7s".into())
    );
    assert_eq!(info["node"]["cluster"], "cart.shop");
    let labels = &info["node"]["metadata"]["LABELS"];
    assert_eq!(
        (&labels["version"], &labels["tier"]),
        (&"v2".into(), &"back".into())
    );
    assert!(proxy.get("shop.example").ends_with("shop"));

    let run = command(&folder.0, &["--labels-file", "/nowhere"]);
    let (code, _, told) = ran(run);
    assert!(
        code == Some(2) && told.contains("/nowhere (--labels-file)"),
        "{told}"
    );
    let mut run = command(&folder.0, &[]);
    run.env("OUTRIGGER_IDLE_TIMEOUT", "soon");
    let (code, _, told) = ran(run);
    assert_eq!(code, Some(2));
    assert!(
        told.contains("'soon'") && told.contains("--idle-timeout"),
        "{told}"
    );
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, _) = ran(outrigger(&["completion", shell]));
        assert_eq!(code, Some(0));
        assert!(script.contains("takeover-time"), "{shell}");
        if shell != "bash" {
            continue;
        }
        let mut bash = Command::new("bash");
        let bash = bash.arg("-n").stdin(Stdio::piped()).spawn();
        let mut bash = bash.unwrap();
        let mut stdin = bash.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        assert!(bash.wait().unwrap().success());
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let (_, page, _) = ran(outrigger(&["man"]));
    assert!(
        page.starts_with(".ie") || page.contains(".TH outrigger 1"),
        "{page}"
    );
    for words in [&["run"][..], &["drain"], &["ca", "issue"]] {
        let (code, page, _) = ran(outrigger(&[&["man"], words].concat()));
        assert_eq!(code, Some(0));
        let title = format!(".TH outrigger-{} 1", words.join("-"));
        assert!(page.contains(&title), "{page}");
    }
    let (code, _, told) = ran(outrigger(&["man", "fly"]));
    assert_eq!(code, Some(2));
    assert!(told.contains("no command `fly`"), "{told}");
}

#[test]
fn the_version_is_told_to_machines() {
    let (code, text, _) = ran(outrigger(&["version", "--format", "json"]));
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &told["version"]),
        (Some(0), &env!("CARGO_PKG_VERSION").into())
    );
    assert!(
        told["features"].is_array() && told["target"].is_string(),
        "{told}"
    );
    let (_, text, _) = ran(outrigger(&["version"]));
    assert!(text.starts_with("outrigger 0."), "{text}");
}
