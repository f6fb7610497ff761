//! The times of a request as a whole, and how old a connection may be.

use super::*;

const IDLE: Duration = Duration::from_secs(5);

fn with_idle(snapshot: Arc<Snapshot>) -> Driver {
    let settings = WorkerSettings {
        stream_idle_timeout: Some(IDLE),
        ..WorkerSettings::default()
    };
    Driver::set(snapshot, settings)
}

fn due(d: &Driver) -> (u64, Whose) {
    let (at, timer) = d.due().expect("a timer is set");
    (at.as_nanos() / 1_000_000, timer)
}

#[test]
fn whatever_moves_begins_the_idle_time_anew() {
    let mut d = with_idle(snapshot(SERVICE));
    d.now = Instant::from_millis(100);
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\na",
    );
    assert_eq!(
        due(&d),
        (5100, Whose::Request(Timer::StreamIdle)),
        "before the ten seconds to connect"
    );
    d.now = Instant::from_millis(1000);
    d.connects();
    assert_eq!(
        due(&d),
        (5100, Whose::Request(Timer::StreamIdle)),
        "a connection moves nothing"
    );
    d.now = Instant::from_millis(2000);
    d.receives(Side::Upstream);
    assert_eq!(due(&d), (7000, Whose::Request(Timer::StreamIdle)));
    d.now = Instant::from_millis(3000);
    d.sends(Side::Downstream, b"bc");
    assert_eq!(due(&d), (8000, Whose::Request(Timer::StreamIdle)));
    d.receives(Side::Upstream);
    d.now = Instant::from_millis(4000);
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!(
        due(&d),
        (9000, Whose::Request(Timer::StreamIdle)),
        "the client has not taken it"
    );
    d.now = Instant::from_millis(8000);
    d.receives(Side::Downstream);
    assert!(matches!(due(&d), (_, Whose::Rest)), "the request is over");
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let mut d = with_idle(snapshot(SERVICE));
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.sends(Side::Upstream, OK);
    d.outputs();
    d.waits_until_due();
    assert_eq!(d.outputs(), [Said::Ended, Said::Reset(Side::Downstream)]);
    let record = d.record();
    assert_eq!(
        (record.status, record.flags().to_string()),
        (200, "SI".into())
    );
}

#[test]
fn a_response_that_stops_is_cut_and_its_client_has_time_for_the_rest() {
    let mut d = with_idle(snapshot(SERVICE));
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    );
    d.waits_until_due();
    assert!(d.outputs().contains(&Said::Close(Side::Upstream)));
    assert_eq!(due(&d), (10_000, Whose::Request(Timer::StreamIdle)));
    assert!(d.receives(Side::Downstream).ends_with("ok"));
    assert!(d.outputs().contains(&Said::Ended));
    assert_eq!(d.record().details.to_string(), "stream_idle_timeout");
}

#[test]
fn nothing_is_left_of_what_timed_out() {
    let mut d = with_idle(with_rule("retries: {attempts: 1, retryOn: 5xx}"));
    let host = d.worker.view().snapshot.clusters[0].endpoints[0]
        .state
        .clone();
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.waits_until_due();
    assert_eq!(
        (host.active(), host.connections(), host.failures()),
        (0, 0, 0)
    );
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 504 "));
    assert_eq!(d.record().attempts.len(), 1, "it is never tried again");
    let (_, client) = d.round(GET, OK);
    assert!(
        client.starts_with("HTTP/1.1 200 "),
        "the client's connection goes on"
    );
}

#[test]
fn a_connection_that_grew_too_old_is_passed_over() {
    let text = format!(
        "{SERVICE}---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: h}}\nspec: {{host: h.test, \
         trafficPolicy: {{connectionPool: {{tcp: {{maxConnectionDuration: 10s}}}}}}}}\n"
    );
    let mut d = Driver::with(snapshot(&text));
    d.now = Instant::from_millis(1000);
    d.sends(Side::Downstream, GET);
    d.now = Instant::from_millis(3000);
    d.connects();
    d.receives(Side::Upstream);
    d.sends(Side::Upstream, OK);
    d.receives(Side::Downstream);
    let kept = d.up();
    let next = d.worker.parts().0.pool.next_expiry();
    assert_eq!(next, Some(Instant::from_millis(13_000)));
    assert!(d.worker.next_deadline() <= next, "nobody comes too late");
    d.outputs();
    d.now = Instant::from_millis(13_000);
    d.sends(Side::Downstream, GET);
    assert!(
        matches!(d.outputs()[..], [Said::Connect(_)]),
        "though nothing has closed it yet"
    );
    d.time();
    assert_eq!(d.outputs(), [Said::CloseKept(kept)]);
}

