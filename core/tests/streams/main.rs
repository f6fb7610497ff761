//! Requests between clients and endpoints of either version, with everything in memory.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

mod memory;
mod mesh;
mod tunnels;

use mesh::{Mesh, service};
use outrigger_core::stream::Protocol::{self, Http1, Http2};
use outrigger_core::time::Instant;

const PAIRINGS: [(Protocol, Protocol); 4] = [
    (Http1, Http1),
    (Http1, Http2),
    (Http2, Http1),
    (Http2, Http2),
];

fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Http1 => "HTTP",
        Http2 => "HTTP2",
    }
}

#[test]
fn a_request_goes_through_whatever_is_spoken() {
    for (client, endpoint) in PAIRINGS {
        for body in [None, Some(&b"hello"[..]), Some(&[b'x'; 200_000])] {
            let mut mesh = Mesh::new(client, endpoint, &service(name(endpoint), ""));
            for _ in 0..3 {
                let method = if body.is_some() { "POST" } else { "GET" };
                mesh.ask(method, "/a", &[("x-one", "1")], body);
                mesh.play();
                let got = mesh.got.last().unwrap();
                let what = format!("{client:?} {endpoint:?} {:?}", body.map(<[u8]>::len));
                assert_eq!((got.status, got.is_whole), (200, true), "{what}");
                assert!(got.body == body.unwrap_or_default(), "{what}");
                assert_eq!(mesh.ended, ["200 via_upstream -"], "{what}");
                mesh.ended.clear();
            }
            assert_eq!(mesh.endpoints.len(), 1, "the connection is kept");
            assert_eq!(mesh.worker.counts().idle, 1);
            let asked = &mesh.endpoints.values().next().unwrap().asked[2];
            assert_eq!(
                (&asked.head.path[..], &asked.head.authority[..]),
                (&b"/a"[..], &b"h.test"[..])
            );
        }
    }
}

#[test]
fn streams_of_one_connection_reach_all_endpoints_and_share_connections() {
    for endpoint in [Http1, Http2] {
        let mut mesh = Mesh::new(Http2, endpoint, &service(name(endpoint), ""));
        mesh.holds = true;
        let all: Vec<_> = (0..20)
            .map(|n| mesh.ask("POST", &format!("/{n}"), &[], Some(&[n as u8; 100])))
            .collect();
        mesh.play();
        let connections = match endpoint {
            Http1 => 20,
            Http2 => 1,
        };
        assert_eq!(mesh.endpoints.len(), connections);
        mesh.answer_all();
        for number in all {
            let got = &mesh.got[number];
            assert_eq!((got.status, got.is_whole), (200, true));
            assert_eq!(
                got.body, [number as u8; 100],
                "a stream's answer is its own"
            );
        }
        assert_eq!(mesh.worker.counts().idle, connections);
        assert_eq!(mesh.worker.exchanges().count(), 0);
    }
}

#[test]
fn who_gives_a_stream_up_ends_nothing_else() {
    for endpoint in [Http1, Http2] {
        let mut mesh = Mesh::new(Http2, endpoint, &service(name(endpoint), ""));
        mesh.holds = true;
        let (given_up, other) = (
            mesh.ask("GET", "/a", &[], None),
            mesh.ask("GET", "/b", &[], None),
        );
        mesh.play();
        mesh.reset(given_up);
        mesh.play();
        assert_eq!(mesh.ended, ["0 http2.remote_reset DR"]);
        mesh.answer_all();
        assert!(mesh.got[other].is_whole && !mesh.is_closed);
        assert_eq!(mesh.worker.protocols().1.clients.met.resets, 1);
        let reset = mesh.endpoints.values().flat_map(|endpoint| &endpoint.asked);
        match endpoint {
            Http1 => assert_eq!(mesh.endpoints.values().filter(|e| e.is_closed).count(), 1),
            Http2 => assert_eq!(reset.filter(|asked| asked.reset).count(), 1),
        }
        mesh.eof();
        let clients = mesh.worker.protocols().1.clients;
        assert_eq!((clients.met.resets, clients.active), (1, 0), "it stays");
    }
}

#[test]
fn a_client_that_goes_gives_up_all_of_its_streams() {
    for endpoint in [Http1, Http2] {
        let mut mesh = Mesh::new(Http2, endpoint, &service(name(endpoint), ""));
        mesh.holds = true;
        for path in ["/a", "/b", "/c"] {
            mesh.ask("GET", path, &[], None);
        }
        mesh.play();
        mesh.eof();
        assert_eq!(mesh.ended, ["0 downstream_remote_disconnect DC"; 3]);
        assert_eq!(mesh.worker.counts().clients, 0);
        assert_eq!(mesh.worker.exchanges().count(), 0);
        assert_eq!(mesh.worker.counts().buffered.bytes, 0);
    }
}

