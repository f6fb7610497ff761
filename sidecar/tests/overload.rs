//! A machine that is full, over real sockets: what is shed at each mark, what goes on, and that everything comes back.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use proxy::{Folder, Proxy, ask, has_glommio, shop};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use support::PATIENCE;

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// Each runtime that there is.
fn runtimes() -> impl Iterator<Item = &'static str> {
    let other = has_glommio().then_some("glommio");
    std::iter::once("tokio").chain(other)
}

/// A proxy before an endpoint whose connections the test has.
struct Stage {
    proxy: Proxy,
    endpoint: TcpListener,
    _folder: Folder,
}

impl Stage {
    fn open(test: &str, runtime: &str, flags: &[&str]) -> Self {
        Self::configured(test, runtime, flags, "")
    }

    fn configured(test: &str, runtime: &str, flags: &[&str], more: &str) -> Self {
        let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = Folder::new(test);
        folder.write("shop.yaml", &(shop(endpoint.local_addr().unwrap()) + more));
        let always = ["--runtime", runtime, "--overload-interval", "10ms"];
        let flags: Vec<&str> = always.iter().chain(flags).copied().collect();
        let proxy = Proxy::start(&folder.0, &flags);
        Self {
            proxy,
            endpoint,
            _folder: folder,
        }
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.proxy.addr("outbound")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// The endpoint's next connection, whose request has been read.
    fn taken(&self) -> TcpStream {
        let (mut taken, _) = self.endpoint.accept().unwrap();
        taken.set_read_timeout(Some(PATIENCE)).unwrap();
        read_head(&mut taken);
        taken
    }

    /// A request that the endpoint answers.
    fn exchange(&self, client: &mut TcpStream) -> String {
        client.write_all(REQUEST.as_bytes()).unwrap();
        answer(&mut self.taken());
        read_head(client)
    }

    /// How many descriptors the proxy has open.
    fn descriptors(&self) -> u64 {
        let folder = format!("/proc/{}/fd", self.proxy.child.id());
        fs::read_dir(folder).unwrap().count() as u64
    }

    /// How many it may open from now on.
    fn allow_descriptors(&self, limit: u64) {
        let process = Pid::from_child(&self.proxy.child);
        let new = Rlimit {
            current: Some(limit),
            // Not more than we have ourselves.
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        prlimit(Some(process), Resource::Nofile, new).unwrap();
    }

    /// The number behind a name in `/stats`.
    fn stat(&self, name: &str) -> u64 {
        let stats = self.proxy.admin("GET /stats");
        let line = format!("{name}: ");
        let mut lines = stats.lines();
        let number = lines.find_map(|found| found.strip_prefix(&line));
        let number = number.unwrap_or_else(|| panic!("no {name} in {stats}"));
        number.parse().unwrap()
    }

    fn wait_for_stat(&self, name: &str, is_it: impl Fn(u64) -> bool) {
        let begun = Instant::now();
        while !is_it(self.stat(name)) {
            assert!(begun.elapsed() < PATIENCE, "{name} is {}", self.stat(name));
            thread::yield_now();
        }
    }
}

/// Everything up to the empty line, and a body of two bytes if there is one.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read_exact(&mut byte);
        read.unwrap_or_else(|error| panic!("{error} after {head:?}"));
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8(head).unwrap();
    if head.contains("content-length: 2\r\n") {
        stream.read_exact(&mut [0; 2]).unwrap();
    }
    head
}

fn answer(endpoint: &mut TcpStream) {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    endpoint.write_all(answer).unwrap();
}

/// Whether a connection ends and nothing was said on it.
fn is_turned_away(mut client: TcpStream) -> bool {
    // It may be closed before.
    let _ = client.write_all(REQUEST.as_bytes());
    match client.read_exact(&mut [0]) {
        Ok(()) => false,
        Err(error) => matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        ),
    }
}

