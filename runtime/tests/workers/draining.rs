//! What a drain must not lose, and what goes on meanwhile.

use std::net::TcpStream;
use std::thread;

use outrigger_runtime::{Direction, Stage};

use super::support::{Client, Endpoints, PATIENCE, Proxy, ok};

const CLOSE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// In the same moment, so in most rounds nobody has accepted it or looked at its bytes.
#[test]
fn who_connected_and_asked_before_the_listeners_stopped_is_served() {
    for _ in 0..20 {
        let endpoints = Endpoints::listen();
        let proxy = Proxy::before(endpoints.address());
        let mut kept = proxy.client();
        kept.get("/");
        let mut endpoint = endpoints.accept();
        endpoint.message().unwrap();
        endpoint.send(CLOSE);
        kept.message().unwrap();
        let mut fresh = proxy.client();
        fresh.get("/");
        kept.get("/");
        let handle = proxy.running.handle();
        handle.begin_drain(Direction::All, Stage::Stopped);
        for _ in 0..2 {
            let mut endpoint = endpoints.accept();
            endpoint.message().unwrap();
            endpoint.send(CLOSE);
        }
        for mut client in [fresh, kept] {
            let response = client.message().unwrap();
            assert_eq!(response.field("connection"), Some("close"));
            assert!(client.message().is_none());
        }
        assert_eq!(proxy.running.drain(PATIENCE).cut_off, 0);
    }
}

#[test]
fn the_graceful_stage_accepts_keeps_and_says_close() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut kept = proxy.client();
    kept.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    kept.message().unwrap();
    let handle = proxy.running.handle().clone();
    handle.begin_drain(Direction::Inbound, Stage::Graceful);
    assert!(handle.is_draining());
    // The worker has heard of it when a new client is told to close.
    loop {
        let mut fresh = proxy.client();
        fresh.get("/");
        endpoint.message().unwrap();
        endpoint.send(&ok(""));
        let response = fresh.message().unwrap();
        if response.field("connection") == Some("close") {
            assert!(fresh.message().is_none());
            break;
        }
    }
    kept.get("/");
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    let response = kept.message().unwrap();
    assert_eq!(response.field("connection"), Some("close"));
    assert!(kept.message().is_none());
    assert_eq!(proxy.running.drain(PATIENCE).cut_off, 0);
}

#[test]
fn outbound_serves_while_inbound_drains() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::both(endpoints.address());
    let handle = proxy.running.handle().clone();
    let outbound = handle.local_addrs()[1];
    let mut kept = Client::connect(outbound);
    let mut inbound = proxy.client();
    inbound.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    handle.begin_drain(Direction::Inbound, Stage::Stopped);
    while TcpStream::connect(proxy.addr).is_ok() {
        thread::yield_now();
    }
    // No route leads anywhere, and it is still an answer.
    for client in [&mut kept, &mut Client::connect(outbound)] {
        for _ in 0..2 {
            client.get("/");
            let response = client.message().unwrap();
            assert!(response.start.starts_with("HTTP/1.1 "));
            assert_eq!(response.field("connection"), None);
        }
    }
    endpoint.send(&ok(""));
    let response = inbound.message().unwrap();
    assert_eq!(response.field("connection"), Some("close"));
    assert!(inbound.message().is_none());
    assert_eq!(proxy.running.drain(PATIENCE).cut_off, 0);
    assert!(kept.message().is_none());
}
