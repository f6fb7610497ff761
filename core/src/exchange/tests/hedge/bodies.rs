//! Bodies of requests that two endpoints are sent.

use super::*;

#[test]
fn a_body_that_the_older_one_has_not_taken_goes_to_both() {
    let mut d = hedging("attempts: 1", "");
    let body = "x".repeat(900_000);
    let head = "POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 900000\r\n\r\n";
    d.sends(Side::Downstream, head.as_bytes());
    for piece in body.as_bytes().chunks(10_000) {
        d.sends(Side::Downstream, piece);
    }
    d.connects();
    // It takes a little, and then is slow.
    let mut older = d.outbox(Side::Upstream).front().to_vec();
    d.input(Side::Upstream, Input::Wrote(older.len()));
    d.wait_for(Timer::PerTry);
    d.wait_for(Timer::Backoff);
    d.connects();
    let newer = d.receives(Side::Upstream);
    older.extend(d.receives(Side::Aside).into_bytes());
    for sent in [String::from_utf8(older).unwrap(), newer] {
        let (_, sent) = sent.split_once("\r\n\r\n").unwrap();
        assert!(sent == body, "{} bytes", sent.len());
    }
    answers(&mut d, Side::Aside, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
}

/// Where the newer one was in the body says nothing about where the older one is.
#[test]
fn a_body_that_the_older_one_has_not_taken_goes_on_when_the_newer_one_fails() {
    let body: String = (0..90_000).map(|at| format!("{at:09} ")).collect();
    for newer_takes_all in [None, Some(false), Some(true)] {
        let mut d = hedging("attempts: 1", "");
        let length = body.len();
        let head = format!("POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: {length}\r\n\r\n");
        d.sends(Side::Downstream, head.as_bytes());
        for piece in body.as_bytes().chunks(10_000) {
            d.sends(Side::Downstream, piece);
        }
        d.connects();
        let mut older = d.outbox(Side::Upstream).front().to_vec();
        d.input(Side::Upstream, Input::Wrote(older.len()));
        d.wait_for(Timer::PerTry);
        d.wait_for(Timer::Backoff);
        let aside = d.name(Side::Aside);
        match newer_takes_all {
            None => d.fails(ConnectFault::Refused),
            Some(takes_all) => {
                d.connects();
                if takes_all {
                    d.receives(Side::Upstream);
                } else {
                    let piece = d.outbox(Side::Upstream).front().len();
                    d.input(Side::Upstream, Input::Wrote(piece));
                }
                d.input(Side::Upstream, Input::Eof);
            }
        }
        assert!(aside.is_some() && d.name(Side::Upstream) == aside);
        older.extend(d.receives(Side::Upstream).into_bytes());
        let sent = String::from_utf8(older).unwrap();
        let (_, sent) = sent.split_once("\r\n\r\n").unwrap();
        assert!(sent == body, "{newer_takes_all:?}: {} bytes", sent.len());
        answers(&mut d, Side::Upstream, "200 OK");
        assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn a_body_past_the_bound_cannot_hedge() {
    let mut d = hedging("attempts: 1", "");
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2000000\r\n\r\n",
    );
    d.connects();
    for _ in 0..2000 {
        d.sends(Side::Downstream, &[b'x'; 1000]);
        d.receives(Side::Upstream);
    }
    d.wait_for(Timer::PerTry);
    assert!(matches!(d.deadline(), Some((_, Timer::Route))));
    let followed = d.record().attempts[0].followed;
    assert_eq!(followed, Followed::CannotRepeat);
}
