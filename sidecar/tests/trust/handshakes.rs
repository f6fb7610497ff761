//! Handshakes that somebody stalls, cuts or sends to the wrong port, and what they leave behind: nothing, while others are served.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use rustls::{ClientConnection, HandshakeKind, version};
use rustls_pki_types::ServerName;

use super::by_hand::{self, Client, connect, rest};
use super::mesh::{Mesh, mirror};
use super::proxy::Proxy;
use super::runtimes;
use super::support::PATIENCE;

const STRICT: &str = "{mtls: {mode: STRICT}}";

/// What a client says first.
fn hello(mesh: &Mesh) -> Vec<u8> {
    let config = Arc::new(by_hand::config(&mesh.path("web"), rustls::ALL_VERSIONS));
    let name = ServerName::try_from("cart.shop").unwrap();
    let mut said = Vec::new();
    let mut client = ClientConnection::new(config, name).unwrap();
    client.write_tls(&mut said).unwrap();
    said
}

/// Somebody who means well is served.
fn serves(mesh: &Mesh, addr: SocketAddr, when: &str) {
    let config = Arc::new(by_hand::config(&mesh.path("web"), rustls::ALL_VERSIONS));
    let answer = Client::new(addr, &config).ask();
    assert_eq!(answer.as_deref(), Ok("HTTP/1.1 200 OK"), "{when}");
}

/// Waits until a counter of the inbound listener is so high: connections end before they are counted.
fn until_counted(server: &Proxy, name: &str, want: u64) {
    let began = Instant::now();
    loop {
        let count = counted(server, name);
        if count == want {
            return;
        }
        assert!(
            count < want && began.elapsed() < PATIENCE,
            "{name}: {count}"
        );
        thread::yield_now();
    }
}

