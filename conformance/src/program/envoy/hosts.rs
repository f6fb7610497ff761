//! From the table of hosts to Envoy's virtual hosts.
//!
//! One listener stands for all ports, as for us, so ports are part of the names: `a:8080` is that port's virtual host,
//! and `a` and `a:*` are the one that is meant when no port, or an unknown one, is named.

use std::collections::BTreeMap;

use outrigger_core::snapshot::{
    DestinationCluster, HostLimits, Snapshot, UnknownHosts, VirtualHostId,
};
use serde_json::{Value, json};

use super::routes::{PASSTHROUGH, cluster_name, route};
use super::{Derived, rate_limits};

/// The configuration of routes for the outbound listener.
pub(super) fn outbound(snapshot: &Snapshot) -> Derived<Value> {
    if !snapshot.unknown_host_limits.is_empty() {
        return Err("rate limits for hosts that nobody knows, by port");
    }
    let mut domains: BTreeMap<VirtualHostId, Vec<String>> = BTreeMap::new();
    let mut has_star = false;
    for (name, entry) in snapshot.hosts.iter() {
        has_star |= name == "*";
        for port in &entry.ports {
            let domains = domains.entry(port.virtual_host).or_default();
            domains.push(format!("{name}:{}", port.port));
        }
        if let Some(meant) = entry.select(None) {
            let domains = domains.entry(meant.virtual_host).or_default();
            if !name.starts_with('*') {
                domains.push(format!("{name}:*"));
            }
            domains.push(name);
        }
    }
    let mut hosts = domains
        .into_iter()
        .map(|(id, names)| virtual_host(snapshot, id, names))
        .collect::<Derived<Vec<_>>>()?;
    if !has_star {
        hosts.push(unknown(snapshot));
    }
    Ok(configuration("outbound", hosts))
}

/// The configuration of routes for the inbound listener.
pub(super) fn inbound(snapshot: &Snapshot, id: VirtualHostId) -> Derived<Value> {
    let host = virtual_host(snapshot, id, vec!["*".to_owned()])?;
    Ok(configuration("inbound", vec![host]))
}

fn configuration(name: &str, hosts: Vec<Value>) -> Value {
    json!({
        "name": name,
        "virtual_hosts": hosts,
        "validate_clusters": false,
        "ignore_port_in_host_matching": name == "inbound",
    })
}

fn virtual_host(snapshot: &Snapshot, id: VirtualHostId, names: Vec<String>) -> Derived<Value> {
    let host = snapshot.virtual_host(id);
    let mut routes = Vec::new();
    for (at, rule) in host.rules.iter().enumerate() {
        let mut route = route(snapshot, rule)?;
        if let Some(limits) = &host.limits {
            rate_limits::turn_on(&limits.rules[at], &mut route);
        }
        routes.push(route);
    }
    routes.extend(host.limits.as_deref().and_then(otherwise));
    Ok(json!({
        "name": format!("{}#{}", host.name, id.0),
        "domains": names,
        "routes": routes,
        "include_request_attempt_count": true,
    }))
}

/// Limits for requests that no rule matches need a route to hold for: one that answers as Envoy does without any.
fn otherwise(limits: &HostLimits) -> Option<Value> {
    let mut route = json!({ "match": { "prefix": "/" }, "direct_response": { "status": 404 } });
    rate_limits::turn_on(&limits.otherwise, &mut route);
    (!limits.otherwise.is_empty()).then_some(route)
}

/// Hosts that nobody knows.
fn unknown(snapshot: &Snapshot) -> Value {
    let to = |cluster: &str| json!({ "cluster": cluster, "timeout": "0s" });
    let (name, key, action) = match &snapshot.settings.unknown_hosts {
        UnknownHosts::AllowAny => ("allow_any", "route", to(PASSTHROUGH)),
        UnknownHosts::RegistryOnly => ("block_all", "direct_response", json!({ "status": 502 })),
        UnknownHosts::EgressProxy(to_cluster) => {
            let to_cluster: &DestinationCluster = to_cluster;
            ("allow_any", "route", to(cluster_name(snapshot, to_cluster)))
        }
    };
    json!({
        "name": name,
        "domains": ["*"],
        "routes": [{ "name": name, "match": { "prefix": "/" }, key: action }],
        "include_request_attempt_count": true,
    })
}