#[test]
fn an_endpoint_that_goes_fails_its_streams_and_no_others_wait_for_it() {
    let mut mesh = Mesh::new(Http2, Http2, &service("HTTP2", ""));
    mesh.holds = true;
    let first = mesh.ask("POST", "/a", &[], Some(b"a"));
    mesh.play();
    let id = *mesh.endpoints.keys().next().unwrap();
    mesh.endpoint_ends(id);
    assert_eq!(mesh.got[first].status, 503);
    assert_eq!(
        mesh.ended,
        ["503 upstream_reset_before_response_started{connection_termination} UC"]
    );
    mesh.holds = false;
    let second = mesh.ask("GET", "/b", &[], None);
    mesh.play();
    assert_eq!(mesh.got[second].status, 200);
    assert_eq!(mesh.endpoints.len(), 2, "over another connection");
}

/// The client takes little of it at first, and what the endpoint has sent of it waits when that goes.
#[test]
fn a_response_that_is_here_outlives_its_connection() {
    const LENGTH: usize = 360_000;
    let mut mesh = Mesh::new(Http2, Http2, &service("HTTP2", ""));
    mesh.is_stuck = true;
    let asked = mesh.ask("GET", &format!("/bytes/{LENGTH}"), &[], None);
    mesh.play();
    let id = *mesh.endpoints.keys().next().unwrap();
    mesh.endpoint_ends(id);
    assert!(!mesh.got[asked].is_whole);
    mesh.take_all();
    let got = &mesh.got[asked];
    assert_eq!((got.status, got.body.len()), (200, LENGTH));
    assert!(got.is_whole, "{:?}", mesh.ended);
    assert!(mesh.endpoints[&id].is_closed, "it is not kept");
    assert_eq!(mesh.worker.counts().buffered.bytes, 0);
}

/// RFC 9113 §6.8: what came after the last stream of a GOAWAY was not looked at, so it is sent again whatever it asks for.
#[test]
fn what_an_endpoint_did_not_look_at_goes_over_another_connection() {
    let mut mesh = Mesh::new(Http2, Http2, &service("HTTP2", ""));
    mesh.holds = true;
    let kept = mesh.ask("POST", "/kept", &[], Some(b"kept"));
    mesh.play();
    let id = *mesh.endpoints.keys().next().unwrap();
    mesh.endpoint_goes_away(id);
    let again = mesh.ask("POST", "/again", &[], Some(b"again"));
    mesh.play();
    assert_eq!(
        mesh.endpoints.len(),
        2,
        "a connection that leaves gets no other request"
    );
    mesh.answer_all();
    assert_eq!(
        (mesh.got[kept].status, mesh.got[again].status),
        (200, 200),
        "{:?}",
        mesh.ended
    );
    assert!(mesh.endpoints[&id].is_closed, "it is not kept");
}

#[test]
fn a_client_that_is_to_go_is_told_twice_and_loses_nothing() {
    let mut mesh = Mesh::new(Http2, Http1, &service("HTTP", ""));
    mesh.holds = true;
    let first = mesh.ask("GET", "/a", &[], None);
    mesh.play();
    // It is on its way when the proxy begins to drain.
    let late = mesh.ask("GET", "/late", &[], None);
    mesh.drain();
    mesh.answer_all();
    assert_eq!((mesh.got[first].status, mesh.got[late].status), (200, 200));
    assert!(mesh.client_is_told());
    assert!(
        !mesh.is_shut && !mesh.is_closed,
        "another one may be on its way"
    );
    mesh.time(Instant::from_millis(1_000));
    assert!(mesh.is_shut, "the last stream is known");
    mesh.time(Instant::from_millis(2_000));
    assert!(mesh.is_closed);
    assert_eq!(mesh.worker.counts().clients, 0);
}

#[test]
fn an_idle_connection_of_streams_ends_in_its_time() {
    let mut mesh = Mesh::new(Http2, Http2, &service("HTTP2", ""));
    mesh.ask("GET", "/a", &[], None);
    mesh.play();
    for hours in [1, 2] {
        let now = Instant::from_millis(hours * 3_600_000 + 1_000);
        mesh.time(now);
    }
    mesh.time(Instant::from_millis(2 * 3_600_000 + 5_000));
    assert!(mesh.is_closed);
    assert!(mesh.endpoints.values().all(|endpoint| endpoint.is_closed));
    assert_eq!(
        (mesh.worker.counts().clients, mesh.worker.counts().idle),
        (0, 0)
    );
}

#[test]
fn as_many_streams_as_are_allowed_and_no_more() {
    let rule = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: h}
spec:
  host: h.test
  trafficPolicy: {connectionPool: {http: {maxConcurrentStreams: 3}}}
";
    let mut mesh = Mesh::new(Http2, Http2, &service("HTTP2", rule));
    mesh.holds = true;
    for n in 0..8 {
        mesh.ask("GET", &format!("/{n}"), &[], None);
    }
    mesh.play();
    let counts = mesh.endpoints.values().map(|endpoint| endpoint.open());
    assert_eq!(counts.collect::<Vec<_>>(), [3, 3, 2], "{:?}", mesh.ended);
    mesh.answer_all();
    assert!(mesh.got.iter().all(|got| got.status == 200));
}
