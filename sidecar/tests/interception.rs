//! An application that knows of no proxy, in a network namespace of which everything is captured, and a client outside.
//!
//! Needs to be root on Linux with `ip`, and iptables or nft. Where it may not make namespaces it says so and tests nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use cable::Cable;

#[path = "../../intercept/tests/cable/mod.rs"]
mod cable;

const TIME: Duration = Duration::from_secs(10);

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  addresses: [10.77.9.9]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.77.0.1, ports: {http: 8000}}]
";

/// Answers every request with its name and the address that it came from, until the test ends.
fn service(listener: TcpListener, name: &'static str) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut room = [0; 4096];
                while let Ok(1..) = stream.read(&mut room) {
                    let length = name.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// What is answered at an address to a request for a host; `None` when the connection ends without an answer.
fn ask(to: &str, host: &str) -> Option<String> {
    let to: SocketAddr = to.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&to, TIME).unwrap();
    stream.set_read_timeout(Some(TIME)).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{to}: {error}"),
    }
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// The same as the application's user: who runs the test is the sidecar.
fn ask_as_application(cable: &Cable, to: &str, host: &str) -> Option<String> {
    cable.in_pod(|| {
        let user = Uid::from_raw(1000);
        set_thread_res_uid(user, user, user).unwrap();
        ask(to, host)
    })
}

/// A sidecar in the pod, which ends with this.
struct Sidecar(Child);

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sidecar {
    fn start(cable: &Cable, runtime: &str, mode: &str) -> Self {
        let rules = std::env::temp_dir().join(format!(
            "outrigger-interception-{}.yaml",
            std::process::id()
        ));
        fs::write(&rules, RULES).unwrap();
        let spawn = || {
            Command::new(env!("CARGO_BIN_EXE_outrigger"))
                .args([
                    "run",
                    "--workers",
                    "1",
                    "--runtime",
                    runtime,
                    "--interception",
                    mode,
                ])
                .args(["--inbound", "0.0.0.0:15006=127.0.0.1:8080"])
                .args(["--inbound", "0.0.0.0:15006=127.0.0.1:9090"])
                .arg("--config")
                .arg(&rules)
                .stderr(Stdio::null())
                .spawn()
        };
        let sidecar = Self(cable.in_pod(spawn).unwrap());
        let is_ready = || {
            ["127.0.0.1:15001", "127.0.0.1:15006", "127.0.0.1:15000"]
                .iter()
                .all(|at| TcpStream::connect(at).is_ok())
        };
        while !cable.in_pod(is_ready) {
            thread::sleep(Duration::from_millis(5));
        }
        sidecar
    }
}

fn intercept(cable: &Cable, args: &[&str]) -> String {
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .arg("intercept")
            .args(args)
            .output()
    };
    let output = cable.in_pod(run).unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

#[test]
fn an_application_that_knows_of_no_proxy_is_served_by_one() {
    let cable = match Cable::new("run") {
        Ok(cable) => cable,
        Err(why) => {
            return eprintln!("not tried, because there can be no network namespaces: {why}");
        }
    };
    let tools = || {
        ["iptables-save", "nft"]
            .iter()
            .any(|tool| Command::new(tool).arg("-V").output().is_ok())
    };
    if !tools() {
        return eprintln!("not tried, because neither iptables nor nft is here");
    }
    for (address, name) in [("10.77.0.1:8000", "shop"), ("10.77.0.1:7000", "elsewhere")] {
        service(
            cable.in_client(|| TcpListener::bind(address).unwrap()),
            name,
        );
    }
    for (address, name) in [("127.0.0.1:8080", "a"), ("127.0.0.1:9090", "b")] {
        service(cable.in_pod(|| TcpListener::bind(address).unwrap()), name);
    }
    for (runtime, mode) in [
        ("tokio", "REDIRECT"),
        ("tokio", "TPROXY"),
        ("glommio", "REDIRECT"),
    ] {
        // Who runs this is the sidecar, and so exempt.
        intercept(
            &cable,
            &[
                "apply",
                "--proxy-uid",
                "0",
                "--proxy-gid",
                "4294967294",
                "--mode",
                mode,
            ],
        );
        if runtime == "glommio" && !has_glommio() {
            eprintln!("glommio is not tried: this machine does not let us");
            continue;
        }
        let _sidecar = Sidecar::start(&cable, runtime, mode);
        let what = format!("{runtime} {mode}");
        let out = |to, host| ask_as_application(&cable, to, host);
        assert_eq!(
            out("10.77.9.9:80", "shop.test").as_deref(),
            Some("shop"),
            "{what}"
        );
        // The port that was connected to counts, whatever the host says.
        assert_eq!(
            out("10.77.9.9:80", "shop.test:9999").as_deref(),
            Some("shop"),
            "{what}"
        );
        // Whom nobody knows is where the application wanted to go, and no name is asked for.
        assert_eq!(
            out("10.77.0.1:7000", "nobody.invalid").as_deref(),
            Some("elsewhere"),
            "{what}"
        );
        assert_eq!(
            out("10.77.0.1:7000", "shop.test").as_deref(),
            Some("elsewhere"),
            "{what}"
        );
        let into = |to: &str| cable.in_client(|| ask(to, "pod.test"));
        assert_eq!(into("10.77.0.2:8080").as_deref(), Some("a"), "{what}");
        assert_eq!(into("10.77.0.2:9090").as_deref(), Some("b"), "{what}");
        assert_eq!(
            into("10.77.0.2:9191"),
            None,
            "{what}: nobody is for that port"
        );
        // Who asked whether the sidecar is ready wanted to go to no port of the application's either.
        let stats = cable.in_pod(|| stats("no_filter_chain_match"));
        assert!(
            stats.contains("0.0.0.0_15006.no_filter_chain_match: 2"),
            "{what}: {stats}"
        );
        intercept(&cable, &["clean"]);
    }
}

fn has_glommio() -> bool {
    cfg!(feature = "glommio") && outrigger_glommio_probe()
}

#[cfg(feature = "glommio")]
fn outrigger_glommio_probe() -> bool {
    outrigger_glommio::probe().is_ok()
}

#[cfg(not(feature = "glommio"))]
fn outrigger_glommio_probe() -> bool {
    false
}

fn stats(filter: &str) -> String {
    let mut stream = TcpStream::connect("127.0.0.1:15000").unwrap();
    let request = format!(
        "GET /stats?filter={filter} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
