//! Requests driven by hand: their peers are byte strings, and everything that the worker says is looked at.

mod buffers;
mod clients;
mod connections;
mod driver;
mod due;
mod endings;
mod grpc;
mod hedge;
mod keeping;
mod limits;
mod memory;
mod mirrors;
mod panics;
mod questions;
mod rate_limits;
mod reloads;
mod resilience;
mod stories;
mod stream_time;
mod tls;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::*;
use crate::compile::from_yaml;
use crate::connection::Owner;
use crate::io::ConnectFault;
use crate::outbox::Outbox;
use crate::peer::ListenerKind;
use crate::snapshot::{Address, Snapshot};
use crate::time::Duration;
use crate::worker::{Worker, WorkerSettings};
use driver::{Driver, Said, Side, Whose};

/// One service with one endpoint.
const SERVICE: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: h}
spec:
  hosts: [h.test]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}]
";

/// The service with a rule of these fields.
fn with_rule(fields: &str) -> Arc<Snapshot> {
    snapshot(&format!(
        "{SERVICE}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec: {{hosts: [h.test], http: [{{{fields}, route: [{{destination: {{host: h.test}}}}]}}]}}
"
    ))
}

fn snapshot(text: &str) -> Arc<Snapshot> {
    Arc::new(from_yaml(text).snapshot)
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h.test\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_request_goes_through_and_the_connection_is_kept() {
    let mut d = Driver::new();
    let (upstream, client) = d.round(GET, OK);
    assert!(
        upstream.starts_with("GET /a HTTP/1.1\r\nhost: h.test\r\n"),
        "{upstream}"
    );
    assert!(
        upstream.contains("x-envoy-attempt-count: 1\r\n") && upstream.ends_with("\r\n\r\n"),
        "{upstream}"
    );
    assert!(
        client.starts_with("HTTP/1.1 200 OK\r\n") && client.ends_with("\r\n\r\nok"),
        "{client}"
    );
    assert!(
        client.contains("x-envoy-upstream-service-time: 0\r\n"),
        "{client}"
    );
    let outputs = d.outputs();
    assert!(
        matches!(outputs[..], [Said::Connect(_), Said::Ended]),
        "{outputs:?}"
    );
    assert_eq!(d.worker.counts().idle, 1);
    let kept = d.up();
    assert!(d.reads(Side::Upstream), "to see it end");
    d.sends(Side::Downstream, GET);
    assert_eq!(d.outputs(), [], "nothing is to be made");
    assert_eq!(d.up(), kept);
    assert!(d.reads(Side::Upstream) && d.writes(Side::Upstream));
    assert!(!d.receives(Side::Upstream).is_empty());
    assert_eq!(d.worker.counts().idle, 0);
}

#[test]
fn a_dead_kept_connection_is_replaced_when_that_is_safe() {
    for (request, replaced) in [
        (GET, true),
        (
            &b"PUT /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\nabc"[..],
            true,
        ),
        (
            &b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\nabc"[..],
            false,
        ),
    ] {
        let mut d = Driver::new();
        d.round(GET, OK);
        d.outputs();
        d.sends(Side::Downstream, request);
        d.connects();
        let first = d.receives(Side::Upstream);
        d.input(Side::Upstream, Input::Eof);
        let outputs = d.outputs();
        if replaced {
            let expected = outputs.iter().any(|o| matches!(o, Said::Connect(_)));
            assert!(expected, "{outputs:?}");
            d.connects();
            assert_eq!(d.receives(Side::Upstream), first, "the same bytes again");
            d.sends(Side::Upstream, OK);
            assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200"));
        } else {
            let client = d.receives(Side::Downstream);
            assert!(
                client.starts_with("HTTP/1.1 503") && client.ends_with("connection termination"),
                "{client}"
            );
            assert_eq!(d.record().flags().to_string(), "UC");
        }
    }
}

#[test]
fn a_kept_connection_that_ends_before_it_is_written_to_is_replaced_for_every_method() {
    let post = b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\nabc";
    for ends_first in [true, false] {
        let mut d = Driver::new();
        d.round(GET, OK);
        if ends_first {
            d.input(Side::Upstream, Input::Eof);
        }
        d.outputs();
        d.sends(Side::Downstream, post);
        if !ends_first {
            d.input(Side::Upstream, Input::Eof);
        }
        assert!(matches!(d.outputs().last(), Some(Said::Connect(_))));
        d.connects();
        assert!(d.receives(Side::Upstream).ends_with("\r\n\r\nabc"));
        d.sends(Side::Upstream, OK);
        assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn a_slow_client_stops_the_upstream() {
    let mut d = Driver::new();
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n",
    );
    let mut sent = 0;
    while d.reads(Side::Upstream) {
        d.sends(Side::Upstream, &[b'x'; 16384]);
        sent += 16384;
        assert!(sent < 1_000_000, "reading never stops");
    }
    assert!(d.writes(Side::Downstream));
    d.receives(Side::Downstream);
    assert!(d.reads(Side::Upstream));
}

#[test]
fn a_slow_client_stops_interim_heads() {
    let mut d = Driver::new();
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    let link = "a".repeat(4000);
    let hints = format!("HTTP/1.1 103 Early Hints\r\nlink: {link}\r\n\r\n").repeat(4);
    let mut sent = 0;
    while d.reads(Side::Upstream) {
        d.sends(Side::Upstream, hints.as_bytes());
        sent += hints.len();
        assert!(sent < 1_000_000, "reading never stops");
    }
    assert_eq!(d.receives(Side::Downstream).len(), sent);
    assert!(d.reads(Side::Upstream));
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert!(d.receives(Side::Downstream).ends_with("\r\n\r\nok"));
}

/// However fast the client takes them.
#[test]
fn interim_heads_have_an_end() {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    for (count, is_answered) in [(1000, true), (1001, false)] {
        let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
        d.sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
        d.sends(Side::Upstream, hint.repeat(count).as_bytes());
        if is_answered {
            d.sends(Side::Upstream, OK);
        }
        let client = d.receives(Side::Downstream);
        assert_eq!(client.matches("103 Early Hints").count(), 1000);
        let (_, last) = client.rsplit_once("103 Early Hints\r\n\r\n").unwrap();
        let status = if is_answered {
            "HTTP/1.1 200"
        } else {
            "HTTP/1.1 502"
        };
        assert!(last.starts_with(status), "{last}");
    }
}

/// It may still answer, and until then the client is not read without end.
#[test]
fn an_endpoint_that_reads_no_more_stops_the_client() {
    let mut d = Driver::new();
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 10000000\r\n\r\n",
    );
    d.connects();
    d.receives(Side::Upstream);
    d.input(Side::Upstream, Input::WriteFailed);
    let mut sent = 0;
    while d.reads(Side::Downstream) {
        d.sends(Side::Downstream, &[b'x'; 16384]);
        sent += 16384;
        assert!(sent < 1_000_000, "reading never stops");
    }
    d.sends(Side::Upstream, OK);
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
}

#[test]
fn failures_are_told_in_envoys_words() {
    let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
    d.sends(Side::Downstream, GET);
    d.fails(ConnectFault::Refused);
    let client = d.receives(Side::Downstream);
    assert!(
        client.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{client}"
    );
    assert!(
        client.ends_with("before headers. reset reason: remote connection failure"),
        "{client}"
    );
    assert_eq!(d.record().flags().to_string(), "UF");

    let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
    let (_, client) = d.round(GET, b"HTTP/1.1 nonsense\r\n\r\n");
    assert!(client.starts_with("HTTP/1.1 502 "), "{client}");
    assert_eq!(d.record().flags().to_string(), "UPE");

    let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
    d.sends(Side::Downstream, GET);
    d.now = Instant::from_millis(10_000);
    d.time();
    assert!(
        d.receives(Side::Downstream)
            .ends_with("reset reason: connection timeout")
    );
}

#[test]
fn a_refused_head_is_answered_once_and_closed() {
    let mut d = Driver::new();
    d.sends(
        Side::Downstream,
        b"GET / HTTP/1.1\r\nHost: h.test\r\nHost: i\r\n\r\nGET / HTTP/1.1\r\nHost: h.test\r\n\r\n",
    );
    let client = d.receives(Side::Downstream);
    assert!(
        client.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{client}"
    );
    assert_eq!(client.matches("HTTP/1.1").count(), 1);
    assert_eq!(
        d.outputs(),
        [Said::Ended, Said::ShutdownWrite(Side::Downstream)]
    );
    d.now = Instant::from_millis(1000);
    d.time();
    assert_eq!(d.outputs(), [Said::Close(Side::Downstream)]);
}

#[test]
fn a_websocket_becomes_a_tunnel() {
    let mut d = Driver::new();
    let (upstream, client) = d.round(
        b"GET /ws HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    );
    assert!(upstream.contains("upgrade: websocket\r\n"), "{upstream}");
    assert!(
        client.starts_with("HTTP/1.1 101 ") && client.ends_with("hello"),
        "{client}"
    );
    d.sends(Side::Downstream, b"ping");
    assert_eq!(d.receives(Side::Upstream), "ping");
    d.outputs();
    d.input(Side::Downstream, Input::Eof);
    assert_eq!(d.outputs(), [Said::ShutdownWrite(Side::Upstream)]);
    d.input(Side::Upstream, Input::Eof);
    assert!(d.outputs().ends_with(&[Said::Close(Side::Downstream)]));
}

#[test]
fn counts_return_to_zero() {
    let mut d = Driver::new();
    let host = d.worker.view().snapshot.clusters[0].endpoints[0]
        .state
        .clone();
    d.sends(Side::Downstream, GET);
    assert_eq!((host.active(), host.connections()), (1, 1));
    d.input(Side::Downstream, Input::Eof);
    assert_eq!((host.active(), host.connections()), (0, 0));
    assert_eq!(d.record().flags().to_string(), "DC");
}

#[test]
fn an_early_answer_counts_although_the_request_could_not_be_written() {
    let mut d = Driver::new();
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100000\r\n\r\nabc",
    );
    d.connects();
    d.receives(Side::Upstream);
    d.sends(Side::Downstream, &[b'x'; 1000]);
    d.input(Side::Upstream, Input::WriteFailed);
    assert!(!d.writes(Side::Upstream) && d.reads(Side::Upstream));
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
    );
    let client = d.receives(Side::Downstream);
    assert!(client.starts_with("HTTP/1.1 413 "), "{client}");
    assert!(d.outputs().contains(&Said::Close(Side::Upstream)));
    assert_eq!(d.worker.counts().idle, 0);
}

#[test]
fn the_routes_timeout_runs_from_the_end_of_the_request() {
    let mut d = Driver::with(with_rule("timeout: 1s"));
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\n",
    );
    d.connects();
    d.receives(Side::Upstream);
    let still = Some((Instant::from_millis(300_000), Timer::StreamIdle));
    assert_eq!(d.deadline(), still, "the request is not complete");
    d.now = Instant::from_millis(5000);
    d.sends(Side::Downstream, b"abc");
    let due = Instant::from_millis(6000);
    assert_eq!(d.deadline(), Some((due, Timer::Route)));
    d.now = due;
    d.time();
    let client = d.receives(Side::Downstream);
    assert!(client.starts_with("HTTP/1.1 504 "), "{client}");
    assert!(
        client.ends_with("\r\n\r\nupstream request timeout"),
        "{client}"
    );
    assert_eq!(d.record().flags().to_string(), "UT");
    assert_eq!(d.record().details.to_string(), "response_timeout");
}
