//! Whether and how requests are traced, and where their spans go.
//!
//! `compile::tracing` makes it of Telemetry resources, the mesh configuration and the command line. Who decides about a
//! request is `policy::sampling`; who sends spans is no part of core.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::telemetry::LogText;
use super::{Address, ClientTls};
use crate::message::FieldName;
use crate::time::Duration;

/// How requests of each direction are traced; `None` is not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracing {
    /// Those that the application sends (`CLIENT`).
    pub outbound: Option<Arc<TracePolicy>>,
    /// Those that it receives (`SERVER`).
    pub inbound: Option<Arc<TracePolicy>>,
}

impl Tracing {
    /// Whoever takes spans; the same one twice where it takes those of both directions.
    pub fn collectors(&self) -> impl Iterator<Item = &Collector> {
        let both = [&self.outbound, &self.inbound].into_iter().flatten();
        both.map(|policy| &*policy.collector)
    }

    /// How requests of a direction are traced.
    #[must_use]
    pub const fn of(&self, is_inbound: bool) -> Option<&Arc<TracePolicy>> {
        match is_inbound {
            false => self.outbound.as_ref(),
            true => self.inbound.as_ref(),
        }
    }
}

/// How requests are traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracePolicy {
    /// Of 10,000 requests about which nobody has decided, how many are sampled (Envoy's `random_sampling`).
    pub sampled_of_10000: u16,
    /// `x-request-id` decides which those are, and carries the decision on.
    pub by_request_id: bool,
    /// How a trace that begins here is passed on; a caller's is passed on in its own form, too.
    pub propagation: Propagation,
    /// What spans say beside the usual, sorted by name.
    pub tags: Box<[TraceTag]>,
    /// Longer paths are cut in the tag `http.url`.
    pub max_path_tag_length: usize,
    /// What the workload is called.
    pub service: Box<str>,
    /// Where spans go.
    pub collector: Arc<Collector>,
}

/// The headers of a trace that begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// `traceparent`: what OpenTelemetry reads.
    W3c,
    /// `x-b3-*`: what Zipkin reads.
    B3 {
        /// Traces have 64 bits instead of 128 (`enable64bitTraceId`).
        is_short: bool,
        /// `traceparent` stands beside them (`USE_B3_WITH_W3C_PROPAGATION`).
        with_w3c: bool,
    },
    /// None, and the caller's are passed on as they came (`disableContextPropagation`).
    Off,
}

/// One tag of spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceTag {
    /// Its name.
    pub name: Box<str>,
    /// Where its value comes from.
    pub value: TagValue,
}

/// Where the value of a tag comes from. An empty default is no tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagValue {
    /// As written.
    Literal(Box<str>),
    /// A field of the request.
    Header {
        /// Which.
        name: FieldName,
        /// What stands for a missing one.
        default: Box<str>,
    },
    /// A variable of the proxy's environment.
    Environment {
        /// Which.
        name: Box<str>,
        /// What stands for a missing one.
        default: Box<str>,
    },
    /// A format string of access logs, filled in.
    Formatted {
        /// Its parts; what has no value is empty.
        text: LogText,
        /// As it is written.
        written: Box<str>,
    },
}

/// Who takes spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// How users call it: the provider's name, or its URL.
    pub name: Box<str>,
    /// What it speaks.
    pub protocol: CollectorProtocol,
    /// Host and port, as a request names them.
    pub authority: Box<str>,
    /// Where it is, one of them at least: of its service's endpoints, or its name.
    pub addresses: Box<[CollectorAddress]>,
    /// What requests to it carry beside the usual.
    pub headers: Box<[CollectorHeader]>,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// One of a collector's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorAddress {
    /// Where it is.
    pub address: Address,
    /// What lies beneath HTTP there: what the service's DestinationRule or automatic mutual TLS says, or what `https` in a URL
    /// means; `None` for clear text.
    pub tls: Option<Arc<ClientTls>>,
}

/// What a collector speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CollectorProtocol {
    /// OTLP over gRPC.
    OtlpGrpc,
    /// OTLP as protobuf over HTTP/1.1.
    OtlpHttp {
        /// Where to post it.
        path: Box<str>,
    },
    /// Zipkin's JSON, version 2.
    Zipkin {
        /// Where to post it.
        path: Box<str>,
    },
}

/// A header of requests to a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorHeader {
    /// Its name.
    pub name: FieldName,
    /// Its value.
    pub value: HeaderSource,
}

/// Where the value of such a header comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderSource {
    /// As written.
    Literal(Box<str>),
    /// A variable of the proxy's environment.
    Environment(Box<str>),
}