/// Thousands may be kept, and a worker looks at the time for many other reasons.
#[test]
fn a_connection_to_an_endpoint_that_was_ejected_is_closed_within_a_second() {
    let text = format!(
        "{SERVICE}---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: h}}\nspec: {{host: h.test, \
         trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 1, maxEjectionPercent: 100}}}}}}\n"
    );
    let mut d = Driver::crowd(snapshot(&text), WorkerSettings::default(), 1, 2);
    // Two connections, both begun before the ejection.
    for at in [0, 1] {
        d.of(at).sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
    }
    d.of(0).sends(Side::Upstream, OK);
    d.receives(Side::Downstream);
    d.now = Instant::from_millis(100);
    d.time();
    let fails = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n";
    d.of(1).sends(Side::Upstream, fails);
    assert!(d.outputs().contains(&Said::Close(Side::Upstream)));
    let look = Instant::from_millis(1000);
    assert!(d.worker.next_deadline() <= Some(look), "nobody else asks");
    for (millis, left) in [(999, 1), (1000, 0)] {
        d.now = Instant::from_millis(millis);
        d.time();
        assert_eq!(d.worker.counts().idle, left, "{millis}");
    }
}

#[test]
fn a_kept_connection_is_used_until_the_nanosecond_it_is_due_and_never_after() {
    let settings = [("http", "idleTimeout"), ("tcp", "maxConnectionDuration")];
    for (layer, name) in settings {
        for millis in [1, 300, 999, 1000, 1001, 2500] {
            let text = format!(
                "{SERVICE}---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: h}}\nspec: \
                 {{host: h.test, trafficPolicy: {{connectionPool: {{{layer}: {{{name}: {millis}ms}}}}}}}}\n"
            );
            let due = Instant::from_millis(1700 + millis);
            let last = Instant::from_nanos(due.as_nanos() - 1);
            for (at, is_used) in [(last, true), (due, false)] {
                let mut d = Driver::with(snapshot(&text));
                d.now = Instant::from_millis(1700);
                d.round(GET, OK);
                let next = d.worker.parts().0.pool.next_expiry();
                assert_eq!(next, Some(due), "{name} {millis} ms");
                d.outputs();
                d.now = at;
                d.sends(Side::Downstream, GET);
                let connects = matches!(d.outputs()[..], [Said::Connect(_)]);
                assert_eq!(connects, !is_used, "{name} {millis} ms at {at:?}");
            }
        }
    }
}

#[test]
fn a_body_that_stops_is_408_after_some_minutes_and_a_client_that_reads_nothing_is_let_go() {
    let rule = |timeout| with_rule(&format!("timeout: {timeout}"));
    for head in [
        &b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\na"[..],
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    ] {
        let mut d = Driver::set(rule("1h"), WorkerSettings::default());
        d.sends(Side::Downstream, head);
        d.connects();
        d.receives(Side::Upstream);
        assert_eq!(due(&d), (300_000, Whose::Request(Timer::StreamIdle)));
        d.waits_until_due();
        // It has another while to read that.
        assert_eq!(due(&d), (600_000, Whose::Request(Timer::StreamIdle)));
        assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 408 "));
        assert_eq!(d.record().flags().to_string(), "SI");
    }
    let mut d = Driver::set(rule("1h"), WorkerSettings::default());
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    assert_eq!(
        due(&d),
        (3_600_000, Whose::Request(Timer::Route)),
        "a whole request waits"
    );
    d.sends(Side::Upstream, OK);
    d.outputs();
    assert_eq!(due(&d), (300_000, Whose::Request(Timer::StreamIdle)));
    d.waits_until_due();
    assert_eq!(d.outputs(), [Said::Ended, Said::Reset(Side::Downstream)]);
}

#[test]
fn whoever_is_answered_late_has_as_much_time_to_read_that() {
    let mut d = Driver::set(with_rule("timeout: 400s"), WorkerSettings::default());
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.wait_for(Timer::Route);
    assert_eq!(due(&d), (700_000, Whose::Request(Timer::StreamIdle)));
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 504 "));
}

#[test]
fn a_long_response_that_nobody_reads_is_cut() {
    let mut d = Driver::set(snapshot(SERVICE), WorkerSettings::default());
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nok",
    );
    assert_eq!(d.due(), None, "its endpoint may take its time");
    let piece = vec![b'x'; 1 << 20];
    d.now = Instant::from_millis(1000);
    d.sends(Side::Upstream, &piece);
    d.outputs();
    assert_eq!(due(&d), (301_000, Whose::Request(Timer::StreamIdle)));
    d.waits_until_due();
    assert!(d.outputs().contains(&Said::Close(Side::Upstream)));
    d.waits_until_due();
    assert!(d.outputs().contains(&Said::Reset(Side::Downstream)));
    assert_eq!(d.record().details.to_string(), "stream_idle_timeout");
}

#[test]
fn what_may_stand_still_for_ever_does() {
    let for_ever = WorkerSettings {
        request_body_timeout: None,
        unread_timeout: None,
        ..WorkerSettings::default()
    };
    let mut d = Driver::set(snapshot(SERVICE), for_ever);
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 1\r\n\r\n",
    );
    d.connects();
    d.receives(Side::Upstream);
    assert_eq!(d.due(), None, "the rest of a body");
    d.sends(Side::Downstream, b"a");
    d.receives(Side::Upstream);
    d.sends(Side::Upstream, OK);
    d.outputs();
    assert_eq!(d.due(), None, "a response that nobody takes");
}
