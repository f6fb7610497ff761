//! Copies for mirrors over real sockets: tasks without a client, counted and in no log.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outrigger_core::compile::from_yaml;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Config, Listen, Running};
use outrigger_telemetry::metrics::{MetricsSettings, MirrorFates};
use outrigger_telemetry::{Hears, Settings, Telemetry};

use super::support::{Client, Endpoints, PATIENCE, ok};
use crate::start;

fn mirrored(service: SocketAddr, mirror: SocketAddr) -> Arc<Snapshot> {
    let entry = |host: &str, addr: SocketAddr| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {host}}}\nspec:\n  hosts: [{host}.test]\n  \
             resolution: STATIC\n  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}]\n  \
             endpoints: [{{address: {}}}]\n---\n",
            addr.port(),
            addr.ip()
        )
    };
    let rule = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a.test]\n  \
                http: [{mirrors: [{destination: {host: b.test}}, {destination: {host: c.test}}], \
                route: [{destination: {host: a.test}}]}]\n";
    let text = entry("a", service) + &entry("b", mirror) + rule;
    Arc::new(from_yaml(&text).snapshot)
}

fn proxy(service: &Endpoints, mirror: &Endpoints, hears: Option<Hears>) -> (Running, Telemetry) {
    let telemetry = Telemetry::start(Settings {
        metrics: Some(MetricsSettings::default()),
        hears,
        ..Settings::default()
    });
    let config = Config {
        listeners: vec![Listen::direct(
            ListenerKind::Outbound,
            "127.0.0.1:0".parse().expect("an address"),
        )],
        workers: NonZeroUsize::MIN,
        settings: WorkerSettings::default(),
        seed: None,
        busy_poll: Duration::ZERO,
        own_addrs: Vec::new(),
        handover: Default::default(),
        names: None,
        snapshot: mirrored(service.addr, mirror.addr),
        recorder: None,
        sinks: telemetry.sinks(),
        notices: Arc::new(|_| {}),
    };
    (start(config).expect("it starts"), telemetry)
}

#[test]
fn a_copy_outlives_its_request_is_counted_and_not_logged() {
    let (service, mirror) = (Endpoints::listen(), Endpoints::listen());
    let (sender, lines) = channel();
    let sender = Mutex::new(sender);
    let hears: Hears = Arc::new(move |ended| {
        let _ = sender.lock().unwrap().send(ended.record.status);
    });
    let (running, telemetry) = proxy(&service, &mirror, Some(hears));
    let mut client = Client::connect(running.handle().local_addrs()[0]);
    let request = "POST /x HTTP/1.1\r\nhost: a.test\r\ncontent-length: 3\r\n\r\nabc";
    client.send(request);
    let (mut first, mut second) = (service.accept(), mirror.accept());
    let original = first.message();
    assert_eq!(original, second.message());
    assert_eq!(original.map(|m| m.body).as_deref(), Some(&b"abc"[..]));
    first.send(&ok("answer"));
    let answer = client.message().expect("nobody waits for the mirror");
    assert_eq!(answer.body, b"answer");
    drop(client);
    // The request's end may not have been counted yet when its last byte is here.
    let handle = running.handle().clone();
    let counted = || telemetry.collect(&handle.snapshot());
    while counted().mirrors.sent == 0 {
        std::thread::yield_now();
    }
    let want = MirrorFates {
        sent: 1,
        no_cluster: 1,
        ..MirrorFates::default()
    };
    assert_eq!(handle.stats().mirrors, 1);
    let requests = counted();
    assert_eq!(
        (requests.mirrors, requests.listeners[0].codes.total()),
        (want, 1)
    );
    second.send(&ok("thrown away"));
    assert_eq!(running.drain(PATIENCE).cut_off, 0);
    assert_eq!(handle.stats().mirrors, 0);
    let requests = counted();
    assert_eq!(
        (requests.mirrors, requests.listeners[0].codes.total()),
        (want, 1)
    );
    assert_eq!(lines.try_iter().collect::<Vec<_>>(), [200]);
}

#[test]
fn a_copy_is_no_client_that_was_cut_off() {
    let (service, mirror) = (Endpoints::listen(), Endpoints::listen());
    let (running, _telemetry) = proxy(&service, &mirror, None);
    let handle = running.handle().clone();
    let mut client = Client::connect(handle.local_addrs()[0]);
    client.send("GET /x HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n");
    let (mut first, mut second) = (service.accept(), mirror.accept());
    first.message();
    first.send(&ok("answer"));
    assert!(client.message().is_some() && client.message().is_none());
    while handle.stats().listeners[0].active > 0 {
        std::thread::yield_now();
    }
    assert!(second.message().is_some());
    assert_eq!(handle.stats().mirrors, 1);
    assert_eq!(running.drain(Duration::ZERO).cut_off, 0);
    assert!(second.message().is_none(), "it ended with the worker");
}
