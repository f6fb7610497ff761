//! Requests that wait for a connection within a limit.

use std::thread;

use outrigger_core::cluster::Counted;
use outrigger_core::decision::Record;
use outrigger_runtime::Request;

use super::configured::{Setup, service};
use super::support::{Client, Endpoints, ok};

fn ask(client: &mut Client, path: &str) {
    client.send(&format!("GET {path} HTTP/1.1\r\nhost: app.test\r\n\r\n"));
}

/// Whoever holds the only connection ends, in good order or not: the one that waits for it gets one.
#[test]
fn a_place_is_free_again_however_its_holder_ended() {
    fn format(record: &Record, _: &Request, _: &mut Vec<u8>) {
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
        let snapshot = sidecar.snapshot();
        let cluster = snapshot.clusters.iter().find(|c| c.limits.is_some());
        while cluster.unwrap().state.gauges().current(Counted::Waiting) == 0 {
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
