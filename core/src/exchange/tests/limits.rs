//! Circuit limits, with several exchanges on one or two workers.

use super::reloads::Compiler;
use super::*;
use crate::cluster::Counted;

fn limited(pool: &str, rule: &str) -> Arc<Snapshot> {
    snapshot(&limits(pool, rule))
}

fn limits(pool: &str, rule: &str) -> String {
    format!(
        "{SERVICE}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec: {{hosts: [h.test], http: [{{timeout: 9s{rule}, route: [{{destination: {{host: h.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec: {{host: h.test, trafficPolicy: {{connectionPool: {{{pool}}}}}}}
"
    )
}

/// Several exchanges, each on one of two workers, and the part of a runtime that wakes them.
struct House {
    snapshot: Arc<Snapshot>,
    workers: Vec<Worker>,
    exchanges: Vec<(usize, Exchange)>,
    interests: Vec<Interest>,
    /// What each exchange was last told to do about its upstream connection.
    told: Vec<Vec<Output>>,
    now: Instant,
}

impl House {
    fn new(pool: &str, workers_of: &[usize]) -> Self {
        Self::with(limited(pool, ""), workers_of)
    }

    fn with(snapshot: Arc<Snapshot>, workers_of: &[usize]) -> Self {
        let workers: Vec<_> = (0..2)
            .map(|seed| Worker::new(snapshot.clone(), WorkerSettings::default(), seed))
            .collect();
        let exchanges: Vec<_> = workers_of
            .iter()
            .map(|worker| {
                let peer = Peer {
                    remote: "127.0.0.1:1000".parse().unwrap(),
                    local: "127.0.0.1:15001".parse().unwrap(),
                    listener: ListenerKind::Outbound,
                };
                let exchange = Exchange::accept(peer, Instant::ZERO, &workers[*worker]);
                (*worker, exchange)
            })
            .collect();
        Self {
            snapshot,
            workers,
            interests: vec![Interest::default(); exchanges.len()],
            told: vec![Vec::new(); exchanges.len()],
            exchanges,
            now: Instant::ZERO,
        }
    }

    fn input(&mut self, at: usize, input: Input) {
        let ambient = Ambient {
            now: self.now,
            entropy: Entropy(7),
        };
        let (worker, exchange) = &mut self.exchanges[at];
        let worker = *worker;
        exchange.handle_input(input, ambient, &mut self.workers[worker]);
        let (mut wake, mut announce) = (Vec::new(), false);
        loop {
            match exchange.poll_output() {
                Output::Wait(interest) => {
                    self.interests[at] = interest;
                    break;
                }
                Output::Done => {
                    self.interests[at] = Interest::default();
                    break;
                }
                Output::Wake(waiter) => wake.push(waiter),
                Output::Announce => announce = true,
                output => self.told[at].push(output),
            }
        }
        wake.into_iter()
            .for_each(|waiter| self.wake(worker, waiter));
        if announce {
            self.announce();
        }
    }

    fn wake(&mut self, worker: usize, waiter: WaiterId) {
        let mut all = 0..self.exchanges.len();
        let waits = |at: &usize| {
            self.exchanges[*at].0 == worker && self.interests[*at].woken == Some(waiter)
        };
        if let Some(at) = all.find(waits) {
            self.input(at, Input::Woken);
        }
    }

    fn announce(&mut self) {
        for worker in 0..self.workers.len() {
            let told = self.workers[worker].on_announced();
            for waiter in told.wake {
                self.wake(worker, waiter);
            }
            if told.announce {
                self.announce();
            }
        }
    }

    fn sends(&mut self, at: usize, side: Side, bytes: &[u8]) {
        let (worker, exchange) = &mut self.exchanges[at];
        let space = exchange.space(side, &mut self.workers[*worker]);
        space.extend_from_slice(bytes);
        self.input(at, Input::Read(side, bytes.len()));
    }

    fn receives(&mut self, at: usize, side: Side) -> String {
        let mut text = Vec::new();
        while !self.exchanges[at].1.outbox(side).is_empty() {
            let piece = self.exchanges[at].1.outbox(side).front().to_vec();
            self.input(at, Input::Wrote(side, piece.len()));
            text.extend(piece);
        }
        String::from_utf8(text).unwrap()
    }

    /// A request arrives.
    fn asks(&mut self, at: usize) {
        self.sends(at, Side::Downstream, GET);
    }

    /// A request arrives and gets as far as the endpoint, over a new connection.
    fn runs(&mut self, at: usize) {
        self.asks(at);
        assert!(self.interests[at].connect, "{at} connects");
        self.input(at, Input::Connected);
        self.receives(at, Side::Upstream);
    }

    /// Its response arrives.
    fn ends(&mut self, at: usize) {
        self.sends(at, Side::Upstream, OK);
        assert!(
            self.receives(at, Side::Downstream)
                .starts_with("HTTP/1.1 200 ")
        );
    }

