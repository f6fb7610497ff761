//! Spans as Zipkin takes them: JSON, version 2 (`POST /api/v2/spans`).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::identity::Identity;
use super::span::{Kind, Span, Told};

/// Encodes a batch.
pub(crate) fn encode(batch: &[Told], identity: &Identity) -> Vec<u8> {
    let spans = batch.iter().flat_map(|told| {
        let local = Endpoint::of(Some(&told.policy.service), identity.addr);
        told.spans
            .iter()
            .map(move |span| ZipkinSpan::new(span, local))
    });
    let spans: Vec<_> = spans.collect();
    // Texts and numbers alone, into memory.
    serde_json::to_vec(&spans).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ZipkinSpan<'a> {
    trace_id: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    kind: &'static str,
    name: &'a str,
    /// Microseconds since 1970-01-01 UTC.
    timestamp: u64,
    /// Microseconds; one at least, because zero stands for unknown.
    duration: u64,
    local_endpoint: Endpoint<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_endpoint: Option<Endpoint<'a>>,
    tags: BTreeMap<&'a str, &'a str>,
}

impl<'a> ZipkinSpan<'a> {
    fn new(span: &'a Span, local_endpoint: Endpoint<'a>) -> Self {
        let tags = span.tags.iter().map(|tag| (&*tag.name, &*tag.value));
        let mut tags: BTreeMap<_, _> = tags.collect();
        // A reason says more than `true`, and Zipkin takes any.
        if let Some(error) = &span.error {
            tags.insert("outrigger.error", error);
        }
        Self {
            trace_id: span.trace.to_string(),
            id: span.id.to_string(),
            parent_id: span.parent.map(|parent| parent.to_string()),
            kind: match span.kind {
                Kind::Server => "SERVER",
                Kind::Client => "CLIENT",
            },
            name: &span.name,
            timestamp: micros(span.began),
            duration: micros(span.lasted).max(1),
            local_endpoint,
            remote_endpoint: span.remote.map(|addr| Endpoint::of(None, Some(addr))),
            tags,
        }
    }
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

impl<'a> Endpoint<'a> {
    fn of(service_name: Option<&'a str>, addr: Option<SocketAddr>) -> Self {
        let ip = addr.map(|addr| addr.ip());
        Self {
            service_name,
            ipv4: ip.filter(IpAddr::is_ipv4),
            ipv6: ip.filter(IpAddr::is_ipv6),
            port: addr.map(|addr| addr.port()).filter(|port| *port > 0),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
