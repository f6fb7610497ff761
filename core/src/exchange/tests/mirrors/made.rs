//! When copies are made, and what they carry.

use super::*;
use crate::decision::MirrorFate::{BodyTooLong, Dropped, Incomplete, NoCluster, NoEndpoint};
use crate::exchange::replay::RETRY_LIMIT;

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
    let copy = d.take_copy();
    d.connects();
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
    let seen = d.hold(copy, Driver::outputs);
    assert!(matches!(&seen[0], Said::Connect(to) if to.to_string() == "10.0.0.2:80"));
}

#[test]
fn each_copy_has_dice_and_times_of_its_own() {
    let mut d = Driver::with(rule(
        "mirrors: [{destination: {host: m.test}}, {destination: {host: m.test}}]",
    ));
    d.sends(Side::Downstream, GET);
    assert_eq!(d.copies(), 2);
    let copies = [Copy(1), Copy(2)];
    let dice = copies.map(|copy| copy.record(&mut d, |record| record.entropy));
    let own = d.record().entropy;
    assert!(dice[0] != dice[1] && !dice.contains(&own));
    d.ends_well();
    d.now = Instant::from_millis(70);
    for copy in copies {
        copy.arrives(&mut d);
        d.hold(copy, |d| d.sends(Side::Upstream, OK));
        copy.record(&mut d, |record| {
            let (began, ended) = (record.began, record.ended);
            assert_eq!((began, ended), (Instant::ZERO, Instant::from_millis(70)));
            assert_eq!(record.upstream_service_ms, Some(70));
        });
    }
}

#[test]
fn a_body_is_kept_for_a_copy_only_as_long_as_one_is_to_be_made() {
    for (fields, is_kept) in [("", false), ("mirror: {host: m.test}, ", true)] {
        let mut d = Driver::with(rule(&format!("{fields}timeout: 9s")));
        d.sends(Side::Downstream, &post(b"abc")[..post(b"abc").len() - 1]);
        assert!(d.reads(Side::Downstream) && !d.exchange().is_mirror());
        d.connects();
        d.sends(
            Side::Upstream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        );
        assert_eq!(d.exchange().call.body.replay.is_whole(), is_kept);
        d.sends(Side::Downstream, b"c");
        assert!(!d.exchange().call.body.replay.is_whole());
    }
}

#[test]
fn a_request_that_is_tried_again_is_copied_once() {
    let mut d = Driver::with(rule(
        "mirror: {host: m.test}, retries: {attempts: 2, retryOn: 5xx}",
    ));
    d.sends(Side::Downstream, &post(b"abc"));
    let copy = d.take_copy();
    for _ in 0..2 {
        d.fails(ConnectFault::Refused);
        d.run_out();
    }
    d.ends_well();
    assert_eq!(d.record().retries, 2);
    assert_eq!(d.copies(), 1);
    let text = copy.arrives(&mut d);
    assert!(
        text.contains("x-envoy-attempt-count: 1\r\n") && text.ends_with("\r\n\r\nabc"),
        "{text}"
    );
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
            if d.is_connecting() {
                d.connects();
            }
            upstream += &d.receives(Side::Upstream);
        }
        assert_eq!(d.fates(), [fate], "{length}");
        if fate == Sent {
            let copy = d.take_copy();
            assert!(copy.arrives(&mut d) == upstream, "{length}");
            let received = copy.record(&mut d, |record| record.bytes_received);
            assert_eq!(received, length as u64);
        } else {
            assert_eq!(d.copies(), 0);
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
    let copy = d.take_copy();
    d.connects();
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
        |d| d.input(Side::Downstream, Input::Eof),
        |d| {
            d.connects();
            d.sends(Side::Upstream, OK);
            d.receives(Side::Downstream);
        },
        |d| {
            d.fails(ConnectFault::Refused);
            d.receives(Side::Downstream);
        },
    ];
    for end in ends {
        let mut d = Driver::with(rule("mirror: {host: m.test}, retries: {attempts: 0}"));
        d.sends(Side::Downstream, head);
        end(&mut d);
        assert!(d.outputs().contains(&Said::Ended));
        assert_eq!(d.fates(), [Incomplete]);
        assert_eq!(d.copies(), 0);
    }
    // A response that has only begun does not end the request.
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, head);
    d.connects();
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    );
    d.sends(Side::Downstream, body);
    let copy = d.take_copy();
    assert!(copy.arrives(&mut d).ends_with("\r\n\r\nabc"));
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
        assert_eq!(d.copies(), copies, "{fields}");
        assert_eq!(d.worker.counts().mirrors, copies, "{fields}");
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
    let copy = d.take_copy();
    assert!(copy.arrives(&mut d).ends_with("\r\n\r\nabc"));
    let began = copy.record(&mut d, |record| record.began);
    assert_eq!(began, Instant::from_millis(5000));
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
    let last = copies.pop().expect("many");
    d.hold(last, |d| d.fails(ConnectFault::Refused));
    d.sends(Side::Downstream, GET);
    assert_eq!(d.fates(), [Sent], "there is room again");
}
