//! Websockets (RFC 6455, RFC 8441) and CONNECT between versions.

use http::Method;
use outrigger_core::http1::websocket as handshake;
use outrigger_core::message::RequestHead;
use outrigger_core::stream::Protocol::{Http1, Http2};

use crate::mesh::tunnels::{field, websocket};
use crate::mesh::{Mesh, service};
use crate::{PAIRINGS, name};

const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

/// A client of HTTP/2 sends no key, and gets no proof; HTTP/1 has both, whatever the other side speaks.
#[test]
fn a_websocket_goes_through_whatever_is_spoken() {
    for (client, endpoint) in PAIRINGS {
        let what = format!("{client:?} {endpoint:?}");
        let mut mesh = Mesh::new(client, endpoint, &service(name(endpoint), ""));
        let own_key = (client == Http1).then_some(KEY);
        let number = mesh.open(&websocket(own_key), Some("websocket"));
        assert_eq!(mesh.got[number].status, 101, "{what}: {:?}", mesh.ended);
        let proof = field(&mesh.got[number].head.headers, "sec-websocket-accept");
        let accept = handshake::accept(KEY);
        assert_eq!(proof, own_key.map(|_| &accept[..]), "{what}");
        let (_, at_endpoint) = mesh.endpoint();
        let key = field(&at_endpoint.head().headers, "sec-websocket-key");
        match (client, endpoint) {
            (Http1, _) => assert_eq!(key, Some(KEY), "{what}"),
            (Http2, Http1) => assert_eq!(key.map(<[u8]>::len), Some(24), "{what}"),
            (Http2, Http2) => assert_eq!(key, None, "{what}"),
        }
        mesh.say(number, b"one");
        mesh.say(number, &[b'x'; 100_000]);
        assert_eq!(mesh.endpoint().1.heard().len(), 100_003, "{what}");
        assert_eq!(
            mesh.got[number].body.len(),
            100_003,
            "{what}: it comes back"
        );
        assert!(mesh.got[number].body.starts_with(b"onex"), "{what}");
        assert_eq!(mesh.worker.exchanges().count(), 1, "{what}");
    }
}

/// The end of one direction goes through, and the other one goes on.
#[test]
fn one_direction_ends_before_the_other() {
    for (client, endpoint) in PAIRINGS {
        let what = format!("{client:?} {endpoint:?}");
        let mut mesh = Mesh::new(client, endpoint, &service(name(endpoint), ""));
        let number = mesh.open(&websocket(Some(KEY)), Some("websocket"));
        let (id, _) = mesh.endpoint();
        mesh.endpoint_leaves(id, false);
        match client {
            Http1 => assert!(mesh.is_shut, "{what}"),
            Http2 => assert!(mesh.got[number].is_whole, "{what}"),
        }
        assert!(mesh.ended.is_empty(), "{what}: {:?}", mesh.ended);
        mesh.say(number, b"still here");
        assert_eq!(mesh.endpoint().1.heard(), b"still here", "{what}");
        mesh.hang_up(number);
        assert_eq!(mesh.ended, ["101 via_upstream -"], "{what}");
        assert_eq!(mesh.worker.exchanges().count(), 0, "{what}");
    }
}

/// Who is gone in the middle ends both sides, and nothing else on a connection that others use.
#[test]
fn who_is_gone_in_the_middle_ends_both_sides() {
    for (client, endpoint) in PAIRINGS {
        for by_client in [true, false] {
            let what = format!("{client:?} {endpoint:?}, client: {by_client}");
            let mut mesh = Mesh::new(client, endpoint, &service(name(endpoint), ""));
            let number = mesh.open(&websocket(Some(KEY)), Some("websocket"));
            let (id, _) = mesh.endpoint();
            mesh.say(number, b"hello");
            if by_client {
                mesh.give_up(number);
            } else {
                mesh.endpoint_leaves(id, true);
            }
            assert_eq!(mesh.ended.len(), 1, "{what}: {:?}", mesh.ended);
            assert_eq!(mesh.worker.exchanges().count(), 0, "{what}");
            assert_eq!(mesh.worker.counts().buffered.bytes, 0, "{what}");
            match endpoint {
                Http1 => assert!(mesh.endpoints[&id].is_closed, "{what}"),
                Http2 => assert!(!mesh.endpoints[&id].is_closed, "{what}"),
            }
            match client {
                Http1 => assert!(mesh.is_closed, "{what}"),
                Http2 => {
                    assert!(!mesh.is_closed, "{what}");
                    assert_eq!(mesh.got[number].reset.is_some(), !by_client, "{what}");
                }
            }
        }
    }
}

/// RFC 8441 §3: nobody is asked who has not said that it takes that.
#[test]
fn an_endpoint_that_knows_no_other_protocol_is_not_asked() {
    for client in [Http1, Http2] {
        let mut mesh = Mesh::new(client, Http2, &service("HTTP2", ""));
        mesh.knows_no_protocols = true;
        let number = mesh.open(&websocket(Some(KEY)), Some("websocket"));
        assert_eq!(mesh.got[number].status, 502, "{client:?}");
        assert_eq!(
            mesh.ended,
            ["502 upstream_reset_before_response_started{protocol_error} UPE"],
            "{client:?}"
        );
        assert_eq!(mesh.endpoints.len(), 1, "it is known after one attempt");
        let asked = mesh.ask("GET", "/a", &[], None);
        mesh.play();
        assert_eq!(mesh.got[asked].status, 200, "{client:?}");
    }
}

/// RFC 6455 §4.1: who answers a key with another proof than its own speaks no websocket.
#[test]
fn a_proof_of_another_key_is_none() {
    for proves in [true, false] {
        let mut mesh = Mesh::new(Http2, Http1, &service("HTTP", ""));
        mesh.endpoints_prove(proves);
        let number = mesh.open(&websocket(None), Some("websocket"));
        let status = if proves { 101 } else { 502 };
        assert_eq!(mesh.got[number].status, status, "{:?}", mesh.ended);
    }
}

/// A CONNECT opens a connection of its own, over which nothing of HTTP goes, whatever the cluster speaks.
#[test]
fn a_connect_opens_a_tunnel() {
    for client in [Http1, Http2] {
        let mut mesh = Mesh::new(client, Http1, &service("HTTP", ""));
        let head = RequestHead {
            method: Method::CONNECT,
            authority: b"10.0.0.9:7000".to_vec(),
            ..RequestHead::default()
        };
        mesh.endpoints_are_raw();
        let number = mesh.open(&head, None);
        assert_eq!(mesh.got[number].status, 200, "{client:?} {:?}", mesh.ended);
        mesh.say(number, b"no http");
        assert_eq!(mesh.endpoint().1.heard(), b"no http", "{client:?}");
        assert_eq!(
            mesh.got[number].body, b"no http",
            "{client:?}: it comes back"
        );
        mesh.hang_up(number);
        assert!(mesh.endpoint().1.is_shut, "{client:?}");
        let (id, _) = mesh.endpoint();
        mesh.endpoint_leaves(id, false);
        assert_eq!(mesh.ended, ["200 via_upstream -"], "{client:?}");
    }
}
