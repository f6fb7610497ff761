//! The runtime out of file descriptors. The limit is one of a process, so the proxy runs in a child; clients and the
//! endpoint stay outside of it, and take none of its descriptors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::support::{Client, Endpoints, PATIENCE, Proxy, ok};
use outrigger_core::snapshot::Address;
use outrigger_runtime::Notice;

const LIMIT: usize = 64;

/// Tells the child where the endpoint is.
const ENDPOINT: &str = "OUTRIGGER_TEST_ENDPOINT";

/// Stands before what the child says, among the lines of the test runner.
const LISTENS: &str = "listens at ";
const TOLD: &str = "was told";

#[test]
fn running_out_of_descriptors_is_survived_and_told() {
    let endpoints = Endpoints::listen();
    let script = format!(
        "ulimit -n {LIMIT} && \
         exec \"$0\" --ignored --exact --nocapture workers::descriptors::with_few_descriptors"
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(ENDPOINT, endpoints.addr.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let until_end = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = |what: &str| loop {
        let line = lines.next().expect("the child goes on").unwrap();
        if let Some((_, rest)) = line.split_once(what) {
            break rest.to_owned();
        }
    };

    let proxy = said(LISTENS);
    let connect = || TcpStream::connect(&proxy).unwrap();
    // More than the proxy can accept, whatever else it has open.
    let clients: Vec<_> = (0..LIMIT).map(|_| connect()).collect();
    said(TOLD);
    drop(clients);
    let mut client = Client::new(connect());
    client.get("/");
    endpoints.accept().send(&ok("alive"));
    assert_eq!(client.message().unwrap().body, b"alive");

    drop(until_end);
    said("1 passed");
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "runs in the child of the other test, under a low limit"]
fn with_few_descriptors() {
    let endpoint = std::env::var(ENDPOINT).unwrap().parse().unwrap();
    let proxy = Proxy::before(Address::Socket(endpoint));
    let say = |what: &str| {
        let mut out = std::io::stdout();
        writeln!(out, "{what}").unwrap();
        out.flush().unwrap();
    };
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
