//! Every time that a worker waits for, over real sockets and by the clock of the machine: it is never over before it is,
//! and not a whole tick of anything coarse later. What each of them means is core's, and held to the nanosecond there.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::Ended;
use socket2::{Domain, Socket, Type};

use super::configured::{Setup, Sidecar, service};
use super::late::{Gate, wait_until};
use super::support::{Client, Endpoints, ok};

/// In milliseconds: few, and no part of a second.
const LENGTHS: [u64; 2] = [2, 300];

/// What is due at 300 ms and comes with the next whole second, or with the one after it, is later than this.
const LATE: Duration = Duration::from_millis(500);

/// A machine may be slow for once, and has so many turns to be in time. It is never early.
const TURNS: u32 = 5;

/// Something that takes a time, and how long it took.
struct Timed {
    what: &'static str,
    took: fn(Duration) -> Duration,
}

fn written(length: Duration) -> String {
    format!("{}ms", length.as_millis())
}

fn set(change: impl FnOnce(&mut WorkerSettings)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.settings);
    setup
}

/// How long an endpoint that takes a request and says nothing is waited for.
fn unanswered(setup: Setup, rule: &str) -> Duration {
    let endpoints = Endpoints::listen();
    let sidecar = setup.start(&service(&[endpoints.addr], rule, ""));
    let mut client = sidecar.client();
    let began = Instant::now();
    client.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n");
    let response = client.message().unwrap();
    assert!(response.start.contains(" 504 "), "{response:?}");
    began.elapsed()
}

/// An address that answers no attempt to connect: a queue of one, and who stands in it (listen(2)).
pub(crate) fn deaf() -> (Socket, SocketAddr, Client) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let first = Client::connect(addr);
    (socket, addr, first)
}

const TIMED: [Timed; 9] = [
    Timed {
        what: "the route's timeout",
        took: |length| unanswered(Setup::default(), &format!("timeout: {},", written(length))),
    },
    Timed {
        what: "perTryTimeout",
        took: |length| {
            let retries = format!(
                "attempts: 1, retryOn: refused-stream, perTryTimeout: {}",
                written(length)
            );
            unanswered(Setup::default(), &format!("retries: {{{retries}}},"))
        },
    },
    Timed {
        what: "the stream idle timeout",
        took: |length| unanswered(set(|s| s.stream_idle_timeout = Some(length)), ""),
    },
    Timed {
        what: "the delay of a fault",
        took: |length| {
            let endpoints = Endpoints::listen();
            let delay = format!(
                "fixedDelay: {}, percentage: {{value: 100}}",
                written(length)
            );
            let rule = format!("fault: {{delay: {{{delay}}}}},");
            let sidecar = Sidecar::of(&service(&[endpoints.addr], &rule, ""));
            let began = Instant::now();
            let mut client = sidecar.client();
            client.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n");
            endpoints.accept().message().unwrap();
            began.elapsed()
        },
    },
    Timed {
        what: "connectTimeout",
        took: |length| {
            let (_listener, addr, _first) = deaf();
            let time = format!("connectTimeout: {}", written(length));
            let policy = format!("connectionPool: {{tcp: {{{time}}}}}");
            let rule = "retries: {attempts: 0},";
            let sidecar = Sidecar::of(&service(&[addr], rule, &policy));
            let mut client = sidecar.client();
            let began = Instant::now();
            client.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n");
            let response = client.message().unwrap();
            assert!(response.start.contains(" 503 "), "{response:?}");
            began.elapsed()
        },
    },
    Timed {
        what: "idleTimeout of an upstream connection",
        took: |length| {
            let endpoints = Endpoints::listen();
            let time = format!("idleTimeout: {}", written(length));
            let policy = format!("connectionPool: {{http: {{{time}}}}}");
            let sidecar = Sidecar::of(&service(&[endpoints.addr], "", &policy));
            let mut client = sidecar.client();
            client.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n");
            let mut endpoint = endpoints.accept();
            endpoint.message().unwrap();
            let began = Instant::now();
            endpoint.send(&ok(""));
            endpoint.ends();
            began.elapsed()
        },
    },
    Timed {
        what: "the time for a request's head",
        took: |length| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let sidecar = set(|s| s.request_head_timeout = Some(length)).start(&service(
                &[listener.local_addr().unwrap()],
                "",
                "",
            ));
            let mut client = sidecar.client();
            let began = Instant::now();
            client.send("GET");
            let response = client.message().unwrap();
            assert!(response.start.contains(" 408 "), "{response:?}");
            began.elapsed()
        },
    },
    Timed {
        what: "the idle timeout of a client",
        took: |length| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let sidecar = set(|s| s.idle_timeout = Some(length)).start(&service(
                &[listener.local_addr().unwrap()],
                "",
                "",
            ));
            let began = Instant::now();
            sidecar.client().ends();
            began.elapsed()
        },
    },
    Timed {
        what: "the longest drain",
        took: |length| {
            let endpoints = Endpoints::listen();
            let sidecar = Sidecar::of(&service(&[endpoints.addr], "", ""));
            let mut client = sidecar.client();
            client.send("GET / HTTP/1.1\r\nhost: app.test\r\n\r\n");
            let mut endpoint = endpoints.accept();
            endpoint.message().unwrap();
            let began = Instant::now();
            let drained = sidecar.running.drain(length);
            assert_eq!(drained.cut_off, 1);
            began.elapsed()
        },
    },
];

#[test]
fn what_a_worker_waits_for_is_over_when_it_is() {
    for Timed { what, took } in TIMED {
        for length in LENGTHS.map(Duration::from_millis) {
            let in_time = (0..TURNS).any(|_| {
                let took = took(length);
                assert!(
                    took >= length,
                    "{what}: {length:?} were over after {took:?}"
                );
                took < length + LATE
            });
            assert!(in_time, "{what}: {length:?}, and late {TURNS} times");
        }
    }
}

/// The worker is held while the time of a kept connection passes, so that nothing has closed it when the next request comes.
#[test]
fn an_overdue_connection_is_never_handed_out() {
    static GATE: Gate = Gate::new();
    fn format(Ended { record, .. }: &Ended<'_>) {
        GATE.pass(record);
    }
    // What was sent once is not sent again.
    const POST: &str = "POST / HTTP/1.1\r\nhost: app.test\r\ncontent-length: 0\r\n\r\n";
    const TIME: Duration = Duration::from_millis(60);
    for pool in [
        "http: {idleTimeout: 60ms}",
        "tcp: {maxConnectionDuration: 60ms}",
    ] {
        let mut held_in_time = 0;
        while held_in_time < 3 {
            let endpoints = Endpoints::listen();
            let setup = Setup {
                format: Some(format),
                ..Setup::default()
            };
            let policy = format!("connectionPool: {{{pool}}}");
            let sidecar = setup.start(&service(&[endpoints.addr], "", &policy));
            let mut client = sidecar.client();
            client.send(POST);
            let mut first = endpoints.accept();
            first.message().unwrap();
            let began = Instant::now();
            first.send(&ok(""));
            client.message().unwrap();
            let latest = Instant::now() + TIME;
            let (held, go) = GATE.hold(&sidecar);
            client.send(POST);
            wait_until(latest);
            drop(go);
            let mut second = endpoints.accept();
            second.message().unwrap();
            second.send(&ok(""));
            client.message().unwrap();
            first.ends();
            held_in_time += usize::from(held < began + TIME);
        }
    }
}