/// Until the connection has ended, everything that comes.
fn rest(client: &mut TcpStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn connections_beyond_the_most_are_turned_away_and_the_others_served() {
    for runtime in runtimes() {
        let flags = ["--max-connections", "3", "--idle-timeout", "1h"];
        let stage = Stage::open("connections", runtime, &flags);
        let mut clients = [stage.client(), stage.client(), stage.client()];
        let told = stage.proxy.wait_for("their hard mark");
        assert!(told.contains("3 of 3 connections of clients"), "{told}");
        assert!(told.contains("who connects is turned away"), "{told}");
        assert!(is_turned_away(stage.client()), "{runtime}");
        let overload = stage.proxy.admin("GET /overload");
        assert!(overload.contains("at its hard mark"), "{overload}");
        let name = "overload.envoy.resource_monitors.global_downstream_max_connections.pressure";
        assert_eq!(stage.stat(name), 100);
        let name = "overload.envoy.overload_actions.reject_incoming_connections.active";
        assert_eq!(stage.stat(name), 1);
        let turned_away = stage.stat("outrigger.overload_rejected_connections")
            + stage.stat("outrigger.global_overflow_connections");
        assert_eq!(turned_away, 1);
        let head = stage.exchange(&mut clients[0]);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
        stage.wait_for_stat("outrigger.overload_ended_keep_alive", |count| count == 1);
        drop(clients);
        let told = stage.proxy.wait_for("there is room again");
        assert!(told.contains("0 requests were answered 503"), "{told}");
        let head = stage.exchange(&mut stage.client());
        assert!(!head.contains("connection: close"), "{head}");
        assert_eq!(stage.proxy.end().0, Some(0));
    }
}

#[test]
fn clients_that_idle_end_soon_while_there_are_many() {
    for runtime in runtimes() {
        let flags = [
            "--max-connections",
            "4",
            "--overloaded-idle-timeout",
            "50ms",
        ];
        let stage = Stage::open("idle", runtime, &flags);
        let mut idle: Vec<_> = (0..4).map(|_| stage.client()).collect();
        stage.proxy.wait_for("mark");
        for client in &mut idle {
            assert_eq!(rest(client), "");
        }
        stage.proxy.wait_for("there is room again");
        assert!(stage.stat("outrigger.overload_closed_idle") == 4);
    }
}

/// Marks are far from each other, so that what the test opens and closes meanwhile changes nothing.
#[test]
fn without_descriptors_new_work_is_shed_and_what_is_under_way_goes_on() {
    for runtime in runtimes() {
        let flags = ["--overload-descriptors", "50,90", "--health", "127.0.0.1:0"];
        let stage = Stage::open("descriptors", runtime, &flags);
        let (mut busy, mut next) = (stage.client(), stage.client());
        let head = stage.exchange(&mut next);
        assert!(!head.contains("connection: close"), "{head}");
        busy.write_all(REQUEST.as_bytes()).unwrap();
        let mut under_way = stage.taken();

        // From 50 % on.
        let open = stage.descriptors();
        stage.allow_descriptors(open * 3 / 2);
        let told = stage
            .proxy
            .wait_for("file descriptors reach their soft mark");
        assert!(told.contains("new requests are answered 503"), "{told}");
        next.write_all(REQUEST.as_bytes()).unwrap();
        let shed = rest(&mut next);
        assert!(
            shed.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{shed}"
        );
        for part in [
            "x-envoy-local-overloaded: true\r\n",
            "connection: close\r\n",
            "\r\n\r\nenvoy overloaded",
        ] {
            assert!(shed.contains(part), "{part} in {shed}");
        }
        let mut waits = stage.client();
        waits.write_all(REQUEST.as_bytes()).unwrap();
        // Both are asked on new connections, which the proxy itself has to open.
        assert!(stage.proxy.admin("GET /ready").ends_with("LIVE\n"));
        let health = "GET /healthz/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(ask(stage.proxy.addr("health"), health).ends_with("LIVE\n"));
        stage.wait_for_stat("outrigger.overload_shed_requests", |count| count == 1);
        let name = "overload.envoy.overload_actions.stop_accepting_connections.active";
        assert_eq!(stage.stat(name), 1);
        let name = "overload.envoy.overload_actions.reject_incoming_connections.active";
        assert_eq!(stage.stat(name), 0);

        // From 90 % on who waits hears so at once.
        let open = stage.descriptors();
        stage.allow_descriptors(open + 1);
        stage
            .proxy
            .wait_for("file descriptors reach their hard mark");
        assert!(is_turned_away(waits), "{runtime}");
        assert!(is_turned_away(stage.client()), "{runtime}");

        answer(&mut under_way);
        let done = rest(&mut busy);
        assert!(done.starts_with("HTTP/1.1 200 OK\r\n"), "{done}");
        assert!(done.contains("connection: close\r\n"), "{done}");
        assert_eq!(stage.stat("outrigger.overload_rejected_connections"), 2);

        stage.allow_descriptors(1 << 10);
        let told = stage.proxy.wait_for("there is room again");
        assert!(told.contains("1 requests were answered 503"), "{told}");
        let head = stage.exchange(&mut stage.client());
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(!head.contains("connection: close"), "{head}");
        assert_eq!(stage.proxy.end().0, Some(0));
    }
}

#[test]
fn who_connects_at_the_soft_mark_is_served_when_there_is_room() {
    for runtime in runtimes() {
        let flags = ["--overload-descriptors", "50,1000"];
        let stage = Stage::open("waits", runtime, &flags);
        stage.allow_descriptors(stage.descriptors() * 3 / 2);
        stage.proxy.wait_for("reach their soft mark");
        let mut waits = stage.client();
        waits.write_all(REQUEST.as_bytes()).unwrap();
        // Whoever would take it has had many turns.
        let served = stage.stat("listener_manager.total_listeners_active");
        assert_eq!(served, 1);
        let total = format!("listener.{}.downstream_cx_total", listener(&stage));
        assert_eq!(stage.stat(&total), 0, "{runtime}");
        stage.allow_descriptors(1 << 10);
        answer(&mut stage.taken());
        let head = read_head(&mut waits);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(stage.stat(&total), 1);
    }
}

/// One failure of the endpoint, and it would be out for the rest of the test.
const STRICT: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.example
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 1, consecutiveGatewayErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 100}
";

