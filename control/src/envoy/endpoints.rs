//! The endpoints of a cluster, by locality and priority (EDS).

use std::collections::BTreeMap;

use outrigger_core::snapshot::{Address, Balancing, Cluster, LocalityPolicy};
use outrigger_xds::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, HEALTHY, LbEndpoint, LocalityLbEndpoints,
};
use outrigger_xds::envoy::places::{self, Locality, Pipe, SocketAddress};

/// What the name of a cluster of a service begins with.
const OUTBOUND: &str = "outbound|";

/// Whether a cluster has endpoints to be told of: it is a service's, and requests do not just go to where they wanted to.
pub(super) fn has_endpoints(cluster: &Cluster) -> bool {
    cluster.name.starts_with(OUTBOUND) && cluster.balancing != Balancing::Passthrough
}

/// Those of a cluster. Only who takes requests is an endpoint at all, so all of them are healthy.
pub(super) fn assignment(cluster: &Cluster) -> ClusterLoadAssignment {
    let scale = scale(cluster);
    let mut places: BTreeMap<(u32, &str), LocalityLbEndpoints> = BTreeMap::new();
    for endpoint in &cluster.endpoints {
        let Some(address) = address(&endpoint.address) else {
            continue;
        };
        let at = (endpoint.priority, &*endpoint.locality);
        let place = places.entry(at).or_insert_with(|| LocalityLbEndpoints {
            locality: Some(locality(&endpoint.locality)),
            priority: endpoint.priority,
            load_balancing_weight: Some(weight_of_place(cluster, at)),
            ..LocalityLbEndpoints::default()
        });
        let weight = scaled(endpoint.weight, scale);
        if !is_weighted(cluster) {
            place.load_balancing_weight = place.load_balancing_weight.map(|sum| sum + weight);
        }
        place.lb_endpoints.push(LbEndpoint {
            endpoint: Some(Endpoint {
                address: Some(address),
                hostname: endpoint.hostname.to_string(),
            }),
            health_status: HEALTHY,
            metadata: None,
            load_balancing_weight: Some(weight),
        });
    }
    ClusterLoadAssignment {
        cluster_name: cluster.name.to_string(),
        endpoints: places.into_values().collect(),
    }
}

const fn is_weighted(cluster: &Cluster) -> bool {
    matches!(cluster.locality_policy, LocalityPolicy::Weighted(_))
}

/// What the rule says of a locality; where it says nothing of weights, each is to have what its endpoints are worth, added up from 0.
fn weight_of_place(cluster: &Cluster, (priority, locality): (u32, &str)) -> u32 {
    let LocalityPolicy::Weighted(all) = &cluster.locality_policy else {
        return 0;
    };
    let found = all
        .iter()
        .find(|one| one.priority == priority && *one.locality == *locality);
    found.map_or(1, |one| one.weight.max(1))
}

/// By what weights are divided, so that all of them together are no more than clients add up.
fn scale(cluster: &Cluster) -> u64 {
    let endpoints = cluster.endpoints.iter();
    let all: u64 = endpoints.map(|endpoint| u64::from(endpoint.weight)).sum();
    // Each may be rounded up to 1.
    let room = u64::from(u32::MAX) - cluster.endpoints.len() as u64;
    all / room + 1
}

fn scaled(weight: u32, scale: u64) -> u32 {
    let scaled = (u64::from(weight) / scale).max(1);
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

/// `None` of what is only known by a name: nobody is told of an address that is none.
fn address(address: &Address) -> Option<places::Address> {
    match address {
        Address::Socket(addr) => Some(places::Address {
            socket_address: Some(SocketAddress {
                address: addr.ip().to_string(),
                port_value: addr.port().into(),
            }),
            pipe: None,
        }),
        Address::Unix(path) => Some(places::Address {
            socket_address: None,
            pipe: Some(Pipe {
                path: path.to_string(),
            }),
        }),
        Address::Name(..) | Address::Local(..) => None,
    }
}

fn locality(text: &str) -> Locality {
    let mut parts = text.splitn(3, '/').map(ToOwned::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Locality {
        region: next(),
        zone: next(),
        sub_zone: next(),
    }
}
