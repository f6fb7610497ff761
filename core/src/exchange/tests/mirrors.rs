//! Copies for mirrors: when they are made, what they carry, and that nobody feels what becomes of them.

use super::*;
use crate::cluster::Counted;
use crate::decision::MirrorFate::{
    self, BodyTooLong, Dropped, Incomplete, NoCluster, NoEndpoint, Sent,
};
use crate::exchange::replay::RETRY_LIMIT;
use crate::time::Duration;

/// The mirrored service.
const MIRROR: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: m}
spec:
  hosts: [m.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.2}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: empty}
spec:
  hosts: [empty.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
";

fn rule(fields: &str) -> Arc<Snapshot> {
    limited(fields, "")
}

/// With the mirrored service's connection pool.
fn limited(fields: &str, pool: &str) -> Arc<Snapshot> {
    snapshot(&format!(
        "{SERVICE}---{MIRROR}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec: {{hosts: [h.test], http: [{{{fields}, route: [{{destination: {{host: h.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: m}}
spec: {{host: m.test, trafficPolicy: {{connectionPool: {{{pool}}}}}}}
"
    ))
}

/// A copy, between the times when the driver holds it.
struct Copy {
    exchange: Exchange,
    interest: Interest,
    seen: Vec<Output>,
}

impl Driver {
    fn mirrored() -> Self {
        Self::with(rule("mirror: {host: m.test}"))
    }

    fn take_copy(&mut self) -> Copy {
        assert!(self.seen.contains(&Output::Mirror));
        let exchange = self.exchange.take_mirror().expect("a copy was spoken of");
        let mut copy = Copy {
            exchange,
            interest: Interest::default(),
            seen: Vec::new(),
        };
        self.hold(&mut copy, Self::drain);
        assert!(!copy.interest.read_downstream && !copy.interest.write_downstream);
        copy
    }

    /// Does something to a copy.
    fn hold<T>(&mut self, copy: &mut Copy, act: impl FnOnce(&mut Self) -> T) -> T {
        fn swap(d: &mut Driver, copy: &mut Copy) {
            std::mem::swap(&mut d.exchange, &mut copy.exchange);
            std::mem::swap(&mut d.interest, &mut copy.interest);
            std::mem::swap(&mut d.seen, &mut copy.seen);
        }
        swap(self, copy);
        let got = act(self);
        swap(self, copy);
        got
    }

    fn fates(&self) -> Vec<MirrorFate> {
        let mirrors = self.exchange.record().mirrors.iter();
        mirrors.map(|mirrored| mirrored.fate).collect()
    }

    /// The endpoint and the client take part in the request under way.
    fn ends_well(&mut self) {
        self.input(Input::Connected);
        self.receives(Side::Upstream);
        self.sends(Side::Upstream, OK);
        let client = self.receives(Side::Downstream);
        assert!(
            client.starts_with("HTTP/1.1 200 OK\r\n") && client.ends_with("\r\n\r\nok"),
            "{client}"
        );
        assert_eq!(self.exchange.record().flags().to_string(), "-");
    }

    /// Lets the time of the exchange run out.
    fn run_out(&mut self) {
        let (at, _) = self.interest.deadline.expect("a timer is set");
        self.now = at;
        self.input(Input::Deadline);
    }
}

impl Copy {
    /// What the endpoint is sent, once it is connected.
    fn arrives(&mut self, d: &mut Driver) -> String {
        d.hold(self, |d| {
            d.input(Input::Connected);
            d.receives(Side::Upstream)
        })
    }

    /// The copy has ended, once, and holds nothing.
    fn assert_over(self, d: &Driver, details: &str) {
        let cluster = &d.worker.view().snapshot.clusters;
        for endpoint in cluster.iter().flat_map(|c| &c.endpoints) {
            let is_mirror = endpoint.text.starts_with("10.0.0.2");
            assert!(!is_mirror || endpoint.state.active() == 0, "{details}");
        }
        self.assert_over_beside(d, details, 0);
    }

    /// The same while other copies are under way.
    fn assert_over_beside(self, d: &Driver, details: &str, others: usize) {
        let count = |output| self.seen.iter().filter(|o| **o == output).count();
        assert_eq!(count(Output::Ended), 1, "{details}");
        assert_eq!(count(Output::Done), 1, "{details}");
        assert_eq!(self.exchange.record().details.to_string(), details);
        assert!(self.exchange.record().is_mirror());
        drop(self);
        assert_eq!(d.worker.mirrors_under_way(), others, "{details}");
    }
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn a_copy_is_the_request_as_it_is_forwarded() {
    let mut d = Driver::with(rule(
        "mirror: {host: m.test}, rewrite: {uri: /new, authority: other.test}, \
         headers: {request: {set: {x-a: b}, remove: [x-c]}}",
    ));
    d.sends(
        Side::Downstream,
        b"GET /a?q=1 HTTP/1.1\r\nHost: h.test\r\nX-C: d\r\nX-E: f\r\n\r\n",
    );
    let mut copy = d.take_copy();
    d.input(Input::Connected);
    let (first, second) = (d.receives(Side::Upstream), copy.arrives(&mut d));
    assert_eq!(first, second);
    assert!(
        second.contains("host: other.test\r\n") && second.contains("x-request-id: "),
        "{second}"
    );
    assert!(
        second.contains("x-a: b\r\n") && !second.contains("x-c"),
        "{second}"
    );
    assert!(matches!(copy.seen[0], Output::Connect(ref to) if to.to_string() == "10.0.0.2:80"));
}

#[test]
fn each_copy_has_dice_and_times_of_its_own() {
    let mut d = Driver::with(rule(
        "mirrors: [{destination: {host: m.test}}, {destination: {host: m.test}}]",
    ));
    d.sends(Side::Downstream, GET);
    let mut copies = [d.take_copy(), d.take_copy()];
    let dice = copies.each_ref().map(|c| c.exchange.record().entropy);
    let own = d.exchange.record().entropy;
    assert!(dice[0] != dice[1] && !dice.contains(&own));
    d.ends_well();
    d.now = Instant::from_millis(70);
    for copy in &mut copies {
        copy.arrives(&mut d);
        d.hold(copy, |d| d.sends(Side::Upstream, OK));
        let record = copy.exchange.record();
        let (began, ended) = (record.began, record.ended);
        assert_eq!((began, ended), (Instant::ZERO, Instant::from_millis(70)));
        assert_eq!(record.upstream_service_ms, Some(70));
    }
}

#[test]
fn a_body_is_kept_for_a_copy_only_as_long_as_one_is_to_be_made() {
    for (fields, is_kept) in [("", false), ("mirror: {host: m.test}, ", true)] {
        let mut d = Driver::with(rule(&format!("{fields}timeout: 9s")));
        d.sends(Side::Downstream, &post(b"abc")[..post(b"abc").len() - 1]);
        assert!(d.interest.read_downstream && !d.exchange.is_mirror());
        d.input(Input::Connected);
        d.sends(
            Side::Upstream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        );
        assert_eq!(d.exchange.call.replay.is_whole(), is_kept);
        d.sends(Side::Downstream, b"c");
        assert!(!d.exchange.call.replay.is_whole());
    }
}

#[test]
fn nobody_feels_what_becomes_of_a_copy() {
    type Fate = fn(&mut Driver);
    let fates: [(&str, Fate); 9] = [
        ("via_upstream", |d| {
            d.input(Input::Connected);
            d.receives(Side::Upstream);
            d.sends(Side::Upstream, OK);
        }),
        ("via_upstream", |d| {
            d.input(Input::Connected);
            d.sends(
                Side::Upstream,
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Internal Server Error\r\nContent-Length: 1\r\n\r\n",
            );
            d.sends(Side::Upstream, b"x");
        }),
        (
            "upstream_reset_before_response_started{remote_connection_failure}",
            |d| {
                d.input(Input::ConnectFailed(ConnectFault::Refused));
            },
        ),
        (
            "upstream_reset_before_response_started{connection_timeout}",
            Driver::run_out,
        ),
        (
            "upstream_reset_before_response_started{connection_termination}",
            |d| {
                d.input(Input::Connected);
                d.input(Input::Broken(Side::Upstream));
            },
        ),
        (
            "upstream_reset_before_response_started{protocol_error}",
            |d| {
                d.input(Input::Connected);
                d.sends(Side::Upstream, b"HTTP/1.1 nonsense\r\n\r\n");
            },
        ),
        (
            "upstream_reset_after_response_started{protocol_error}",
            |d| {
                d.input(Input::Connected);
                d.sends(
                    Side::Upstream,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
                );
                d.input(Input::Eof(Side::Upstream));
            },
        ),
        ("response_timeout", |d| {
            d.input(Input::Connected);
            d.receives(Side::Upstream);
            d.run_out();
            assert_eq!(
                d.now,
                Instant::from_millis(300_000),
                "without a timeout of the rule"
            );
        }),
        ("response_timeout", |d| {
            d.input(Input::Connected);
            d.sends(Side::Upstream, b"HTTP/1.1 200 OK\r\n\r\nand so on");
            d.run_out();
        }),
    ];
    for (details, fate) in fates {
        // Once before the request's own answer, once after.
        for is_first in [true, false] {
            let mut d = Driver::mirrored();
            d.sends(Side::Downstream, GET);
            let mut copy = d.take_copy();
            if is_first {
                d.hold(&mut copy, fate);
                d.now = Instant::ZERO;
            }
            d.ends_well();
            assert_eq!(d.fates(), [Sent]);
            if !is_first {
                d.hold(&mut copy, fate);
            }
            copy.assert_over(&d, details);
        }
    }
}

#[test]
fn a_copy_is_never_tried_again_and_has_the_rules_timeout() {
    let mut d = Driver::with(rule(
        "mirror: {host: m.test}, timeout: 3s, retries: {attempts: 5, perTryTimeout: 1s, retryOn: '5xx,connect-failure'}",
    ));
    for refuses in [true, false] {
        d.sends(Side::Downstream, GET);
        let mut copy = d.take_copy();
        d.hold(&mut copy, |d| match refuses {
            true => d.input(Input::ConnectFailed(ConnectFault::Refused)),
            false => {
                d.input(Input::Connected);
                d.receives(Side::Upstream);
                let due = d.now + Duration::from_secs(3);
                assert_eq!(d.interest.deadline, Some((due, Timer::Route)));
                d.sends(
                    Side::Upstream,
                    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
                );
            }
        });
        assert_eq!(copy.exchange.record().attempts.len(), 1);
        let details = match refuses {
            true => "upstream_reset_before_response_started{remote_connection_failure}",
            false => "via_upstream",
        };
        copy.assert_over(&d, details);
        d.ends_well();
        d.outputs();
    }
}

#[test]
fn a_request_that_is_tried_again_is_copied_once() {
    let mut d = Driver::with(rule(
        "mirror: {host: m.test}, retries: {attempts: 2, retryOn: 5xx}",
    ));
    d.sends(Side::Downstream, &post(b"abc"));
    let mut copy = d.take_copy();
    for _ in 0..2 {
        d.input(Input::ConnectFailed(ConnectFault::Refused));
        d.run_out();
    }
    d.ends_well();
    assert_eq!(d.exchange.record().retries, 2);
    assert!(d.exchange.take_mirror().is_none());
    let text = copy.arrives(&mut d);
    assert!(
        text.contains("x-envoy-attempt-count: 1\r\n") && text.ends_with("\r\n\r\nabc"),
        "{text}"
    );
}

#[test]
fn the_response_of_a_copy_is_thrown_away_as_it_comes() {
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, GET);
    let mut copy = d.take_copy();
    copy.arrives(&mut d);
    d.hold(&mut copy, |d| {
        d.sends(
            Side::Upstream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n",
        );
        for _ in 0..50_000_000 / 100_000 {
            assert!(d.interest.read_upstream, "nothing holds a mirror up");
            d.sends(Side::Upstream, &[b'x'; 100_000]);
            assert!(d.exchange.outbox(Side::Downstream).is_empty());
            assert!(d.exchange.up.inbox.capacity() <= 2 * READ_BLOCK_LONG + 100_000);
        }
    });
    assert_eq!(copy.exchange.record().bytes_sent, 50_000_000);
    assert!(copy.seen.contains(&Output::Keep(ConnectionId(0))));
    copy.assert_over(&d, "via_upstream");
}

#[test]
fn the_next_copy_uses_the_connection_of_the_last_and_replaces_a_dead_one() {
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, GET);
    let mut copy = d.take_copy();
    d.ends_well();
    copy.arrives(&mut d);
    d.hold(&mut copy, |d| d.sends(Side::Upstream, OK));
    copy.assert_over(&d, "via_upstream");
    d.sends(Side::Downstream, &post(b"abc"));
    let mut copy = d.take_copy();
    assert_eq!(copy.seen, [Output::Reuse(ConnectionId(1))]);
    d.hold(&mut copy, |d| d.input(Input::Stale));
    assert!(copy.arrives(&mut d).ends_with("\r\n\r\nabc"));
}

