//! Ends that come at the wrong moment, and clocks that run while the other side is not there yet.

use super::*;

const POST: &[u8] = b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn a_cut_response_never_looks_whole() {
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let sized: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
    let lasting: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nhello";
    let cases = [
        // A client of HTTP/1.0 gets no chunks: the end of its connection is the end of the body.
        ("1.0", chunked, Input::Eof, true),
        ("1.0", chunked, Input::Broken, true),
        ("1.0", lasting, Input::Broken, true),
        ("1.0", sized, Input::Eof, false),
        // One of HTTP/1.1 misses the last chunk, or the rest of the length.
        ("1.1", chunked, Input::Eof, false),
        ("1.1", lasting, Input::Broken, false),
        ("1.1", sized, Input::Eof, false),
    ];
    for (version, response, end, is_reset) in cases {
        let mut d = Driver::new();
        let request = format!("GET /a HTTP/{version}\r\nHost: h.test\r\n\r\n");
        d.round(request.as_bytes(), response);
        d.input(Side::Upstream, end.clone());
        assert!(!d.receives(Side::Downstream).contains("0\r\n\r\n"));
        let outputs = d.outputs();
        let case = format!("{version} {end:?} {}", response.escape_ascii());
        assert_eq!(
            outputs.contains(&Said::Reset(Side::Downstream)),
            is_reset,
            "{case}: {outputs:?}"
        );
        assert!(d.is_gone(), "{case}: {outputs:?}");
    }
}

#[test]
fn the_routes_timeout_does_not_wait_for_a_connection() {
    let mut d = Driver::with(with_rule("timeout: 1s"));
    d.sends(Side::Downstream, POST);
    let due = Instant::from_millis(1000);
    assert_eq!(d.deadline(), Some((due, Timer::Route)));
    d.now = due;
    d.time();
    assert!(
        d.receives(Side::Downstream)
            .starts_with("HTTP/1.1 504 Gateway Timeout\r\n")
    );
    assert!(d.outputs().contains(&Said::Close(Side::Upstream)));
}

#[test]
fn a_body_that_came_before_its_connection_is_sent_once() {
    let mut d = Driver::new();
    d.sends(Side::Downstream, &POST[..POST.len() - 3]);
    for byte in POST[POST.len() - 3..].chunks(1) {
        d.sends(Side::Downstream, byte);
    }
    d.connects();
    let upstream = d.receives(Side::Upstream);
    assert!(upstream.ends_with("\r\n\r\nabc"), "{upstream}");
    d.sends(Side::Upstream, OK);
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200"));
    assert_eq!(d.record().bytes_received, 3);
    assert_eq!(d.worker.counts().idle, 1);
    assert!(!d.outputs().contains(&Said::Close(Side::Upstream)));
}

#[test]
fn an_early_answer_does_not_swallow_a_body_that_waited_for_its_connection() {
    let mut d = Driver::with(with_rule("retries: {attempts: 1, retryOn: 5xx}"));
    let length = 900_000;
    d.sends(
        Side::Downstream,
        format!("POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
    );
    for _ in 0..length / 10_000 {
        d.sends(Side::Downstream, &[b'x'; 10_000]);
    }
    d.connects();
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
    );
    let upstream = d.receives(Side::Upstream);
    let body = upstream
        .split_once("\r\n\r\n")
        .map_or(0, |(_, body)| body.len());
    assert_eq!(body, length);
    d.sends(Side::Upstream, b"k");
    assert!(d.receives(Side::Downstream).ends_with("\r\n\r\nok"));
    assert_eq!(d.worker.counts().idle, 1);
    assert!(!d.outputs().contains(&Said::Close(Side::Upstream)));
}

#[test]
fn a_long_body_waits_for_its_connection_without_being_lost() {
    let mut d = Driver::new();
    let length = 2_000_000;
    d.sends(
        Side::Downstream,
        format!("POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: {length}\r\n\r\n").as_bytes(),
    );
    let mut sent = 0;
    while d.reads(Side::Downstream) {
        d.sends(Side::Downstream, &[b'x'; 10_000]);
        sent += 10_000;
        assert!(sent < length, "reading never stops");
    }
    d.connects();
    let mut upstream = d.receives(Side::Upstream);
    while sent < length {
        d.sends(Side::Downstream, &[b'x'; 10_000]);
        sent += 10_000;
        upstream += &d.receives(Side::Upstream);
    }
    assert_eq!(
        upstream.matches('x').count(),
        length + upstream[..400].matches("x-").count()
    );
}

/// Whoever ends a tunnel first still has bytes under way, and the end must not overtake them.
#[test]
fn the_end_of_one_side_of_a_tunnel_comes_behind_its_last_bytes() {
    for (ends, other) in [
        (Side::Downstream, Side::Upstream),
        (Side::Upstream, Side::Downstream),
    ] {
        let mut d = Driver::new();
        d.round(
            b"GET /ws HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        d.sends(ends, b"the tail");
        d.outputs();
        d.input(ends, Input::Eof);
        assert_eq!(d.outputs(), [], "{ends:?}: the tail is not written");
        d.input(other, Input::Wrote(4));
        assert_eq!(d.outputs(), [], "{ends:?}: half of it is not written");
        assert_eq!(d.receives(other), "tail");
        assert_eq!(d.outputs(), [Said::ShutdownWrite(other)], "{ends:?}");
    }
}

/// RFC 9110 §6.5.1: a client that does not say so may throw trailers away, or not know them for what they are.
#[test]
fn trailers_go_only_to_a_client_that_takes_them() {
    let response: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n";
    for (field, end) in [
        ("TE: trailers\r\n", "\r\n0\r\nx-sum: 2\r\n\r\n"),
        ("TE: gzip\r\n", "\r\n0\r\n\r\n"),
        ("", "\r\n0\r\n\r\n"),
    ] {
        let mut d = Driver::new();
        let request = format!("GET /a HTTP/1.1\r\nHost: h.test\r\n{field}\r\n");
        let (_, client) = d.round(request.as_bytes(), response);
        assert!(client.ends_with(&format!("ok{end}")), "{field}: {client}");
    }
}

/// A client that goes on sending would meet a reset, which can overtake the response.
#[test]
fn who_is_refused_in_the_middle_of_a_body_is_read_until_the_response_has_left() {
    let settings = WorkerSettings {
        max_request_body: Some(4),
        ..WorkerSettings::default()
    };
    let chunked = "POST /a HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [("8\r\nabcdefgh", "413"), ("z\r\n", "400")] {
        let mut d = Driver::set(snapshot(SERVICE), settings);
        d.sends(Side::Downstream, chunked.as_bytes());
        d.connects();
        d.receives(Side::Upstream);
        d.sends(Side::Downstream, body.as_bytes());
        let client = d.receives(Side::Downstream);
        let line = format!("HTTP/1.1 {status} ");
        assert!(client.starts_with(&line), "{client}");
        let outputs = d.outputs();
        let end = [Said::Ended, Said::ShutdownWrite(Side::Downstream)];
        assert!(outputs.ends_with(&end), "{status}: {outputs:?}");
        assert!(d.reads(Side::Downstream), "{status}");
        d.sends(Side::Downstream, b"more of it");
        assert_eq!(d.outputs(), [], "{status}");
        d.input(Side::Downstream, Input::Eof);
        assert_eq!(d.outputs(), [Said::Close(Side::Downstream)], "{status}");
    }
}
