//! The runtime out of file descriptors. The limit is one of a process, so the proxy runs in a child; clients and the
//! endpoint stay outside of it, and take none of its descriptors.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::iter;
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use super::support::{Client, Endpoints, PATIENCE, Proxy, ok};
use outrigger_core::snapshot::Address;
use outrigger_runtime::{Direction, Notice, Stage};

const LIMIT: usize = 64;

/// Tells the child where the endpoint is.
const ENDPOINT: &str = "OUTRIGGER_TEST_ENDPOINT";

/// Stands before what the child says, among the lines of the test runner.
const LISTENS: &str = "listens at ";
const TOLD: &str = "was told";

/// A child that runs one of the tests below, to be ended by the end of its input.
struct FewDescriptors {
    child: Child,
    until_end: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl FewDescriptors {
    fn run(test: &str, endpoints: &Endpoints) -> Self {
        let script = format!(
            "ulimit -n {LIMIT} && \
             exec \"$0\" --ignored --exact --nocapture workers::descriptors::{test}"
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env(ENDPOINT, endpoints.addr.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            until_end: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// Waits until it says this; returns the rest of the line.
    fn said(&mut self, what: &str) -> String {
        loop {
            let line = self.lines.next().expect("the child goes on").unwrap();
            if let Some((_, rest)) = line.split_once(what) {
                break rest.to_owned();
            }
        }
    }

    fn passes(mut self) {
        drop(self.until_end);
        let mut left = self.lines.map_while(Result::ok);
        assert!(left.any(|line| line.contains("1 passed")));
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn running_out_of_descriptors_is_survived_and_told() {
    let endpoints = Endpoints::listen();
    let mut child = FewDescriptors::run("with_few_descriptors", &endpoints);
    let proxy = child.said(LISTENS);
    let connect = || TcpStream::connect(&proxy).unwrap();
    // More than the proxy can accept, whatever else it has open.
    let clients: Vec<_> = (0..LIMIT).map(|_| connect()).collect();
    child.said(TOLD);
    drop(clients);
    let mut client = Client::new(connect());
    client.get("/");
    endpoints.accept().send(&ok("alive"));
    assert_eq!(client.message().unwrap().body, b"alive");

    child.passes();
}

/// Who closes a listener resets those who wait at it, and nobody accepts any more while there are no descriptors.
#[test]
fn who_waited_for_a_descriptor_is_served_by_a_drain() {
    let endpoints = Endpoints::listen();
    let mut child = FewDescriptors::run("draining_with_few_descriptors", &endpoints);
    let proxy = child.said(LISTENS);
    let mut client = Client::new(TcpStream::connect(&proxy).unwrap());
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    let response = client.message().expect("who had connected is answered");
    assert_eq!(response.field("connection"), Some("close"));
    child.passes();
}

fn say(what: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}

/// What stands before the endpoint.
fn proxy() -> Proxy {
    let endpoint = std::env::var(ENDPOINT).unwrap().parse().unwrap();
    Proxy::before(Address::Socket(endpoint))
}

#[test]
#[ignore = "runs in the child of another test, under a low limit"]
fn with_few_descriptors() {
    let proxy = proxy();
    say(&format!("{LISTENS}{}", proxy.addr));
    let notice = proxy.notices.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(notice, Notice::AcceptFailed { count: 1, .. }),
        "{notice}"
    );
    say(TOLD);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert!(proxy.running.handle().stats().listeners[0].accept_errors > 0);
}

#[test]
#[ignore = "runs in the child of another test, under a low limit"]
fn draining_with_few_descriptors() {
    let proxy = proxy();
    let all: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
    say(&format!("{LISTENS}{}", proxy.addr));
    let handle = proxy.running.handle();
    // By then it pauses for longer than a listener is left open.
    while handle.stats().listeners[0].accept_errors < 4 {
        thread::yield_now();
    }
    handle.begin_drain(Direction::All, Stage::Stopped);
    drop(all);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(proxy.running.drain(PATIENCE).cut_off, 0);
}
