//! What Envoy must know of the workload itself for zone-aware routing: its own locality, and how many proxies like it stand
//! where (Envoy's local cluster).

use outrigger_core::snapshot::{LocalityPolicy, Snapshot, ZoneAware};
use serde_json::{Value, json};

use super::Derived;
use super::endpoints::locality;

/// The name of the cluster of the workload's proxies.
const LOCAL_CLUSTER: &str = "the workload itself";

/// Writes it into a bootstrap, where any cluster asks for it.
pub(super) fn tell(snapshot: &Snapshot, bootstrap: &mut Value) -> Derived<()> {
    let mut all = snapshot
        .clusters
        .iter()
        .filter_map(|c| match &c.locality_policy {
            LocalityPolicy::ZoneAware(zones) => Some(&**zones),
            LocalityPolicy::Alike | LocalityPolicy::Weighted(_) => None,
        });
    let Some(zones) = all.next() else {
        return Ok(());
    };
    if all.any(|other| (&other.own, &other.proxies) != (&zones.own, &zones.proxies)) {
        return Err("clusters that see the workload in different places");
    }
    bootstrap["node"]["locality"] = locality(&zones.own);
    bootstrap["cluster_manager"] = json!({ "local_cluster_name": LOCAL_CLUSTER });
    if let Some(clusters) = bootstrap["static_resources"]["clusters"].as_array_mut() {
        clusters.push(local_cluster(zones));
    }
    Ok(())
}

/// Nobody connects to these proxies; they are counted.
fn local_cluster(zones: &ZoneAware) -> Value {
    let proxy = |_| {
        let address = json!({ "address": "127.0.0.1", "port_value": 1 });
        json!({ "endpoint": { "address": { "socket_address": address } } })
    };
    let zone = |(name, count): &(Box<str>, u32)| {
        let proxies: Vec<Value> = (0..*count).map(proxy).collect();
        json!({ "locality": locality(name), "lb_endpoints": proxies })
    };
    let zones: Vec<Value> = zones.proxies.iter().map(zone).collect();
    json!({
        "name": LOCAL_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": { "cluster_name": LOCAL_CLUSTER, "endpoints": zones },
    })
}