#[test]
fn a_body_is_copied_up_to_the_bound() {
    for (length, fate) in [
        (0, Sent),
        (1, Sent),
        (70_000, Sent),
        (RETRY_LIMIT, Sent),
        (RETRY_LIMIT + 1, BodyTooLong),
    ] {
        let mut d = Driver::with(rule("mirror: {host: m.test}, retries: {attempts: 0}"));
        let body: Vec<u8> = (0..length).map(|n| b'a' + (n % 26) as u8).collect();
        let request = post(&body);
        let mut upstream = String::new();
        for piece in request.chunks(50_000) {
            d.sends(Side::Downstream, piece);
            if d.interest.connect {
                d.input(Input::Connected);
            }
            upstream += &d.receives(Side::Upstream);
        }
        assert_eq!(d.fates(), [fate], "{length}");
        if fate == Sent {
            let mut copy = d.take_copy();
            assert!(copy.arrives(&mut d) == upstream, "{length}");
            assert_eq!(copy.exchange.record().bytes_received, length as u64);
        } else {
            assert!(d.exchange.take_mirror().is_none());
        }
        d.sends(Side::Upstream, OK);
        assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn chunks_and_trailers_are_copied() {
    let mut d = Driver::mirrored();
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    assert_eq!(d.fates(), [Incomplete]);
    d.sends(Side::Downstream, b"2\r\nde\r\n0\r\nx-t: 1\r\n\r\n");
    let mut copy = d.take_copy();
    d.input(Input::Connected);
    let (first, second) = (d.receives(Side::Upstream), copy.arrives(&mut d));
    assert_eq!(first, second);
    assert!(second.ends_with("0\r\nx-t: 1\r\n\r\n"), "{second}");
}

#[test]
fn a_request_that_is_not_received_whole_is_not_copied() {
    let request = post(b"abc");
    let (head, body) = request.split_at(request.len() - 2);
    type End = fn(&mut Driver);
    let ends: [End; 3] = [
        |d| d.input(Input::Eof(Side::Downstream)),
        |d| {
            d.input(Input::Connected);
            d.sends(Side::Upstream, OK);
            d.receives(Side::Downstream);
        },
        |d| {
            d.input(Input::ConnectFailed(ConnectFault::Refused));
            d.receives(Side::Downstream);
        },
    ];
    for end in ends {
        let mut d = Driver::with(rule("mirror: {host: m.test}, retries: {attempts: 0}"));
        d.sends(Side::Downstream, head);
        end(&mut d);
        assert!(d.outputs().contains(&Output::Ended));
        assert_eq!(d.fates(), [Incomplete]);
        assert!(d.exchange.take_mirror().is_none());
    }
    // A response that has only begun does not end the request.
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, head);
    d.input(Input::Connected);
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    );
    d.sends(Side::Downstream, body);
    let mut copy = d.take_copy();
    assert!(copy.arrives(&mut d).ends_with("\r\n\r\nabc"));
}

