//! Signals under load, and what a process leaves to the next one, on every runtime.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/load.rs"]
mod load;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use load::{Load, endpoint, sidecar_at};
use proxy::{Folder, Proxy, application, command, has_glommio, refused, shop};
use support::PATIENCE;

/// Plays on every runtime that this machine has.
fn on_every_runtime(play: impl Fn(&str)) {
    for runtime in ["tokio", "glommio"] {
        if runtime == "glommio" && !has_glommio() {
            eprintln!("glommio is not tried: this machine does not let us");
            continue;
        }
        play(runtime);
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// Who asks without pause loses nothing: an answer says that the connection ends, or nobody listens any more.
#[test]
fn sigterm_loses_no_request_that_was_sent() {
    on_every_runtime(|runtime| {
        let folder = Folder::new("term");
        folder.write("shop.yaml", &shop(endpoint()));
        let mut proxy = Proxy::start(&folder.0, &["--runtime", runtime, "--workers", "2"]);
        let mut load = Load::begin(proxy.addr("outbound"), "shop.example", (8, 4));
        load.goes_on();
        proxy.signal("-TERM");
        assert_eq!(proxy.wait().0, Some(0));
        let counted = load.end();
        assert_eq!(counted.failed, Vec::<String>::new(), "of {}", counted.asked);
        assert_eq!(counted.refused, 12, "each found nobody in the end");
    });
}

#[test]
fn a_second_signal_ends_at_once() {
    on_every_runtime(|runtime| {
        for signals in [["-TERM", "-TERM"], ["-TERM", "-INT"], ["-INT", "-INT"]] {
            let folder = Folder::new("second");
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            folder.write("shop.yaml", &shop(silent.local_addr().unwrap()));
            let flags = ["--runtime", runtime, "--drain-time", "1000"];
            let mut proxy = Proxy::start(&folder.0, &flags);
            let mut waits = connect(proxy.addr("outbound"));
            waits.write_all(ASK).unwrap();
            let _held = silent.accept().unwrap();
            proxy.signal(signals[0]);
            proxy.wait_for("draining");
            proxy.signal(signals[1]);
            proxy.wait_for("ended by a second signal");
            assert_eq!(proxy.wait().0, Some(0));
            // It hears of it by the end of the connection, not by an answer.
            let mut rest = Vec::new();
            let _ = waits.read_to_end(&mut rest);
            assert!(rest.is_empty(), "{rest:?}");
        }
    });
}

/// A Sidecar whose outbound listener is a Unix socket.
fn with_socket(shop: &str, path: &std::path::Path) -> String {
    format!("{shop}---\n{}", sidecar_at(path))
}

#[test]
fn what_is_killed_is_in_nobodys_way() {
    on_every_runtime(|runtime| {
        let folder = Folder::new("killed");
        let [socket, admin] = ["out.sock", "admin.sock"].map(|name| folder.0.join(name));
        let rules = folder.0.join("rules");
        std::fs::create_dir(&rules).unwrap();
        folder.write("rules/shop.yaml", &with_socket(&shop(endpoint()), &socket));
        let admin = format!("unix:{}", admin.display());
        let common = ["--runtime", runtime, "--workers", "2", "--admin", &admin];
        let mut first = Proxy::start(&rules, &common);
        let outbound = first.addr("outbound").to_string();
        // Connections of every kind are open: idle, in the middle of a request, and just made.
        let mut idle = connect(first.addr("outbound"));
        idle.write_all(ASK).unwrap();
        let mut line = String::new();
        BufReader::new(idle.try_clone().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        let mut half = connect(first.addr("outbound"));
        half.write_all(&ASK[..10]).unwrap();
        let _fresh: Vec<_> = (0..20).map(|_| connect(first.addr("outbound"))).collect();
        let _there = UnixStream::connect(&socket).unwrap();
        first.signal("-KILL");
        first.child.wait().unwrap();
        assert!(socket.exists(), "nobody could put it away");
        let words = [&common[..], &["--outbound", &outbound]].concat();
        let second = Proxy::start(&rules, &words);
        assert!(second.get("shop.example").ends_with("ok"));
        let mut asks = UnixStream::connect(&socket).unwrap();
        asks.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        asks.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("ok"), "{answer}");
        assert_eq!(second.end().0, Some(0));
    });
}

#[test]
fn a_second_process_on_a_port_is_told_and_takes_no_connection() {
    on_every_runtime(|runtime| {
        let folder = Folder::new("twice");
        folder.write("shop.yaml", &shop(endpoint()));
        let first = Proxy::start(&folder.0, &["--runtime", runtime, "--workers", "2"]);
        let outbound = first.addr("outbound").to_string();
        let mut load = Load::begin(first.addr("outbound"), "shop.example", (4, 4));
        let (code, told) = refused(&folder.0, &["--outbound", &outbound, "--runtime", runtime]);
        assert_eq!(code, Some(1));
        let words = format!(
            "cannot listen on {outbound}: Address already in use (os error 98): another process listens there, which may be this \
             program: end it first, or start both with the same `--takeover`"
        );
        assert!(told.contains(&words), "{told}");
        load.goes_on();
        load.end().expect_nothing_lost();
        assert_eq!(first.end().0, Some(0));
    });
}

/// The kernel lets sockets of one user share a port, also of two processes that begin in the same moment.
#[test]
fn of_two_processes_that_begin_at_once_one_has_the_port() {
    for _ in 0..2 {
        let folder = Folder::new("both");
        folder.write("shop.yaml", &shop(application("shop")));
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = free.local_addr().unwrap().to_string();
        drop(free);
        let runs: Vec<_> = (0..3)
            .map(|_| {
                let mut command = command(&folder.0, &["--outbound", &addr]);
                command.stdout(std::process::Stdio::null());
                command.stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        let begun = runs.into_iter().map(|mut run| {
            let mut told = BufReader::new(run.stderr.take().unwrap());
            let mut line = String::new();
            while !line.contains("outrigger 0") && told.read_line(&mut line).unwrap() > 0 {}
            let begun = line.contains("outrigger 0");
            (run, told, begun)
        });
        // All of them, before one ends.
        let begun: Vec<_> = begun.collect();
        let mut count = 0;
        for (mut run, _told, begun) in begun {
            count += usize::from(begun);
            run.kill().unwrap();
            run.wait().unwrap();
        }
        assert_eq!(count, 1);
    }
}

/// Stopped by SIGSTOP, which is seen in `/proc`.
fn stop(proxy: &Proxy) {
    proxy.signal("-STOP");
    let stat = format!("/proc/{}/stat", proxy.child.id());
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(&stat).unwrap();
        let (_, rest) = text.rsplit_once(')').unwrap();
        if rest.trim_start().starts_with('T') {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{text}");
        thread::yield_now();
    }
}

/// Two endpoints, which are ejected for one error, and 2 s for a request: longer than it takes to stop us, on a busy machine too.
fn strict(endpoints: [SocketAddr; 2]) -> String {
    let [one, two] = endpoints.map(|addr| {
        format!(
            "{{address: {}, ports: {{http: {}}}}}",
            addr.ip(),
            addr.port()
        )
    });
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{one}, {two}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop.example]
  http: [{{timeout: 2s, retries: {{attempts: 0}}, route: [{{destination: {{host: shop.example}}}}]}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec:
  host: shop.example
  trafficPolicy:
    loadBalancer: {{simple: ROUND_ROBIN}}
    outlierDetection: {{consecutive5xxErrors: 1, maxEjectionPercent: 100, interval: 100ms}}
"
    )
}

/// What was answered while we stood still was answered in time, and nobody is ejected for a pause of ours.
#[test]
fn who_is_stopped_for_a_while_blames_nobody() {
    const REQUESTS: usize = 16;
    on_every_runtime(|runtime| {
        let folder = Folder::new("stopped");
        let endpoints = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = [0, 1].map(|at: usize| endpoints[at].local_addr().unwrap());
        folder.write("shop.yaml", &strict(addresses));
        let proxy = Proxy::start(&folder.0, &["--runtime", runtime]);
        // Who was stopped while it waited for requests is not in time for them.
        let mut clients: Vec<_> = (0..REQUESTS)
            .map(|_| {
                let mut client = connect(proxy.addr("outbound"));
                client.write_all(ASK).unwrap();
                client
            })
            .collect();
        let mut held: Vec<_> = (0..REQUESTS)
            .map(|at| {
                let (stream, _) = endpoints[at % 2].accept().unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    assert_ne!(stream.read_line(&mut line).unwrap(), 0);
                }
                stream.into_inner()
            })
            .collect();
        stop(&proxy);
        for stream in &mut held {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .unwrap();
        }
        // How long we stand still is what is tried: the time of all of them passes, and that of several sweeps.
        thread::sleep(Duration::from_millis(2200));
        proxy.signal("-CONT");
        for client in &mut clients {
            let mut line = String::new();
            BufReader::new(client).read_line(&mut line).unwrap();
            assert_eq!(line, "HTTP/1.1 200 OK\r\n", "{runtime}");
        }
        let clusters = proxy.admin("GET /clusters");
        assert!(!clusters.contains("failed_outlier_check"), "{clusters}");
        let stats = proxy.admin("GET /stats?usedonly");
        assert!(!stats.contains("upstream_rq_timeout"), "{stats}");
        assert!(!stats.contains("ejections_enforced_total"), "{stats}");
    });
}
