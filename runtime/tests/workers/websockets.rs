//! Websockets between versions over sockets (RFC 6455, RFC 8441), with the `h2` crate on the side that speaks HTTP/2.

use bytes::Bytes;
use h2::ext::Protocol;
use outrigger_core::http1::websocket;
use tokio::task::spawn_blocking;

use super::configured::{Sidecar, service};
use super::h2_peers::{H2Client, Service, play, read};
use super::streams::config;
use super::support::Endpoints;

/// The service has a key to answer, though the client sent none, and the client hears nothing of it.
#[test]
fn a_client_of_http2_talks_to_a_service_of_http1() {
    play(async {
        let endpoints = Endpoints::listen();
        let sidecar = Sidecar::of(&service(&[endpoints.addr], "", ""));
        let service = spawn_blocking(move || {
            let mut peer = endpoints.accept();
            let asked = peer.head().unwrap();
            assert_eq!(asked.start, "GET /chat HTTP/1.1");
            assert_eq!(asked.field("upgrade"), Some("websocket"));
            let accept = websocket::accept(asked.field("sec-websocket-key").unwrap().as_bytes());
            let accept = str::from_utf8(&accept).unwrap();
            peer.send(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
            );
            peer.send(&format!("sec-websocket-accept: {accept}\r\n\r\nhello"));
            assert_eq!(peer.read_at_most(5), 5);
            // The client has ended its direction, and this one goes on.
            peer.ends();
            peer.send(" again");
        });
        let mut client = H2Client::connect(sidecar.addr).await;
        let (response, mut sends) = client.upgrade("/chat").await;
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        sends.send_data(Bytes::from_static(b"howdy"), true).unwrap();
        assert_eq!(
            read(&mut response.into_body()).await.unwrap(),
            b"hello again"
        );
        service.await.unwrap();
    });
}

/// The client gets the proof that it waits for, which the service does not make.
#[test]
fn a_client_of_http1_talks_to_a_service_of_http2() {
    play(async {
        let mut service = Service::listen().await;
        let sidecar = Sidecar::of(&config(service.addr, "", ""));
        let mut client = sidecar.client();
        let client = spawn_blocking(move || {
            client.send("GET /chat HTTP/1.1\r\nhost: app.test\r\nconnection: upgrade\r\n");
            client.send(
                "upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nhello",
            );
            let switched = client.head().unwrap();
            assert_eq!(switched.start, "HTTP/1.1 101 Switching Protocols");
            let accept = switched.field("sec-websocket-accept");
            assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            assert_eq!(client.read_at_most(5), 5);
            client.ends();
        });
        let mut asked = service.asked().await;
        let protocol = asked.request.extensions().get::<Protocol>();
        assert_eq!(protocol.map(Protocol::as_str), Some("websocket"));
        let mut body = asked.take_body();
        let mut sends = asked.begin();
        let data = body.data().await.unwrap().unwrap();
        assert_eq!(data, "hello");
        sends.send_data(Bytes::from_static(b"howdy"), true).unwrap();
        client.await.unwrap();
    });
}
