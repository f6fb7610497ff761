//! WorkloadEntry: one endpoint, on its own or inside a ServiceEntry (Istio `networking/v1` WorkloadEntry).

use std::collections::BTreeMap;

use super::meta::Meta;

/// A WorkloadEntry document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadEntry {
    /// Who it is. Its labels join the workload's and win over them.
    pub meta: Meta,
    /// The endpoint.
    pub workload: Workload,
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

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// IP address, name or `unix://` path; empty only where `network` is set.
    pub address: String,
    /// Its port for each named service port that differs.
    pub ports: BTreeMap<String, u16>,
    /// Labels for subsets.
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
