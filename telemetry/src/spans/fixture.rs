//! Spans for tests.

use std::sync::Arc;
use std::time::Duration;

use outrigger_core::decision::{SpanId, TraceId};
use outrigger_core::snapshot::{
    Address, Collector, CollectorAddress, CollectorProtocol, Propagation, TracePolicy,
};

use super::span::{Kind, Span, Tag, Told};

/// A collector at an address.
pub(crate) fn collector(protocol: CollectorProtocol, address: Address) -> Collector {
    Collector {
        name: "test".into(),
        protocol,
        authority: "collector.test:1".into(),
        addresses: Box::new([CollectorAddress { address, tls: None }]),
        headers: Box::default(),
        timeout: Duration::from_secs(5),
    }
}

pub(crate) fn policy(service: &str, collector: Collector) -> Arc<TracePolicy> {
    Arc::new(TracePolicy {
        sampled_of_10000: 100,
        by_request_id: true,
        propagation: Propagation::W3c,
        tags: Box::default(),
        max_path_tag_length: 256,
        service: service.into(),
        collector: Arc::new(collector),
    })
}

/// A request that a service was asked, and an attempt that failed.
pub(crate) fn told(policy: Arc<TracePolicy>) -> Told {
    let trace = TraceId {
        number: 0xab << 64 | 0xcd,
        is_short: false,
    };
    let request = Span {
        trace,
        id: SpanId(0x11),
        parent: Some(SpanId(0x22)),
        is_entry: true,
        kind: Kind::Server,
        name: "cart.shop:8080/*".into(),
        began: Duration::from_micros(1_000_001),
        lasted: Duration::from_nanos(2_500),
        error: None,
        tags: vec![Tag::new("component", "proxy")],
        remote: Some(([10, 0, 0, 1], 4000).into()),
    };
    let attempt = Span {
        id: SpanId(0x33),
        parent: Some(SpanId(0x11)),
        is_entry: false,
        kind: Kind::Client,
        name: "router inbound|8080|| egress".into(),
        lasted: Duration::from_nanos(7),
        error: Some("connection timeout".into()),
        tags: vec![Tag::new("error", "true")],
        remote: None,
        ..request
    };
    Told {
        policy,
        spans: vec![request, attempt],
    }
}
