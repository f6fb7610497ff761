//! Every port of a pod behind its sidecar, whether anybody names it: who comes in, whom the application sees, what it says to itself.
//!
//! Needs to be root on Linux with `ip`, and iptables or nft. Where it may not make namespaces it says so and tests nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use cable::Cable;
use proxy::{Folder, Proxy, ask, command, has_glommio};

#[path = "../../intercept/tests/cable/mod.rs"]
mod cable;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

/// The workload is an endpoint of a service, with a port of its own name, and calls that service itself.
const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  addresses: [10.77.9.9]
  ports: [{number: 80, targetPort: 8080, name: http, protocol: HTTP}]
  resolution: STATIC
  workloadSelector: {labels: {app: shop}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: shop}
spec: {address: 10.77.0.2, labels: {app: shop}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: shut}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/shut], ports: ['8080', '9090']}}]}, {to: [{operation: {ports: ['6666']}}]}]}
";

/// The same with a Sidecar that says where the application is.
const INGRESS: &str = "
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: shop}
spec:
  ingress:
  - {port: {number: 8080, name: http, protocol: HTTP}, defaultEndpoint: '127.0.0.1:8088'}
  - {port: {number: 8081, name: http-own, protocol: HTTP}, defaultEndpoint: '0.0.0.0:8080'}
";

/// An application that says to each request whom it sees, with its own name.
fn serve(listener: TcpListener, name: &'static str) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let from = stream.peer_addr().unwrap().ip().to_canonical();
            answer(
                stream.try_clone().unwrap(),
                stream,
                &format!("{name} {from}"),
            );
        }
    });
}

fn answer(heard: impl std::io::Read, mut said: impl std::io::Write, body: &str) {
    let mut lines = BufReader::new(heard).lines();
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = said.write_all((head + body).as_bytes());
}

/// Says first whom it sees, then again what it hears, until that ends.
fn serve_first(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let from = stream.peer_addr().unwrap().ip().to_canonical();
                let _ = stream.write_all(format!("{from} ").as_bytes());
                let mut heard = Vec::new();
                if stream.read_to_end(&mut heard).is_ok() {
                    let _ = stream.write_all(&heard);
                }
            });
        }
    });
}

