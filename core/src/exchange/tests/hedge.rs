//! Hedging: an attempt that takes too long goes on, and another one is made beside it.

mod bodies;

use super::*;
use crate::decision::{AttemptEnd, Followed};

/// Two endpoints in turn, a try of 100 ms, and hedging.
fn hedging(retries: &str, more: &str) -> Driver {
    Driver::with(snapshot(&format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: h}}
spec:
  hosts: [h.test]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h, annotations: {{outrigger.dev/hedge-on-per-try-timeout: 'true'}}}}
spec:
  hosts: [h.test]
  http: [{{timeout: 5s, retries: {{perTryTimeout: 100ms, {retries}}}, route: [{{destination: {{host: h.test}}}}]}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec: {{host: h.test, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}{more}}}}}
"
    )))
}

/// A request whose first attempt has taken too long, and whose second one has just been sent.
fn two_under_way(d: &mut Driver) -> (String, String) {
    d.sends(Side::Downstream, GET);
    d.connects();
    let first = d.receives(Side::Upstream);
    d.wait_for(Timer::PerTry);
    d.wait_for(Timer::Backoff);
    d.connects();
    let second = d.receives(Side::Upstream);
    assert!(matches!(
        d.outputs()[..],
        [Said::Connect(_), Said::Connect(_)]
    ));
    assert_ne!(d.name(Side::Aside), d.name(Side::Upstream), "both are open");
    assert!(d.reads(Side::Aside) && d.reads(Side::Upstream));
    (first, second)
}

fn answers(d: &mut Driver, side: Side, status: &str) {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbody");
    d.sends(side, response.as_bytes());
}

/// How the attempts ended, and what followed the first one's time.
fn ends(d: &Driver) -> Vec<AttemptEnd> {
    let record = d.record();
    record.attempts.iter().map(|a| a.end).collect()
}

/// The endpoint of an attempt.
fn host(d: &Driver, attempt: usize) -> Arc<crate::cluster::HostState> {
    let snapshot = &d.worker.view().snapshot;
    let endpoint = d.record().attempts[attempt].endpoint as usize;
    snapshot.clusters[0].endpoints[endpoint].state.clone()
}

#[test]
fn the_newer_one_wins() {
    let mut d = hedging("attempts: 2", "");
    let (first, second) = two_under_way(&mut d);
    assert!(first.contains("x-envoy-attempt-count: 1\r\n"), "{first}");
    assert!(second.contains("x-envoy-attempt-count: 2\r\n"), "{second}");
    assert!(
        first.contains("x-envoy-expected-rq-timeout-ms: 5000\r\n"),
        "{first}"
    );
    answers(&mut d, Side::Upstream, "200 OK");
    assert!(d.receives(Side::Downstream).ends_with("body"));
    let outputs = d.outputs();
    assert_eq!(outputs, [Said::Close(Side::Aside), Said::Ended]);
    assert_eq!(d.worker.counts().idle, 1);
    assert_eq!(ends(&d), [AttemptEnd::Overtaken, AttemptEnd::Response(200)]);
    let record = d.record();
    assert_eq!(record.attempt(), record.attempts.last());
    assert!(matches!(
        record.attempts[0].followed,
        Followed::Hedge { .. }
    ));
    assert_eq!(
        (record.flags().to_string(), record.retries),
        ("-".into(), 1)
    );
    for at in 0..2 {
        assert_eq!(host(&d, at).active(), 0);
    }
    assert_eq!(
        (host(&d, 0).connections(), host(&d, 1).connections()),
        (0, 1)
    );
}

#[test]
fn the_older_one_wins_and_takes_its_place_back() {
    let mut d = hedging("attempts: 2", "");
    two_under_way(&mut d);
    let older = d.name(Side::Aside);
    d.sends(
        Side::Aside,
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbody",
    );
    assert_eq!(d.outputs(), [Said::Close(Side::Upstream)]);
    assert_eq!(d.name(Side::Upstream), older);
    assert!(!d.reads(Side::Aside) && d.reads(Side::Upstream));
    d.sends(Side::Upstream, b"more");
    assert!(d.receives(Side::Downstream).ends_with("bodymore"));
    assert_eq!(d.outputs(), [Said::Ended]);
    assert_eq!(d.worker.counts().idle, 1);
    assert_eq!(ends(&d), [AttemptEnd::Response(200), AttemptEnd::Overtaken]);
    let record = d.record();
    assert_eq!(record.attempt(), record.attempts.first());
    assert_eq!(
        (host(&d, 0).connections(), host(&d, 1).connections()),
        (1, 0)
    );
    let (_, client) = {
        d.sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
        answers(&mut d, Side::Upstream, "201 Created");
        ((), d.receives(Side::Downstream))
    };
    assert!(
        client.starts_with("HTTP/1.1 201 "),
        "the next request is its own"
    );
    assert_eq!(d.record().attempts.len(), 1);
}

