//! What is encoded, read again, and what collectors answer.

use outrigger_core::snapshot::{Address, CollectorProtocol};

use super::messages::{ExportTracePartialSuccess, ExportTraceServiceRequest};
use super::*;
use crate::spans::fixture::{collector, policy, told};

#[test]
fn each_workload_is_a_resource_and_each_span_whole() {
    let at = || collector(CollectorProtocol::OtlpGrpc, Address::Name("c".into(), 1));
    let batch = ["cart.shop", "cart.shop", "web.shop"].map(|name| told(policy(name, at())));
    let identity = Identity {
        resource: vec![("k8s.pod.name".into(), "cart-1".into())],
        ..Identity::default()
    };
    let read = ExportTraceServiceRequest::decode(&*encode(&batch, &identity)).unwrap();
    let counts: Vec<_> = read
        .resource_spans
        .iter()
        .map(|resource| resource.scope_spans[0].spans.len())
        .collect();
    assert_eq!(counts, [4, 2]);
    let resource = read.resource_spans[0].resource.as_ref().unwrap();
    let attributes = [
        attribute("service.name", "cart.shop"),
        attribute("k8s.pod.name", "cart-1"),
    ];
    assert_eq!(resource.attributes, attributes);
    let spans = &read.resource_spans[1].scope_spans[0].spans;
    let mut trace_id = vec![0; 16];
    (trace_id[7], trace_id[15]) = (0xab, 0xcd);
    let request = messages::Span {
        trace_id: trace_id.clone(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 0x11],
        parent_span_id: vec![0, 0, 0, 0, 0, 0, 0, 0x22],
        name: "cart.shop:8080/*".into(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: 1_000_001_000,
        end_time_unix_nano: 1_000_003_500,
        attributes: vec![attribute("component", "proxy")],
        status: None,
        flags: 0x301,
    };
    let attempt = messages::Span {
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 0x33],
        parent_span_id: request.span_id.clone(),
        name: "router inbound|8080|| egress".into(),
        kind: SpanKind::Client.into(),
        end_time_unix_nano: 1_000_001_007,
        attributes: vec![attribute("error", "true")],
        status: Some(Status {
            message: "connection timeout".into(),
            code: StatusCode::Error.into(),
        }),
        flags: 0x101,
        ..request.clone()
    };
    assert_eq!(*spans, [request, attempt]);
}

#[test]
fn what_a_collector_refuses_is_read() {
    let answer = |rejected_spans| {
        let partial_success = Some(ExportTracePartialSuccess {
            rejected_spans,
            error_message: "too old".into(),
        });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    };
    assert_eq!(rejected(&answer(3)), Some(3));
    assert_eq!(rejected(&answer(-1)), Some(0));
    assert_eq!(rejected(b""), Some(0));
    assert_eq!(rejected(b"no message"), None);
}
