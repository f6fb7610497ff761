//! From a cluster's endpoints to Envoy's load assignment.

use std::collections::BTreeMap;

use outrigger_core::snapshot::{Address, Cluster, Endpoint, LocalityPolicy};
use serde_json::{Value, json};

use super::transport;

/// Envoy's `ClusterLoadAssignment`.
pub(super) fn assignment(cluster: &Cluster) -> Value {
    let mut groups: BTreeMap<(u32, &str), Vec<Value>> = BTreeMap::new();
    for endpoint in &cluster.endpoints {
        let key = (endpoint.priority, &*endpoint.locality);
        groups.entry(key).or_default().push(lb_endpoint(endpoint));
    }
    let group = |((priority, name), endpoints): ((u32, &str), Vec<Value>)| {
        let mut group = json!({ "priority": priority, "lb_endpoints": endpoints });
        group["locality"] = locality(name);
        if let LocalityPolicy::Weighted(weights) = &cluster.locality_policy {
            let mut weights = weights.iter();
            let of = weights.find(|w| w.priority == priority && &*w.locality == name);
            // One without a weight gets nothing, in Envoy as here.
            if let Some(of) = of.filter(|w| w.weight > 0) {
                group["load_balancing_weight"] = of.weight.into();
            }
        }
        group
    };
    let groups: Vec<Value> = groups.into_iter().map(group).collect();
    json!({ "cluster_name": cluster.name, "endpoints": groups })
}

/// `region/zone/subzone` as Envoy's `Locality`.
pub(super) fn locality(text: &str) -> Value {
    let mut locality = json!({});
    let names = ["region", "zone", "sub_zone"]
        .into_iter()
        .zip(text.split('/'));
    for (key, name) in names.filter(|(_, name)| !name.is_empty()) {
        locality[key] = name.into();
    }
    locality
}

fn lb_endpoint(endpoint: &Endpoint) -> Value {
    let socket = |host: &str, port: u16| json!({ "socket_address": { "address": host, "port_value": port } });
    let address = match &endpoint.address {
        Address::Socket(address) | Address::Local(address, _) => {
            socket(&address.ip().to_string(), address.port())
        }
        Address::Name(name, port) => socket(name, *port),
        Address::Unix(path) => json!({ "pipe": { "path": path } }),
    };
    let mut out = json!({
        "endpoint": { "address": address },
        "load_balancing_weight": endpoint.weight,
    });
    if let Some(metadata) = transport::metadata(endpoint) {
        out["metadata"] = metadata;
    }
    out
}
