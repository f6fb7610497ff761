//! What is said of requests that went well, and of those that did not.

use outrigger_core::compile::from_yaml;
use outrigger_core::config::log_format;
use outrigger_core::decision::{
    Details, Picked, PickedBy, ResetReason, Sampled, SpanId, TraceForms, TraceId,
};
use outrigger_core::entropy::Entropy;
use outrigger_core::message::{FieldName, ResponseHead};
use outrigger_core::peer::{ExchangeId, Peer};
use outrigger_core::snapshot::telemetry::LogText;
use outrigger_core::snapshot::{ClusterId, CollectorProtocol, TraceTag, Tracing, VirtualHostId};
use outrigger_core::time::Instant;
use outrigger_core::worker::Facts;

use super::*;
use crate::spans::fixture::{collector, policy};

const SHOP: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example]
  http:
  - {match: [{uri: {prefix: /in}}], route: [{destination: {host: shop.example}}]}
  - {match: [{uri: {exact: /one}}], route: [{destination: {host: shop.example}}]}
  - {match: [{uri: {regex: '/a+'}}], route: [{destination: {host: shop.example}}]}
  - {route: [{destination: {host: shop.example}}]}
";

/// A configuration with `shop.example` and these tags.
fn snapshot(tags: Vec<TraceTag>) -> Arc<Snapshot> {
    let mut snapshot = from_yaml(SHOP).snapshot;
    let collector = collector(CollectorProtocol::OtlpGrpc, Address::Name("c".into(), 1));
    let mut policy = (*policy("web.default", collector)).clone();
    policy.tags = tags.into();
    policy.max_path_tag_length = 8;
    let policy = Arc::new(policy);
    snapshot.tracing = Tracing {
        outbound: Some(Arc::clone(&policy)),
        inbound: Some(policy),
    };
    Arc::new(snapshot)
}

fn trace() -> Trace {
    Trace {
        id: TraceId {
            number: 7,
            is_short: false,
        },
        parent: Some(SpanId(5)),
        span: SpanId::of_request(Entropy(1)),
        sampled: Sampled::ByChance(true),
        is_debug: false,
        forms: TraceForms::NONE,
    }
}

/// A request by the rule at this position that was answered with a status, from 100 ms to 200 ms.
fn record(rule: u32, status: u16) -> Record {
    let mut record = Record::default();
    record.restart(Instant::from_millis(100), Entropy(1));
    record.revision = Some(1);
    record.ended = Instant::from_millis(200);
    record.trace = Some(trace());
    record.request.authority = b"shop.example".to_vec();
    record.request.path = b"/in/side".to_vec();
    record.route = RouteDecision::Rule {
        virtual_host: VirtualHostId(0),
        rule,
        destination: Some(0),
    };
    (record.status, record.details) = (status, Details::ViaUpstream);
    record
}

fn attempt(from: u64, until: u64, end: AttemptEnd) -> Attempt {
    Attempt {
        cluster: Some(ClusterId(0)),
        endpoint: 0,
        picked: Picked::simply(PickedBy::Only),
        reused: false,
        began: Instant::from_millis(from),
        end,
        ended: Instant::from_millis(until),
        followed: Followed::Nothing,
        ejected: None,
    }
}

fn told(record: &Record, snapshot: &Arc<Snapshot>, listener: ListenerKind) -> Vec<Span> {
    let ended = Ended {
        id: ExchangeId::default(),
        record,
        snapshot,
        response: &ResponseHead::default(),
        peer: Peer {
            remote: ([10, 0, 0, 9], 4000).into(),
            local: ([127, 0, 0, 1], 15001).into(),
            original: None,
            listener,
        },
        listener: Some(0),
        facts: &Facts::CLEAR,
        client_tls: None,
        now: record.ended,
    };
    spans(&ended, "node", &Place::default()).unwrap().spans
}

fn tag<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let mut tags = span.tags.iter().filter(|tag| tag.name == name);
    let found = tags.next().map(|tag| &*tag.value);
    assert!(tags.next().is_none(), "`{name}` is there once");
    found
}

