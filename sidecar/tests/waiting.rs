//! What is answered before there is a first configuration or a first certificate, and that no traffic is taken then.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use control::{Control, command, sidecar, until};
use proxy::{Folder, Proxy, application, shop};
use serde_json::json;
use support::PATIENCE;

const WORDS: &str = "waiting for a first";

/// An address that nobody listens at yet.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn asked(proxy: &Proxy, word: &str, line: &str) -> String {
    let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    proxy.ask(word, &head)
}

fn is_refused(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn outrigger(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(words)
        .output()
        .unwrap()
}

/// A sidecar of which everything is asked at a port of its own, and that is told things at a socket of systemd.
fn supervised(command: &mut Command, folder: &Folder) -> UnixDatagram {
    let place = folder.0.join("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for option in ["--agent", "--health", "--prometheus"] {
        command.args([option, "127.0.0.1:0"]);
    }
    command.env("NOTIFY_SOCKET", place);
    socket
}

/// The next message of systemd's that begins so.
fn heard(socket: &UnixDatagram, wanted: &str) -> String {
    loop {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        if text.starts_with(wanted) {
            return text;
        }
    }
}

/// One connection on which several things are asked.
struct Kept(BufReader<TcpStream>);

impl Kept {
    fn to(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The status of the answer.
    fn get(&mut self, path: &str) -> u16 {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0.get_mut().write_all(head.as_bytes()).unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it is kept");
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            }
            if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length]).unwrap();
        status
    }
}

