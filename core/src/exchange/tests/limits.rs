//! Circuit limits, with several clients on one or two workers.

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

/// Several clients, each on one of two workers, and the part of a runtime that carries what one says to the other.
struct House {
    snapshot: Arc<Snapshot>,
    workers: [Driver; 2],
    /// The worker of each client, and which of that one's clients it is.
    clients: Vec<(usize, usize)>,
    now: Instant,
}

impl House {
    fn new(pool: &str, workers_of: &[usize]) -> Self {
        Self::with(limited(pool, ""), workers_of)
    }

    fn with(snapshot: Arc<Snapshot>, workers_of: &[usize]) -> Self {
        let settings = WorkerSettings::default();
        let mut workers = [0, 1].map(|seed| Driver::crowd(snapshot.clone(), settings, seed, 0));
        let clients = workers_of.iter();
        Self {
            clients: clients.map(|of| (*of, workers[*of].accept())).collect(),
            snapshot,
            workers,
            now: Instant::ZERO,
        }
    }

    /// A client, with its worker.
    fn of(&mut self, at: usize) -> &mut Driver {
        let (worker, client) = self.clients[at];
        self.workers[worker].now = self.now;
        self.workers[worker].of(client)
    }

    /// A client does something, and all workers are told what they must be.
    fn does<T>(&mut self, at: usize, act: impl FnOnce(&mut Driver) -> T) -> T {
        let done = act(self.of(at));
        while self.workers.iter().any(|driver| driver.announced) {
            for driver in &mut self.workers {
                driver.announced = false;
            }
            for driver in &mut self.workers {
                driver.worker.on_announced(self.now);
                driver.drain();
            }
        }
        done
    }

    fn input(&mut self, at: usize, side: Side, input: Input) {
        self.does(at, |d| d.input(side, input));
    }

    fn connects(&mut self, at: usize) {
        self.does(at, Driver::connects);
    }

    fn refused(&mut self, at: usize) {
        self.does(at, |d| d.fails(ConnectFault::Refused));
    }

    fn time(&mut self, at: usize) {
        self.does(at, Driver::time);
    }

    fn sends(&mut self, at: usize, side: Side, bytes: &[u8]) {
        self.does(at, |d| d.sends(side, bytes));
    }

    fn receives(&mut self, at: usize, side: Side) -> String {
        self.does(at, |d| d.receives(side))
    }

    fn is_connecting(&mut self, at: usize) -> bool {
        self.of(at).is_connecting()
    }

    /// The connection that a client's request has, or had last.
    fn up(&mut self, at: usize) -> UpstreamId {
        self.of(at).up()
    }

    /// What was said of a client.
    fn told(&mut self, at: usize) -> Vec<Said> {
        self.of(at).seen().to_vec()
    }

    /// A request arrives.
    fn asks(&mut self, at: usize) {
        self.sends(at, Side::Downstream, GET);
    }

    /// A request arrives and gets as far as the endpoint, over a new connection.
    fn runs(&mut self, at: usize) {
        self.asks(at);
        assert!(self.is_connecting(at), "{at} connects");
        self.connects(at);
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
        let record = self.of(at).record();
        assert_eq!(record.flags().to_string(), "UO");
        assert_eq!((record.attempts.len(), record.retries), (1, 0));
        let details = record.details.to_string();
        assert_eq!(details, "upstream_reset_before_response_started{overflow}");
    }