#[test]
fn a_client_that_leaves_does_not_take_the_copy_with_it() {
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, GET);
    let mut copy = d.take_copy();
    d.input(Input::Eof(Side::Downstream));
    assert!(d.outputs().contains(&Output::Done));
    assert_eq!(d.exchange.record().flags().to_string(), "DC");
    copy.arrives(&mut d);
    d.hold(&mut copy, |d| d.sends(Side::Upstream, OK));
    copy.assert_over(&d, "via_upstream");
}

#[test]
fn what_cannot_be_copied_is_told_in_the_record() {
    let (get, websocket, connect) = (
        GET,
        &b"GET /a HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"[..],
        &b"CONNECT h.test:80 HTTP/1.1\r\nHost: h.test:80\r\n\r\n"[..],
    );
    const ABORT: &str =
        "mirror: {host: m.test}, fault: {abort: {httpStatus: 503, percentage: {value: 100}}}";
    for (fields, request, want) in [
        ("mirror: {host: nobody.test}", get, &[NoCluster][..]),
        ("mirror: {host: m.test, subset: none}", get, &[NoCluster]),
        ("mirror: {host: empty.test}", get, &[NoEndpoint]),
        (
            "mirror: {host: m.test}, mirrorPercentage: {value: 0}",
            get,
            &[],
        ),
        ("mirror: {host: m.test}", websocket, &[]),
        ("mirror: {host: m.test}", connect, &[]),
        (ABORT, get, &[]),
        (
            "mirrors: [{destination: {host: nobody.test}}, {destination: {host: m.test}}, {destination: {host: empty.test}}]",
            get,
            &[NoCluster, Sent, NoEndpoint],
        ),
    ] {
        let mut d = Driver::with(rule(fields));
        d.sends(Side::Downstream, request);
        assert_eq!(d.fates(), want, "{fields}");
        let copies = want.iter().filter(|fate| **fate == Sent).count();
        let spoken = d.seen.iter().filter(|o| **o == Output::Mirror).count();
        assert_eq!(spoken, copies, "{fields}");
        assert_eq!(d.worker.mirrors_under_way(), copies, "{fields}");
    }
}

