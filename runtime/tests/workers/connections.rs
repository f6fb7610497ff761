//! The runtime with real sockets: connections are kept, reused and replaced, and nothing grows, hangs or gets lost.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::support::{Endpoints, PATIENCE, Proxy, ok, roundtrip};
use outrigger_core::cluster::RetryLimit;
use outrigger_core::snapshot::{Address, Limits};
use outrigger_runtime::{Ended, Notice};
use outrigger_telemetry::Hears;

#[test]
fn connections_are_kept_on_both_sides_and_shared_between_clients() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut first = proxy.client();
    first.get("/0");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok("/0"));
    assert_eq!(first.message().unwrap().body, b"/0");
    assert_eq!(roundtrip(&mut first, &mut endpoint, "/1"), b"/1");
    let mut second = proxy.client();
    assert_eq!(roundtrip(&mut second, &mut endpoint, "/2"), b"/2");
    assert!(!endpoints.has_more(), "one endpoint connection did it all");
    // A request ends, and is counted, a moment after its last byte arrives here.
    let requests = loop {
        let requests = proxy.counted().listeners.remove(0);
        if requests.codes.total() == 3 {
            break requests;
        }
        thread::yield_now();
    };
    assert_eq!(requests.codes.iter().collect::<Vec<_>>(), [(200, 3)]);
    let stats = proxy.running.handle().stats();
    assert_eq!(stats.listeners[0].connections, 2);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut client = proxy.client();
    let paths = ["/a", "/b", "/c"];
    client.send(
        &paths
            .map(|p| format!("GET {p} HTTP/1.1\r\nhost: app\r\n\r\n"))
            .concat(),
    );
    let mut endpoint = endpoints.accept();
    for path in paths {
        assert_eq!(
            endpoint.message().unwrap().start,
            format!("GET {path} HTTP/1.1")
        );
        endpoint.send(&ok(path));
    }
    for path in paths {
        assert_eq!(client.message().unwrap().body, path.as_bytes());
    }
}

#[test]
fn a_kept_connection_that_ended_is_replaced() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut client = proxy.client();
    for path in ["/1", "/2", "/3"] {
        client.get(path);
        let mut endpoint = endpoints.accept();
        endpoint.message().unwrap();
        endpoint.send(&ok(path));
        // Closed without notice, before or while the next request comes.
        drop(endpoint);
        assert_eq!(client.message().unwrap().body, path.as_bytes());
    }
}

#[test]
fn an_idle_connection_that_ended_is_forgotten() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut client = proxy.client();
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    client.message().unwrap();
    drop(endpoint);
    let snapshot = proxy.running.handle().snapshot();
    while snapshot.clusters[0].endpoints[0].state.connections() > 0 {
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_refused_connection_is_a_503() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let proxy = Proxy::before(Address::Socket(addr));
    let mut client = proxy.client();
    client.get("/");
    let response = client.message().unwrap();
    assert_eq!(response.start, "HTTP/1.1 503 Service Unavailable");
    client.get("/again");
    assert!(
        client.message().is_some(),
        "the client's connection goes on"
    );
}

