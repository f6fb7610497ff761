//! Connections to hosts that no service has are kept, each for its own authority.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Config, Listen};

use super::support::{Client, Endpoints, ok};
use crate::start;

fn ask(client: &mut Client, host: &str, endpoint: &mut Client) {
    client.send(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    let request = endpoint.message().unwrap();
    assert_eq!(request.field("host"), Some(host));
    endpoint.send(&ok(host));
    assert_eq!(client.message().unwrap().body, host.as_bytes());
}

#[test]
fn a_connection_is_kept_for_its_own_authority() {
    let running = start(Config {
        listeners: vec![Listen::direct(
            ListenerKind::Outbound,
            "127.0.0.1:0".parse().unwrap(),
        )],
        workers: NonZeroUsize::new(1).unwrap(),
        settings: WorkerSettings::default(),
        seed: None,
        busy_poll: Duration::ZERO,
        own_addrs: Vec::new(),
        handover: Default::default(),
        names: None,
        snapshot: Arc::new(Snapshot::default()),
        recorder: None,
        sinks: None,
        notices: Arc::new(|_| {}),
    })
    .unwrap();
    let addr = running.handle().local_addrs()[0];
    let endpoints = Endpoints::listen();
    let port = endpoints.addr.port();
    let (by_address, by_name) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    let mut client = Client::connect(addr);
    client.send(&format!("GET / HTTP/1.1\r\nhost: {by_address}\r\n\r\n"));
    let mut first = endpoints.accept();
    first.message().unwrap();
    first.send(&ok(""));
    client.message().unwrap();
    for _ in 0..20 {
        ask(&mut client, &by_address, &mut first);
    }
    // Another client of the same worker has it too.
    ask(&mut Client::connect(addr), &by_address, &mut first);
    // It leads to the same place, and nobody knows that.
    client.send(&format!("GET / HTTP/1.1\r\nhost: {by_name}\r\n\r\n"));
    let mut second = endpoints.accept();
    second.message().unwrap();
    second.send(&ok(""));
    client.message().unwrap();
    for _ in 0..3 {
        ask(&mut client, &by_name, &mut second);
        ask(&mut client, &by_address, &mut first);
    }
    assert!(!endpoints.has_more());
}
