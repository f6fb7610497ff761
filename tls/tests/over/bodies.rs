//! What goes through a protected connection, in both directions and both protocols.

use std::io::Write;
use std::thread;

use outrigger_core::peer::TlsVersion;
use outrigger_core::snapshot::{Http2Options, MutualTls, UpstreamProtocol};

use super::authority::Authority;
use super::mesh::{CLIENT, Client, SERVER, Sidecar, Sides, application, pattern};

/// The sidecar before the application, and the one before that.
fn pair(protocol: UpstreamProtocol, mode: MutualTls) -> (Sidecar, Sidecar) {
    let authority = Authority::new();
    let near = Sides::server(mode);
    let near = Sidecar::start(application(), &near, authority.identity(&[SERVER]));
    let far = Sides {
        protocol,
        ..Sides::client(SERVER)
    };
    let far = Sidecar::start(near.addr, &far, authority.identity(&[CLIENT]));
    (near, far)
}

const HTTP2: UpstreamProtocol = UpstreamProtocol::Http2(Http2Options {
    max_concurrent_streams: None,
    keepalive: None,
});

#[test]
fn both_sides_learn_who_the_other_is() {
    for (protocol, alpn) in [(UpstreamProtocol::Http1, "http/1.1"), (HTTP2, "h2")] {
        let (near, far) = pair(protocol, MutualTls::Strict);
        let mut client = Client::to(&far);
        for _ in 0..3 {
            let (start, body) = client.ask("", b"hello");
            assert_eq!((&*start, &*body), ("HTTP/1.1 200 OK", &b"hello"[..]));
        }
        let (counted, connections) = near.counted();
        assert_eq!((counted.handshakes, connections), (1, 1), "it is kept");
        for told in near.told_of(3) {
            let facts = told.client.expect("it is protected");
            let principal = facts.peer.as_ref().and_then(|peer| peer.principal());
            assert_eq!(principal, CLIENT.strip_prefix("spiffe://"));
            assert_eq!(facts.alpn.as_deref(), Some(alpn));
            assert_eq!(facts.version, TlsVersion::Tls13);
            assert_eq!(
                facts.sni.as_deref(),
                Some("outbound_.80_._.cart.shop.svc.cluster.local")
            );
        }
        for told in far.told_of(3) {
            assert!(told.client.is_none());
            let peer = told.endpoint.and_then(|facts| facts.peer).unwrap();
            assert_eq!(&*peer.uri_names[0], SERVER);
        }
    }
}

#[test]
fn long_bodies_pass_both_ways_as_they_are() {
    for protocol in [UpstreamProtocol::Http1, HTTP2] {
        let (_near, far) = pair(protocol, MutualTls::Strict);
        let mut client = Client::to(&far);
        for count in [1, 16_383, 16_384, 16_385, 100_000, 3_000_000] {
            let (_, body) = client.ask(&count.to_string(), b"");
            assert!(body == pattern(count), "{count} bytes came otherwise");
        }
        // One that sends a long body must read meanwhile, because it comes back.
        let sent = pattern(3_000_000);
        let mut writer = client.0.get_ref().try_clone().unwrap();
        let copy = sent.clone();
        let sender = thread::spawn(move || {
            let head = "POST /x HTTP/1.1\r\nhost: cart\r\ncontent-length: 3000000\r\n\r\n";
            writer.write_all(head.as_bytes()).unwrap();
            writer.write_all(&copy).unwrap();
        });
        let (_, body) = super::mesh::message(&mut client.0).unwrap();
        assert!(body == sent);
        sender.join().unwrap();
    }
}

/// A client that takes nothing holds up who sends to it, and gets all of it once it does.
#[test]
fn who_is_slow_to_read_gets_all_of_it() {
    let (_near, far) = pair(UpstreamProtocol::Http1, MutualTls::Permissive);
    let mut slow = Client::to(&far);
    let ask = "POST /20000000 HTTP/1.1\r\nhost: cart\r\ncontent-length: 0\r\n\r\n";
    slow.0.get_ref().write_all(ask.as_bytes()).unwrap();
    // Another one is served meanwhile.
    for _ in 0..20 {
        let (start, _) = Client::to(&far).ask("1000", b"");
        assert_eq!(start, "HTTP/1.1 200 OK");
    }
    let (_, body) = super::mesh::message(&mut slow.0).unwrap();
    assert!(body == pattern(20_000_000));
}
