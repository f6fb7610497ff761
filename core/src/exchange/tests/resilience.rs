//! Retries, their time limits, and injected faults.

use super::*;
use crate::cluster::RetryEvent;
use crate::decision::AttemptEnd;

/// The connection is refused; answers whether a retry waits.
fn refuse(d: &mut Driver) -> bool {
    d.fails(ConnectFault::Refused);
    matches!(d.deadline(), Some((_, Timer::Backoff)))
}

fn answers(d: &mut Driver, status: &str) {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbody");
    d.sends(Side::Upstream, response.as_bytes());
}

#[test]
fn a_refused_connection_is_tried_twice_more_when_nobody_says_otherwise() {
    let mut d = Driver::new();
    d.sends(Side::Downstream, GET);
    for _ in 0..2 {
        assert!(refuse(&mut d));
        d.wait_for(Timer::Backoff);
    }
    assert!(!refuse(&mut d));
    let client = d.receives(Side::Downstream);
    assert!(client.starts_with("HTTP/1.1 503 "), "{client}");
    assert!(
        client.ends_with("retried and the latest reset reason: remote connection failure"),
        "{client}"
    );
    let record = d.record();
    assert_eq!(record.flags().to_string(), "UF,URX");
    assert_eq!((record.attempts.len(), record.retries), (3, 2));
}

#[test]
fn a_retriable_response_is_thrown_away_and_the_body_sent_again() {
    let mut d = Driver::with(with_rule("retries: {attempts: 3, retryOn: '503'}"));
    let body = [b'x'; 20_000];
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 20000\r\n\r\n",
    );
    d.connects();
    d.sends(Side::Downstream, &body[..9000]);
    d.sends(Side::Downstream, &body[9000..]);
    let first = d.receives(Side::Upstream);
    let kept = d.up();
    answers(&mut d, "503 Service Unavailable");
    assert_eq!(d.worker.counts().idle, 1);
    d.wait_for(Timer::Backoff);
    assert_eq!(d.up(), kept, "the whole response was read");
    d.connects();
    let second = d.receives(Side::Upstream);
    assert_eq!(
        second,
        first.replace("attempt-count: 1", "attempt-count: 2")
    );
    answers(&mut d, "200 OK");
    let client = d.receives(Side::Downstream);
    assert!(
        client.starts_with("HTTP/1.1 200 ") && client.ends_with("body"),
        "{client}"
    );
    assert_eq!(d.record().flags().to_string(), "-");
}

#[test]
fn a_success_without_a_retry_is_no_success_of_a_retry() {
    for retries in 0..3 {
        let mut d = Driver::with(with_rule("retries: {attempts: 2, retryOn: '503'}"));
        d.sends(Side::Downstream, GET);
        for _ in 0..retries {
            d.connects();
            d.receives(Side::Upstream);
            answers(&mut d, "503 Service Unavailable");
            d.wait_for(Timer::Backoff);
        }
        d.connects();
        d.receives(Side::Upstream);
        answers(&mut d, "200 OK");
        let record = d.record();
        let cluster = record.attempt().unwrap().cluster.unwrap();
        let state = &d.snapshot().cluster(cluster).state;
        let counted = [RetryEvent::BackOff, RetryEvent::Success].map(|e| state.counted_retries(e));
        assert_eq!(counted, [retries, u64::from(retries > 0)]);
    }
}

#[test]
fn the_last_response_is_passed_on_when_retries_are_used_up() {
    let mut d = Driver::with(with_rule("retries: {attempts: 1, retryOn: 5xx}"));
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    answers(&mut d, "500 Internal Server Error");
    d.wait_for(Timer::Backoff);
    d.connects();
    d.receives(Side::Upstream);
    answers(&mut d, "502 Bad Gateway");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 502 "));
    assert_eq!(d.record().flags().to_string(), "URX");
}

