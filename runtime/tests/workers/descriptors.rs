//! The runtime out of file descriptors. The limit is one of a process, so the test runs in a child of its own.

use std::net::TcpStream;
use std::process::Command;

use super::support::{Client, Endpoints, PATIENCE, Proxy, ok};
use outrigger_runtime::Notice;

#[test]
fn running_out_of_descriptors_is_survived_and_told() {
    let child = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" --ignored --exact workers::descriptors::with_few_descriptors",
        ])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
}

#[test]
#[ignore = "runs in the child of the other test, under a low limit"]
fn with_few_descriptors() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let spare = std::fs::File::open("/dev/null").unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(proxy.addr) {
        clients.push(client);
    }
    // If all of them were accepted, one more is not.
    drop(spare);
    clients.extend(TcpStream::connect(proxy.addr));
    let notice = proxy.notices.recv_timeout(PATIENCE).unwrap();
    assert!(
        matches!(notice, Notice::AcceptFailed { count: 1, .. }),
        "{notice}"
    );
    drop(clients);
    let mut client = loop {
        if let Ok(stream) = TcpStream::connect(proxy.addr) {
            break Client::new(stream);
        }
    };
    client.get("/");
    endpoints.accept().send(&ok("alive"));
    assert_eq!(client.message().unwrap().body, b"alive");
    assert!(proxy.running.handle().stats().listeners[0].accept_errors > 0);
}
