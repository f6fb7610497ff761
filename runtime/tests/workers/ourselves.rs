//! A request that is addressed to the proxy itself or to its admin endpoints, also in words that only the resolver
//! understands.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{Settings, Snapshot, UnknownHosts};
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Config, Listen, Running};

use super::support::Client;
use crate::start;

fn proxy(listen: &str, own_addrs: Vec<SocketAddr>) -> Running {
    start(Config {
        listeners: vec![Listen::direct(
            ListenerKind::Outbound,
            listen.parse().unwrap(),
        )],
        workers: NonZeroUsize::new(1).unwrap(),
        settings: WorkerSettings::default(),
        seed: None,
        busy_poll: Duration::ZERO,
        own_addrs,
        handover: Default::default(),
        names: None,
        snapshot: Arc::new(Snapshot {
            settings: Settings {
                unknown_hosts: UnknownHosts::AllowAny,
                ..Settings::default()
            },
            ..Snapshot::default()
        }),
        recorder: None,
        sinks: None,
        notices: Arc::new(|_| {}),
    })
    .unwrap()
}

fn asks(proxy: &Running, target: &str, port: u16) -> String {
    let own = proxy.handle().local_addrs()[0].port();
    let mut client = Client::connect(([127, 0, 0, 1], own).into());
    client.send(&format!("GET / HTTP/1.1\r\nhost: {target}:{port}\r\n\r\n"));
    client.message().unwrap().start
}

#[test]
fn a_request_to_the_proxy_itself_does_not_go_round() {
    for (listen, target) in [("127.0.0.1:0", "127.1"), ("0.0.0.0:0", "127.1")] {
        let running = proxy(listen, Vec::new());
        let port = running.handle().local_addrs()[0].port();
        let response = asks(&running, target, port);
        assert_eq!(response, "HTTP/1.1 503 Service Unavailable");
        // The client's connection, and the one that was made and given up.
        let connections = running.handle().stats().listeners[0].connections;
        assert!(connections <= 2, "{connections} connections");
    }
}

#[test]
fn what_the_program_serves_itself_gets_no_request() {
    for (listen, target) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("127.0.0.1:0", "127.1"),
        ("0.0.0.0:0", "127.1"),
    ] {
        let admin = TcpListener::bind(listen).unwrap();
        let addr = admin.local_addr().unwrap();
        let running = proxy("127.0.0.1:0", vec![addr]);
        let response = asks(&running, target, addr.port());
        assert_eq!(response, "HTTP/1.1 503 Service Unavailable", "{target}");
    }
}