#[test]
fn a_body_past_the_bound_is_not_sent_again() {
    let mut d = Driver::with(with_rule("retries: {attempts: 3, retryOn: 5xx}"));
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2000000\r\n\r\n",
    );
    d.connects();
    for _ in 0..2000 {
        d.sends(Side::Downstream, &[b'x'; 1000]);
        d.receives(Side::Upstream);
    }
    answers(&mut d, "503 Service Unavailable");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 503 "));
    assert_eq!(d.record().retries, 0);
}

#[test]
fn each_try_has_its_own_time() {
    let mut d = Driver::with(with_rule(
        "retries: {attempts: 1, perTryTimeout: 500ms, retryOn: gateway-error}",
    ));
    d.sends(Side::Downstream, GET);
    d.now = Instant::from_millis(2000);
    d.connects();
    d.receives(Side::Upstream);
    assert_eq!(
        d.deadline(),
        Some((Instant::from_millis(2500), Timer::PerTry))
    );
    d.wait_for(Timer::PerTry);
    d.wait_for(Timer::Backoff);
    d.connects();
    d.receives(Side::Upstream);
    d.wait_for(Timer::PerTry);
    let client = d.receives(Side::Downstream);
    assert!(client.starts_with("HTTP/1.1 504 ") && client.ends_with("upstream request timeout"));
    let record = d.record();
    assert_eq!(record.flags().to_string(), "UT,URX");
    assert_eq!(record.details.to_string(), "upstream_per_try_timeout");
}

/// Envoy ignores the time of a try once a response has begun, also where the response overtakes the end of its request.
#[test]
fn a_try_whose_response_has_begun_has_no_time_of_its_own() {
    let mut d = Driver::with(with_rule("retries: {attempts: 1, perTryTimeout: 500ms}"));
    d.sends(
        Side::Downstream,
        b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\na",
    );
    d.connects();
    d.sends(
        Side::Upstream,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx",
    );
    d.sends(Side::Downstream, b"b");
    assert_eq!(d.deadline(), None);
    d.receives(Side::Upstream);
    d.sends(Side::Upstream, b"y");
    let client = d.receives(Side::Downstream);
    assert!(client.ends_with("\r\n\r\nxy"), "{client}");
    assert_eq!(d.record().attempts[0].end, AttemptEnd::Response(200));
}

#[test]
fn the_whole_requests_time_runs_on_through_retries() {
    let mut d = Driver::with(with_rule(
        "timeout: 20ms, retries: {attempts: 100, retryOn: 5xx}",
    ));
    d.sends(Side::Downstream, GET);
    while refuse(&mut d) {
        let (at, _) = d.deadline().unwrap();
        d.now = at;
        d.time();
        assert!(d.now <= Instant::from_millis(20));
    }
    assert_eq!(d.deadline(), Some((Instant::from_millis(20), Timer::Route)));
    d.wait_for(Timer::Route);
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 504 "));
    assert_eq!(d.record().flags().to_string(), "UT");
}

/// An answer and the end of a time at the same instant: what the runtime tells first counts, and the other is nothing.
#[test]
fn at_the_same_instant_the_first_of_two_counts() {
    for (rule, timer, details) in [
        ("timeout: 2s", Timer::Route, "response_timeout"),
        (
            "retries: {attempts: 1, perTryTimeout: 2s, retryOn: '503'}",
            Timer::PerTry,
            "upstream_per_try_timeout",
        ),
    ] {
        for timer_first in [false, true] {
            let mut d = Driver::with(with_rule(rule));
            d.sends(Side::Downstream, GET);
            d.connects();
            d.receives(Side::Upstream);
            assert_eq!(d.deadline(), Some((Instant::from_millis(2000), timer)));
            d.now = Instant::from_millis(2000);
            if timer_first {
                d.time();
                assert!(!d.reads(Side::Upstream), "nobody reads a late answer");
            } else {
                d.sends(Side::Upstream, OK);
                d.time();
            }
            let client = d.receives(Side::Downstream);
            let expected = if timer_first { "504 Gateway" } else { "200 OK" };
            assert!(
                client.starts_with(&format!("HTTP/1.1 {expected}")),
                "{client}"
            );
            assert_eq!(client.matches("HTTP/1.1").count(), 1, "{client}");
            let told = d.record().details.to_string();
            assert_eq!(told, if timer_first { details } else { "via_upstream" });
        }
    }
}

