//! Which connections carry another request, and which kept ones are replaced: a wrong answer gives a client the response of
//! another, or the endpoint a request twice.

use super::*;
use crate::overload::{Actions, Level, Resource};

const POST: &[u8] = b"POST /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\nabc";

fn keeps(d: &mut Driver) -> bool {
    let outputs = d.outputs();
    let keeps = d.worker.counts().idle == 1;
    let closes = outputs.contains(&Said::Close(Side::Upstream));
    assert_ne!(keeps, closes, "one of the two: {outputs:?}");
    let (_, sockets) = d.worker.parts();
    assert_eq!(sockets.upstreams.len(), usize::from(keeps));
    keeps
}

/// How much of a request has gone to the endpoint when its response is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    All,
    AllButOneByte,
    Nothing,
    /// All that can be: the endpoint reads no more.
    WriteFailed,
}

#[test]
fn a_connection_that_owes_the_rest_of_a_request_carries_no_other() {
    for request in [GET, POST] {
        for sent in [
            Sent::All,
            Sent::AllButOneByte,
            Sent::Nothing,
            Sent::WriteFailed,
        ] {
            let mut d = Driver::new();
            d.sends(Side::Downstream, request);
            d.connects();
            match sent {
                Sent::All => drop(d.receives(Side::Upstream)),
                Sent::AllButOneByte => {
                    while d.outbox(Side::Upstream).len() > 1 {
                        let outbox = d.outbox(Side::Upstream);
                        let count = outbox.front().len().min(outbox.len() - 1);
                        d.input(Side::Upstream, Input::Wrote(count));
                    }
                }
                Sent::Nothing => {}
                Sent::WriteFailed => d.input(Side::Upstream, Input::WriteFailed),
            }
            d.outputs();
            d.sends(Side::Upstream, OK);
            let client = d.receives(Side::Downstream);
            assert!(client.starts_with("HTTP/1.1 200 "), "{client}");
            let case = format!("{sent:?} of {}", request.escape_ascii());
            assert_eq!(keeps(&mut d), sent == Sent::All, "{case}");
            d.sends(Side::Downstream, GET);
            let goes_over_new = matches!(d.outputs()[..], [Said::Connect(_)]);
            assert_eq!(goes_over_new, sent != Sent::All, "{case}");
        }
    }
}

/// An early answer says nothing about the rest of the request, which the endpoint still waits for.
#[test]
fn a_connection_whose_request_the_client_still_sends_carries_no_other() {
    let chunked = b"POST /a HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for request in [POST, chunked] {
        for missing in [0, 1, 3] {
            let mut d = Driver::new();
            let sent = request.len() - missing;
            let (_, client) = d.round(&request[..sent], OK);
            assert!(client.starts_with("HTTP/1.1 200 "), "{client}");
            let case = format!("{missing} missing of {}", request.escape_ascii());
            assert_eq!(keeps(&mut d), missing == 0, "{case}");
        }
    }
}

#[test]
fn a_connection_that_its_endpoint_ends_carries_no_other() {
    for (response, is_kept) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\nok",
            false,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        (
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
            false,
        ),
    ] {
        let mut d = Driver::new();
        d.round(GET, response.as_bytes());
        assert_eq!(keeps(&mut d), is_kept, "{response}");
    }
    // The end of the connection is the end of the body.
    let mut d = Driver::new();
    d.round(GET, b"HTTP/1.1 200 OK\r\n\r\nok");
    d.outputs();
    d.input(Side::Upstream, Input::Eof);
    assert!(d.receives(Side::Downstream).contains("0\r\n\r\n"));
    assert!(!keeps(&mut d));
}

#[test]
fn a_connection_that_has_had_its_requests_is_closed_with_the_last_of_them() {
    for max in [1, 2, 3] {
        let rules = format!(
            "{SERVICE}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec: {{host: h.test, trafficPolicy: {{connectionPool: {{http: {{maxRequestsPerConnection: {max}}}}}}}}}
"
        );
        let mut d = Driver::with(snapshot(&rules));
        for number in 1..=max {
            d.outputs();
            d.round(GET, OK);
            assert_eq!(keeps(&mut d), number < max, "request {number} of {max}");
        }
    }
}

#[test]
fn a_connection_on_which_more_came_than_the_response_carries_no_other() {
    for (more, is_kept) in [(&b""[..], true), (b"\r\n", false), (OK, false)] {
        let mut d = Driver::new();
        let (_, client) = d.round(GET, &[OK, more].concat());
        assert_eq!(client.matches("HTTP/1.1").count(), 1, "{client}");
        assert_eq!(keeps(&mut d), is_kept, "{}", more.escape_ascii());
    }
}