#[test]
fn names_are_resolved_and_unix_sockets_reached() {
    let endpoints = Endpoints::listen();
    let by_name = Address::Name("localhost".into(), endpoints.addr.port());
    let proxy = Proxy::before(by_name);
    let mut client = proxy.client();
    client.get("/");
    endpoints.accept().send(&ok("by name"));
    assert_eq!(client.message().unwrap().body, b"by name");

    let path = std::env::temp_dir().join(format!("outrigger-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let proxy = Proxy::before(Address::Unix(path.to_str().unwrap().into()));
    let mut client = proxy.client();
    client.get("/");
    let (mut endpoint, _) = listener.accept().unwrap();
    endpoint.write_all(ok("by path").as_bytes()).unwrap();
    assert_eq!(client.message().unwrap().body, b"by path");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_slow_client_stops_the_endpoint() {
    const BODY: u64 = 256 * 1024 * 1024;
    // What the kernel takes for two connections by itself, and our high water mark, stay far below.
    const FAR_TOO_MUCH: u64 = BODY / 2;
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut client = proxy.client();
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.head().unwrap();
    endpoint.send(&format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n"
    ));
    let mut stream = endpoint.stream.try_clone().unwrap();
    let block = vec![b'x'; 1 << 20];
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut written = 0;
    while written < BODY {
        match stream.write(&block) {
            Ok(n) => written += n as u64,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    assert!(written < FAR_TOO_MUCH, "{written} bytes went into memory");
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let writer = thread::spawn(move || {
        while written < BODY {
            let left = usize::try_from(BODY - written).unwrap().min(block.len());
            written += stream.write(&block[..left]).unwrap() as u64;
        }
    });
    client.head().unwrap();
    assert_eq!(client.read_at_most(BODY), BODY);
    writer.join().unwrap();
}

#[test]
fn a_request_keeps_the_snapshot_it_began_with() {
    let (old, new) = (Endpoints::listen(), Endpoints::listen());
    let mut proxy = Proxy::before(old.address());
    let mut client = proxy.client();
    client.get("/1");
    let mut endpoint = old.accept();
    endpoint.message().unwrap();
    proxy.publish(new.address());
    endpoint.send(&ok("old"));
    assert_eq!(client.message().unwrap().body, b"old");
    client.get("/2");
    new.accept().send(&ok("new"));
    assert_eq!(client.message().unwrap().body, b"new");
}

#[test]
fn every_worker_takes_a_new_snapshot_and_drains() {
    let (old, new) = (Endpoints::listen(), Endpoints::listen());
    let mut proxy = Proxy::with(old.address(), 3, None);
    // Enough that each worker has some: the kernel spreads them by a hash of their ports.
    let mut clients: Vec<_> = (0..48).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.get("/");
        old.accept()
            .send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert!(client.message().is_some());
    }
    proxy.publish(new.address());
    let snapshot = Arc::downgrade(&proxy.running.handle().snapshot());
    for client in &mut clients {
        // A worker takes the snapshot when it next wakes, which may be for this very request.
        client.get("/");
        let mut endpoint = new.accept_or(&old);
        endpoint.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert!(client.message().is_some());
    }
    for client in &mut clients {
        client.get("/");
        new.accept()
            .send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        assert!(client.message().is_some());
    }
    assert_eq!(proxy.running.handle().stats().workers, 3);
    let drain = thread::spawn(|| proxy.running.drain(PATIENCE));
    assert!(clients.iter_mut().all(|client| client.message().is_none()));
    assert_eq!(drain.join().unwrap().cut_off, 0);
    assert!(snapshot.upgrade().is_none(), "no worker holds it any more");
}

#[test]
fn a_limit_holds_over_all_workers() {
    let endpoints = Endpoints::listen();
    let limits = Limits {
        connections: 1,
        pending: 1,
        requests: u32::MAX,
        retries: RetryLimit::NONE,
    };
    let proxy = Proxy::limited(endpoints.address(), 2, limits);
    // The kernel spreads clients over the workers by their ports: in some rounds they share one, in others not.
    for _ in 0..12 {
        let mut first = proxy.client();
        first.get("/");
        let mut endpoint = endpoints.accept();
        assert!(endpoint.message().is_some());
        let (sender, answers) = channel();
        for _ in 0..2 {
            let (sender, mut client) = (sender.clone(), proxy.client());
            thread::spawn(move || {
                client.get("/");
                let _ = sender.send(client.message().unwrap());
            });
        }
        let refused = answers.recv_timeout(PATIENCE).unwrap();
        assert_eq!(refused.start, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(refused.field("x-envoy-overloaded"), Some("true"));
        assert!(!endpoints.has_more(), "one connection is one connection");
        endpoint.send(&ok("first"));
        assert_eq!(first.message().unwrap().body, b"first");
        // The one that waited gets this connection, or one in its place if another worker has it.
        if endpoint.message().is_none() {
            endpoint = endpoints.accept();
            assert!(endpoint.message().is_some());
        }
        endpoint.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let served = answers.recv_timeout(PATIENCE).unwrap();
        assert_eq!(served.start, "HTTP/1.1 200 OK");
    }
}

#[test]
fn drain_finishes_what_runs_and_nothing_else() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let (mut idle, mut busy) = (proxy.client(), proxy.client());
    idle.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    idle.message().unwrap();
    busy.get("/");
    endpoint.message().unwrap();
    let addr = proxy.addr;
    let drain = thread::spawn(|| proxy.running.drain(PATIENCE));
    assert!(idle.message().is_none(), "an idle connection is closed");
    assert!(
        TcpStream::connect(addr).is_err(),
        "nothing is accepted any more"
    );
    endpoint.send(&ok("done"));
    let response = busy.message().unwrap();
    assert_eq!(response.body, b"done");
    assert_eq!(response.field("connection"), Some("close"));
    assert!(busy.message().is_none());
    drop(busy);
    assert_eq!(drain.join().unwrap().cut_off, 0);
}

#[test]
fn drain_gives_up_when_its_time_is_over() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut client = proxy.client();
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    assert_eq!(proxy.running.drain(Duration::ZERO).cut_off, 1);
    assert!(client.message().is_none());
}

#[test]
fn each_request_that_ends_is_told() {
    let (sender, lines) = channel();
    let sender = Mutex::new(sender);
    let hears: Hears = Arc::new(move |ended| {
        let upstream = ended.upstream_local().is_some();
        let line = (ended.record.status, ended.peer.local, upstream);
        let _ = sender.lock().unwrap().send(line);
    });
    let endpoints = Endpoints::listen();
    let proxy = Proxy::with(endpoints.address(), 1, Some(hears));
    let mut client = proxy.client();
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    client.message().unwrap();
    let want = (200, proxy.addr, true);
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), want);
    client.send("nonsense\r\n\r\n");
    client.message().unwrap();
    let want = (400, proxy.addr, false);
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), want);
}

