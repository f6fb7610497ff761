//! Which workloads are compiled alike, so that a program with many of them, such as a simulation, compiles once for each
//! kind and not once for each workload.
//!
//! Owns the list of what the compiler asks of a workload's labels. Where it may ask for more than names can tell (who else
//! is like it, which service it belongs to), all labels matter.

use std::collections::{BTreeMap, BTreeSet};

use super::Workload;
use super::locality::PLACES;
use crate::config::Resources;
use crate::config::destination_rule::{DestinationRule, LoadBalancerSettings, TrafficPolicy};
use crate::config::mesh::MeshConfig;

/// A workload with those of its labels alone that matter when these resources are compiled for it: the same snapshot comes
/// of it, live state apart, and what it tells its peers of itself ([`crate::snapshot::Snapshot::peer_metadata`]), which decides nothing. `has_inbound`: it has inbound listeners.
#[must_use]
pub fn reduced(
    resources: &Resources,
    mesh: &MeshConfig,
    workload: &Workload,
    has_inbound: bool,
) -> Workload {
    // Gateways are told apart by all that they have.
    if asks_for_more(resources, mesh) || workload.carries.is_gateway() {
        return workload.clone();
    }
    // What is spoken to the application, and how much at once, is said by the services that select the workload; what its
    // clients speak, whose tokens are good and who may ask, by policies.
    let served = has_inbound.then(|| {
        let peers = resources.peer_authentications.iter();
        let tokens = resources.request_authentications.iter();
        let policies = resources.authorization_policies.iter();
        selectors_of_services(resources)
            .chain(peers.map(|policy| &policy.selector))
            .chain(tokens.map(|policy| &policy.selector))
            .chain(policies.map(|policy| &policy.selector))
    });
    let asked: BTreeSet<&str> = selectors(resources)
        .chain(served.into_iter().flatten())
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .chain(PLACES)
        .collect();
    let labels = workload
        .labels
        .iter()
        .filter(|(key, _)| asked.contains(key.as_str()));
    Workload {
        namespace: workload.namespace.clone(),
        labels: labels
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        spiffe_id: workload.spiffe_id.clone(),
        trace: workload.trace.clone(),
        carries: workload.carries.clone(),
    }
}

/// Every selector of workloads that both sides are told apart by.
fn selectors(resources: &Resources) -> impl Iterator<Item = &BTreeMap<String, String>> {
    let rules = resources.destination_rules.iter();
    let rules = rules.filter_map(|rule| Some(&rule.workload_selector.as_ref()?.match_labels));
    let filters = resources.envoy_filters.iter();
    let sidecars = resources.sidecars.iter();
    let services = resources.virtual_services.iter();
    let entries = services
        .flat_map(|service| &service.http)
        .flat_map(|rule| &rule.matches);
    rules
        .chain(resources.telemetries.iter().map(|one| &one.selector))
        .chain(filters.map(|filter| &filter.workload_selector))
        .chain(sidecars.filter_map(|sidecar| sidecar.workload_selector.as_ref()))
        .chain(entries.map(|entry| &entry.source_labels))
}

/// Every selector of workloads that belong to a service, or whose callers are asked for tokens.
fn selectors_of_services(resources: &Resources) -> impl Iterator<Item = &BTreeMap<String, String>> {
    let services = resources.services.iter().map(|service| &service.selector);
    let tokens = resources.request_authentications.iter();
    let services = services.chain(tokens.map(|tokens| &tokens.selector));
    let entries = resources.service_entries.iter();
    services.chain(entries.filter_map(|entry| entry.workload_selector.as_ref()))
}

/// Whether labels are asked for that no selector of workloads names.
fn asks_for_more(resources: &Resources, mesh: &MeshConfig) -> bool {
    let zone_aware = mesh.zone_aware_lb_setting.is_some();
    let by_labels = !mesh.locality_lb_setting.failover_priority.is_empty();
    let mut rules = resources.destination_rules.iter();
    zone_aware || by_labels || rules.any(rule_asks_for_more)
}

fn rule_asks_for_more(rule: &DestinationRule) -> bool {
    let subsets = rule
        .subsets
        .iter()
        .filter_map(|subset| subset.traffic_policy.as_ref());
    let mut policies = rule.traffic_policy.iter().chain(subsets);
    policies.any(|policy| balancers(policy).any(goes_by_labels))
}

fn balancers(policy: &TrafficPolicy) -> impl Iterator<Item = &LoadBalancerSettings> {
    let ports = policy.port_level_settings.iter();
    let ports = ports.filter_map(|port| port.load_balancer.as_ref());
    policy.load_balancer.iter().chain(ports)
}

fn goes_by_labels(settings: &LoadBalancerSettings) -> bool {
    let locality = settings.locality_lb_setting.as_ref();
    settings.zone_aware_lb_setting.is_some()
        || locality.is_some_and(|setting| !setting.failover_priority.is_empty())
}

#[cfg(test)]
mod tests;
