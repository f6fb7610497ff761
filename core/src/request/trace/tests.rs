//! What a request is part of, and what endpoints are told, by policies and by what callers say.

use std::sync::Arc;

use super::*;
use crate::decision::{Sampled, TraceForms};
use crate::message::Known;
use crate::snapshot::{Collector, CollectorProtocol};
use crate::time::Duration;

const CAME: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const B3: Propagation = Propagation::B3 {
    is_short: false,
    with_w3c: false,
};

fn policy(propagation: Propagation, sampled_of_10000: u16) -> TracePolicy {
    TracePolicy {
        sampled_of_10000,
        by_request_id: true,
        propagation,
        tags: Box::default(),
        max_path_tag_length: 256,
        service: "cart.shop".into(),
        collector: Arc::new(Collector {
            name: "otel".into(),
            protocol: CollectorProtocol::OtlpGrpc,
            authority: "otel:4317".into(),
            addresses: Box::default(),
            headers: Box::default(),
            timeout: Duration::from_secs(5),
        }),
    }
}

/// The record of a request with these fields, whose trace has been joined and whose endpoint has been told.
fn sent(policy: &TracePolicy, fields: &[(&str, &str)]) -> Record {
    let mut record = Record {
        entropy: Entropy(7),
        ..Record::default()
    };
    for (name, value) in fields {
        let headers = &mut record.request.headers;
        headers.append(name.as_bytes(), value.as_bytes()).unwrap();
    }
    join(policy, &mut record);
    announce(&mut record);
    record
}

fn field(record: &Record, name: Known) -> &str {
    let value = record.request.headers.get(name);
    value.map_or("", |value| std::str::from_utf8(value).unwrap())
}

#[test]
fn a_trace_is_continued_and_each_attempt_has_a_span() {
    let mut record = sent(
        &policy(Propagation::W3c, 0),
        &[("traceparent", CAME), ("tracestate", "a=1")],
    );
    let trace = record.trace.unwrap();
    assert_eq!(trace.id.to_string(), &CAME[3..35]);
    assert_eq!(trace.parent.unwrap().to_string(), &CAME[36..52]);
    assert_eq!(trace.sampled, Sampled::ByCaller(true));
    let first = SpanId::of_try(record.entropy, 0);
    assert_ne!(first, trace.span);
    let told = |span: SpanId| format!("00-{}-{span}-01", &CAME[3..35]);
    assert_eq!(field(&record, Known::Traceparent), told(first));
    assert_eq!(field(&record, Known::Tracestate), "a=1");
    record.retries = 1;
    announce(&mut record);
    let second = SpanId::of_try(record.entropy, 1);
    assert_eq!(field(&record, Known::Traceparent), told(second));
    assert_ne!(first, second);
}

#[test]
fn a_trace_that_is_not_sampled_passes_as_it_came() {
    let came = CAME.replace("-01", "-00");
    let record = sent(
        &policy(B3, 10_000),
        &[("traceparent", &came), ("tracestate", "a=1")],
    );
    assert_eq!(record.trace.unwrap().sampled, Sampled::ByCaller(false));
    assert_eq!(field(&record, Known::Traceparent), came);
    assert_eq!(record.request.headers.len(), 2);
}

#[test]
fn a_trace_that_begins_here_is_told_in_the_form_of_its_collector() {
    for (propagation, sampled, want) in [
        (Propagation::W3c, true, &["traceparent"][..]),
        (Propagation::W3c, false, &["traceparent"]),
        (
            B3,
            true,
            &[
                "x-b3-traceid",
                "x-b3-spanid",
                "x-b3-parentspanid",
                "x-b3-sampled",
            ],
        ),
        (B3, false, &["x-b3-sampled"]),
        (
            Propagation::B3 {
                is_short: true,
                with_w3c: true,
            },
            true,
            &[
                "traceparent",
                "x-b3-traceid",
                "x-b3-spanid",
                "x-b3-parentspanid",
                "x-b3-sampled",
            ],
        ),
        (Propagation::Off, true, &[]),
        (Propagation::Off, false, &[]),
    ] {
        let share = if sampled { 10_000 } else { 0 };
        let record = sent(&policy(propagation, share), &[]);
        let names = record.request.headers.iter();
        let names: Vec<_> = names
            .map(|f| String::from_utf8_lossy(f.name).into_owned())
            .collect();
        assert_eq!(names, want, "{propagation:?} {sampled}");
        let trace = record.trace.unwrap();
        assert_eq!(
            (trace.sampled, trace.parent),
            (Sampled::ByChance(sampled), None)
        );
        let is_short = matches!(propagation, Propagation::B3 { is_short: true, .. });
        assert_eq!(trace.id.number >> 64 == 0, is_short);
    }
}

#[test]
fn who_came_with_one_header_leaves_with_one() {
    let came = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d";
    let record = sent(&policy(B3, 0), &[("b3", came)]);
    let (trace, span) = (record.trace.unwrap(), SpanId::of_try(record.entropy, 0));
    let want = format!("{}-{span}-d-{}", &came[..32], trace.span);
    assert_eq!(field(&record, Known::B3), want);
    assert_eq!(record.request.headers.len(), 1);
    assert!(trace.is_debug);
}

#[test]
fn what_is_broken_is_begun_anew_without_its_state() {
    let fields = [
        ("traceparent", "00-broken"),
        ("tracestate", "a=1"),
        ("b3", "0"),
    ];
    let record = sent(&policy(Propagation::W3c, 10_000), &fields);
    let trace = record.trace.unwrap();
    assert_eq!(
        (trace.parent, trace.sampled),
        (None, Sampled::ByCaller(false))
    );
    let told = format!("00-{}-{}-00", trace.id, trace.span);
    assert_eq!(field(&record, Known::Traceparent), told);
    assert_eq!(field(&record, Known::B3), "0");
    assert!(record.request.headers.get(Known::Tracestate).is_none());
}

#[test]
fn the_decision_stands_in_the_request_id() {
    let id = "00000000-7777-4777-8777-777777777777";
    for (by_request_id, want) in [(true, id.replace("-4", "-9")), (false, id.to_owned())] {
        let policy = TracePolicy {
            by_request_id,
            ..policy(Propagation::W3c, 10_000)
        };
        let record = sent(&policy, &[("x-request-id", id)]);
        assert_eq!(field(&record, Known::XRequestId), want);
    }
}

#[test]
fn a_copy_is_a_span_below_the_request() {
    let original = sent(&policy(Propagation::W3c, 0), &[("traceparent", CAME)]);
    let mut record = Record {
        entropy: Entropy(8),
        request: original.request.clone(),
        ..Record::default()
    };
    copy(&original, &mut record);
    let (of, trace) = (original.trace.unwrap(), record.trace.unwrap());
    assert_eq!((trace.id, trace.parent), (of.id, Some(of.span)));
    let told = format!("00-{}-{}-01", of.id, SpanId::of_try(Entropy(8), 0));
    assert_eq!(field(&record, Known::Traceparent), told);
}

#[test]
fn names_of_the_same_request_are_the_same() {
    let policy = policy(Propagation::W3c, 10_000);
    let (one, other) = (sent(&policy, &[]), sent(&policy, &[]));
    assert_eq!(one.trace, other.trace);
    assert_eq!(
        one.trace.unwrap().forms,
        TraceForms {
            w3c: true,
            ..TraceForms::NONE
        }
    );
}
