//! How `outrigger run` ends: who is still served, who is told, and what is waited for.
//!
//! Times are either none or longer than any test, so that what happens hangs on events alone.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use proxy::{Folder, Proxy, application, command, shop};
use support::PATIENCE;

/// Longer than any test.
const EVER: &str = "1000";

/// One end of a connection that speaks HTTP.
struct Peer(BufReader<TcpStream>);

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).unwrap())
    }

    fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().unwrap().0)
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn ask(&mut self) {
        self.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    }

    fn answer(&mut self) {
        self.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }

    /// The next message, in small letters, its body thrown away.
    fn message(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut head).unwrap();
            assert_ne!(read, 0, "ended after `{head}`");
        }
        head.make_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        head
    }

    /// Asks, and whether the answer said close.
    fn is_told_to_close(&mut self) -> bool {
        self.ask();
        let head = self.message();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        head.contains("\r\nconnection: close\r\n")
    }

    /// The other side has closed, or closes.
    fn ends(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
    }
}

/// A request that has reached its application.
struct Flight {
    client: Peer,
    application: Peer,
}

impl Flight {
    fn begin(from: SocketAddr, to: &TcpListener) -> Self {
        let mut client = Peer::connect(from);
        client.ask();
        let mut application = Peer::accept(to);
        application.message();
        Self {
            client,
            application,
        }
    }

    /// Answers it, and returns its client and what that got.
    fn end(mut self) -> (Peer, String) {
        self.application.answer();
        let response = self.client.message();
        assert!(response.starts_with("http/1.1 200"), "{response}");
        (self.client, response)
    }
}

/// Asks on new connections until one is told to close: workers hear a little later than we.
fn until_told_to_close(addr: SocketAddr) {
    loop {
        let mut client = Peer::connect(addr);
        if client.is_told_to_close() {
            return client.ends();
        }
    }
}