#[test]
fn before_a_first_configuration_all_but_traffic_is_answered() {
    let folder = Folder::new("waiting-configuration");
    let (control, outbound) = (free(), free());
    let app = application("well");
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(["run", "--workers", "1", "--admin", "127.0.0.1:0"]);
    command.args(["--xds", &format!("http://{control}")]);
    command.args(["--outbound", &outbound.to_string()]);
    let socket = supervised(&mut command, &folder);
    let path = "/app-health/app/livez";
    let probes =
        json!({path: {"httpGet": {"path": "/", "port": app.port()}, "timeoutSeconds": 30}});
    let metrics = json!({"scrape": "true", "port": app.port().to_string()});
    command.env("ISTIO_KUBE_APP_PROBERS", probes.to_string());
    command.env("ISTIO_PROMETHEUS_ANNOTATIONS", metrics.to_string());
    let mut proxy = Proxy::spawn_until(command, WORDS);
    let mut kept = Kept::to(proxy.addr("health"));

    let why = format!("INITIALIZING: waiting for a first configuration (--xds http://{control})");
    for (word, line, status, says) in [
        ("health", "GET /healthz/ready", " 503 ", &*why),
        ("agent", "GET /healthz/ready", " 503 ", &why),
        ("admin", "GET /healthz/ready", " 503 ", &why),
        ("admin", "GET /ready", " 503 ", &why),
        ("admin", "GET /config_dump", " 503 ", &why),
        ("admin", "GET /drained", " 503 ", &why),
        ("admin", "GET /help", " 200 ", "/config_dump"),
        ("admin", "GET /nowhere", " 404 ", "no such page"),
        ("admin", "GET /stats?filter=(", " 400 ", "filter"),
        ("admin", "GET /stats", " 200 ", "server.state: 3\n"),
        (
            "agent",
            "GET /app-health/app/livez",
            " 200 ",
            "the application: 200",
        ),
        (
            "agent",
            "GET /stats/prometheus",
            " 200 ",
            "envoy_server_live 0\n",
        ),
        ("agent", "GET /stats/prometheus", " 200 ", "well"),
        (
            "prometheus",
            "GET /stats/prometheus",
            " 200 ",
            "envoy_server_state 3\n",
        ),
        (
            "prometheus",
            "GET /stats/prometheus",
            " 200 ",
            "envoy_control_plane_connected_state 0\n",
        ),
    ] {
        let answer = asked(&proxy, word, line);
        assert!(
            answer.contains(status) && answer.contains(says),
            "{word} {line}: {answer}"
        );
    }
    assert_eq!(kept.get("/healthz/ready"), 503);
    assert!(
        is_refused(outbound),
        "nobody is let through by no rules at all"
    );
    // What goes wrong is told there, too.
    let begun = Instant::now();
    while !asked(&proxy, "health", "GET /healthz/ready").contains("); ") {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    let admin = proxy.addr("admin").to_string();
    let waited = outrigger(&["wait", "--admin", &admin, "--timeout", "200ms"]);
    let told = String::from_utf8(waited.stderr).unwrap();
    assert_eq!(waited.status.code(), Some(1));
    assert!(
        told.contains("503, INITIALIZING: waiting for a first configuration"),
        "{told}"
    );
    let told = heard(&socket, "EXTEND_TIMEOUT_USEC=");
    assert!(
        told.contains("\nSTATUS=Waiting for a first configuration"),
        "{told}"
    );

    folder.write("shop.yaml", &shop(application("served")));
    let _control = Control::start(&folder, &control.to_string());
    proxy.greets();
    until(&proxy, "shop.example", "served");
    heard(&socket, "READY=1\nSTATUS=Serving");
    assert_eq!(
        kept.get("/healthz/ready"),
        200,
        "on the connection from before"
    );
    for word in ["agent", "prometheus"] {
        let page = asked(&proxy, word, "GET /stats/prometheus");
        assert!(page.contains("envoy_server_live 1\n"), "{page}");
    }
    let waited = outrigger(&["wait", "--admin", &admin]);
    assert_eq!(waited.status.code(), Some(0));
}

#[test]
fn before_a_first_certificate_it_is_the_same() {
    let folder = Folder::new("waiting-certificate");
    folder.write("shop.yaml", &shop(application("shop")));
    let outbound = free();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(["run", "--workers", "1", "--admin", "127.0.0.1:0"]);
    command.args(["--ca", &format!("http://{}", free()), "--config"]);
    command
        .arg(&folder.0)
        .args(["--outbound", &outbound.to_string()]);
    let socket = supervised(&mut command, &folder);
    let mut proxy = Proxy::spawn_until(command, WORDS);
    for word in ["health", "agent", "admin"] {
        let answer = asked(&proxy, word, "GET /healthz/ready");
        let why = "INITIALIZING: waiting for a first certificate (--ca)";
        assert!(answer.contains(" 503 ") && answer.contains(why), "{answer}");
    }
    assert!(is_refused(outbound));
    let told = heard(&socket, "EXTEND_TIMEOUT_USEC=");
    assert!(
        told.contains("\nSTATUS=Waiting for a first certificate"),
        "{told}"
    );
    proxy.signal("-TERM");
    assert_eq!(proxy.wait().0, Some(0));
}

#[test]
fn who_waits_ends_at_once() {
    for (test, end) in [
        ("term", &["-TERM"][..]),
        ("int", &["-INT"]),
        ("quit", &["POST /quitquitquit", "agent"]),
        ("admin", &["POST /quitquitquit", "admin"]),
    ] {
        let folder = Folder::new(&format!("waiting-{test}"));
        let door = folder.0.join("admin.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(["run", "--workers", "1", "--outbound", "127.0.0.1:0"]);
        command.args(["--xds", &format!("http://{}", free())]);
        let admin = match test {
            "admin" => "127.0.0.1:0".into(),
            _ => format!("unix:{}", door.display()),
        };
        command.args(["--admin", &admin]);
        let socket = supervised(&mut command, &folder);
        let mut proxy = Proxy::spawn_until(command, WORDS);
        match end {
            [signal] => proxy.signal(signal),
            [line, word, ..] => assert!(asked(&proxy, word, line).contains(" 200 ")),
            [] => unreachable!("each has an end"),
        }
        assert_eq!(proxy.wait().0, Some(0), "{test}");
        heard(&socket, "STOPPING=1");
        assert!(!door.exists(), "{test}: its file is gone");
    }
}

#[test]
fn who_was_drained_before_it_served_takes_nobody_in() {
    for asked_at in ["admin", "agent"] {
        let folder = Folder::new(&format!("waiting-drain-{asked_at}"));
        folder.write("shop.yaml", &shop(application("shop")));
        let (at, inbound) = (free(), free());
        let app = application("inside");
        let listens = format!("{inbound}={app}");
        let more = ["--inbound", &*listens, "--agent", "127.0.0.1:0"];
        let mut proxy = Proxy::spawn_until(command(at, "one", &more), WORDS);
        if asked_at == "admin" {
            let admin = proxy.addr("admin").to_string();
            let drained = outrigger(&["drain", "--admin", &admin]);
            assert_eq!(drained.status.code(), Some(0), "{drained:?}");
        } else {
            assert!(asked(&proxy, "agent", "POST /drain").contains(" 200 "));
            assert!(asked(&proxy, "admin", "GET /drained").contains(" 200 "));
        }
        let _control = Control::start(&folder, &at.to_string());
        proxy.greets();
        until(&proxy, "shop.example", "shop");
        let ready = asked(&proxy, "agent", "GET /healthz/ready");
        assert!(
            ready.contains(" 503 ") && ready.contains("DRAINING"),
            "{ready}"
        );
        let begun = Instant::now();
        while !is_refused(inbound) {
            assert!(begun.elapsed() < PATIENCE, "it accepts");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn what_is_no_address_of_ours_ends_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let folder = Folder::new("waiting-taken");
    let door = folder.0.join("admin.sock");
    let mut command = sidecar("one");
    command.args(["--xds", &format!("http://{}", free())]);
    command.args(["--agent", &addr]);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("(--agent)"), "{told}");

    // Nothing is left of one that cannot begin.
    folder.write("rules.yaml", "kind: [");
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(["run", "--outbound", "127.0.0.1:0", "--config"]);
    command.arg(folder.0.join("rules.yaml"));
    command
        .arg("--admin")
        .arg(format!("unix:{}", door.display()));
    assert_eq!(command.output().unwrap().status.code(), Some(1));
    assert!(!door.exists());
}
