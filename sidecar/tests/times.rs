//! The times that flags of `outrigger run` set, by the clock of the machine: none is over early, and none comes with a later
//! tick of something coarser. What each of them does to requests is told by cases.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use proxy::{Folder, Proxy, shop};
use support::PATIENCE;

/// No whole number of seconds, nor half of one.
const LENGTH: Duration = Duration::from_millis(300);

/// What comes with the next whole second is later than this.
const LATE: Duration = Duration::from_millis(650);

/// A machine may be slow for once, and has so many turns to be in time. It is never early.
const TURNS: u32 = 5;

/// A proxy before an endpoint that accepts and says nothing.
struct Stage {
    proxy: Proxy,
    endpoint: TcpListener,
    _folder: Folder,
}

impl Stage {
    fn open(flags: &[&str]) -> Self {
        let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = Folder::new("times");
        folder.write("shop.yaml", &shop(endpoint.local_addr().unwrap()));
        let proxy = Proxy::start(&folder.0, flags);
        Self {
            proxy,
            endpoint,
            _folder: folder,
        }
    }

    fn connect(&self, listener: &str) -> TcpStream {
        let client = TcpStream::connect(self.proxy.addr(listener)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }
}

/// What a client gets that sends this, and how long that took.
fn sent(flags: &[&str], bytes: &str) -> (String, Duration) {
    let stage = Stage::open(flags);
    let mut client = stage.connect("outbound");
    let began = Instant::now();
    client.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    (answer, began.elapsed())
}

/// A flag, and how long what it bounds took.
type Timed = (&'static str, fn() -> Duration);

const TIMED: [Timed; 5] = [
    ("--idle-timeout", || {
        let (answer, took) = sent(&["--idle-timeout", "300ms"], "");
        assert_eq!(answer, "");
        took
    }),
    ("--request-head-timeout", || {
        let (answer, took) = sent(&["--request-head-timeout", "300ms"], "GET / HT");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        took
    }),
    ("--stream-idle-timeout", || {
        let request = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        let (answer, took) = sent(&["--stream-idle-timeout", "300ms"], request);
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
        took
    }),
    ("--drain-time", || {
        let mut stage = Stage::open(&["--drain-time", "0.3"]);
        let mut client = stage.connect("outbound");
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
            .unwrap();
        let _asked = stage.endpoint.accept().unwrap();
        let began = Instant::now();
        stage.proxy.signal("-TERM");
        assert_eq!(stage.proxy.wait().0, Some(0));
        began.elapsed()
    }),
    ("--minimum-drain-time", || {
        let inbound = "127.0.0.1:0=127.0.0.1:1";
        let mut stage = Stage::open(&["--minimum-drain-time", "0.3", "--inbound", inbound]);
        let began = Instant::now();
        stage.proxy.signal("-TERM");
        assert_eq!(stage.proxy.wait().0, Some(0));
        began.elapsed()
    }),
];

#[test]
fn what_a_flag_sets_is_over_when_it_is() {
    for (flag, took) in TIMED {
        let in_time = (0..TURNS).any(|_| {
            let took = took();
            assert!(took >= LENGTH, "{flag}: over after {took:?}");
            took < LENGTH + LATE
        });
        assert!(in_time, "{flag}: late {TURNS} times");
    }
}
