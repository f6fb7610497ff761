//! Istio's other kinds: judged by Istio's rules, and not used.
//!
//! People keep them beside what the proxy reads, and want one command to say what is wrong with all of it. So their
//! fields are read and checked, and nothing is kept. What only Istio's control plane can know (a CEL
//! expression) is left alone.

mod extension;
mod proxy_config;
pub(super) mod selection;
mod workload_group;

use super::decode::{Object, object};
use super::kinds::JudgedKind;
use super::node::Node;
use super::report::Report;

/// The annotation that lets a policy only log what it would do.
pub(super) const DRY_RUN: &str = "istio.io/dry-run";

/// Judges the `spec` of a resource.
pub(super) fn judge(report: &mut Report, kind: JudgedKind, spec: &Node) {
    let read = |o: &mut Object<'_, '_>| match kind {
        JudgedKind::ProxyConfig => proxy_config::judge(o),
        JudgedKind::TrafficExtension => extension::judge_traffic_extension(o),
        JudgedKind::WasmPlugin => extension::judge_wasm_plugin(o),
        JudgedKind::WorkloadGroup => workload_group::judge(o),
    };
    report.field("spec", |report| object(report, spec, read));
}

#[cfg(test)]
mod tests;
