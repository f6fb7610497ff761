//! How requests are traced, and where their spans go. Values of headers for collectors are secrets, and stay out.

use outrigger_core::snapshot::{
    CollectorProtocol, Propagation, TagValue, TracePolicy, TraceTag, Tracing,
};
use serde_json::{Value, json};

/// Both directions; `null` where nothing is traced.
pub(super) fn of(tracing: &Tracing) -> Value {
    json!({
        "outbound": tracing.outbound.as_deref().map(policy),
        "inbound": tracing.inbound.as_deref().map(policy),
    })
}

fn policy(policy: &TracePolicy) -> Value {
    let collector = &policy.collector;
    let (protocol, path) = match &collector.protocol {
        CollectorProtocol::OtlpGrpc => ("OTLP over gRPC", None),
        CollectorProtocol::OtlpHttp { path } => ("OTLP over HTTP", Some(path)),
        CollectorProtocol::Zipkin { path } => ("Zipkin v2 JSON", Some(path)),
    };
    json!({
        "sampled_percent": f64::from(policy.sampled_of_10000) / 100.0,
        "by_request_id": policy.by_request_id,
        "propagation": propagation(policy.propagation),
        "tags": policy.tags.iter().map(tag).collect::<serde_json::Map<_, _>>(),
        "max_path_tag_length": policy.max_path_tag_length,
        "service": policy.service,
        "collector": {
            "name": collector.name,
            "protocol": protocol,
            "path": path,
            "authority": collector.authority,
            "addresses": collector.addresses.iter().map(|of| of.address.to_string()).collect::<Vec<_>>(),
            "headers": collector.headers.iter().map(|h| h.name.as_str()).collect::<Vec<_>>(),
            "timeout_ms": collector.timeout.as_millis() as u64,
        },
    })
}

fn propagation(propagation: Propagation) -> Value {
    match propagation {
        Propagation::W3c => json!(["W3C"]),
        Propagation::B3 {
            with_w3c: false, ..
        } => json!(["B3"]),
        Propagation::B3 { with_w3c: true, .. } => json!(["B3", "W3C"]),
        Propagation::Off => json!([]),
    }
}

fn tag(tag: &TraceTag) -> (String, Value) {
    let value = match &tag.value {
        TagValue::Literal(text) => json!({ "literal": text }),
        TagValue::Header { name, default } => {
            json!({ "header": name.as_str(), "default": default })
        }
        TagValue::Environment { name, default } => {
            json!({ "environment": name, "default": default })
        }
        TagValue::Formatted { written, .. } => json!({ "formatter": written }),
    };
    (tag.name.to_string(), value)
}