#[test]
fn the_older_one_may_answer_while_the_newer_one_waits_or_connects() {
    for connecting in [false, true] {
        let mut d = hedging("attempts: 2", "");
        d.sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
        d.wait_for(Timer::PerTry);
        if connecting {
            d.wait_for(Timer::Backoff);
        }
        d.outputs();
        let older = d.name(Side::Aside).expect("it is there");
        answers(&mut d, Side::Aside, "200 OK");
        let outputs = d.outputs();
        let given_up = outputs.contains(&Said::Close(Side::Upstream));
        assert_eq!(given_up, connecting, "{outputs:?}");
        assert!(!outputs.contains(&Said::Close(Side::Aside)));
        assert_eq!(d.worker.counts().idle, 1);
        assert!(d.worker.outbox(older).is_some(), "the older one is kept");
        assert!(d.receives(Side::Downstream).ends_with("body"));
        let attempts = if connecting { 2 } else { 1 };
        assert_eq!(ends(&d).len(), attempts);
        assert_eq!(ends(&d)[0], AttemptEnd::Response(200));
        assert_eq!(host(&d, 0).active(), 0);
    }
}

#[test]
fn a_bad_response_is_dropped_while_the_other_may_do_better() {
    let mut d = hedging("attempts: 1, retryOn: 5xx", "");
    two_under_way(&mut d);
    answers(&mut d, Side::Aside, "503 Service Unavailable");
    assert_eq!(d.outputs(), [Said::Close(Side::Aside)]);
    assert_eq!(d.receives(Side::Downstream), "");
    answers(&mut d, Side::Upstream, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    assert_eq!(
        ends(&d),
        [AttemptEnd::Response(503), AttemptEnd::Response(200)]
    );

    let mut d = hedging("attempts: 1, retryOn: 5xx", "");
    two_under_way(&mut d);
    let older = d.name(Side::Aside);
    answers(&mut d, Side::Upstream, "503 Service Unavailable");
    assert_eq!(d.outputs(), []);
    assert_eq!(d.worker.counts().idle, 1, "the newer one is kept");
    assert_eq!(d.name(Side::Upstream), older);
    assert_eq!(d.receives(Side::Downstream), "");
    answers(&mut d, Side::Upstream, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    assert_eq!(
        ends(&d),
        [AttemptEnd::Response(200), AttemptEnd::Response(503)]
    );
    assert_eq!(d.record().flags().to_string(), "URX");
}

#[test]
fn the_last_bad_response_is_passed_on() {
    for first in [Side::Aside, Side::Upstream] {
        let mut d = hedging("attempts: 1, retryOn: 5xx", "");
        two_under_way(&mut d);
        answers(&mut d, first, "503 Service Unavailable");
        answers(&mut d, Side::Upstream, "502 Bad Gateway");
        assert!(
            d.receives(Side::Downstream).starts_with("HTTP/1.1 502 "),
            "{first:?}"
        );
        assert!(d.outputs().contains(&Said::Ended));
    }
}

#[test]
fn a_response_that_is_not_retried_is_good_enough() {
    let mut d = hedging("attempts: 1, retryOn: connect-failure", "");
    two_under_way(&mut d);
    answers(&mut d, Side::Aside, "500 Internal Server Error");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 500 "));
    assert_eq!(ends(&d), [AttemptEnd::Response(500), AttemptEnd::Overtaken]);
}

#[test]
fn a_newer_one_that_fails_is_retried_as_the_policy_says() {
    let mut d = hedging("attempts: 2, retryOn: 5xx", "");
    two_under_way(&mut d);
    answers(&mut d, Side::Upstream, "503 Service Unavailable");
    d.wait_for(Timer::Backoff);
    d.connects();
    assert!(
        d.receives(Side::Upstream)
            .contains("x-envoy-attempt-count: 3\r\n")
    );
    assert!(d.reads(Side::Aside));
    answers(&mut d, Side::Aside, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    let want = [
        AttemptEnd::Response(200),
        AttemptEnd::Response(503),
        AttemptEnd::Overtaken,
    ];
    assert_eq!(ends(&d), want);
}

#[test]
fn connections_that_end_are_no_answer_while_there_is_another() {
    for first in [Side::Aside, Side::Upstream] {
        for input in [Input::Eof, Input::Broken] {
            let mut d = hedging("attempts: 1, retryOn: connect-failure", "");
            two_under_way(&mut d);
            d.input(first, input.clone());
            assert_eq!(d.receives(Side::Downstream), "", "{input:?}");
            assert!(!d.reads(Side::Aside));
            answers(&mut d, Side::Upstream, "200 OK");
            assert!(
                d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "),
                "{input:?}"
            );
            assert_eq!(d.record().flags().to_string(), "-");

            let mut d = hedging("attempts: 1, retryOn: connect-failure", "");
            two_under_way(&mut d);
            d.input(first, input.clone());
            d.input(Side::Upstream, Input::Eof);
            assert!(
                d.receives(Side::Downstream).starts_with("HTTP/1.1 503 "),
                "{input:?}"
            );
            assert_eq!(d.record().flags().to_string(), "UC");
        }
    }
}

#[test]
fn the_end_of_a_connection_may_be_the_end_of_its_response() {
    let mut d = hedging("attempts: 1", "");
    two_under_way(&mut d);
    let aside = d.name(Side::Aside).unwrap();
    let space = d.worker.space(aside).unwrap();
    space.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\nall of it");
    d.input(Side::Aside, Input::Eof);
    let client = d.receives(Side::Downstream);
    assert!(
        client.contains("all of it") && client.ends_with("0\r\n\r\n"),
        "{client}"
    );
}

#[test]
fn there_are_two_at_a_time_and_no_more() {
    let mut d = hedging("attempts: 5", "");
    two_under_way(&mut d);
    d.wait_for(Timer::PerTry);
    assert!(matches!(d.deadline(), Some((_, Timer::Route))));
    assert_eq!(d.record().retries, 1);
    // The older one fails, and the newer one has had its time; there is no other.
    d.input(Side::Aside, Input::Eof);
    answers(&mut d, Side::Upstream, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
}

#[test]
fn without_retries_left_an_attempt_just_goes_on() {
    let mut d = hedging("attempts: 1, retryOn: connect-failure", "");
    d.sends(Side::Downstream, GET);
    d.fails(ConnectFault::Refused);
    d.wait_for(Timer::Backoff);
    d.connects();
    d.receives(Side::Upstream);
    d.wait_for(Timer::PerTry);
    assert!(matches!(d.deadline(), Some((_, Timer::Route))));
    answers(&mut d, Side::Upstream, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    assert_eq!(d.record().flags().to_string(), "URX");
}

#[test]
fn the_whole_requests_time_ends_both() {
    let mut d = hedging("attempts: 1", "");
    two_under_way(&mut d);
    d.wait_for(Timer::PerTry);
    d.wait_for(Timer::Route);
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 504 "));
    let outputs = d.outputs();
    for side in [Side::Aside, Side::Upstream] {
        assert!(outputs.contains(&Said::Close(side)), "{outputs:?}");
    }
    assert_eq!(d.record().flags().to_string(), "UT");
    assert!(ends(&d).iter().all(|end| *end != AttemptEnd::Open));
    for at in 0..2 {
        let host = host(&d, at);
        assert_eq!(
            (host.active(), host.connections(), host.failures()),
            (0, 0, 1)
        );
    }
}

#[test]
fn a_client_that_leaves_ends_both() {
    let mut d = hedging("attempts: 1", "");
    two_under_way(&mut d);
    d.input(Side::Downstream, Input::Eof);
    assert_eq!(ends(&d), [AttemptEnd::Cancelled; 2]);
    for at in 0..2 {
        assert_eq!((host(&d, at).active(), host(&d, at).connections()), (0, 0));
    }
}

#[test]
fn a_newer_one_that_no_endpoint_takes_leaves_the_older_one_alone() {
    let mut d = hedging(
        "attempts: 1, retryOn: connect-failure",
        ", connectionPool: {http: {http2MaxRequests: 1}}",
    );
    d.sends(Side::Downstream, GET);
    d.connects();
    d.receives(Side::Upstream);
    d.wait_for(Timer::PerTry);
    let older = d.name(Side::Aside);
    d.wait_for(Timer::Backoff);
    assert!(!d.outputs().contains(&Said::Close(Side::Aside)));
    assert!(d.name(Side::Aside).is_none() && d.name(Side::Upstream) == older);
    answers(&mut d, Side::Upstream, "200 OK");
    assert!(d.receives(Side::Downstream).starts_with("HTTP/1.1 200 "));
    assert_eq!(d.record().details.to_string(), "via_upstream");
}

#[test]
fn a_slow_endpoint_is_told_off_once() {
    let mut d = hedging(
        "attempts: 1",
        ", outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 100}",
    );
    let mut slow = None;
    for _ in 0..2 {
        d.sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
        // It is the same one's turn each time.
        d.wait_for(Timer::PerTry);
        let first = slow.get_or_insert_with(|| host(&d, 0));
        assert!(Arc::ptr_eq(first, &host(&d, 0)));
        answers(&mut d, Side::Aside, "200 OK");
        d.receives(Side::Downstream);
        d.sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
        answers(&mut d, Side::Upstream, "200 OK");
        d.receives(Side::Downstream);
    }
    let is_out = slow.is_some_and(|slow| slow.is_ejected());
    assert!(is_out, "its late 200 does not make up for it");
}

#[test]
fn a_conversation_is_not_begun_with_a_second_endpoint() {
    let upgrade: &[u8] =
        b"GET /ws HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (request, is_hedged) in [(GET, true), (upgrade, false)] {
        let mut d = hedging("attempts: 1", "");
        d.sends(Side::Downstream, request);
        d.connects();
        d.receives(Side::Upstream);
        d.outputs();
        d.wait_for(Timer::PerTry);
        let outputs = d.outputs();
        assert_eq!(d.name(Side::Aside).is_some(), is_hedged);
        assert_eq!(outputs.contains(&Said::Close(Side::Upstream)), !is_hedged);
        assert_eq!(d.reads(Side::Aside), is_hedged);
    }
}