fn until_refused(addr: SocketAddr) {
    loop {
        match TcpStream::connect(addr) {
            Ok(_) => thread::yield_now(),
            Err(error) => return assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
    }
}

/// A listener by hand, and its address.
fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A proxy before this application, with the shop as the one service outside.
fn before(folder: &Folder, application: SocketAddr, minimum: &str, more: &[&str]) -> Proxy {
    folder.write("shop.yaml", &shop(self::application("shop")));
    let inbound = format!("127.0.0.1:0={application}");
    let times = ["--minimum-drain-time", minimum, "--inbound", &inbound];
    Proxy::start(&folder.0, &[&times[..], more].concat())
}

#[test]
fn inbound_is_served_and_told_for_the_minimum_time() {
    let folder = Folder::new("minimum");
    let times = ["--drain-time", EVER];
    let proxy = before(&folder, application("app"), EVER, &times);
    let mut kept = Peer::connect(proxy.addr("inbound"));
    assert!(!kept.is_told_to_close());
    proxy.signal("-TERM");
    proxy.wait_for("draining");
    until_told_to_close(proxy.addr("inbound"));
    assert!(kept.is_told_to_close());
    kept.ends();
    assert!(!Peer::connect(proxy.addr("outbound")).is_told_to_close());
    assert!(proxy.admin("GET /ready").contains(" 503 "));
}

#[test]
fn outbound_serves_until_the_last_inbound_request_is_answered() {
    let (folder, (app, addr)) = (Folder::new("outlives"), listen());
    let mut proxy = before(&folder, addr, "0", &["--drain-time", EVER]);
    let flight = Flight::begin(proxy.addr("inbound"), &app);
    let mut kept = Peer::connect(proxy.addr("outbound"));
    proxy.signal("-TERM");
    until_refused(proxy.addr("inbound"));
    for _ in 0..2 {
        assert!(!kept.is_told_to_close());
        assert!(!Peer::connect(proxy.addr("outbound")).is_told_to_close());
    }
    let (mut client, response) = flight.end();
    assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
    client.ends();
    kept.ends();
    assert_eq!(proxy.wait().0, Some(0));
}

#[test]
fn listeners_drain_as_the_parameters_say() {
    let folder = Folder::new("parameters");
    let proxy = before(&folder, application("app"), EVER, &["--drain-time", EVER]);
    let [inbound, outbound] = ["inbound", "outbound"].map(|word| proxy.addr(word));
    let post = |query: &str| proxy.admin(&format!("POST /drain_listeners{query}"));
    for unknown in ["?inbound", "?graceful&skip_exit", "?inboundonly&x=1"] {
        let response = post(unknown);
        assert!(response.contains(" 400 "), "{unknown}: {response}");
    }
    assert!(proxy.admin("GET /ready").ends_with("LIVE\n"));

    assert!(post("?inboundonly&graceful").contains(" 200 "));
    until_told_to_close(inbound);
    let mut kept = Peer::connect(outbound);
    assert!(!kept.is_told_to_close());
    assert!(post("?graceful").contains(" 200 "));
    while !kept.is_told_to_close() {}
    kept.ends();
    let mut fresh = Peer::connect(outbound);
    assert!(fresh.is_told_to_close());
    until_told_to_close(inbound);

    assert!(post("?inboundonly").contains(" 200 "));
    until_refused(inbound);
    assert!(Peer::connect(outbound).is_told_to_close());
    assert!(post("").contains(" 200 "));
    until_refused(outbound);
    assert!(proxy.admin("GET /ready").contains(" 503 "));
}

#[test]
fn a_graceful_drain_of_listeners_stops_them_after_the_minimum_time() {
    let folder = Folder::new("graceful");
    let mut proxy = before(&folder, application("app"), "0", &[]);
    assert!(
        proxy
            .admin("POST /drain_listeners?graceful")
            .contains(" 200 ")
    );
    until_refused(proxy.addr("inbound"));
    until_refused(proxy.addr("outbound"));
    assert!(proxy.admin("POST /quitquitquit").contains(" 200 "));
    assert_eq!(proxy.wait().0, Some(0));
}

/// Nobody who only keeps a connection holds it up.
#[test]
fn exit_on_zero_accepts_until_the_last_inbound_request_is_answered() {
    for by_environment in [false, true] {
        let (folder, (app, addr)) = (Folder::new("zero"), listen());
        let inbound = format!("127.0.0.1:0={addr}");
        let flag = "--exit-on-zero-active-connections";
        let times = ["--minimum-drain-time", "0", "--drain-time", EVER];
        let mut more = [&times[..], &["--inbound", &inbound]].concat();
        more.extend((!by_environment).then_some(flag));
        let mut command = command(&folder.0, &more);
        if by_environment {
            command.env("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "true");
        }
        let mut proxy = Proxy::spawn(command);
        let inbound = proxy.addr("inbound");
        let (mut idle, _) = Flight::begin(inbound, &app).end();
        let _silent = Peer::connect(inbound);
        let flight = Flight::begin(inbound, &app);
        proxy.signal("-TERM");
        idle.ends();
        let (mut late, response) = Flight::begin(inbound, &app).end();
        assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
        late.ends();
        flight.end();
        assert_eq!(proxy.wait().0, Some(0));
    }
}

#[test]
fn a_tunnel_is_cut_off_when_the_time_is_up() {
    let (folder, (app, addr)) = (Folder::new("tunnels"), listen());
    let times = ["--drain-time", "0.2"];
    let mut proxy = before(&folder, addr, EVER, &times);
    let mut connected = Peer::connect(proxy.addr("outbound"));
    connected.send(&format!("CONNECT {addr} HTTP/1.1\r\nhost: {addr}\r\n\r\n"));
    let _far = Peer::accept(&app);
    assert!(connected.message().starts_with("http/1.1 200"));
    let mut upgraded = Peer::connect(proxy.addr("inbound"));
    upgraded.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    let mut far = Peer::accept(&app);
    far.message();
    far.send(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
    assert!(upgraded.message().starts_with("http/1.1 101"));
    proxy.signal("-TERM");
    proxy.wait_for("cut off 2 connections");
    assert_eq!(proxy.wait().0, Some(0));
    connected.ends();
    upgraded.ends();
}

#[test]
fn a_successor_takes_all_addresses_while_the_last_requests_run() {
    let (folder, (endpoint, addr)) = (Folder::new("successor"), listen());
    folder.write("shop.yaml", &shop(addr));
    let mut old = Proxy::start(&folder.0, &["--drain-time", EVER]);
    let [outbound, admin] = ["outbound", "admin"].map(|word| old.addr(word).to_string());
    let flight = Flight::begin(old.addr("outbound"), &endpoint);
    old.signal("-TERM");
    until_refused(old.addr("outbound"));
    until_refused(old.addr("admin"));
    let addresses = ["--outbound", &outbound, "--admin", &admin];
    let new = Proxy::start(&folder.0, &addresses);
    assert!(new.admin("GET /ready").ends_with("LIVE\n"));
    Flight::begin(new.addr("outbound"), &endpoint).end();
    let (_, response) = flight.end();
    assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
    assert_eq!(old.wait().0, Some(0));
}

#[test]
fn who_interrupts_at_a_terminal_waits_only_for_what_is_in_flight() {
    let (folder, (app, addr)) = (Folder::new("interrupt"), listen());
    let times = ["--drain-time", EVER, "--exit-on-zero-active-connections"];
    let mut proxy = before(&folder, addr, EVER, &times);
    let (mut idle, _) = Flight::begin(proxy.addr("inbound"), &app).end();
    let flight = Flight::begin(proxy.addr("inbound"), &app);
    proxy.signal("-INT");
    until_refused(proxy.addr("inbound"));
    idle.ends();
    flight.end();
    assert_eq!(proxy.wait().0, Some(0));
}
