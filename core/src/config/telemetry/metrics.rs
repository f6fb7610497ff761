//! `metrics`: which of Istio's standard metrics there are, and with which tags.

use std::collections::BTreeMap;

use super::{WorkloadMode, mode, providers};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::{Object, object};
use crate::time::Duration;

/// One entry of `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Names of the mesh's providers; empty inherits those of the entry before.
    pub providers: Vec<String>,
    /// Changes, applied in order.
    pub overrides: Vec<MetricsOverride>,
    /// How often metrics of TCP connections are written while these last.
    pub reporting_interval: Option<Duration>,
}

/// One entry of `metrics[].overrides`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsOverride {
    /// Which metrics; all where nothing is said.
    pub metric: MetricSelector,
    /// On which side.
    pub mode: WorkloadMode,
    /// Whether they are off.
    pub disabled: Option<bool>,
    /// Changes of tags, by tag.
    pub tag_overrides: BTreeMap<String, TagOverride>,
}

/// Which metrics an override is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricSelector {
    /// `metric`: one of Istio's, or all of them.
    Istio(IstioMetric),
    /// `customMetric`: one by name.
    Custom(String),
}

impl Default for MetricSelector {
    fn default() -> Self {
        Self::Istio(IstioMetric::AllMetrics)
    }
}

/// Istio's standard metrics, by their names there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the metric of that name")]
pub enum IstioMetric {
    #[default]
    AllMetrics,
    RequestCount,
    RequestDuration,
    RequestSize,
    ResponseSize,
    TcpOpenedConnections,
    TcpClosedConnections,
    TcpSentBytes,
    TcpReceivedBytes,
    GrpcRequestMessages,
    GrpcResponseMessages,
}

/// What becomes of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagOverride {
    /// It is set to the value of a CEL expression.
    Upsert(String),
    /// It is left out.
    Remove,
}

const METRICS: &[(&str, i32, IstioMetric)] = &[
    ("ALL_METRICS", 0, IstioMetric::AllMetrics),
    ("REQUEST_COUNT", 1, IstioMetric::RequestCount),
    ("REQUEST_DURATION", 2, IstioMetric::RequestDuration),
    ("REQUEST_SIZE", 3, IstioMetric::RequestSize),
    ("RESPONSE_SIZE", 4, IstioMetric::ResponseSize),
    (
        "TCP_OPENED_CONNECTIONS",
        5,
        IstioMetric::TcpOpenedConnections,
    ),
    (
        "TCP_CLOSED_CONNECTIONS",
        6,
        IstioMetric::TcpClosedConnections,
    ),
    ("TCP_SENT_BYTES", 7, IstioMetric::TcpSentBytes),
    ("TCP_RECEIVED_BYTES", 8, IstioMetric::TcpReceivedBytes),
    ("GRPC_REQUEST_MESSAGES", 9, IstioMetric::GrpcRequestMessages),
    (
        "GRPC_RESPONSE_MESSAGES",
        10,
        IstioMetric::GrpcResponseMessages,
    ),
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Operation {
    #[default]
    Upsert,
    Remove,
}

const OPERATIONS: &[(&str, i32, Operation)] = &[
    ("UPSERT", 0, Operation::Upsert),
    ("REMOVE", 1, Operation::Remove),
];

pub(super) fn decode(o: &mut Object<'_, '_>) -> Metrics {
    let reporting_interval = o.duration("reportingInterval");
    checks::duration_in("reportingInterval", reporting_interval, o.report());
    Metrics {
        providers: providers(o),
        overrides: o.messages("overrides", metrics_override),
        reporting_interval,
    }
}

fn metrics_override(o: &mut Object<'_, '_>) -> MetricsOverride {
    let (metric, mode) = o.message("match", selector).unwrap_or_default();
    MetricsOverride {
        metric,
        mode,
        disabled: o.optional_boolean("disabled"),
        tag_overrides: o.map("tagOverrides", |report, entry| {
            Some(object(report, &entry.value, tag_override))
        }),
    }
}

fn selector(o: &mut Object<'_, '_>) -> (MetricSelector, WorkloadMode) {
    let metric = o.symbol("metric", METRICS).unwrap_or_default();
    let mode = mode(o);
    o.one_of(&["metric", "customMetric"]);
    let custom = o.optional_string("customMetric");
    if custom.as_ref().is_some_and(String::is_empty) {
        o.report().raise_in(
            "customMetric",
            Code::RequiredField,
            "a metric needs a name",
            "",
        );
    }
    let metric = custom.map_or(MetricSelector::Istio(metric), MetricSelector::Custom);
    (metric, mode)
}

fn tag_override(o: &mut Object<'_, '_>) -> TagOverride {
    let operation = o.symbol("operation", OPERATIONS).unwrap_or_default();
    let value = o.string("value");
    match operation {
        Operation::Upsert => {
            if value.is_empty() {
                let message = "a tag that is set needs a `value`";
                o.report().raise(Code::RequiredField, message, "");
            }
            TagOverride::Upsert(value)
        }
        Operation::Remove => {
            if !value.is_empty() {
                let message = "a tag that is removed has no value";
                o.report()
                    .raise_in("value", Code::InvalidPolicy, message, "");
            }
            TagOverride::Remove
        }
    }
}
