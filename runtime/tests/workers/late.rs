//! A worker that comes too late: what has arrived meanwhile, and deadlines that have passed meanwhile.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_core::decision::Record;
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Direction, Ended, Stage};

use super::configured::{Setup, Sidecar, service};
use super::support::{Client, Endpoints, PATIENCE, ok};

/// Holds the worker of a test at the end of a request for `/hold`, until the test lets it go.
pub(crate) struct Gate {
    /// Told when the worker is held; what lets it go.
    next: Mutex<Option<(Sender<Instant>, Receiver<()>)>>,
}

impl Gate {
    pub(crate) const fn new() -> Self {
        Self {
            next: Mutex::new(None),
        }
    }

    pub(crate) fn pass(&self, record: &Record) {
        if record.request.path == b"/hold"
            && let Some((told, go)) = self.next.lock().unwrap().take()
        {
            let _ = told.send(Instant::now());
            let _ = go.recv_timeout(PATIENCE);
        }
    }

    /// Holds the worker; returns since when, and what lets it go when it is dropped or sent to.
    pub(crate) fn hold(&self, sidecar: &Sidecar) -> (Instant, Sender<()>) {
        let (told, is_held) = channel();
        let (go, gone) = channel();
        *self.next.lock().unwrap() = Some((told, gone));
        let mut client = sidecar.client();
        // Refused on the spot, so that it needs nobody else.
        client.send(
            "GET /hold HTTP/1.1\r\nhost: app.test\r\nconnection: upgrade\r\nupgrade: none\r\n\r\n",
        );
        (is_held.recv_timeout(PATIENCE).unwrap(), go)
    }
}

/// How long a request may take here. It passes while the worker is held.
const TIMEOUT: Duration = Duration::from_millis(200);
const RULE: &str = "timeout: 200ms,";

