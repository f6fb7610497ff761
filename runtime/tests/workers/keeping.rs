//! Sockets of connections that idle or were given up: none answers somebody else, and none stays open unseen.

use std::fs;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use outrigger_runtime::Ended;

use super::configured::{Setup, Sidecar, service};
use super::due::deaf;
use super::support::{Client, Endpoints, PATIENCE, Proxy, ok};

const CLOSE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn ask(client: &mut Client, method: &str) {
    client.send(&format!(
        "{method} / HTTP/1.1\r\nhost: app.test\r\ncontent-length: 0\r\n\r\n"
    ));
}

/// A request over a new connection, which is kept afterwards.
fn served(client: &mut Client, endpoints: &Endpoints) -> Client {
    ask(client, "GET");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok("first"));
    assert_eq!(client.message().unwrap().body, b"first");
    endpoint
}

#[test]
fn what_an_endpoint_says_unasked_answers_nobody() {
    let whole = ok("stale");
    // A POST, because what was sent once is not sent again.
    for unasked in [
        Some(&*whole),
        Some("HTTP/1.1 200 OK\r\n"),
        Some("\r\n"),
        None,
    ] {
        let endpoints = Endpoints::listen();
        let sidecar = Sidecar::of(&service(&[endpoints.addr], "", ""));
        let mut client = sidecar.client();
        let endpoint = served(&mut client, &endpoints);
        // On loopback it is there when this returns, before the next request is.
        let kept = unasked.map(|bytes| {
            let mut endpoint = endpoint;
            endpoint.send(bytes);
            endpoint
        });
        let fresh = thread::spawn(move || {
            let mut endpoint = endpoints.accept();
            endpoint.message().unwrap();
            endpoint.send(&ok("fresh"));
            endpoint
        });
        ask(&mut client, "POST");
        let response = client.message().unwrap();
        assert_eq!(response.body, b"fresh", "{unasked:?}: {response:?}");
        fresh.join().unwrap();
        drop(kept);
    }
}

#[test]
fn a_connection_that_carries_no_other_request_is_closed_while_its_client_stays() {
    let endpoints = Endpoints::listen();
    let sidecar = Sidecar::of(&service(&[endpoints.addr], "", ""));
    let mut client = sidecar.client();
    for _ in 0..3 {
        ask(&mut client, "GET");
        let mut endpoint = endpoints.accept();
        endpoint.message().unwrap();
        endpoint.send(CLOSE);
        client.message().unwrap();
        endpoint.ends();
    }
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_over() {
    let endpoints = Endpoints::listen();
    let policy = "connectionPool: {http: {idleTimeout: 50ms}}";
    let sidecar = Sidecar::of(&service(&[endpoints.addr], "", policy));
    let mut client = sidecar.client();
    for _ in 0..2 {
        served(&mut client, &endpoints).ends();
    }
    let state = sidecar.snapshot();
    let connections = |c: &outrigger_core::snapshot::Cluster| c.endpoints[0].state.connections();
    while state.clusters.iter().map(connections).sum::<u32>() > 0 {
        thread::yield_now();
    }
}

/// Nobody asks for it any more, and its endpoint may be about to stop.
#[test]
fn an_idle_connection_to_an_endpoint_that_was_removed_is_closed() {
    let (old, new) = (Endpoints::listen(), Endpoints::listen());
    let mut proxy = Proxy::before(old.address());
    let mut client = proxy.client();
    let mut endpoint = served(&mut client, &old);
    proxy.publish(new.address());
    endpoint.ends();
}

/// Its socket would else go on connecting behind everybody's back, for two minutes and while descriptors last.
#[test]
fn a_connection_that_takes_too_long_to_make_is_given_up() {
    let (_listener, addr, _first) = deaf();
    let policy = "connectionPool: {tcp: {connectTimeout: 20ms}}";
    let sidecar = Sidecar::of(&service(&[addr], "", policy));
    let mut client = sidecar.client();
    ask(&mut client, "GET");
    let response = client.message().unwrap();
    assert!(response.start.contains(" 503 "), "{response:?}");
    // `rem_address` and `st` in proc_pid_net(5): that port, and SYN_SENT. A system without it shows nothing.
    let attempt = format!(":{:04X} 02 ", addr.port());
    let tries = || fs::read_to_string("/proc/self/net/tcp").is_ok_and(|all| all.contains(&attempt));
    let patience = Instant::now() + PATIENCE;
    while tries() {
        assert!(Instant::now() < patience, "it still tries to connect");
        thread::yield_now();
    }
}

/// The kernel spreads clients over two workers by their ports: in some rounds the idle connection is the other worker's.
#[test]
fn a_connection_that_another_worker_gave_up_is_closed() {
    let endpoints = Endpoints::listen();
    let policy = "connectionPool: {tcp: {maxConnections: 1}}";
    let setup = Setup {
        workers: 2,
        ..Setup::default()
    };
    let sidecar = setup.start(&service(&[endpoints.addr], "", policy));
    let mut endpoint = served(&mut sidecar.client(), &endpoints);
    let mut given_up = 0;
    while given_up < 2 {
        let mut client = sidecar.client();
        ask(&mut client, "GET");
        if let Some(next) = endpoints.accept_unless(&endpoint) {
            endpoint.ends();
            endpoint = next;
            given_up += 1;
        }
        endpoint.message().unwrap();
        endpoint.send(&ok(""));
        client.message().unwrap();
    }
}

/// What the access log says of the connection to the endpoint is about the one that was used, whoever made it.
#[test]
fn the_log_names_our_address_on_the_connection_that_was_used() {
    static LOGGED: Mutex<Vec<(Vec<u8>, Option<SocketAddr>)>> = Mutex::new(Vec::new());
    fn format(ended: &Ended<'_>) {
        let path = ended.record.request.path.clone();
        let logged = (path, ended.upstream_local());
        LOGGED.lock().unwrap().push(logged);
    }
    let endpoints = Endpoints::listen();
    let setup = Setup {
        format: Some(format),
        ..Setup::default()
    };
    let sidecar = setup.start(&service(&[endpoints.addr], "", ""));
    let [mut one, mut other] = [sidecar.client(), sidecar.client()];
    let ask = |client: &mut Client, path: &str| {
        client.send(&format!("GET {path} HTTP/1.1\r\nhost: app.test\r\n\r\n"));
    };
    let answer = |endpoint: &mut Client| {
        endpoint.message().unwrap();
        endpoint.send(&ok(""));
    };
    // Two connections, of which the second client's is kept last and used first.
    ask(&mut one, "/1");
    let mut first = endpoints.accept();
    ask(&mut other, "/2");
    let mut second = endpoints.accept();
    answer(&mut first);
    one.message().unwrap();
    answer(&mut second);
    other.message().unwrap();
    ask(&mut one, "/3");
    answer(&mut second);
    one.message().unwrap();
    let ours = [&first, &second].map(|c| c.stream.peer_addr().unwrap());
    // The last one ends a moment after its client has all of it.
    while LOGGED.lock().unwrap().len() < 3 {
        thread::yield_now();
    }
    let mut logged = LOGGED.lock().unwrap().clone();
    logged.sort();
    let want = [("/1", ours[0]), ("/2", ours[1]), ("/3", ours[1])];
    let want = want.map(|(path, at)| (path.as_bytes().to_vec(), Some(at)));
    assert_eq!(logged, want);
}
