//! Lines as a reader of Istio's access log knows them.

use smallvec::smallvec;

use super::*;
use crate::config::log_format;
use crate::decision::picked::{Picked, PickedBy};
use crate::decision::{Attempt, AttemptEnd, Details, Followed, RouteDecision};
use crate::entropy::Entropy;
use crate::message::RequestHead;
use crate::peer::{PeerCertificate, TlsVersion};
use crate::snapshot::PerMillion;
use crate::time::Instant;

const AROUND: Surroundings = Surroundings {
    began: Duration::from_millis(1_795_406_400_123),
    downstream_remote: SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 4000),
    downstream_local: SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 15001),
    upstream_local: None,
};

const TOOK: u64 = 42;

fn record(fields: &[(&str, &[u8])]) -> Record {
    let mut request = RequestHead {
        authority: b"reviews:9080".to_vec(),
        path: b"/a?b=c&d&e=f".to_vec(),
        ..RequestHead::default()
    };
    for (name, value) in fields {
        request.headers.append(name.as_bytes(), value).unwrap();
    }
    Record {
        revision: Some(1),
        request,
        route: RouteDecision::UnknownHost,
        status: 503,
        details: Details::RouteNotFound,
        bytes_received: 3,
        bytes_sent: 5,
        began: Instant::from_millis(1000),
        received: Some(Instant::from_millis(1010)),
        answered: Some(Instant::from_millis(1030)),
        ended: Instant::from_millis(1000 + TOOK),
        ..Record::default()
    }
}

/// One that was tried once, where its client wanted to go.
fn tried(record: Record) -> Record {
    Record {
        attempts: smallvec![Attempt {
            cluster: None,
            endpoint: 0,
            picked: Picked::simply(PickedBy::OriginalDestination),
            reused: false,
            began: Instant::from_millis(1012),
            end: AttemptEnd::Response(503),
            ended: Instant::ZERO,
            followed: Followed::Nothing,
            ejected: None,
        }],
        ..record
    }
}

fn response(fields: &[(&str, &[u8])]) -> ResponseHead {
    let mut response = ResponseHead::default();
    for (name, value) in fields {
        response.headers.append(name.as_bytes(), value).unwrap();
    }
    response
}

fn with<T>(record: &Record, response: &ResponseHead, f: impl FnOnce(&Logged<'_>) -> T) -> T {
    with_tls(record, response, None, f)
}

fn with_tls<T>(
    record: &Record,
    response: &ResponseHead,
    tls: Option<&TlsFacts>,
    f: impl FnOnce(&Logged<'_>) -> T,
) -> T {
    let place = Place {
        hostname: "cart-0".into(),
        environment: [("ZONE".to_owned(), "b".to_owned())].into(),
    };
    f(&Logged {
        record,
        snapshot: &Snapshot::default(),
        response,
        around: AROUND,
        tls,
        place: &place,
    })
}

fn line(format: &LogFormat, record: &Record, response: &ResponseHead) -> String {
    let mut out = Vec::new();
    with(record, response, |logged| write(format, logged, &mut out));
    String::from_utf8_lossy(&out).into()
}

#[test]
fn text_has_istios_fields_in_order() {
    let record = record(&[
        ("user-agent", b"curl \"8\""),
        ("x-request-id", b"id"),
        ("x-forwarded-for", b"10.0.0.9"),
        ("x-envoy-original-path", b"/before"),
    ]);
    let response = response(&[("x-envoy-upstream-service-time", b"40")]);
    assert_eq!(
        line(&log_format::istio_text(), &record, &response),
        "[2026-11-23T04:00:00.123Z] \"GET /before HTTP/1.1\" 503 NR route_not_found - \"-\" 3 5 42 40 \
         \"10.0.0.9\" \"curl \"8\"\" \"id\" \"reviews:9080\" \"-\" - - 127.0.0.1:15001 127.0.0.1:4000 - allow_any\n"
    );
}

#[test]
fn what_never_became_a_request_is_dashes() {
    let record = Record {
        revision: None,
        status: 400,
        details: Details::None,
        ..record(&[])
    };
    let line = line(&log_format::istio_text(), &record, &response(&[]));
    assert!(line.contains("\"- - HTTP/1.1\" 400 - - - "), "{line}");
}

#[test]
fn json_has_istios_keys() {
    let record = record(&[("user-agent", b"a\"\xff")]);
    let line = line(&log_format::istio_json(), &record, &response(&[]));
    assert!(line.ends_with("}\n"));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), 24);
    assert_eq!(object["user_agent"], "a\"\u{fffd}");
    assert_eq!(object["response_code"], 503);
    assert_eq!(object["start_time"], "2026-11-23T04:00:00.123Z");
    assert_eq!(object["upstream_host"], serde_json::Value::Null);
    assert_eq!(object["downstream_local_address"], "127.0.0.1:15001");
}