/// A request that is at its endpoint while the worker is held, with time left when that began.
fn held_in_time(
    gate: &'static Gate,
    format: fn(&Ended<'_>),
    begin: &str,
) -> (Sidecar, Client, Client, Sender<()>, Instant) {
    loop {
        let endpoints = Endpoints::listen();
        let setup = Setup {
            format: Some(format),
            ..Setup::default()
        };
        let sidecar = setup.start(&service(&[endpoints.addr], RULE, ""));
        let mut client = sidecar.client();
        let asked = Instant::now();
        client.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n");
        let mut endpoint = endpoints.accept();
        endpoint.message().unwrap();
        let over = Instant::now() + TIMEOUT;
        endpoint.send(begin);
        if !begin.is_empty() {
            client.head().unwrap();
        }
        let (held, go) = gate.hold(&sidecar);
        // On a machine that is too slow for this, once more.
        if held < asked + TIMEOUT {
            return (sidecar, client, endpoint, go, over);
        }
    }
}

pub(crate) fn wait_until(at: Instant) {
    while let Some(left) = at.checked_duration_since(Instant::now()) {
        thread::sleep(left + Duration::from_nanos(1));
    }
}

#[test]
fn an_answer_that_has_arrived_counts_although_its_time_is_over_meanwhile() {
    static GATE: Gate = Gate::new();
    fn format(Ended { record, .. }: &Ended<'_>) {
        GATE.pass(record);
    }
    let (sidecar, mut client, mut endpoint, go, over) = held_in_time(&GATE, format, "");
    endpoint.send(&ok("in time"));
    wait_until(over);
    drop(go);
    let response = client.message().unwrap();
    assert_eq!(response.body, b"in time", "{response:?}");
    drop(sidecar);
}

#[test]
fn an_endpoint_that_never_pauses_does_not_keep_a_deadline_away() {
    static GATE: Gate = Gate::new();
    fn format(Ended { record, .. }: &Ended<'_>) {
        GATE.pass(record);
    }
    // Two reads at least, and the kernel takes it although nobody reads.
    const MUCH: usize = 60_000;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let (sidecar, mut client, mut endpoint, go, over) = held_in_time(&GATE, format, head);
    endpoint.stream.write_all(&[b'x'; MUCH]).unwrap();
    wait_until(over);
    drop(go);
    let passed = client.read_at_most(u64::MAX);
    assert!(passed < MUCH as u64, "one read of {MUCH}, not {passed}");
    drop(sidecar);
}

#[test]
fn who_connected_before_a_drain_is_served_although_nobody_had_looked() {
    static GATE: Gate = Gate::new();
    fn format(Ended { record, .. }: &Ended<'_>) {
        GATE.pass(record);
    }
    for asks_in_time in [true, false] {
        let endpoints = Endpoints::listen();
        let setup = Setup {
            format: Some(format),
            ..Setup::default()
        };
        let sidecar = setup.start(&service(&[endpoints.addr], "", ""));
        let (_, go) = GATE.hold(&sidecar);
        let mut fresh = sidecar.client();
        if asks_in_time {
            fresh.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n");
        }
        let handle = sidecar.running.handle();
        handle.begin_drain(Direction::All, Stage::Stopped);
        drop(go);
        if asks_in_time {
            let mut endpoint = endpoints.accept();
            endpoint.message().unwrap();
            endpoint.send(&ok(""));
            let response = fresh.message().unwrap();
            assert_eq!(response.field("connection"), Some("close"));
        }
        fresh.ends();
        assert_eq!(sidecar.running.drain(PATIENCE).cut_off, 0);
    }
}

/// Its client may have believed that it stays, so nobody is cut off who has asked.
#[test]
fn who_asked_before_a_drain_is_served_however_long_the_connection_idled() {
    static GATE: Gate = Gate::new();
    fn format(Ended { record, .. }: &Ended<'_>) {
        GATE.pass(record);
    }
    const ASK: &str = "GET / HTTP/1.1\r\nhost: app.test\r\n\r\n";
    let endpoints = Endpoints::listen();
    let setup = Setup {
        format: Some(format),
        ..Setup::default()
    };
    let sidecar = setup.start(&service(&[endpoints.addr], "", ""));
    let mut client = sidecar.client();
    client.send(ASK);
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    client.message().unwrap();
    // Longer than a connection that drains is waited for.
    wait_until(Instant::now() + Duration::from_millis(1100));
    let (_, go) = GATE.hold(&sidecar);
    client.send(ASK);
    let handle = sidecar.running.handle();
    handle.begin_drain(Direction::All, Stage::Stopped);
    drop(go);
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    let response = client.message().unwrap();
    assert_eq!(response.field("connection"), Some("close"));
    client.ends();
    assert_eq!(sidecar.running.drain(PATIENCE).cut_off, 0);
}

/// Both are over in one turn of the worker, and the end of each panics: others are served all the same.
#[test]
fn several_panics_in_one_turn_end_nobody_else() {
    static GATE: Gate = Gate::new();
    fn format(Ended { record, .. }: &Ended<'_>) {
        GATE.pass(record);
        assert_ne!(record.request.path, b"/panic", "as the test wants it");
    }
    let endpoints = Endpoints::listen();
    let settings = WorkerSettings {
        stream_idle_timeout: Some(TIMEOUT),
        ..WorkerSettings::default()
    };
    let setup = Setup {
        format: Some(format),
        settings,
        ..Setup::default()
    };
    let sidecar = setup.start(&service(&[endpoints.addr], "", ""));
    let mut tunnels = Vec::new();
    for _ in 0..2 {
        let mut client = sidecar.client();
        client.send(
            "GET /panic HTTP/1.1\r\nhost: app.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        );
        let mut endpoint = endpoints.accept();
        endpoint.head().unwrap();
        endpoint.send(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        );
        client.head().unwrap();
        tunnels.push((client, endpoint));
    }
    let over = Instant::now() + TIMEOUT;
    let (_, go) = GATE.hold(&sidecar);
    wait_until(over);
    drop(go);
    for (client, _) in &mut tunnels {
        assert!(client.line().is_none(), "nothing comes any more");
    }
    let mut client = sidecar.client();
    client.send("GET /after HTTP/1.1\r\nhost: app.test\r\n\r\n");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok("after"));
    assert_eq!(client.message().unwrap().body, b"after");
    assert_eq!(sidecar.running.handle().stats().panics, 2);
}