/// What becomes of a request whose kept connection ends before a response, and why.
#[test]
fn only_a_dead_kept_connection_is_replaced_without_a_retry() {
    const GET_NO_RETRIES: &str = "retries: {attempts: 0}";
    let long = format!(
        "PUT /a HTTP/1.1\r\nHost: h.test\r\nContent-Length: 1100000\r\n\r\n{}",
        "x".repeat(1_100_000)
    );
    struct Case<'a> {
        why: &'a str,
        rule: &'a str,
        is_kept: bool,
        request: &'a [u8],
        is_written: bool,
        answer: &'a [u8],
        is_replaced: bool,
    }
    let usual = Case {
        why: "an idempotent request over a kept connection",
        rule: "timeout: 9s",
        is_kept: true,
        request: GET,
        is_written: true,
        answer: b"",
        is_replaced: true,
    };
    let cases = [
        Case {
            why: "it was made for this request, so its end says something about the request",
            is_kept: false,
            is_replaced: false,
            ..usual
        },
        Case {
            why: "the endpoint has begun to answer",
            answer: b"HTTP/1.1 20",
            is_replaced: false,
            ..usual
        },
        Case {
            why: "the endpoint has said that it is at work, and the client knows",
            answer: b"HTTP/1.1 103 Early Hints\r\n\r\n",
            is_replaced: false,
            ..usual
        },
        Case {
            why: "it may have been done, and doing it twice is something else",
            request: POST,
            is_replaced: false,
            ..usual
        },
        Case {
            why: "none of it has left",
            request: POST,
            is_written: false,
            ..usual
        },
        Case {
            why: "the body is longer than what is kept of it",
            request: long.as_bytes(),
            is_replaced: false,
            ..usual
        },
        Case {
            why: "the rule says what is tried again",
            rule: GET_NO_RETRIES,
            is_replaced: false,
            ..usual
        },
        usual,
    ];
    for case in &cases {
        for end in [Input::Eof, Input::Broken] {
            let mut d = Driver::with(with_rule(case.rule));
            if case.is_kept {
                d.round(GET, OK);
            }
            d.sends(Side::Downstream, case.request);
            d.connects();
            if case.is_written {
                d.receives(Side::Upstream);
            }
            if !case.answer.is_empty() {
                d.sends(Side::Upstream, case.answer);
            }
            d.outputs();
            d.input(Side::Upstream, end.clone());
            let connects = d.outputs().iter().any(|o| matches!(o, Said::Connect(_)));
            assert_eq!(connects, case.is_replaced, "{}, {end:?}", case.why);
            let attempts = d.record().attempts.len();
            assert_eq!(attempts, 1 + usize::from(connects), "{}", case.why);
            if !connects {
                let client = d.receives(Side::Downstream);
                assert!(client.contains("HTTP/1.1 50"), "{}: {client}", case.why);
            }
        }
    }
}

#[test]
fn each_connection_that_was_not_made_is_counted_at_its_endpoint() {
    for end in [
        Some(Input::ConnectFailed(ConnectFault::Refused.into())),
        Some(Input::ConnectFailed(ConnectFault::Local.into())),
        // It takes too long.
        None,
        Some(Input::Connected(Box::default())),
    ] {
        let mut d = Driver::with(with_rule("retries: {attempts: 0}"));
        let host = d.worker.view().snapshot.clusters[0].endpoints[0]
            .state
            .clone();
        d.sends(Side::Downstream, GET);
        d.now = Instant::from_millis(10_000);
        match end {
            Some(ref end) => d.input(Side::Upstream, end.clone()),
            None => d.time(),
        }
        let failed = !matches!(end, Some(Input::Connected(_)));
        assert_eq!(host.connect_failures(), u64::from(failed), "{end:?}");
        assert_eq!(host.connections(), u32::from(!failed), "{end:?}");
    }
}

/// What is idle when the machine fills up is closed, and what becomes idle later too; each is counted once.
#[test]
fn a_full_machine_keeps_no_connection() {
    let full = Actions::at(Resource::Descriptors, Level::Soft);
    for is_idle in [true, false] {
        let mut d = Driver::new();
        d.sends(Side::Downstream, GET);
        d.connects();
        d.receives(Side::Upstream);
        if is_idle {
            d.sends(Side::Upstream, OK);
            d.receives(Side::Downstream);
            assert!(keeps(&mut d));
        }
        d.outputs();
        d.worker.relieve(full, d.now);
        d.drain();
        if !is_idle {
            assert_eq!(d.worker.counts().shed.kept, 0, "it is in use");
            d.sends(Side::Upstream, OK);
            d.receives(Side::Downstream);
        }
        let said = d.outputs();
        assert!(said.contains(&Said::Close(Side::Upstream)), "{said:?}");
        let counts = d.worker.counts();
        assert_eq!((counts.idle, counts.shed.kept), (0, 1), "{is_idle}");
        // Saying so again changes nothing.
        d.worker.relieve(full, d.now);
        assert_eq!(d.worker.counts().shed.kept, 1);
    }
}