/// A process that was stopped finds all times up, of endpoints too that it had not come to ask: nobody is ejected for it.
#[test]
fn a_time_that_is_noticed_late_tells_nothing_of_the_endpoint() {
    for (rule, connects) in [
        ("timeout: 2s", true),
        (
            "retries: {attempts: 1, perTryTimeout: 2s, retryOn: '503'}",
            true,
        ),
        // The time that a connection may take.
        ("timeout: 60s, retries: {attempts: 0}", false),
    ] {
        for (late, is_ejected) in [(0, true), (999, true), (1000, false), (60_000, false)] {
            let snapshot = snapshot(&format!(
                "{SERVICE}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec: {{hosts: [h.test], http: [{{{rule}, route: [{{destination: {{host: h.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec: {{host: h.test, trafficPolicy: {{connectionPool: {{tcp: {{connectTimeout: 3s}}}},
  outlierDetection: {{consecutive5xxErrors: 1, maxEjectionPercent: 100}}}}}}
"
            ));
            let mut d = Driver::with(snapshot);
            d.sends(Side::Downstream, GET);
            if connects {
                d.connects();
                d.receives(Side::Upstream);
            }
            let (due, _) = d.deadline().unwrap();
            d.now = due + Duration::from_millis(late);
            d.time();
            assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 50"));
            let endpoint = &d.worker.view().snapshot.clusters[0].endpoints[0];
            let told = endpoint.state.is_ejected();
            assert_eq!(told, is_ejected, "{rule}, {late} ms late");
        }
    }
}

/// Of two times that end together, the whole request's counts: there is no use in another attempt.
#[test]
fn the_whole_ends_before_a_try_does() {
    let mut d = Driver::with(with_rule(
        "timeout: 3s, retries: {attempts: 1, perTryTimeout: 2s, retryOn: 5xx}",
    ));
    d.sends(Side::Downstream, GET);
    d.now = Instant::from_millis(1000);
    d.connects();
    d.receives(Side::Upstream);
    d.wait_for(Timer::Route);
    assert_eq!(d.now, Instant::from_millis(3000));
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 504 "));
    assert_eq!(d.record().flags().to_string(), "UT");
}

#[test]
fn an_abort_is_answered_without_an_attempt() {
    let mut d = Driver::with(with_rule(
        "retries: {attempts: 3, retryOn: 5xx}, fault: {abort: {httpStatus: 503, percentage: {value: 100}}}",
    ));
    d.sends(Side::Downstream, GET);
    let client = d.receives(Side::Downstream);
    assert!(client.starts_with("HTTP/1.1 503 ") && client.ends_with("\r\n\r\nfault filter abort"));
    let record = d.record();
    assert_eq!(
        (record.flags().to_string(), record.attempts.len()),
        ("FI".into(), 0)
    );
    assert_eq!(record.details.to_string(), "fault_filter_abort");
}

#[test]
fn a_delay_counts_against_no_timeout() {
    let mut d = Driver::with(with_rule(
        "timeout: 1s, fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}",
    ));
    d.sends(Side::Downstream, GET);
    assert_eq!(
        d.deadline(),
        Some((Instant::from_millis(5000), Timer::Fault))
    );
    assert!(d.outputs().is_empty());
    d.wait_for(Timer::Fault);
    d.connects();
    d.receives(Side::Upstream);
    assert_eq!(
        d.deadline(),
        Some((Instant::from_millis(6000), Timer::Route))
    );
    answers(&mut d, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    assert_eq!(d.record().flags().to_string(), "DI");
}