#[test]
fn a_request_is_called_by_what_its_rule_leads_to() {
    let snapshot = snapshot(Vec::new());
    for (rule, want) in [
        (0, "shop.example:80/in*"),
        (1, "shop.example:80/one"),
        (2, "shop.example:80/a+"),
        (3, "shop.example:80/*"),
    ] {
        let spans = told(&record(rule, 200), &snapshot, ListenerKind::Outbound);
        assert_eq!((&*spans[0].name, spans[0].kind), (want, Kind::Client));
    }
    let mut nowhere = record(0, 404);
    nowhere.route = RouteDecision::UnknownHost;
    let name = |listener| told(&nowhere, &snapshot, listener)[0].name.clone();
    assert_eq!(name(ListenerKind::Outbound), "egress shop.example");
    assert_eq!(name(ListenerKind::Inbound(0)), "ingress");
    let mut mirror = record(0, 200);
    mirror.route = RouteDecision::Mirror {
        virtual_host: VirtualHostId(0),
        rule: 0,
        mirror: 0,
    };
    let spans = told(&mirror, &snapshot, ListenerKind::Outbound);
    assert_eq!(spans[0].name, "mirror of shop.example:80");
    assert!(!spans[0].is_entry, "its parent is our own");
}

#[test]
fn each_attempt_is_a_span_with_the_reason_of_its_end() {
    let snapshot = snapshot(Vec::new());
    let mut record = record(0, 200);
    let wait = Duration::from_millis(5);
    record.attempts.extend([
        attempt(110, 111, AttemptEnd::StaleConnection),
        Attempt {
            followed: Followed::Retry { wait },
            ..attempt(111, 120, AttemptEnd::Reset(ResetReason::ConnectionTimeout))
        },
        attempt(125, 130, AttemptEnd::Response(200)),
    ]);
    record.retries = 1;
    let spans = told(&record, &snapshot, ListenerKind::Inbound(0));
    let [request, stale, failed, good] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(
        (request.kind, request.parent),
        (Kind::Server, Some(SpanId(5)))
    );
    assert_eq!(tag(request, "retry_count"), Some("1"));
    assert_eq!(
        tag(request, "upstream_cluster"),
        Some("outbound|80||shop.example")
    );
    assert_eq!((tag(request, "error"), &request.error), (None, &None));
    for span in [stale, failed, good] {
        assert_eq!((span.parent, span.kind), (Some(request.id), Kind::Client));
        assert_eq!(span.name, "router outbound|80||shop.example egress");
        assert_eq!(tag(span, "upstream_address"), Some("10.0.0.1:80"));
    }
    // What endpoints were told.
    assert_eq!(failed.id, SpanId::of_try(Entropy(1), 0));
    assert_eq!(good.id, SpanId::of_try(Entropy(1), 1));
    assert_ne!(stale.id, failed.id);
    let times = |span: &Span| {
        (
            (span.began - request.began).as_millis(),
            span.lasted.as_millis(),
        )
    };
    assert_eq!(
        [stale, failed, good].map(times),
        [(10, 1), (11, 9), (25, 75)]
    );
    assert_eq!(tag(failed, "error"), Some("true"));
    assert_eq!(failed.error.as_deref(), tag(failed, "outrigger.end"));
    let followed = Followed::Retry { wait }.to_string();
    assert_eq!(tag(failed, "outrigger.followed"), Some(&*followed));
    assert_eq!((tag(stale, "error"), tag(good, "error")), (None, None));
    assert_eq!(tag(good, "http.status_code"), Some("200"));
}

#[test]
fn what_is_an_error() {
    let snapshot = snapshot(Vec::new());
    for (status, end, is_error) in [
        (200, AttemptEnd::Response(200), false),
        (404, AttemptEnd::Response(404), false),
        (503, AttemptEnd::Response(503), true),
        (0, AttemptEnd::Cancelled, true),
        (
            200,
            AttemptEnd::Call {
                status: 200,
                code: 0,
            },
            false,
        ),
        (
            200,
            AttemptEnd::Call {
                status: 200,
                code: 5,
            },
            false,
        ),
        (
            200,
            AttemptEnd::Call {
                status: 200,
                code: 14,
            },
            true,
        ),
    ] {
        let mut record = record(0, status);
        record.attempts.push(attempt(110, 120, end));
        let spans = told(&record, &snapshot, ListenerKind::Outbound);
        let errors = [tag(&spans[0], "error"), tag(&spans[1], "error")];
        let want = is_error.then_some("true");
        let of_attempt = want.filter(|_| end != AttemptEnd::Cancelled);
        assert_eq!(errors, [want, of_attempt], "{status} {end:?}");
    }
}

