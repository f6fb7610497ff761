//! WorkloadEntry: one endpoint, on its own or inside a ServiceEntry (Istio `networking/v1` WorkloadEntry).

mod decode;
mod validate;

pub(in crate::config) use decode::decode;
pub(super) use validate::{EndpointRules, validate};

use std::collections::BTreeMap;

use super::decode::object;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;

/// A WorkloadEntry document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadEntry {
    /// Who it is. Its labels join the workload's and win over them.
    pub meta: Meta,
    /// The endpoint.
    pub workload: Workload,
}

/// An endpoint: the `spec` of a WorkloadEntry, or one of a ServiceEntry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// IP address, name or `unix://` path; empty only where `network` is set.
    pub address: String,
    /// Its port for each named service port that differs.
    pub ports: BTreeMap<String, u32>,
    /// Labels for subsets; see [`WorkloadEntry::labels`] for an entry on its own.
    pub labels: BTreeMap<String, String>,
    /// The network it is reachable through.
    pub network: String,
    /// `region/zone/subzone`.
    pub locality: String,
    /// Load-balancing weight; 0 stands for 1.
    pub weight: u32,
    /// Its Kubernetes service account.
    pub service_account: String,
}

impl WorkloadEntry {
    /// The labels subsets and selectors see: those of the specification, overridden by those of the metadata.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.workload.labels.clone();
        labels.extend(self.meta.labels.clone());
        labels
    }
}

/// Reads and checks the `spec` of a WorkloadEntry.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> WorkloadEntry {
    report.field("spec", |report| {
        let workload = object(report, spec, decode);
        let rules = EndpointRules {
            service_ports: None,
            may_be_name: true,
            may_be_socket: true,
        };
        validate(&workload, rules, report);
        WorkloadEntry { meta, workload }
    })
}

#[cfg(test)]
mod tests;