/// What each operator makes of one request.
#[test]
fn operators_have_values() {
    let record = tried(record(&[
        ("x-a", b"first"),
        ("x-a", b"second"),
        (
            "traceparent",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("x-request-id", b"id"),
    ]));
    let response = response(&[("grpc-status", b"14"), ("x-b", b"long")]);
    for (operator, want) in [
        (
            "START_TIME(%Y/%m/%d %e %b %a %H:%M:%S %j %s %3f %z)",
            "2026/11/23 23 Nov Mon 04:00:00 327 1795406400 123 +0000",
        ),
        ("START_TIME(%F %T)", "2026-11-23 04:00:00"),
        ("EMIT_TIME(%6f)", "165000"),
        ("DURATION", "42"),
        ("REQUEST_DURATION", "10"),
        ("RESPONSE_DURATION", "30"),
        ("RESPONSE_TX_DURATION", "12"),
        ("COMMON_DURATION(US_CX_BEG:US_RX_BEG:us)", "18000"),
        ("REQ(X-A)", "first"),
        ("REQ(X-NONE?:PATH)", "/a?b=c&d&e=f"),
        ("REQ(:METHOD):2", "GE"),
        ("REQ_WITHOUT_QUERY(:PATH)", "/a"),
        ("REQ(:SCHEME)", "http"),
        ("RESP(X-B):3", "lon"),
        ("RESP(X-A)", "-"),
        ("PATH(NQ)", "/a"),
        ("PATH(WQ:PATH)", "/a?b=c&d&e=f"),
        ("PATH(WQ:ORIG)", "-"),
        ("QUERY_PARAM(b)", "c"),
        ("QUERY_PARAM(d)", ""),
        ("QUERY_PARAM(f)", "-"),
        ("QUERY_PARAMS", "b=c&d&e=f"),
        ("PROTOCOL", "HTTP/1.1"),
        ("UPSTREAM_PROTOCOL", "HTTP/1.1"),
        ("RESPONSE_CODE", "503"),
        ("RESPONSE_CODE_DETAILS", "route_not_found"),
        ("RESPONSE_FLAGS", "NR"),
        ("RESPONSE_FLAGS_LONG", "NoRouteFound"),
        ("GRPC_STATUS", "Unavailable"),
        ("GRPC_STATUS(SNAKE_STRING)", "UNAVAILABLE"),
        ("GRPC_STATUS_NUMBER", "14"),
        ("BYTES_RECEIVED", "3"),
        ("BYTES_SENT", "5"),
        ("ROUTE_NAME", "allow_any"),
        ("VIRTUAL_HOST_NAME", "allow_any"),
        ("UPSTREAM_HOST", "reviews:9080"),
        ("UPSTREAM_HOST_NAME", "reviews:9080"),
        ("UPSTREAM_CLUSTER", "PassthroughCluster"),
        ("UPSTREAM_REMOTE_ADDRESS", "-"),
        ("UPSTREAM_LOCAL_ADDRESS", "-"),
        ("DOWNSTREAM_REMOTE_ADDRESS", "127.0.0.1:4000"),
        ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", "127.0.0.1"),
        ("DOWNSTREAM_LOCAL_PORT", "15001"),
        ("UPSTREAM_REQUEST_ATTEMPT_COUNT", "1"),
        ("STREAM_ID", "id"),
        ("TRACE_ID", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("HOSTNAME", "cart-0"),
        ("ENVIRONMENT(ZONE)", "b"),
        ("ENVIRONMENT(NONE)", "-"),
        ("ACCESS_LOG_TYPE", "DownstreamEnd"),
        ("DYNAMIC_METADATA(a)", "-"),
    ] {
        let (format, faults) = log_format::written(&format!("%{operator}%"));
        assert!(
            faults.iter().all(|fault| !fault.is_error),
            "{operator}: {faults:?}"
        );
        assert_eq!(
            line(&format, &record, &response),
            format!("{want}\n"),
            "{operator}"
        );
    }
}

#[test]
fn a_call_ends_as_its_trailers_say() {
    let (format, _) = log_format::written("%GRPC_STATUS% %GRPC_STATUS_NUMBER%");
    let call = |of_trailers, of_head: &[(&str, &[u8])]| {
        let record = Record {
            status: 200,
            grpc_status: of_trailers,
            ..record(&[])
        };
        line(&format, &record, &response(of_head))
    };
    assert_eq!(call(Some(5), &[]), "NotFound 5\n");
    assert_eq!(call(Some(0), &[]), "OK 0\n");
    assert_eq!(call(Some(99), &[]), "99 99\n");
    assert_eq!(call(None, &[("grpc-status", b"14")]), "Unavailable 14\n");
    assert_eq!(call(None, &[]), "- -\n");
}

#[test]
fn what_is_empty_can_be_left_out() {
    let (text, _) = log_format::written("a=%REQ(X-NONE)% b=%BYTES_SENT%");
    let (json, _) = log_format::written(
        r#"{"a": "%REQ(X-NONE)%", "b": "%BYTES_SENT%", "c": "x%REQ(X-NONE)%", "d": "%REQ(X-LINE)%"}"#,
    );
    let record = record(&[("x-line", "\u{e9}\\".as_bytes())]);
    for (format, omits, want) in [
        (&text, false, "a=- b=5\n"),
        (&text, true, "a= b=5\n"),
        (
            &json,
            false,
            "{\"a\":null,\"b\":5,\"c\":\"x-\",\"d\":\"\u{e9}\\\\\"}\n",
        ),
        (&json, true, "{\"b\":5,\"c\":\"x-\",\"d\":\"\u{e9}\\\\\"}\n"),
    ] {
        let mut format = format.clone();
        format.set_omits_empty(omits);
        assert_eq!(line(&format, &record, &response(&[])), want);
    }
}

#[test]
fn filters_choose_requests() {
    use crate::config::cel;
    let record = tried(record(&[("x-a", b"b")]));
    let response = response(&[("grpc-status", b"14")]);
    for (condition, holds) in [
        ("response.code >= 400", true),
        ("response.code == 503 && request.method == 'GET'", true),
        ("!(response.code < 500)", true),
        (
            "request.path.startsWith('/a?') && request.url_path == '/a'",
            true,
        ),
        ("request.query.contains('e=f')", true),
        ("request.host == 'reviews:9080'", true),
        ("request.headers['x-a'] == 'b'", true),
        // What is not there decides nothing.
        ("request.headers['x-none'] == 'b'", false),
        ("request.headers['x-none'] != 'b'", false),
        ("!(request.headers['x-none'] == 'b')", false),
        (
            "request.headers['x-none'] == 'b' || response.code == 503",
            true,
        ),
        (
            "request.headers['x-none'] == 'b' && response.code == 503",
            false,
        ),
        (
            "!(request.headers['x-none'] == 'b' && response.code == 200)",
            true,
        ),
        ("has(request.headers['x-none'])", false),
        (
            "'x-a' in request.headers && !('x-none' in request.headers)",
            true,
        ),
        ("response.code in [500, 503]", true),
        ("request.path.matches('b=.&')", true),
        ("request.path.matches('^b=')", false),
        ("size(request.method) == 3", true),
        (
            "request.duration >= duration('42ms') && request.duration < duration('43ms')",
            true,
        ),
        (
            "response.flags == 256 && response.code_details == 'route_not_found'",
            true,
        ),
        ("response.grpc_status == 14", true),
        ("(response.code < 400 ? 'good' : 'bad') == 'bad'", true),
        (
            "source.port == 4000 && destination.address == '127.0.0.1:15001'",
            true,
        ),
        (
            "xds.cluster_name == 'PassthroughCluster' && xds.route_name == 'allow_any'",
            true,
        ),
        ("connection.mtls", false),
        ("response.size > request.size", true),
        ("response.code / 100 == 5 && response.code % 100 == 3", true),
        ("2 + 3 * 4 - 6 / 2 == 11 && (2 + 3) * 4 == 20", true),
        ("10 - 4 - 3 == 3 && -(1 + 2) == -3", true),
        ("1.5 + 0.25 == 1.75 && 3.0 / 2.0 > 1.4", true),
        ("double(response.code) / 2.0 == 251.5", true),
        ("response.code > 502.5 && 503.0 == response.code", true),
        ("request.host + request.url_path == 'reviews:9080/a'", true),
        ("string(response.code) + '!' == '503!'", true),
        ("int('41') + int(1.9) == 42", true),
        ("request.duration + duration('1s') < duration('1.1s')", true),
        // What has no result decides nothing.
        ("1 / 0 == 1 || 1 % 0 != 1", false),
        ("0x7fffffffffffffff + 1 != 0", false),
        ("int('x') == 0 || int(1e30) > 0", false),
        ("request.headers['x-none'] + 'a' != 'b'", false),
    ] {
        let log = AccessLog {
            path: "/dev/stdout".into(),
            format: log_format::istio_text().into(),
            filter: Some(cel::condition(condition).expect(condition).into()),
            only: None,
        };
        let taken = with(&record, &response, |logged| takes(&log, logged));
        assert_eq!(taken, holds, "{condition}");
    }
}

#[test]
fn only_some_requests_can_be_taken() {
    let good = || Record {
        status: 200,
        details: Details::ViaUpstream,
        ..record(&[])
    };
    let failed = || Record {
        status: 404,
        ..good()
    };
    let flagged = || Record {
        delayed: Some(Duration::from_millis(1)),
        ..good()
    };
    let gone = || Record {
        status: 0,
        ..good()
    };
    let errors = OnlySome {
        errors: true,
        ..OnlySome::default()
    };
    let slow = |millis| OnlySome {
        slow: Some(Duration::from_millis(millis)),
        ..OnlySome::default()
    };
    for (only, record, want) in [
        (errors, good(), false),
        (errors, failed(), true),
        (errors, flagged(), true),
        (errors, gone(), true),
        (slow(TOOK), good(), true),
        (slow(TOOK + 1), good(), false),
        (
            OnlySome {
                errors: true,
                ..slow(TOOK)
            },
            good(),
            true,
        ),
    ] {
        assert_eq!(is_one_of(only, &record), want, "{only:?} {}", record.status);
    }
    let sampled = OnlySome {
        sample: Some(PerMillion::from_percent(10.0)),
        ..OnlySome::default()
    };
    let taken = |seed| {
        let record = Record {
            entropy: Entropy(seed),
            ..good()
        };
        is_one_of(sampled, &record)
    };
    let count = (0..10_000).filter(|seed| taken(*seed)).count();
    assert!((800..1200).contains(&count), "{count}");
}

/// What a client proves is told, and nothing of a client in clear text.
#[test]
fn what_a_client_proves_is_told() {
    let format = "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_URI_SAN% \
        %DOWNSTREAM_PEER_DNS_SAN% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_FINGERPRINT_256%";
    let (format, faults) = log_format::written(format);
    assert!(faults.is_empty());
    let mut tls = TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        sni: Some("a.test".into()),
        alpn: None,
        resumed: false,
        peer: Some(PeerCertificate {
            uri_names: ["spiffe://td/ns/a/sa/b".into()].into(),
            dns_names: ["a.test".into(), "b.test".into()].into(),
            subject: "CN=a".into(),
            sha256: [0xab; 32],
        }),
    };
    let fingerprint = "ab".repeat(32);
    let whole = format!(
        "TLSv1.3 TLS_AES_128_GCM_SHA256 a.test spiffe://td/ns/a/sa/b a.test,b.test CN=a {fingerprint}"
    );
    let told = |tls: Option<&TlsFacts>| {
        let mut out = Vec::new();
        with_tls(&record(&[]), &response(&[]), tls, |logged| {
            write(&format, logged, &mut out);
        });
        String::from_utf8(out).unwrap().trim_end().to_owned()
    };
    assert_eq!(told(Some(&tls)), whole);
    tls.peer = None;
    assert_eq!(
        told(Some(&tls)),
        "TLSv1.3 TLS_AES_128_GCM_SHA256 a.test - - - -"
    );
    assert_eq!(told(None), "- - - - - - -");
}

/// What ends a connection and how much passed on it is said of connections alone.
#[test]
fn connections_have_ends_and_bytes_on_the_wire() {
    const FORMAT: &str = "%CONNECTION_TERMINATION_DETAILS% %RESPONSE_CODE_DETAILS% \
        %DOWNSTREAM_WIRE_BYTES_RECEIVED% %UPSTREAM_WIRE_BYTES_SENT% %DOWNSTREAM_WIRE_BYTES_SENT% %UPSTREAM_WIRE_BYTES_RECEIVED%";
    let (format, _) = log_format::written(FORMAT);
    let said = |record: &Record| line(&format, record, &response(&[]));
    let mut record = record(&[]);
    record.details = Details::MaxConnectionDuration;
    assert_eq!(said(&record), "- max_connection_duration_reached - - - -\n");
    record.connection = Some(Box::new(crate::decision::Connection {
        destination: ([10, 0, 0, 1], 5432).into(),
        to: "10.0.0.1:5432".into(),
        told_by: crate::decision::ToldBy::Destination,
        server_name: None,
    }));
    for (details, says) in [
        (
            Details::MaxConnectionDuration,
            "max_connection_duration_reached",
        ),
        (Details::ConnectionIdleTimeout, "tcp_session_idle_timeout"),
        (Details::NoHealthyUpstream, "-"),
        (Details::None, "-"),
    ] {
        record.details = details;
        assert_eq!(said(&record), format!("{says} - 3 3 5 5\n"));
    }
}