    fn waits(&mut self, at: usize) -> bool {
        self.of(at).is_in_line()
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
        for at in 0..self.clients.len() {
            if !self.of(at).is_gone() {
                self.input(at, Side::Downstream, Input::Broken);
            }
        }
        for driver in &mut self.workers {
            driver.worker.adopt(Arc::default(), self.now);
            driver.drain();
            let (_, sockets) = driver.worker.parts();
            assert!(sockets.clients.is_empty() && sockets.upstreams.is_empty());
            assert_eq!(driver.worker.exchanges().count(), 0);
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
    assert!(h.waits(1) && !h.is_connecting(1));
    h.asks(2);
    h.overflows(2);
    assert_eq!(h.counts(), [1, 1, 1, 0, 1]);
    let freed = h.up(0);
    h.ends(0);
    assert_eq!((h.told(1), h.up(1)), (vec![], freed));
    h.connects(1);
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
    h.connects(0);
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
    h.connects(1);
    h.receives(1, Side::Upstream);
    // The dead connection is replaced in its own place; a place that is given up goes to the next in line.
    h.input(1, Side::Upstream, Input::Broken);
    assert!(h.is_connecting(1) && h.waits(2));
    h.refused(1);
    assert!(h.is_connecting(2) && h.waits(0));
    h.closes();
}

#[test]
fn who_leaves_the_line_is_passed_over() {
    for leaves_by_timeout in [false, true] {
        let mut h = House::new("tcp: {maxConnections: 1}", &[0, 0, 0]);
        // Its time runs from its end.
        let head = b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 1\r\n\r\n";
        h.sends(0, Side::Downstream, head);
        h.connects(0);
        h.receives(0, Side::Upstream);
        h.asks(1);
        h.now = Instant::from_millis(1000);
        h.asks(2);
        if leaves_by_timeout {
            h.now = Instant::from_millis(9000);
            h.time(1);
            assert!(h.receives(1, Side::Downstream).starts_with("HTTP/1.1 504 "));
        } else {
            h.input(1, Side::Downstream, Input::Eof);
        }
        assert_eq!(h.counts(), [1, 1, 1, 0, 1]);
        h.sends(0, Side::Downstream, b"x");
        h.receives(0, Side::Upstream);
        let freed = h.up(0);
        h.ends(0);
        assert!(!h.waits(2) && h.up(2) == freed);
        h.closes();
    }
}

#[test]
fn an_idle_connection_of_another_worker_is_given_up() {
    let mut h = House::new("tcp: {maxConnections: 1}", &[0, 1]);
    h.runs(0);
    h.ends(0);
    assert_eq!(h.workers[0].worker.counts().idle, 1);
    h.asks(1);
    assert_eq!(h.workers[0].worker.counts().idle, 0);
    assert!(h.is_connecting(1) && !h.waits(1));
    h.closes();
}

#[test]
fn a_connection_is_not_kept_while_another_worker_waits_for_one() {
    let mut h = House::new("tcp: {maxConnections: 1}", &[0, 1]);
    h.runs(0);
    h.asks(1);
    assert!(h.waits(1));
    h.ends(0);
    let told = h.told(0);
    assert!(told.contains(&Said::Close(Side::Upstream)), "{told:?}");
    assert_eq!(h.workers[0].worker.counts().idle, 0);
    assert!(h.is_connecting(1), "{:?}", h.told(1));
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
    let ups = [0, 1, 2].map(|at| h.up(at));
    for at in 0..3 {
        h.ends(at);
    }
    h.asks(0);
    assert_eq!(h.up(0), ups[2]);
    h.asks(1);
    assert_eq!(h.up(1), ups[1]);
    assert!(!h.is_connecting(0) && !h.is_connecting(1));
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
    h.connects(0);
    h.receives(0, Side::Upstream);
    h.ends(0);
    h.runs(1);
    h.asks(2);
    assert!(h.waits(2));
    assert_eq!(h.workers[0].worker.counts().idle, 1);
    let freed = h.up(1);
    h.ends(1);
    assert!(!h.waits(2) && !h.is_connecting(2));
    assert_eq!(h.up(2), freed);
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
            for driver in &mut h.workers {
                driver.worker.adopt(Arc::clone(&after), h.now);
                driver.drain();
            }
            h.does(0, |_| ());
            let case = format!("{pool}, on worker {worker}");
            assert_eq!(h.is_connecting(1), goes, "{case}");
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
    assert!(matches!(h.of(0).deadline(), Some((_, Timer::Backoff))));
    assert_eq!(h.counts(), [2, 0, 1, 1, 0]);
    h.sends(1, Side::Upstream, fails);
    assert!(h.receives(1, Side::Downstream).ends_with("busy"));
    assert_eq!(h.of(1).record().flags().to_string(), "UO");
    // The slot is free again once the retry has its outcome.
    h.now = Instant::from_millis(1000);
    h.time(0);
    h.connects(0);
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
    h.input(0, Side::Upstream, Input::Eof);
    assert!(h.is_connecting(0));
    assert_eq!(h.counts(), [1, 0, 1, 0, 0]);
    h.refused(0);
    assert_eq!(h.counts()[0], 0);
    h.closes();
}
