//! How much memory a connection holds while nothing moves on it.

use super::*;

/// Room in the blocks that the connections have of their own.
fn room(d: &Driver) -> usize {
    let (_, sockets) = d.worker.parts();
    let clients = sockets.clients.values();
    let clients = clients.map(|c| (c.connection.inbox.capacity(), &c.connection.outbox));
    let upstreams = sockets.upstreams.values();
    let upstreams = upstreams.map(|u| (u.connection.inbox.capacity(), &u.connection.outbox));
    clients
        .chain(upstreams)
        .map(|(inbox, outbox)| inbox + usize::from(outbox.has_block()) * 32 * 1024)
        .sum()
}

#[test]
fn half_a_head_waits_in_little_memory() {
    for length in [1, 30, 1000, 8000] {
        let head = format!(
            "GET /{} HTTP/1.1\r\nHost: h.test\r\n\r\n",
            "a".repeat(length)
        );
        let (first, second) = head.as_bytes().split_at(length);
        let mut d = Driver::new();
        // Behind another request, too.
        for _ in 0..2 {
            d.sends(Side::Downstream, first);
            assert!(room(&d) <= 2 * length, "{} for {length}", room(&d));
            for byte in second.chunks(1) {
                assert!(!d.is_connecting());
                d.sends(Side::Downstream, byte);
            }
            d.connects();
            let sent = d.receives(Side::Upstream);
            assert!(sent.starts_with(head.split_once('\n').unwrap().0), "{sent}");
            d.sends(Side::Upstream, OK);
            d.receives(Side::Downstream);
            assert_eq!(room(&d), 0);
        }
    }
}

#[test]
fn who_waits_for_an_endpoint_holds_no_memory() {
    let mut d = Driver::new();
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    assert_eq!(room(&d), 0, "no response yet");
    let mut d = Driver::new();
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 5\r\n\r\nhello",
    );
    d.connects();
    d.receives(Side::Upstream);
    assert_eq!(
        room(&d),
        0,
        "kept for another attempt, and for no longer than it is"
    );
    let mut d = Driver::new();
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    d.receives(Side::Downstream);
    for _ in 0..3 {
        assert_eq!(room(&d), 0, "an event stream without an event");
        d.sends(Side::Upstream, b"3\r\nnow\r\n");
        assert_eq!(d.receives(Side::Downstream), "3\r\nnow\r\n");
    }
    d.sends(Side::Upstream, b"0\r\n\r\n");
    assert_eq!(d.receives(Side::Downstream), "0\r\n\r\n");
}

#[test]
fn a_read_that_finds_nothing_leaves_nothing() {
    let mut d = Driver::new();
    for has_spoken in [false, true] {
        if has_spoken {
            d.sends(Side::Downstream, b"GET / HT");
        }
        let before = room(&d);
        let client = d.name(Side::Downstream).unwrap();
        assert!(d.worker.space(client).is_some());
        d.worker.leave_space(client);
        assert_eq!(room(&d), before);
    }
}

#[test]
fn a_silent_tunnel_holds_no_memory() {
    let mut d = Driver::new();
    d.round(
        b"GET /a HTTP/1.1\r\nHost: h.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    for _ in 0..3 {
        assert_eq!(room(&d), 0);
        for (from, to) in [
            (Side::Downstream, Side::Upstream),
            (Side::Upstream, Side::Downstream),
        ] {
            d.sends(from, b"hello");
            assert_eq!(d.receives(to), "hello");
        }
    }
}
