//! Telemetry (telemetry.istio.io): what is told of the traffic of a workload, and to whom.
//!
//! Owns the three sections field for field, each with its own rules. Which resources hold for a workload, in which order,
//! is decided in `compile::telemetry`; what a provider is stands in the mesh configuration ([`super::mesh`]).

mod access_logging;
mod metrics;
mod tracing;

pub use access_logging::AccessLogging;
pub use metrics::{IstioMetric, MetricSelector, Metrics, MetricsOverride, TagOverride};
pub(crate) use tracing::of_10000;
pub use tracing::{CustomTag, Tracing};
pub(super) use tracing::{custom_tags, percentage};

use std::collections::BTreeMap;

use super::code::Code;
use super::decode::{Object, object};
use super::judged::selection;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;

/// A Telemetry resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// Who it is.
    pub meta: Meta,
    /// Labels of the workloads it holds for; empty is all of the namespace, and of the mesh in the root namespace.
    pub selector: BTreeMap<String, String>,
    /// It is attached to gateways or waypoints, so no sidecar applies it.
    pub is_targeted: bool,
    /// Spans.
    pub tracing: Vec<Tracing>,
    /// Istio's standard metrics.
    pub metrics: Vec<Metrics>,
    /// Access logs.
    pub access_logging: Vec<AccessLogging>,
}

/// Which side of a request a setting is for (`match.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkloadMode {
    /// Both.
    #[default]
    ClientAndServer,
    /// Requests that the workload sends: the outbound listener.
    Client,
    /// Requests that it receives: the inbound listeners.
    Server,
}

impl WorkloadMode {
    /// Whether it is for requests that the workload sends.
    #[must_use]
    pub const fn is_for_client(self) -> bool {
        !matches!(self, Self::Server)
    }

    /// Whether it is for requests that the workload receives.
    #[must_use]
    pub const fn is_for_server(self) -> bool {
        !matches!(self, Self::Client)
    }
}

const MODES: &[(&str, i32, WorkloadMode)] = &[
    ("CLIENT_AND_SERVER", 0, WorkloadMode::ClientAndServer),
    ("CLIENT", 1, WorkloadMode::Client),
    ("SERVER", 2, WorkloadMode::Server),
];

/// Reads and checks the `spec` of a Telemetry resource.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> Telemetry {
    report.field("spec", |report| {
        let read = object(report, spec, |o| decode(meta, o));
        if read.is_targeted {
            report.raise(
                Code::NotInEffect,
                "what is attached to a gateway, a waypoint or a service is not for sidecars",
                "select workloads by `selector.matchLabels`",
            );
        }
        read
    })
}

fn decode(meta: Meta, o: &mut Object<'_, '_>) -> Telemetry {
    let selector = selection::judge(o);
    let is_present = |name| o.node().field(name).is_some_and(|e| !e.value.is_null());
    let is_targeted = is_present("targetRef") || is_present("targetRefs");
    let tracing = o.messages("tracing", tracing::decode);
    if tracing.len() > 1 {
        o.report().raise_in(
            "tracing",
            Code::OnlyFirstUsed,
            "only the first entry is used",
            "",
        );
    }
    Telemetry {
        meta,
        selector,
        is_targeted,
        tracing,
        metrics: o.messages("metrics", metrics::decode),
        access_logging: o.messages("accessLogging", access_logging::decode),
    }
}

/// The names in `providers`.
fn providers(o: &mut Object<'_, '_>) -> Vec<String> {
    o.messages("providers", |provider| {
        let name = provider.string("name");
        if name.is_empty() {
            provider
                .report()
                .raise(Code::RequiredField, "a provider needs a name", "");
        }
        name
    })
}

fn mode(o: &mut Object<'_, '_>) -> WorkloadMode {
    o.symbol("mode", MODES).unwrap_or_default()
}

#[cfg(test)]
mod tests;