    fn overflows(&mut self, at: usize) {
        let reply = self.receives(at, Side::Downstream);
        assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
        assert!(reply.contains("x-envoy-overloaded: true\r\n"), "{reply}");
        let text =
            "upstream connect error or disconnect/reset before headers. reset reason: overflow";
        assert!(reply.ends_with(text), "{reply}");
        let record = self.exchanges[at].1.record();
        assert_eq!(record.flags().to_string(), "UO");
        assert_eq!((record.attempts.len(), record.retries), (1, 0));
        let details = record.details.to_string();
        assert_eq!(details, "upstream_reset_before_response_started{overflow}");
    }

    fn waits(&self, at: usize) -> bool {
        self.interests[at].woken.is_some()
    }

    fn counts(&self) -> [u32; 5] {
        const CIRCUIT: [Counted; 5] = [
            Counted::Connections,
            Counted::Pending,
            Counted::Requests,
            Counted::Retries,
            Counted::Waiting,
        ];
        let cluster = self.snapshot.clusters.iter().find(|c| c.limits.is_some());
        CIRCUIT.map(|counted| cluster.unwrap().state.gauges().current(counted))
    }

    /// Everybody leaves, and nothing is left behind.
    fn closes(mut self) {
        for at in 0..self.exchanges.len() {
            self.input(at, Input::Broken(Side::Downstream));
        }
        for worker in &mut self.workers {
            worker.adopt(Arc::default(), Instant::ZERO);
        }
        assert_eq!(self.counts(), [0; 5]);
        let clusters = self.snapshot.clusters.iter();
        let mut hosts = clusters.flat_map(|c| &c.endpoints);
        assert!(hosts.all(|e| (e.state.active(), e.state.connections()) == (0, 0)));
    }
}

const ONE_AND_ONE: &str = "tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}";

#[test]
fn one_runs_one_waits_and_the_third_overflows() {
    let mut h = House::new(ONE_AND_ONE, &[0, 0, 0]);
    h.runs(0);
    h.asks(1);
    assert!(h.waits(1) && !h.interests[1].connect);
    h.asks(2);
    h.overflows(2);
    assert_eq!(h.counts(), [1, 1, 1, 0, 1]);
    h.ends(0);
    assert_eq!(h.told[1], [Output::Reuse(ConnectionId(0))]);
    h.input(1, Input::Connected);
    assert_eq!(h.counts(), [1, 0, 1, 0, 0]);
    h.receives(1, Side::Upstream);
    h.ends(1);
    h.closes();
}

#[test]
fn a_request_whose_connection_is_being_made_is_pending() {
    let mut h = House::new("http: {http1MaxPendingRequests: 1}", &[0, 1, 0]);
    h.asks(0);
    h.asks(1);
    h.overflows(1);
    h.input(0, Input::Connected);
    h.runs(2);
    h.closes();
}

#[test]
fn the_line_is_kept_whoever_comes_later() {
    let mut h = House::new("tcp: {maxConnections: 1}", &[0, 0, 0]);
    h.runs(0);
    h.asks(1);
    h.asks(2);
    h.ends(0);
    assert!(!h.waits(1) && h.waits(2));
    h.asks(0);
    assert!(
        h.waits(0),
        "the connection that it had is somebody else's turn"
    );
    h.input(1, Input::Connected);
    h.receives(1, Side::Upstream);
    // The dead connection is replaced in its own place; a place that is given up goes to the next in line.
    h.input(1, Input::Broken(Side::Upstream));
    assert!(h.interests[1].connect && h.waits(2));
    h.input(1, Input::ConnectFailed(ConnectFault::Refused));
    assert!(h.interests[2].connect && h.waits(0));
    h.closes();
}

#[test]
fn who_leaves_the_line_is_passed_over() {
    for leaves_by_timeout in [false, true] {
        let mut h = House::new("tcp: {maxConnections: 1}", &[0, 0, 0]);
        h.runs(0);
        h.asks(1);
        h.now = Instant::from_millis(1000);
        h.asks(2);
        if leaves_by_timeout {
            h.now = Instant::from_millis(9000);
            h.input(1, Input::Deadline);
            assert!(h.receives(1, Side::Downstream).starts_with("HTTP/1.1 504 "));
        } else {
            h.input(1, Input::Eof(Side::Downstream));
        }
        assert_eq!(h.counts(), [1, 1, 1, 0, 1]);
        h.ends(0);
        assert!(!h.waits(2));
        h.closes();
    }
}

#[test]
fn an_idle_connection_of_another_worker_is_given_up() {
    let mut h = House::new("tcp: {maxConnections: 1}", &[0, 1]);
    h.runs(0);
    h.ends(0);
    assert_eq!(h.workers[0].idle_connections(), 1);
    h.asks(1);
    assert_eq!(h.workers[0].idle_connections(), 0);
    assert!(h.interests[1].connect && !h.waits(1));
    h.closes();
}

