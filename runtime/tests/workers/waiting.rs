//! Requests that wait for a connection within a limit.

use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::cluster::Counted;
use outrigger_core::snapshot::{Limits, Snapshot};
use outrigger_runtime::Ended;

use super::configured::{Setup, service};
use super::late::{Gate, wait_until};
use super::support::{Client, Endpoints, Proxy, ok};

fn ask(client: &mut Client, path: &str) {
    client.send(&format!("GET {path} HTTP/1.1\r\nhost: app.test\r\n\r\n"));
}

fn waiting(snapshot: &Snapshot) -> u32 {
    let limited = snapshot.clusters.iter().find(|c| c.limits.is_some());
    limited.unwrap().state.gauges().current(Counted::Waiting)
}

/// Whoever holds the only connection ends, in good order or not: the one that waits for it gets one.
#[test]
fn a_place_is_free_again_however_its_holder_ended() {
    fn format(Ended { record, .. }: &Ended<'_>) {
        assert_ne!(record.request.path, b"/panic", "as the test wants it");
    }
    for path in ["/", "/panic"] {
        let endpoints = Endpoints::listen();
        let policy = "connectionPool: {tcp: {maxConnections: 1}}";
        let setup = Setup {
            format: Some(format),
            ..Setup::default()
        };
        let sidecar = setup.start(&service(&[endpoints.addr], "", policy));
        let mut holder = sidecar.client();
        ask(&mut holder, path);
        let mut first = endpoints.accept();
        first.message().unwrap();
        let mut waiter = sidecar.client();
        ask(&mut waiter, "/next");
        while waiting(&sidecar.snapshot()) == 0 {
            thread::yield_now();
        }
        // Its request ends in the input that lets the connection go.
        drop(holder);
        let mut second = endpoints.accept();
        assert_eq!(second.message().unwrap().start, "GET /next HTTP/1.1");
        second.send(&ok("next"));
        assert_eq!(waiter.message().unwrap().body, b"next");
        let panics = sidecar.running.handle().stats().panics;
        assert_eq!(panics, u64::from(path == "/panic"));
    }
}

#[test]
fn who_waits_goes_when_the_limit_is_raised() {
    let endpoints = Endpoints::listen();
    let limits = Limits {
        connections: 1,
        ..Limits::NONE
    };
    let mut proxy = Proxy::limited(endpoints.address(), 1, limits);
    let mut clients = [proxy.client(), proxy.client()];
    clients[0].get("/1");
    let mut first = endpoints.accept();
    first.message().unwrap();
    clients[1].get("/2");
    while waiting(&proxy.running.handle().snapshot()) == 0 {
        thread::yield_now();
    }
    proxy.publish(endpoints.address());
    let mut second = endpoints.accept();
    for (at, endpoint) in [(1, &mut second), (0, &mut first)] {
        if at == 1 {
            endpoint.message().unwrap();
        }
        endpoint.send(&ok(""));
        clients[at].message().unwrap();
    }
}

/// The other worker has looked in vain by then, and would not look again.
#[test]
fn who_waits_is_told_of_a_connection_that_is_given_up_late() {
    static GATE: Gate = Gate::new();
    fn format(Ended { record, .. }: &Ended<'_>) {
        GATE.pass(record);
    }
    let endpoints = Endpoints::listen();
    let policy = "connectionPool: {tcp: {maxConnections: 1}}";
    let setup = Setup {
        workers: 2,
        format: Some(format),
        ..Setup::default()
    };
    let sidecar = setup.start(&service(&[endpoints.addr], "", policy));
    let serve = |endpoint: &mut Client, client: &mut Client| {
        endpoint.message().unwrap();
        endpoint.send(&ok(""));
        client.message().unwrap();
    };
    let mut client = sidecar.client();
    ask(&mut client, "/");
    let mut endpoint = endpoints.accept();
    serve(&mut endpoint, &mut client);
    // The kernel spreads clients over the workers by their ports: in some rounds the worker that is held keeps the
    // connection, and the other one has the request.
    let mut late = 0;
    while late < 2 {
        let (_, go) = GATE.hold(&sidecar);
        let mut client = sidecar.client();
        ask(&mut client, "/");
        let enough = Instant::now() + Duration::from_millis(30);
        let waits = || waiting(&sidecar.snapshot()) > 0;
        while !waits() && Instant::now() < enough {
            thread::yield_now();
        }
        if waits() {
            late += 1;
            wait_until(Instant::now() + Duration::from_millis(10));
            drop(go);
            endpoint.ends();
            endpoint = endpoints.accept();
        } else {
            drop(go);
            if let Some(next) = endpoints.accept_unless(&endpoint) {
                endpoint = next;
            }
        }
        serve(&mut endpoint, &mut client);
    }
}
