//! From the table of hosts to Envoy's virtual hosts.
//!
//! One listener stands for all ports, as for us, so ports are part of the names: `a:8080` is that port's virtual host,
//! and `a` and `a:*` are the one that is meant when no port, or an unknown one, is named.

use std::collections::BTreeMap;

use outrigger_core::snapshot::{HostLimits, Limiter, Snapshot, UnknownHosts, VirtualHostId};
use serde_json::{Value, json};

use super::routes::{PASSTHROUGH, as_tunnel, cluster_name, route, tunnel};
use super::{Derived, rate_limits};

/// The port that is meant where nobody names one.
const HTTP_PORT: u16 = 80;

/// The configuration of routes for the outbound listener.
pub(super) fn outbound(snapshot: &Snapshot) -> Derived<Value> {
    let mut domains: BTreeMap<VirtualHostId, Vec<String>> = BTreeMap::new();
    let mut has_star = false;
    for (name, entry) in snapshot.hosts.iter() {
        has_star |= name == "*";
        // An IPv6 address.
        let name = match name.contains(':') {
            true => format!("[{name}]"),
            false => name,
        };
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
        .map(|(id, names)| virtual_host(snapshot, id, names, tunnels(snapshot, id)?))
        .collect::<Derived<Vec<_>>>()?;
    if !has_star {
        hosts.extend(unknown(snapshot));
    }
    Ok(configuration("outbound", hosts))
}

/// The configuration of routes for the inbound listener.
pub(super) fn inbound(snapshot: &Snapshot, id: VirtualHostId) -> Derived<Value> {
    let host = virtual_host(snapshot, id, vec!["*".to_owned()], Vec::new())?;
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

/// Routes for CONNECT; an application is no proxy, so inbound there are none.
fn tunnels(snapshot: &Snapshot, id: VirtualHostId) -> Derived<Vec<Value>> {
    let rules = snapshot.virtual_host(id).rules.iter();
    let tunnels = rules.map(|rule| tunnel(snapshot, rule));
    tunnels.filter_map(Derived::transpose).collect()
}

/// A virtual host; its own routes come after those that are given.
fn virtual_host(
    snapshot: &Snapshot,
    id: VirtualHostId,
    names: Vec<String>,
    mut routes: Vec<Value>,
) -> Derived<Value> {
    let host = snapshot.virtual_host(id);
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

/// Hosts that nobody knows: those with a port that has rate limits of its own, and all others.
fn unknown(snapshot: &Snapshot) -> Vec<Value> {
    let limits = &snapshot.unknown_host_limits;
    let of_80 = limits.iter().find(|(port, _)| *port == HTTP_PORT);
    let others = limits.iter().filter(|(port, _)| *port != HTTP_PORT);
    let mut hosts: Vec<Value> = others
        .map(|(port, limiters)| unknown_at(snapshot, &format!("*:{port}"), limiters))
        .collect();
    let limiters = of_80.map_or(&[][..], |(_, limiters)| limiters);
    hosts.push(unknown_at(snapshot, "*", limiters));
    hosts
}

fn unknown_at(snapshot: &Snapshot, domain: &str, limiters: &[Limiter]) -> Value {
    let to =
        |cluster: &str| json!({ "cluster": cluster, "timeout": "0s", "max_grpc_timeout": "0s" });
    let (name, key, action) = match &snapshot.settings.unknown_hosts {
        UnknownHosts::AllowAny => ("allow_any", "route", to(PASSTHROUGH)),
        UnknownHosts::RegistryOnly => ("block_all", "direct_response", json!({ "status": 502 })),
        UnknownHosts::EgressProxy(cluster) => {
            ("allow_any", "route", to(cluster_name(snapshot, cluster)))
        }
    };
    let mut route = json!({ "name": name, "match": { "prefix": "/" }, key: action });
    rate_limits::turn_on(limiters, &mut route);
    let mut tunnel = route.clone();
    as_tunnel(&mut tunnel);
    json!({
        "name": format!("{name} {domain}"),
        "domains": [domain],
        "routes": [tunnel, route],
        "include_request_attempt_count": true,
    })
}
