//! Who is in a cluster: its endpoints by priority, with the live state that they had in the snapshot before, through
//! the registry.

use super::endpoints::{Candidate, Upstream};
use super::placement::Placement;
use crate::cluster::{HostKey, Registry};
use crate::snapshot::{Balancing, Cluster, Endpoint, SharedTables};

/// Gives a cluster its endpoints, those that are placed, and says which of them `secured` connections go to.
pub(super) fn settle(
    cluster: &mut Cluster,
    upstream: &Upstream,
    placement: Placement,
    secured: impl Fn(&Candidate) -> bool,
    registry: &mut Registry,
) {
    match upstream {
        Upstream::OriginalDestination => cluster.balancing = Balancing::Passthrough,
        Upstream::Endpoints(candidates) => {
            let name = &cluster.name;
            let placed = candidates.iter().zip(placement.priorities);
            let placed = placed.filter_map(|(candidate, priority)| Some((candidate, priority?)));
            cluster.endpoints = placed
                .map(|(candidate, priority)| Endpoint {
                    priority,
                    is_secured: secured(candidate),
                    ..endpoint(name, candidate, registry)
                })
                .collect();
            cluster.locality_policy = placement.policy;
            let count = u32::try_from(cluster.endpoints.len()).unwrap_or(u32::MAX);
            cluster.state.set_endpoints(count);
            if let Balancing::ConsistentHash(_) = cluster.balancing {
                let priorities = cluster.endpoints.iter().map(|e| e.priority as usize + 1);
                cluster.tables = SharedTables::new(priorities.max().unwrap_or(0));
            }
            let detection = cluster.outlier_detection.as_deref();
            let endpoints = cluster.endpoints.iter();
            endpoints.for_each(|endpoint| endpoint.state.settle(detection));
        }
    }
}

fn endpoint(cluster: &str, candidate: &Candidate, registry: &mut Registry) -> Endpoint {
    let address = candidate.logical.clone();
    let state = registry.host(HostKey {
        cluster: cluster.into(),
        address: address.unwrap_or_else(|| candidate.address.to_string().into()),
    });
    Endpoint {
        weight: candidate.weight,
        locality: candidate.locality.clone(),
        hostname: candidate.hostname.clone(),
        identity: registry.identity(&candidate.identity),
        ..Endpoint::new(candidate.address.clone(), state)
    }
}
