//! What is known about the workload itself: where it is, and where others of its kind are, which zone-aware routing goes by
//! (Istio's self-discovery `local_cluster`).

use std::collections::BTreeMap;

use super::Input;
use super::endpoints::{Candidate, Upstream, Workloads};
use super::labels::{Labels, is_subset};
use super::locality::{self, Locality};
use super::services::{self, Services};

/// Labels by which instances of one workload in different versions are told apart.
const TEMPLATES: [&str; 2] = ["pod-template-hash", "rollouts-pod-template-hash"];

/// The workload that traffic comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Where it is.
    pub(super) locality: Locality,
    /// Its labels, with those of its place.
    pub(super) labels: Labels,
    /// How many of its kind stand in each locality, itself included; `None` when nobody knows.
    pub(super) peers: Option<BTreeMap<Locality, u32>>,
}

/// The workload as the source of traffic.
#[must_use]
pub(super) fn source(
    input: &Input<'_>,
    services: &Services<'_>,
    workloads: &Workloads<'_>,
) -> Source {
    let labels = &input.workload.labels;
    let locality = Locality::of_proxy(labels);
    Source {
        labels: locality::augment(labels, &locality, "", ""),
        peers: peers(input, services, workloads, &locality),
        locality,
    }
}

/// How many workloads like this one are in each locality of its region: the endpoints of the oldest service whose selector
/// means it. `None` when no service does.
fn peers(
    input: &Input<'_>,
    services: &Services<'_>,
    workloads: &Workloads<'_>,
    locality: &Locality,
) -> Option<BTreeMap<Locality, u32>> {
    let labels = &input.workload.labels;
    let means_us = |source: &services::Source<'_>| {
        let (meta, selector) = match source {
            services::Source::Kubernetes(service, _) => (&service.meta, Some(&service.selector)),
            services::Source::Entry(entry, _) => (&entry.meta, entry.workload_selector.as_ref()),
        };
        let selector = selector.filter(|selector| !selector.is_empty())?;
        let is_ours = meta.namespace == input.workload.namespace && is_subset(selector, labels);
        is_ours.then(|| meta.created.clone())
    };
    let ours = services.iter().filter_map(|service| {
        let port = service.ports.first()?;
        let created = port.sources.iter().find_map(means_us)?;
        Some(((created, &service.host), service, port))
    });
    let (_, service, port) = ours.min_by(|(a, ..), (b, ..)| a.cmp(b))?;
    let Upstream::Endpoints(candidates) = workloads.upstream(service, port) else {
        return None;
    };
    let is_like_us = |candidate: &&Candidate| {
        let mut templates = TEMPLATES.iter();
        templates.all(|name| candidate.labels.get(*name) == labels.get(*name))
    };
    let mut counts = BTreeMap::new();
    for candidate in candidates.iter().filter(is_like_us) {
        let there = Locality::parse(&candidate.locality);
        if there.region == locality.region {
            *counts.entry(there).or_default() += 1;
        }
    }
    Some(counts)
}
