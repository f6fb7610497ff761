//! A request that is addressed to the proxy itself, in words that only the resolver understands.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::exchange::ListenerKind;
use outrigger_core::snapshot::{Settings, Snapshot, UnknownHosts};
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Config, Listen};

use super::support::Client;
use crate::start;

#[test]
fn a_request_to_the_proxy_itself_does_not_go_round() {
    for (listen, target) in [("127.0.0.1:0", "127.1"), ("0.0.0.0:0", "127.1")] {
        let running = start(Config {
            listeners: vec![Listen {
                kind: ListenerKind::Outbound,
                addr: listen.parse().unwrap(),
            }],
            workers: NonZeroUsize::new(1).unwrap(),
            settings: WorkerSettings::default(),
            seed: None,
            busy_poll: Duration::ZERO,
            snapshot: Arc::new(Snapshot {
                settings: Settings {
                    unknown_hosts: UnknownHosts::AllowAny,
                    ..Settings::default()
                },
                ..Snapshot::default()
            }),
            recorder: None,
            access_log: None,
            notices: Arc::new(|_| {}),
        })
        .unwrap();
        let port = running.handle().local_addrs()[0].port();
        let mut client = Client::connect(([127, 0, 0, 1], port).into());
        client.send(&format!("GET / HTTP/1.1\r\nhost: {target}:{port}\r\n\r\n"));
        let response = client.message().unwrap();
        assert_eq!(response.start, "HTTP/1.1 503 Service Unavailable");
        // The client's connection, and the one that was made and given up.
        let connections = running.handle().stats().listeners[0].connections;
        assert!(connections <= 2, "{connections} connections");
    }
}