#[test]
fn a_connection_is_not_kept_while_another_worker_waits_for_one() {
    let mut h = House::new("tcp: {maxConnections: 1}", &[0, 1]);
    h.runs(0);
    h.asks(1);
    assert!(h.waits(1));
    h.ends(0);
    let closes = |output: &Output| *output == Output::Close(Side::Upstream);
    assert!(h.told[0].iter().any(closes), "{:?}", h.told);
    assert_eq!(h.workers[0].idle_connections(), 0);
    assert!(h.interests[1].connect, "{:?}", h.told);
    assert_eq!(h.counts(), [1, 1, 1, 0, 0]);
    h.closes();
}

/// Envoy's LIFO: connections that are not needed any more expire, whatever the order in which requests come.
#[test]
fn the_connection_that_was_kept_last_is_used_first() {
    let mut h = House::new("tcp: {maxConnections: 3}", &[0, 0, 0]);
    for at in 0..3 {
        h.runs(at);
    }
    for at in 0..3 {
        h.ends(at);
    }
    h.asks(0);
    assert_eq!(h.told[0].last(), Some(&Output::Reuse(ConnectionId(2))));
    h.asks(1);
    assert_eq!(h.told[1].last(), Some(&Output::Reuse(ConnectionId(1))));
}

#[test]
fn an_idle_connection_of_another_cluster_is_no_place_for_who_waits() {
    let other = SERVICE
        .replace("name: h}", "name: i}")
        .replace("h.test", "i.test");
    let policy = |name: &str| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {name}.test, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 1}}}}}}}}
"
        )
    };
    let rules = format!("{SERVICE}---{other}{}{}", policy("h"), policy("i"));
    let mut h = House::with(snapshot(&rules), &[0, 0, 0]);
    h.sends(
        0,
        Side::Downstream,
        b"GET / HTTP/1.1\r\nHost: i.test\r\n\r\n",
    );
    h.input(0, Input::Connected);
    h.receives(0, Side::Upstream);
    h.ends(0);
    h.runs(1);
    h.asks(2);
    assert!(h.waits(2));
    assert_eq!(h.workers[0].idle_connections(), 1, "{:?}", h.told);
    h.ends(1);
    assert_eq!(h.told[2].last(), Some(&Output::Reuse(ConnectionId(1))));
}

/// Whoever comes later stands behind them, so a raised limit would else hold for nobody.
#[test]
fn a_limit_that_changes_is_that_of_who_waits() {
    for (pool, goes) in [
        ("tcp: {maxConnections: 1}", false),
        ("tcp: {maxConnections: 2}", true),
        ("http: {idleTimeout: 9s}", true),
    ] {
        for worker in 0..2 {
            let mut compiler = Compiler::default();
            let before = compiler.snapshot(&limits(ONE_AND_ONE, ""));
            let mut h = House::with(before, &[0, worker]);
            h.runs(0);
            h.asks(1);
            assert!(h.waits(1));
            let after = compiler.snapshot(&limits(pool, ""));
            for worker in &mut h.workers {
                worker.adopt(Arc::clone(&after), h.now);
            }
            h.announce();
            let case = format!("{pool}, on worker {worker}");
            assert_eq!(h.interests[1].connect, goes, "{case}");
            assert_eq!(h.waits(1), !goes, "{case}");
            h.closes();
        }
    }
}

#[test]
fn requests_are_limited_over_all_workers() {
    let mut h = House::new("http: {http2MaxRequests: 1}", &[0, 1]);
    h.runs(0);
    h.asks(1);
    h.overflows(1);
    h.ends(0);
    h.runs(1);
    h.ends(1);
    h.closes();
}

#[test]
fn a_retry_beyond_the_limit_is_not_made() {
    let fails = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    let rule = ", retries: {attempts: 2, retryOn: '503'}";
    let mut h = House::with(limited("http: {maxRetries: 1}", rule), &[0, 1]);
    h.runs(0);
    h.runs(1);
    h.sends(0, Side::Upstream, fails);
    assert!(matches!(h.interests[0].deadline, Some((_, Timer::Backoff))));
    assert_eq!(h.counts(), [2, 0, 1, 1, 0]);
    h.sends(1, Side::Upstream, fails);
    assert!(h.receives(1, Side::Downstream).ends_with("busy"));
    assert_eq!(h.exchanges[1].1.record().flags().to_string(), "UO");
    // The slot is free again once the retry has its outcome.
    h.now = Instant::from_millis(1000);
    h.input(0, Input::Deadline);
    h.input(0, Input::Connected);
    h.receives(0, Side::Upstream);
    assert_eq!(h.counts()[3], 1);
    h.ends(0);
    assert_eq!(h.counts()[3], 0);
    h.closes();
}

#[test]
fn a_dead_kept_connection_is_replaced_within_the_limit() {
    let mut h = House::new(ONE_AND_ONE, &[0]);
    h.runs(0);
    h.ends(0);
    h.asks(0);
    h.input(0, Input::Stale);
    assert!(h.interests[0].connect);
    assert_eq!(h.counts(), [1, 0, 1, 0, 0]);
    h.input(0, Input::ConnectFailed(ConnectFault::Refused));
    assert_eq!(h.counts()[0], 0);
    h.closes();
}
