//! What becomes of copies, and that nobody feels it.

use super::*;
use crate::cluster::Counted;
use crate::connection::READ_BLOCK_LONG;

#[test]
fn nobody_feels_what_becomes_of_a_copy() {
    type Fate = fn(&mut Driver);
    let fates: [(&str, Fate); 9] = [
        ("via_upstream", |d| {
            d.connects();
            d.receives(Side::Upstream);
            d.sends(Side::Upstream, OK);
        }),
        ("via_upstream", |d| {
            d.connects();
            d.sends(
                Side::Upstream,
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Internal Server Error\r\nContent-Length: 1\r\n\r\n",
            );
            d.sends(Side::Upstream, b"x");
        }),
        (
            "upstream_reset_before_response_started{remote_connection_failure}",
            |d| {
                d.fails(ConnectFault::Refused);
            },
        ),
        (
            "upstream_reset_before_response_started{connection_timeout}",
            Driver::run_out,
        ),
        (
            "upstream_reset_before_response_started{connection_termination}",
            |d| {
                d.connects();
                d.input(Side::Upstream, Input::Broken);
            },
        ),
        (
            "upstream_reset_before_response_started{protocol_error}",
            |d| {
                d.connects();
                d.sends(Side::Upstream, b"HTTP/1.1 nonsense\r\n\r\n");
            },
        ),
        (
            "upstream_reset_after_response_started{protocol_error}",
            |d| {
                d.connects();
                d.sends(
                    Side::Upstream,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
                );
                d.input(Side::Upstream, Input::Eof);
            },
        ),
        ("response_timeout", |d| {
            d.connects();
            d.receives(Side::Upstream);
            d.run_out();
            assert_eq!(
                d.now,
                Instant::from_millis(300_000),
                "without a timeout of the rule"
            );
        }),
        ("response_timeout", |d| {
            d.connects();
            d.sends(Side::Upstream, b"HTTP/1.1 200 OK\r\n\r\nand so on");
            d.run_out();
        }),
    ];
    for (details, fate) in fates {
        // Once before the request's own answer, once after.
        for is_first in [true, false] {
            let mut d = Driver::mirrored();
            d.sends(Side::Downstream, GET);
            let copy = d.take_copy();
            if is_first {
                // No time of its own runs while the copy's does.
                d.connects();
                d.hold(copy, fate);
            }
            d.ends_well();
            assert_eq!(d.fates(), [Sent]);
            if !is_first {
                d.hold(copy, fate);
            }
            copy.assert_over(&mut d, details);
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
        let copy = d.take_copy();
        d.hold(copy, |d| match refuses {
            true => d.fails(ConnectFault::Refused),
            false => {
                d.connects();
                d.receives(Side::Upstream);
                let due = d.now + Duration::from_secs(3);
                assert_eq!(d.deadline(), Some((due, Timer::Route)));
                d.sends(
                    Side::Upstream,
                    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
                );
            }
        });
        assert_eq!(copy.record(&mut d, |record| record.attempts.len()), 1);
        let details = match refuses {
            true => "upstream_reset_before_response_started{remote_connection_failure}",
            false => "via_upstream",
        };
        copy.assert_over(&mut d, details);
        d.ends_well();
        d.outputs();
    }
}

#[test]
fn the_response_of_a_copy_is_thrown_away_as_it_comes() {
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, GET);
    let copy = d.take_copy();
    copy.arrives(&mut d);
    d.hold(copy, |d| {
        d.sends(
            Side::Upstream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n",
        );
        for _ in 0..50_000_000 / 100_000 {
            assert!(d.reads(Side::Upstream), "nothing holds a mirror up");
            d.sends(Side::Upstream, &[b'x'; 100_000]);
            let (_, sockets) = d.worker.parts();
            let inbox = &sockets.upstreams[d.up()].connection.inbox;
            assert!(inbox.capacity() <= 2 * READ_BLOCK_LONG + 100_000);
        }
    });
    assert_eq!(copy.record(&mut d, |record| record.bytes_sent), 50_000_000);
    assert_eq!(d.worker.counts().idle, 1);
    copy.assert_over(&mut d, "via_upstream");
}

