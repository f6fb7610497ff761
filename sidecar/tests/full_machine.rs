//! A machine that has no port left, no memory in its control group, or no room for bytes that nobody reads: all of it real.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "../../intercept/tests/cable/mod.rs"]
mod cable;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use cable::Cable;
use proxy::{Folder, Proxy, has_glommio, shop};
use support::PATIENCE;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

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

/// Each runtime that there is.
fn runtimes() -> impl Iterator<Item = &'static str> {
    let other = has_glommio().then_some("glommio");
    std::iter::once("tokio").chain(other)
}

fn client(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.addr("outbound")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Until the head and so much of a body as it says is here.
fn message(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// The number behind a name in `/stats`, once it is as it should be.
fn wait_for_stat(proxy: &Proxy, name: &str, is_it: impl Fn(u64) -> bool) {
    let begun = Instant::now();
    loop {
        let stats = proxy.admin("GET /stats");
        let line = format!("{name}: ");
        let number = stats.lines().find_map(|found| found.strip_prefix(&line));
        let number: u64 = number
            .unwrap_or_else(|| panic!("no {name} in {stats}"))
            .parse()
            .unwrap();
        if is_it(number) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{name} is {number}");
        thread::yield_now();
    }
}

/// The next connection to the endpoint, whose request has been read.
fn taken(endpoint: &TcpListener) -> TcpStream {
    endpoint.set_nonblocking(true).unwrap();
    let begun = Instant::now();
    loop {
        if let Ok((mut taken, _)) = endpoint.accept() {
            taken.set_nonblocking(false).unwrap();
            taken.set_read_timeout(Some(PATIENCE)).unwrap();
            message(&mut taken);
            return taken;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "nobody connects to the endpoint"
        );
        thread::yield_now();
    }
}

/// Ports are there for each place that is connected to: with four of them, a fifth connection to the one endpoint cannot be made. That is
/// nothing the endpoint has done.
#[test]
fn without_a_free_port_requests_fail_and_no_endpoint_is_ejected() {
    match Cable::new("ports") {
        Ok(cable) => runtimes().for_each(|runtime| cable.in_pod(|| without_a_free_port(runtime))),
        Err(why) => {
            eprintln!("not tried, because there can be no network namespaces: {why}");
        }
    }
}

fn without_a_free_port(runtime: &str) {
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    fs::write(range, "32768 60999").unwrap();
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new("ports");
    let rules = shop(endpoint.local_addr().unwrap()) + STRICT;
    folder.write("shop.yaml", &rules);
    let proxy = Proxy::start(&folder.0, &["--runtime", runtime]);
    let mut clients: Vec<_> = (0..5).map(|_| client(&proxy)).collect();
    fs::write(range, "61000 61003").unwrap();
    let (fifth, others) = clients.split_last_mut().unwrap();
    let mut held: Vec<_> = others
        .iter_mut()
        .map(|client| {
            client.write_all(REQUEST).unwrap();
            taken(&endpoint)
        })
        .collect();
    fifth.write_all(REQUEST).unwrap();
    let failed = message(fifth);
    assert!(
        failed.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{runtime}: {failed}"
    );
    assert!(
        failed.ends_with("reset reason: local connection failure"),
        "{failed}"
    );
    // The others never noticed.
    for (client, taken) in others.iter_mut().zip(&mut held) {
        taken.write_all(ANSWER).unwrap();
        assert!(message(client).ends_with("ok"), "{runtime}");
    }
    // One that is kept needs no port, and nobody has ejected the endpoint. Which one it is nobody says.
    fifth.write_all(REQUEST).unwrap();
    let begun = Instant::now();
    let answers = |taken: &mut TcpStream| {
        taken.set_nonblocking(true).unwrap();
        let is_asked = taken.read(&mut [0; 4096]).is_ok_and(|read| read > 0);
        is_asked && taken.write_all(ANSWER).is_ok()
    };
    while !held.iter_mut().any(answers) {
        assert!(begun.elapsed() < PATIENCE, "{runtime}: nobody is asked");
        thread::yield_now();
    }
    assert!(message(fifth).ends_with("ok"), "{runtime}");
    assert_eq!(proxy.end().0, Some(0));
}

/// A response that nobody reads waits here. From the soft mark on new requests are shed, and what waits is whole for whoever reads it after all.
#[test]
fn bytes_that_nobody_reads_shed_new_work_until_they_are_read() {
    const BODY: usize = 32 << 20;
    for runtime in runtimes() {
        let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = Folder::new("unread");
        folder.write("shop.yaml", &shop(endpoint.local_addr().unwrap()));
        let flags = [
            "--runtime",
            runtime,
            "--overload-interval",
            "10ms",
            "--max-buffered-bytes",
            "64KiB",
            "--overload-buffered-bytes",
            "20,1000",
        ];
        let proxy = Proxy::start(&folder.0, &flags);
        let mut slow = client(&proxy);
        let mut next = client(&proxy);
        slow.write_all(REQUEST).unwrap();
        let mut taken = taken(&endpoint);
        let pours = thread::spawn(move || {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
            taken.write_all(head.as_bytes()).unwrap();
            taken.write_all(&vec![b'x'; BODY]).unwrap();
            taken
        });
        let told = proxy.wait_for("reach their soft mark");
        assert!(told.contains("new requests are answered 503"), "{told}");
        next.write_all(REQUEST).unwrap();
        let shed = message(&mut next);
        assert!(shed.contains("x-envoy-local-overloaded: true"), "{shed}");
        assert!(shed.ends_with("envoy overloaded"), "{runtime}: {shed}");
        wait_for_stat(&proxy, "outrigger.overload_shed_requests", |count| {
            count == 1
        });
        let whole = message(&mut slow);
        assert!(whole.len() > BODY && whole.ends_with("xxx"), "{runtime}");
        drop(pours.join().unwrap());
        proxy.wait_for("there is room again");
        assert_eq!(proxy.end().0, Some(0));
    }
}

/// A control group of this test's own below the one that it runs in.
struct Group {
    folder: PathBuf,
    limit: &'static str,
    used: &'static str,
}

impl Group {
    /// `None` where there can be none, which is said.
    fn new(of: &str) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let path = |words: &str| {
            let mut lines = own.lines();
            lines.find_map(|line| line.split_once(words).map(|(_, path)| path.to_owned()))
        };
        let (root, path, limit, used) = match path(":memory:/") {
            Some(path) => (
                "/sys/fs/cgroup/memory",
                path,
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            ),
            None => (
                "/sys/fs/cgroup",
                path("0::/")?,
                "memory.max",
                "memory.current",
            ),
        };
        let name = format!("outrigger-{of}-{}", std::process::id());
        let folder = Path::new(root).join(path).join(name);
        let made = fs::create_dir(&folder);
        let group = Self {
            folder,
            limit,
            used,
        };
        if made.is_err() || !group.folder.join(limit).exists() {
            eprintln!("not tried, because no control group of memory can be made: {made:?}");
            return None;
        }
        Some(group)
    }

    /// Starts what is given in this group: there from the start, as in a container.
    fn start(&self, command: &Command) -> Proxy {
        let mut within = Command::new("sh");
        let procs = self.folder.join("cgroup.procs");
        within
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(procs)
            .arg(command.get_program())
            .args(command.get_args());
        Proxy::spawn(within)
    }

    fn used(&self) -> u64 {
        let used = fs::read_to_string(self.folder.join(self.used)).unwrap();
        used.trim().parse().unwrap()
    }

    fn allow(&self, bytes: u64) {
        fs::write(self.folder.join(self.limit), bytes.to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Busy until its last process is gone.
        let begun = Instant::now();
        while fs::remove_dir(&self.folder).is_err() && begun.elapsed() < PATIENCE {
            thread::yield_now();
        }
    }
}

#[test]
fn a_control_group_that_fills_up_sheds_and_comes_back() {
    for runtime in runtimes() {
        let Some(group) = Group::new(runtime) else {
            return;
        };
        let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = Folder::new("group");
        folder.write("shop.yaml", &shop(endpoint.local_addr().unwrap()));
        let flags = [
            "--runtime",
            runtime,
            "--overload-interval",
            "10ms",
            "--overload-memory",
            "40,1000",
        ];
        group.allow(100 << 20);
        let proxy = group.start(&proxy::command(&folder.0, &flags));
        let mut kept = client(&proxy);
        let pressure = "overload.envoy.resource_monitors.cgroup_memory.pressure";
        wait_for_stat(&proxy, pressure, |percent| (1..40).contains(&percent));
        group.allow(group.used() * 3 / 2);
        let told = proxy.wait_for("soft mark");
        assert!(told.contains("memory"), "{told}");
        kept.write_all(REQUEST).unwrap();
        let shed = message(&mut kept);
        assert!(shed.ends_with("envoy overloaded"), "{runtime}: {shed}");
        group.allow(100 << 20);
        proxy.wait_for("there is room again");
        let mut served = client(&proxy);
        served.write_all(REQUEST).unwrap();
        let mut taken = taken(&endpoint);
        taken.write_all(ANSWER).unwrap();
        assert!(message(&mut served).ends_with("ok"), "{runtime}");
        assert_eq!(proxy.end().0, Some(0));
    }
}
