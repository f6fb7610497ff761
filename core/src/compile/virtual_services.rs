//! Which VirtualService holds for a host (reference §2.2): the most specific host, and among equals the first in order.
//! Two VirtualServices for one host are never merged.

use std::collections::BTreeMap;

use super::destination_rules::wildcards_over;
use super::scope::Listener;
use super::visibility::reach;
use super::{Input, in_order};
use crate::config::names;
use crate::config::virtual_service::VirtualService;

/// A VirtualService that sidecars of the client's namespace apply.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) resource: &'a VirtualService,
    /// Its hosts as full names, in lower case.
    pub(super) hosts: Vec<String>,
}

/// All candidates in order of precedence: private ones, those exported to us by name, public ones; each by age, name and
/// namespace.
#[must_use]
pub(super) fn candidates<'a>(input: &Input<'a>) -> Vec<Candidate<'a>> {
    let mut all = input.virtual_services();
    let of_api = &input.resources.gateway_api.routes;
    all.extend(in_order(of_api, |route| &route.meta));
    visible(input, all, VirtualService::binds_to_mesh)
}

/// The same of those that are bound as somebody asks.
#[must_use]
pub(super) fn visible<'a>(
    input: &Input<'a>,
    all: Vec<&'a VirtualService>,
    is_bound: impl Fn(&VirtualService) -> bool,
) -> Vec<Candidate<'a>> {
    let default = &input.mesh.default_virtual_service_export_to;
    let client = input.workload.namespace.as_str();
    let mut seen: Vec<_> = all
        .into_iter()
        .filter(|resource| is_bound(resource) && !resource.is_delegate())
        .filter_map(|resource| {
            let owner = resource.meta.namespace.as_str();
            let reach = reach(&resource.export_to, default, owner, client)?;
            Some((reach, resource))
        })
        .collect();
    seen.sort_by_key(|(reach, _)| *reach); // stable: the order inside a class stays
    seen.into_iter()
        .map(|(_, resource)| {
            let full = |host: &String| {
                names::resolve(host, &resource.meta.namespace, &input.mesh.cluster_domain)
            };
            Candidate {
                resource,
                hosts: resource.hosts.iter().map(full).collect(),
            }
        })
        .collect()
}

/// The candidates that one listener imports, by host.
#[derive(Debug, Default)]
pub(super) struct ByHost {
    /// The position of the first candidate for each host as written.
    first: BTreeMap<String, usize>,
}

impl ByHost {
    /// Files the candidates that a listener imports.
    #[must_use]
    pub(super) fn new(candidates: &[Candidate<'_>], listener: &Listener<'_>) -> Self {
        let mut by_host = Self::default();
        for (at, candidate) in candidates.iter().enumerate() {
            let namespace = &candidate.resource.meta.namespace;
            for host in &candidate.hosts {
                if listener.imports_rule(namespace, host) {
                    by_host.first.entry(host.clone()).or_insert(at);
                }
            }
        }
        by_host
    }

    /// The candidate for a service's host.
    #[must_use]
    pub(super) fn find(&self, host: &str) -> Option<usize> {
        let by_name = |name: &str| self.first.get(name).copied();
        by_name(host).or_else(|| wildcards_over(host).find_map(|wildcard| by_name(&wildcard)))
    }

    /// All hosts with their candidates.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.first.iter().map(|(host, at)| (host.as_str(), *at))
    }
}