#[test]
fn a_delayed_request_is_copied_after_its_delay() {
    let mut d = Driver::with(rule(
        "mirror: {host: m.test}, fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}",
    ));
    d.sends(Side::Downstream, &post(b"abc"));
    assert!(d.outputs().is_empty());
    d.run_out();
    let mut copy = d.take_copy();
    assert!(copy.arrives(&mut d).ends_with("\r\n\r\nabc"));
    assert_eq!(copy.exchange.record().began, Instant::from_millis(5000));
}

#[test]
fn limits_of_the_mirrored_service_hold_for_copies_only() {
    let mut d = Driver::with(limited(
        "mirror: {host: m.test}",
        "tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}",
    ));
    let mut copies = Vec::new();
    for number in 0..3 {
        d.sends(Side::Downstream, GET);
        let mut copy = d.take_copy();
        if number == 0 {
            copy.arrives(&mut d);
        }
        copies.push(copy);
        d.ends_well();
        d.outputs();
    }
    let over = copies.pop().expect("three");
    over.assert_over_beside(&d, "upstream_reset_before_response_started{overflow}", 2);
    let cluster = &d.worker.view().snapshot.clusters;
    let state = cluster
        .iter()
        .find(|c| c.name.contains("m.test"))
        .map(|c| c.state.clone());
    let waiting = state.map(|s| s.gauges().current(Counted::Waiting));
    assert_eq!(waiting, Some(1));
}

