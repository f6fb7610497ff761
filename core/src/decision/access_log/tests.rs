//! Lines as a reader of Istio's access log knows them.

use super::*;
use crate::decision::Details;
use crate::message::RequestHead;
use crate::snapshot::Snapshot;
use crate::time::Instant;

const AROUND: Surroundings = Surroundings {
    began: Duration::from_millis(1_795_406_400_123),
    downstream_remote: SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 4000),
    downstream_local: SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 15001),
    upstream_local: None,
};

fn record(fields: &[(&str, &[u8])]) -> Record {
    let mut request = RequestHead {
        authority: b"reviews:9080".to_vec(),
        path: b"/a?b".to_vec(),
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
        ended: Instant::from_millis(1042),
        ..Record::default()
    }
}

fn line(record: &Record) -> String {
    let mut out = Vec::new();
    text(record, &Snapshot::default(), &AROUND, &mut out);
    String::from_utf8_lossy(&out).into()
}

#[test]
fn text_has_istios_fields_in_order() {
    let mut record = record(&[
        ("user-agent", b"curl \"8\""),
        ("x-request-id", b"id"),
        ("x-forwarded-for", b"10.0.0.9"),
        ("x-envoy-original-path", b"/before"),
    ]);
    record.upstream_service_ms = Some(40);
    assert_eq!(
        line(&record),
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
    assert!(
        line(&record).contains("\"- - HTTP/1.1\" 400 - "),
        "{}",
        line(&record)
    );
}

#[test]
fn json_has_istios_keys() {
    let mut out = Vec::new();
    let record = record(&[("user-agent", b"a\"\xff")]);
    json(&record, &Snapshot::default(), &AROUND, &mut out);
    assert_eq!(out.pop(), Some(b'\n'));
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), 24);
    assert_eq!(object["user_agent"], "a\"\u{fffd}");
    assert_eq!(object["response_code"], 503);
    assert_eq!(object["start_time"], "2026-11-23T04:00:00.123Z");
    assert_eq!(object["upstream_host"], serde_json::Value::Null);
    assert_eq!(object["downstream_local_address"], "127.0.0.1:15001");
}

#[test]
fn dates_follow_the_calendar() {
    // Seconds since 1970 and the date, as `date -u -d @N +%F` prints it.
    for (seconds, want) in [
        (0, "1970-01-01"),
        (68_169_599, "1972-02-28"),
        (68_169_600, "1972-02-29"),
        (68_256_000, "1972-03-01"),
        (946_684_799, "1999-12-31"),
        (951_782_400, "2000-02-29"),
        (4_107_542_400, "2100-03-01"),
        (253_402_300_799, "9999-12-31"),
    ] {
        let text = StartTime(Duration::from_secs(seconds)).to_string();
        assert_eq!(text.get(..10), Some(want), "{seconds}");
    }
}