#[test]
fn without_any_descriptor_accepting_pauses_and_no_endpoint_is_ejected() {
    for runtime in runtimes() {
        let flags = ["--overload-descriptors", "off"];
        let stage = Stage::configured("no-descriptor", runtime, &flags, STRICT);
        let mut client = stage.client();
        stage.exchange(&mut client);
        let begun = Instant::now();
        // The next one would be number 3 or higher.
        stage.allow_descriptors(3);
        client.write_all(REQUEST.as_bytes()).unwrap();
        let head = read_head(&mut client);
        assert!(
            head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{head}"
        );
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        client.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(
            body.ends_with("reset reason: local connection failure"),
            "{body}"
        );
        // What io_uring was asked to accept before goes by the limit that there was then; `ring/tests` has one that is asked later.
        let waits = (runtime == "tokio").then(|| {
            let mut waits = stage.client();
            waits.write_all(REQUEST.as_bytes()).unwrap();
            let told = stage.proxy.wait_for("cannot accept connections");
            assert!(told.contains("Too many open files"), "{told}");
            waits
        });

        stage.allow_descriptors(1 << 10);
        if let Some(mut waits) = waits {
            answer(&mut stage.taken());
            let head = read_head(&mut waits);
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            // Each failure to accept is followed by a pause of 50 ms or more.
            let most = 2 + begun.elapsed().as_millis() / 50;
            let failures = stage.stat(&format!("listener.{}.accept_errors", listener(&stage)));
            assert!(
                (1..=most).contains(&u128::from(failures)),
                "{failures} of {most}"
            );
        }
        let head = stage.exchange(&mut client);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(stage.proxy.end().0, Some(0));
    }
}

/// The soft limit is for programs that never asked for more.
#[test]
fn as_many_descriptors_may_be_opened_as_the_system_grants() {
    let folder = Folder::new("granted");
    folder.write("shop.yaml", &shop(SocketAddr::from(([127, 0, 0, 1], 9))));
    let command = proxy::command(&folder.0, &[]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -Sn 64 && exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    let proxy = Proxy::spawn(limited);
    let limits = fs::read_to_string(format!("/proc/{}/limits", proxy.child.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    assert_ne!(words[3], "64", "{line}");
    assert_eq!(words[3], words[4], "{line}");
}

/// As counters call the outbound listener.
fn listener(stage: &Stage) -> String {
    let SocketAddr::V4(addr) = stage.proxy.addr("outbound") else {
        unreachable!("it is given as 127.0.0.1")
    };
    format!("{}_{}", addr.ip(), addr.port())
}

#[test]
fn memory_that_is_used_up_sheds_from_the_start() {
    for runtime in runtimes() {
        // More than a program of this size has; its marks are at a part of that which it always has.
        let flags = ["--memory-limit", "16GiB", "--overload-memory", "1,1000"];
        let stage = Stage::open("memory", runtime, &flags);
        let name = "overload.envoy.resource_monitors.cgroup_memory.pressure";
        stage.wait_for_stat(name, |percent| percent < 1);
        let flags = ["--memory-limit", "1MiB", "--overload-memory", "100,200"];
        let stage = Stage::open("memory", runtime, &flags);
        assert!(stage.stat(name) > 200);
        assert!(is_turned_away(stage.client()), "{runtime}");
        let off = ["--memory-limit", "1MiB", "--overload-memory", "off"];
        let stage = Stage::open("memory", runtime, &off);
        let head = stage.exchange(&mut stage.client());
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    }
}