#[test]
fn copies_past_the_bound_are_dropped_and_the_client_sees_nothing_of_it() {
    let mut d = Driver::mirrored();
    let mut copies = Vec::new();
    for number in 0..1030 {
        d.sends(Side::Downstream, GET);
        let is_within = number < 1024;
        assert_eq!(
            d.fates(),
            [if is_within { Sent } else { Dropped }],
            "{number}"
        );
        if is_within {
            copies.push(d.take_copy());
        }
        d.ends_well();
        d.outputs();
    }
    copies.pop();
    d.sends(Side::Downstream, GET);
    assert_eq!(d.fates(), [Sent], "there is room again");
}

#[test]
fn a_drain_does_not_wait_long_for_copies() {
    for (timeout, due) in [("", 1500), ("timeout: 1s, ", 1000)] {
        let mut d = Driver::with(rule(&format!("{timeout}mirror: {{host: m.test}}")));
        d.sends(Side::Downstream, GET);
        let mut copy = d.take_copy();
        copy.arrives(&mut d);
        d.now = Instant::from_millis(500);
        d.worker.drain();
        d.hold(&mut copy, |d| {
            d.input(Input::Drain);
            let due = Instant::from_millis(due);
            assert_eq!(d.interest.deadline, Some((due, Timer::Route)));
            d.run_out();
        });
        copy.assert_over(&d, "response_timeout");
    }
}

#[test]
fn the_story_tells_of_mirrors() {
    let mut d = Driver::with(rule(
        "mirrors: [{destination: {host: m.test}}, {destination: {host: nobody.test}}]",
    ));
    d.sends(Side::Downstream, GET);
    let mut copy = d.take_copy();
    d.ends_well();
    let story = d.exchange.record().story().to_string();
    assert!(
        story.contains("  mirror 1     outbound|80||m.test: a copy was sent\n"),
        "{story}"
    );
    assert!(
        story.contains("  mirror 2     outbound|80||nobody.test: no copy, there is no such"),
        "{story}"
    );
    d.hold(&mut copy, |d| {
        d.input(Input::ConnectFailed(ConnectFault::Refused));
    });
    let story = copy.exchange.record().story().to_string();
    assert!(
        story.contains("  copy for     outbound|80||m.test\n"),
        "{story}"
    );
    assert!(
        story.contains("10.0.0.2:80") && story.contains("waited for nothing"),
        "{story}"
    );
}