/// A counter of the inbound listener.
fn counted(server: &Proxy, name: &str) -> u64 {
    let stats = server.admin(&format!("GET /stats?filter={name}"));
    let listener = server.addr("inbound").to_string().replace(':', "_");
    let mut lines = stats.lines();
    let line = lines.find(|line| line.contains(&listener)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn handshakes_that_stall_are_given_up_and_counted() {
    for runtime in runtimes() {
        for mode in ["STRICT", "PERMISSIVE"] {
            let mesh = Mesh::new(&format!("stall-{runtime}-{mode}"));
            let more = ["--runtime", runtime, "--tls-handshake-timeout", "2s"];
            let policy = format!("{{mtls: {{mode: {mode}}}}}");
            let server = mesh.server_with(&policy, mirror(), &more);
            let addr = server.addr("inbound");
            let hello = hello(&mesh);
            let mut all: Vec<_> = [0, 1, 5, 50, hello.len() - 1]
                .iter()
                .map(|count| {
                    let mut socket = connect(addr);
                    socket.write_all(&hello[..*count]).unwrap();
                    socket
                })
                .collect();
            serves(&mesh, addr, "while others stall");
            for socket in &mut all {
                assert_eq!(rest(socket), b"");
            }
            let late = "downstream_cx_transport_socket_connect_timeout";
            until_counted(&server, late, all.len() as u64);
            serves(&mesh, addr, "after that");
        }
    }
}

#[test]
fn what_is_spoken_to_the_wrong_port_is_refused() {
    for runtime in runtimes() {
        let mesh = Mesh::new(&format!("wrong-{runtime}"));
        let hello = hello(&mesh);
        let http = b"GET / HTTP/1.1\r\nhost: cart.shop\r\nconnection: close\r\n\r\n";
        for (mode, sent, want) in [
            ("STRICT", &http[..], ""),
            ("STRICT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
            ("STRICT", &[0x80, 0x2e, 1, 0, 2], ""),
            ("PERMISSIVE", http, "HTTP/1.1 200"),
            // Clear text, which is no HTTP: not TLS as anybody speaks it today.
            (
                "PERMISSIVE",
                &[0x80, 0x2e, 1, 0, 2, b'\r', b'\n', b'\r', b'\n'],
                "HTTP/1.1 400",
            ),
            (
                "PERMISSIVE",
                &[22, 2, 0, b'\r', b'\n', b'\r', b'\n'],
                "HTTP/1.1 400",
            ),
            ("DISABLE", http, "HTTP/1.1 200"),
            ("DISABLE", &hello, "HTTP/1.1 400"),
        ] {
            let policy = format!("{{mtls: {{mode: {mode}}}}}");
            let server = mesh.server_with(&policy, mirror(), &["--runtime", runtime]);
            let mut socket = connect(server.addr("inbound"));
            socket.write_all(sent).unwrap();
            let answer = rest(&mut socket);
            let answer = String::from_utf8_lossy(&answer);
            let is_as_wanted = match want {
                "" => answer.is_empty(),
                want => answer.starts_with(want),
            };
            assert!(is_as_wanted, "{mode} {want}: {answer}");
            if mode == "STRICT" {
                until_counted(&server, "ssl.connection_error", 1);
            }
        }
    }
}

#[test]
fn the_oldest_version_is_the_mesh_s() {
    let mesh = Mesh::new("oldest");
    let config = mesh.text("mesh.yaml");
    fs::write(&config, "meshMTLS: {minProtocolVersion: TLSV1_3}\n").unwrap();
    let server = mesh.server_with(STRICT, mirror(), &["--mesh-config", &config]);
    for (version, is_good) in [(&version::TLS12, false), (&version::TLS13, true)] {
        let config = Arc::new(by_hand::config(&mesh.path("web"), &[version]));
        let answer = Client::new(server.addr("inbound"), &config).ask();
        assert_eq!(answer.is_ok(), is_good, "{answer:?}");
    }
    // Both sides of a mesh hold to it.
    let client = mesh.client_with(&server, "cart", "", &["--mesh-config", &config]);
    assert!(client.get("cart.shop").starts_with("HTTP/1.1 200"));
}

/// A ticket is taken where it was given, and nowhere else: not at another port, though the same identity serves there.
#[test]
fn a_ticket_of_one_port_is_worth_nothing_at_another() {
    let mesh = Mesh::new("ports");
    let (one, other) = (mirror(), mirror());
    let more = ["--inbound", &format!("127.0.0.1:0={other}")];
    let server = mesh.server_with(STRICT, one, &more);
    let first = server.addr("inbound");
    let second = server.addr_before(&format!("to {other}"));
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let config = Arc::new(by_hand::config(&mesh.path("web"), versions));
        let kind = |addr| {
            let mut client = Client::new(addr, &config);
            assert_eq!(client.ask().as_deref(), Ok("HTTP/1.1 200 OK"));
            client.tls.handshake_kind()
        };
        assert_eq!(kind(first), Some(HandshakeKind::Full));
        assert_eq!(kind(first), Some(HandshakeKind::Resumed));
        assert_eq!(kind(second), Some(HandshakeKind::Full));
        assert_eq!(kind(second), Some(HandshakeKind::Resumed));
    }
}

/// Resident memory in KiB, and open descriptors.
fn held(server: &Proxy) -> (u64, usize) {
    let process = format!("/proc/{}", server.child.id());
    let pages = fs::read_to_string(format!("{process}/statm")).unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count();
    (pages * 4, descriptors)
}

/// Each cut of a handshake, by an end or a reset, leaves nothing behind. `conformance/peers/attacks/handshakes.py` does it a thousand
/// times a second.
#[test]
fn handshakes_cut_at_each_byte_leave_nothing_behind() {
    for runtime in runtimes() {
        let mesh = Mesh::new(&format!("cut-{runtime}"));
        let server = mesh.server_with(STRICT, mirror(), &["--runtime", runtime]);
        let addr = server.addr("inbound");
        let hello = hello(&mesh);
        let is_over = AtomicBool::new(false);
        let cut = |range: std::ops::RangeInclusive<usize>| {
            for count in range {
                let mut socket = connect(addr);
                socket.write_all(&hello[..count]).unwrap();
                if count % 2 == 0 {
                    let now = Some(std::time::Duration::ZERO);
                    socket2::SockRef::from(&socket).set_linger(now).unwrap();
                }
            }
        };
        // The first ones grow what is kept for the next.
        cut(0..=hello.len());
        serves(&mesh, addr, "at first");
        let before = held(&server);
        let served = thread::scope(|scope| {
            let visitor = scope.spawn(|| {
                let mut served = 0_u32;
                while !is_over.load(Ordering::Relaxed) {
                    serves(&mesh, addr, "while handshakes are cut");
                    served += 1;
                }
                served
            });
            for _ in 0..3 {
                cut(0..=hello.len());
            }
            is_over.store(true, Ordering::Relaxed);
            visitor.join().unwrap()
        });
        assert!(served > 0);
        let began = Instant::now();
        while held(&server).1 > before.1 {
            assert!(began.elapsed() < PATIENCE, "{before:?} {:?}", held(&server));
            thread::yield_now();
        }
        let after = held(&server);
        assert!(after.0 < before.0 + 8 * 1024, "KiB: {before:?} {after:?}");
    }
}