#[test]
fn a_tunnel_passes_bytes_and_half_closes() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut client = proxy.client();
    client.send("GET / HTTP/1.1\r\nhost: app\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    let mut endpoint = endpoints.accept();
    assert_eq!(endpoint.head().unwrap().field("upgrade"), Some("websocket"));
    endpoint.send(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
    assert_eq!(
        client.head().unwrap().start,
        "HTTP/1.1 101 Switching Protocols"
    );
    client.send("ping\n");
    assert_eq!(endpoint.line().unwrap(), "ping");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(endpoint.line().is_none(), "the client's end arrives");
    endpoint.send("still here\n");
    assert_eq!(client.line().unwrap(), "still here");
    drop(endpoint);
    assert!(client.line().is_none());
}

#[test]
fn a_response_that_was_cut_does_not_look_whole() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    let mut client = proxy.client();
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.head().unwrap();
    assert_eq!(
        (client.line().unwrap(), client.line().unwrap()),
        ("3".into(), "abc".into())
    );
    drop(endpoint);
    assert!(
        client.line().is_none(),
        "neither a last chunk nor anything else"
    );
}

#[test]
fn a_panic_ends_one_connection_and_is_told() {
    let hears: Hears = Arc::new(|Ended { record, .. }| {
        assert_ne!(record.request.path, b"/panic", "as the test wants it");
    });
    let endpoints = Endpoints::listen();
    let proxy = Proxy::with(endpoints.address(), 1, Some(hears));
    let (mut first, mut second) = (proxy.client(), proxy.client());
    first.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    first.message().unwrap();
    second.get("/panic");
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    let notice = proxy.notices.recv_timeout(PATIENCE).unwrap();
    let remote = second.stream.local_addr().unwrap();
    assert_eq!(notice, Notice::ConnectionPanicked { remote });
    first.get("/after");
    // Where the panic left the endpoint's connection does not matter.
    let mut endpoint = if endpoint.message().is_some() {
        endpoint
    } else {
        endpoints.accept()
    };
    endpoint.send(&ok("after"));
    assert_eq!(first.message().unwrap().body, b"after");
    assert_eq!(proxy.running.handle().stats().panics, 1);
}