/// What is answered to a request for a path, as `status body`.
fn get(to: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n");
    let answer = ask(to.parse().unwrap(), &request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    format!("{status} {body}")
}

/// What a server says that is no HTTP; nothing where the connection is closed.
fn hello(to: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let _ = stream.write_all(b"hello\r\n");
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = String::new();
    match stream.read_to_string(&mut said) {
        Ok(_) => said,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => String::new(),
        Err(error) => panic!("{to}: {error}"),
    }
}

fn as_application<T>(act: impl FnOnce() -> T) -> T {
    let user = Uid::from_raw(1000);
    set_thread_res_uid(user, user, user).unwrap();
    act()
}

fn intercept(cable: &Cable, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.arg("intercept").args(args);
    let output = cable.in_pod(|| command.output()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
}

/// A pod whose every port is captured, with a sidecar for what is brought.
fn start(cable: &Cable, folder: &Folder, runtime: &str, mode: &str) -> Proxy {
    let options = [
        ["--runtime", runtime],
        ["--interception", mode],
        // At all addresses, as Istio's: a client from outside must not get there all the same.
        ["--outbound", "0.0.0.0:15001"],
        ["--inbound", "[::]:15006"],
        ["--label", "app=shop"],
    ];
    cable.in_pod(|| Proxy::spawn(command(&folder.0, options.as_flattened())))
}

/// The stage of each test; `None` where there can be none.
fn stage(of: &str) -> Option<Cable> {
    let cable = match Cable::new(of) {
        Ok(cable) => cable,
        Err(why) => {
            eprintln!("not tried, because there can be no network namespaces: {why}");
            return None;
        }
    };
    if cable.in_pod(cable::backends).is_empty() {
        eprintln!("not tried, because neither iptables nor nft works here");
        return None;
    }
    Some(cable)
}

/// Each runtime that there is, with each way in which the kernel brings connections.
fn ways() -> Vec<(&'static str, &'static str)> {
    let mut ways = vec![("tokio", "REDIRECT"), ("tokio", "TPROXY")];
    match has_glommio() {
        true => ways.extend([("glommio", "REDIRECT"), ("glommio", "TPROXY")]),
        false => eprintln!("glommio is not tried: this machine does not let us"),
    }
    ways
}

#[test]
fn ports_that_nobody_names_reach_the_application_and_its_policies() {
    let Some(cable) = stage("own") else { return };
    let listen = |to: &'static str| cable.in_pod(|| TcpListener::bind(to).unwrap());
    serve(listen("[::]:8080"), "named");
    serve(listen("[::]:9090"), "unnamed");
    serve(listen("0.0.0.0:6666"), "refused");
    serve_first(listen("0.0.0.0:7070"));
    let folder = Folder::new("own-ports");
    folder.write("rules.yaml", RULES);
    for (runtime, mode) in ways() {
        let apply = ["apply", "--proxy-uid", "0", "--ipv6", "--mode", mode];
        intercept(&cable, &apply);
        let sidecar = start(&cable, &folder, runtime, mode);
        let what = format!("{runtime} {mode}");
        // Whom an application sees: the sidecar, or under TPROXY its client.
        let seen = match mode {
            "TPROXY" => "10.77.0.1",
            _ => "127.0.0.6",
        };
        let seen_by_v6 = match mode {
            "TPROXY" => "fd77::1",
            _ => "::6",
        };
        let from_outside = |to: &str, path: &str| cable.in_client(|| get(to, path));
        for (to, path, want) in [
            ("10.77.0.2:8080", "/", format!("200 named {seen}")),
            ("10.77.0.2:9090", "/", format!("200 unnamed {seen}")),
            ("[fd77::2]:8080", "/", format!("200 named {seen_by_v6}")),
            ("[fd77::2]:9090", "/", format!("200 unnamed {seen_by_v6}")),
            ("10.77.0.2:8080", "/shut", "403 RBAC: access denied".into()),
            ("10.77.0.2:9090", "/shut", "403 RBAC: access denied".into()),
            ("10.77.0.2:6666", "/", "403 RBAC: access denied".into()),
        ] {
            assert_eq!(from_outside(to, path), want, "{what} {to} {path}");
        }
        let said = |to: &str| cable.in_client(|| hello(to));
        assert_eq!(
            said("10.77.0.2:7070"),
            format!("{seen} hello\r\n"),
            "{what}"
        );
        assert_eq!(said("10.77.0.2:6666"), "", "{what}");
        // Nothing goes round: not by the listener for what comes in, and not by the one for what goes out.
        assert_eq!(said("10.77.0.2:15006"), "", "{what}");
        assert_eq!(said("10.77.0.2:15001"), "", "{what}");
        let answer = from_outside("10.77.0.2:15001", "http://10.77.0.1:1/");
        assert!(answer.starts_with("503 "), "{what}: {answer}");
        drop(sidecar);
        intercept(&cable, &["clean"]);
    }
}

#[test]
fn a_pod_that_calls_its_own_service_comes_in_by_its_own_listener() {
    let Some(cable) = stage("self") else { return };
    serve(
        cable.in_pod(|| TcpListener::bind("0.0.0.0:8080").unwrap()),
        "named",
    );
    let folder = Folder::new("own-service");
    folder.write("rules.yaml", RULES);
    for (runtime, mode) in ways() {
        intercept(&cable, &["apply", "--proxy-uid", "0", "--mode", mode]);
        let sidecar = start(&cable, &folder, runtime, mode);
        let what = format!("{runtime} {mode}");
        let out = |to: &str, path: &str| cable.in_pod(|| as_application(|| get(to, path)));
        // By the address of its service it goes out and comes in again, where its own policies hold.
        let answer = out("10.77.9.9:80", "/");
        assert!(answer.starts_with("200 named "), "{what}: {answer}");
        assert_eq!(
            out("10.77.9.9:80", "/shut"),
            "403 RBAC: access denied",
            "{what}"
        );
        // What an application says to itself is its own matter.
        assert_eq!(
            out("127.0.0.1:8080", "/shut"),
            "200 named 127.0.0.1",
            "{what}"
        );
        assert_eq!(
            out("10.77.0.2:8080", "/shut"),
            "200 named 10.77.0.2",
            "{what}"
        );
        drop(sidecar);
        intercept(&cable, &["clean"]);
    }
}

#[test]
fn a_sidecar_says_where_the_application_is() {
    let Some(cable) = stage("ingress") else {
        return;
    };
    serve(
        cable.in_pod(|| TcpListener::bind("127.0.0.1:8088").unwrap()),
        "loopback",
    );
    serve(
        cable.in_pod(|| TcpListener::bind("10.77.0.2:8080").unwrap()),
        "own",
    );
    let folder = Folder::new("ingress");
    let socket = folder.0.join("app.sock");
    let unix = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in unix.incoming() {
            let stream = stream.unwrap();
            answer(stream.try_clone().unwrap(), stream, "unix");
        }
    });
    let by_socket = format!(
        "  - {{port: {{number: 8082, name: http-unix, protocol: HTTP}}, defaultEndpoint: 'unix://{}'}}\n",
        socket.display()
    );
    folder.write("rules.yaml", &format!("{RULES}{INGRESS}{by_socket}"));
    for (runtime, mode) in ways() {
        intercept(&cable, &["apply", "--proxy-uid", "0", "--mode", mode]);
        let sidecar = start(&cable, &folder, runtime, mode);
        let seen = match mode {
            "TPROXY" => "10.77.0.1",
            _ => "127.0.0.6",
        };
        for (to, want) in [
            ("10.77.0.2:8080", "200 loopback 127.0.0.1".to_owned()),
            ("10.77.0.2:8081", format!("200 own {seen}")),
            ("10.77.0.2:8082", "200 unix".to_owned()),
        ] {
            let got = cable.in_client(|| get(to, "/"));
            assert_eq!(got, want, "{runtime} {mode} {to}");
        }
        drop(sidecar);
        intercept(&cable, &["clean"]);
    }
}