#[test]
fn tags_of_the_user_go_before_the_usual_ones() {
    let literal = |name: &str, value: &str| TraceTag {
        name: name.into(),
        value: TagValue::Literal(value.into()),
    };
    let header = |name: &str, of: &str, default: &str| TraceTag {
        name: name.into(),
        value: TagValue::Header {
            name: FieldName::new(of).unwrap(),
            default: default.into(),
        },
    };
    let formatted = |name: &str, written: &str| TraceTag {
        name: name.into(),
        value: TagValue::Formatted {
            text: LogText {
                omits_empty: true,
                ..log_format::text(written, &mut Vec::new())
            },
            written: written.into(),
        },
    };
    let snapshot = snapshot(vec![
        literal("component", "mine"),
        header("user", "x-user", "nobody"),
        header("other", "x-other", "nobody"),
        header("none", "x-other", ""),
        formatted(
            "formatted",
            "%REQ(:METHOD)% %RESPONSE_CODE% of %HOSTNAME%%REQ(x-other)%",
        ),
        formatted("trace", "%TRACE_ID%"),
        formatted("nothing", "%REQ(x-other)%"),
    ]);
    let mut record = record(0, 200);
    record.request.headers.append(b"x-user", b"me").unwrap();
    record.request.path = b"/in/side/more".to_vec();
    let spans = told(&record, &snapshot, ListenerKind::Outbound);
    for (name, want) in [
        ("component", Some("mine")),
        ("user", Some("me")),
        ("other", Some("nobody")),
        ("none", None),
        ("http.url", Some("http://shop.example/in/side")),
        ("user_agent", Some("-")),
        ("peer.address", Some("10.0.0.9")),
        ("node_id", Some("node")),
        ("formatted", Some("GET 200 of ")),
        ("trace", Some(&*trace().id.to_string())),
        ("nothing", None),
        ("grpc.path", None),
    ] {
        assert_eq!(tag(&spans[0], name), want, "{name}");
    }
}

#[test]
fn what_is_not_sampled_is_not_told() {
    let snapshot = snapshot(Vec::new());
    let mut record = record(0, 200);
    record.trace = Some(Trace {
        sampled: Sampled::ByChance(false),
        ..trace()
    });
    let ended = Ended {
        id: ExchangeId::default(),
        record: &record,
        snapshot: &snapshot,
        response: &ResponseHead::default(),
        peer: Peer {
            remote: ([10, 0, 0, 9], 4000).into(),
            local: ([127, 0, 0, 1], 15001).into(),
            original: None,
            listener: ListenerKind::Outbound,
        },
        listener: Some(0),
        facts: &Facts::CLEAR,
        client_tls: None,
        now: record.ended,
    };
    assert!(spans(&ended, "node", &Place::default()).is_none());
}

#[test]
fn a_call_of_grpc_says_how_it_went() {
    let snapshot = snapshot(Vec::new());
    for (code, is_error) in [(0, false), (5, false), (13, true)] {
        let mut record = record(0, 200);
        let headers = &mut record.request.headers;
        headers
            .append(b"content-type", b"application/grpc+proto")
            .unwrap();
        headers.append(b"grpc-timeout", b"1S").unwrap();
        // In its trailers.
        record.grpc_status = Some(code);
        record
            .attempts
            .push(attempt(110, 120, AttemptEnd::Response(200)));
        let spans = told(&record, &snapshot, ListenerKind::Outbound);
        let code = code.to_string();
        for (name, want) in [
            ("grpc.status_code", Some(&*code)),
            ("grpc.path", Some("/in/side")),
            ("grpc.authority", Some("shop.example")),
            ("grpc.content_type", Some("application/grpc+proto")),
            ("grpc.timeout", Some("1S")),
            ("grpc.message", None),
            ("error", is_error.then_some("true")),
        ] {
            assert_eq!(tag(&spans[0], name), want, "{name} of {code}");
        }
    }
}