#[test]
fn the_next_copy_uses_the_connection_of_the_last_and_replaces_a_dead_one() {
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, GET);
    let copy = d.take_copy();
    d.ends_well();
    copy.arrives(&mut d);
    let kept = d.hold(copy, |d| d.up());
    d.hold(copy, |d| d.sends(Side::Upstream, OK));
    copy.assert_over(&mut d, "via_upstream");
    d.sends(Side::Downstream, &post(b"abc"));
    let copy = d.take_copy();
    assert_eq!(d.hold(copy, |d| (d.outputs(), d.up())), (vec![], kept));
    d.hold(copy, |d| d.input(Side::Upstream, Input::Eof));
    assert!(copy.arrives(&mut d).ends_with("\r\n\r\nabc"));
}

#[test]
fn a_client_that_leaves_does_not_take_the_copy_with_it() {
    let mut d = Driver::mirrored();
    d.sends(Side::Downstream, GET);
    let copy = d.take_copy();
    d.input(Side::Downstream, Input::Eof);
    assert!(d.is_gone());
    assert_eq!(d.record().flags().to_string(), "DC");
    copy.arrives(&mut d);
    d.hold(copy, |d| d.sends(Side::Upstream, OK));
    copy.assert_over(&mut d, "via_upstream");
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
        let copy = d.take_copy();
        if number == 0 {
            copy.arrives(&mut d);
        }
        copies.push(copy);
        d.ends_well();
        d.outputs();
    }
    let over = copies.pop().expect("three");
    over.assert_over_beside(
        &mut d,
        "upstream_reset_before_response_started{overflow}",
        2,
    );
    let cluster = &d.worker.view().snapshot.clusters;
    let state = cluster
        .iter()
        .find(|c| c.name.contains("m.test"))
        .map(|c| c.state.clone());
    let waiting = state.map(|s| s.gauges().current(Counted::Waiting));
    assert_eq!(waiting, Some(1));
}

#[test]
fn a_drain_does_not_wait_long_for_copies() {
    for (timeout, due) in [("", 1500), ("timeout: 1s, ", 1000)] {
        let mut d = Driver::with(rule(&format!("{timeout}mirror: {{host: m.test}}")));
        d.sends(Side::Downstream, GET);
        let copy = d.take_copy();
        copy.arrives(&mut d);
        d.now = Instant::from_millis(500);
        d.worker.drain();
        let before = d.hold(copy, |d| d.deadline());
        d.worker.hurry_copies(true, d.now);
        d.drain();
        let after = d.hold(copy, |d| d.deadline());
        assert_eq!(before, after, "the other direction hurries nobody");
        d.worker.hurry_copies(false, d.now);
        d.drain();
        d.hold(copy, |d| {
            let due = Instant::from_millis(due);
            assert_eq!(d.deadline(), Some((due, Timer::Route)));
            d.run_out();
        });
        copy.assert_over(&mut d, "response_timeout");
    }
}

#[test]
fn the_story_tells_of_mirrors() {
    let mut d = Driver::with(rule(
        "mirrors: [{destination: {host: m.test}}, {destination: {host: nobody.test}}]",
    ));
    d.sends(Side::Downstream, GET);
    let copy = d.take_copy();
    d.ends_well();
    let story = d.story();
    assert!(
        story.contains("  mirror 1     outbound|80||m.test: a copy was sent\n"),
        "{story}"
    );
    assert!(
        story.contains("  mirror 2     outbound|80||nobody.test: no copy, there is no such"),
        "{story}"
    );
    d.hold(copy, |d| {
        d.fails(ConnectFault::Refused);
    });
    let story = d.hold(copy, |d| d.story());
    assert!(
        story.contains("  copy for     outbound|80||m.test\n"),
        "{story}"
    );
    assert!(
        story.contains("10.0.0.2:80") && story.contains("waited for nothing"),
        "{story}"
    );
}
