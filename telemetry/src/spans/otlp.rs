//! Spans as OTLP sends them: one message for a batch, a resource for each workload's name in it.

mod messages;

use std::time::Duration;

use prost::Message as _;

use self::messages::{
    AnyValue, ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope,
    KeyValue, Resource, ResourceSpans, ScopeSpans, SpanKind, Status, StatusCode, Value,
};
use super::identity::Identity;
use super::span::{Kind, Span, Told};

/// The parent of a span is known to be elsewhere, or here (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`), and it is sampled.
const FLAGS: u32 = 0x100 | 1;

/// The parent is elsewhere (`SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`).
const REMOTE: u32 = 0x200;

/// Encodes a batch.
pub(crate) fn encode(batch: &[Told], identity: &Identity) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::default();
    let mut services: Vec<&str> = batch.iter().map(|told| &*told.policy.service).collect();
    services.sort_unstable();
    services.dedup();
    for service in services {
        let of_service = batch.iter().filter(|told| *told.policy.service == *service);
        let mut attributes = vec![attribute("service.name", service)];
        let more = identity.resource.iter();
        attributes.extend(more.map(|(name, value)| attribute(name, value)));
        request.resource_spans.push(ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "outrigger".into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                }),
                spans: of_service.flat_map(|told| &told.spans).map(span).collect(),
            }],
        });
    }
    request.encode_to_vec()
}

/// How many spans of a batch a collector says that it has refused; `None` when its answer makes no sense.
pub(crate) fn rejected(answer: &[u8]) -> Option<u64> {
    let answer = ExportTraceServiceResponse::decode(answer).ok()?;
    let rejected = answer
        .partial_success
        .map_or(0, |partial| partial.rejected_spans);
    Some(u64::try_from(rejected).unwrap_or(0))
}

fn span(span: &Span) -> messages::Span {
    let parent = span.parent.map(|parent| parent.0.to_be_bytes().to_vec());
    messages::Span {
        trace_id: span.trace.number.to_be_bytes().to_vec(),
        span_id: span.id.0.to_be_bytes().to_vec(),
        parent_span_id: parent.unwrap_or_default(),
        name: span.name.clone(),
        kind: match span.kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
        }
        .into(),
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(span.began + span.lasted),
        attributes: (span.tags.iter())
            .map(|tag| attribute(&tag.name, &tag.value))
            .collect(),
        status: span.error.as_ref().map(|error| Status {
            message: error.clone(),
            code: StatusCode::Error.into(),
        }),
        flags: if span.is_entry { FLAGS | REMOTE } else { FLAGS },
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::String(value.to_owned())),
        }),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
