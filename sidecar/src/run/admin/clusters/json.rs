//! `/clusters?format=json`: what the lines say, as Envoy's message `admin.v3.Clusters`, so that tools which read Envoy's read
//! ours. Zeros and empty texts are written too: who reads need not know what is left out.

use outrigger_core::cluster::{Origin, RetryLimit};
use outrigger_core::snapshot::{Address, Cluster, Endpoint, Limits, Snapshot};
use outrigger_core::time::Instant;
use serde_json::{Value, json};

use super::{percent, sweep};
use crate::run::admin::about::socket_address;

/// Every cluster of a snapshot, as it is at this moment.
pub(in crate::run::admin) fn json(snapshot: &Snapshot, now: Instant) -> String {
    let clusters = snapshot.clusters.iter().map(|cluster| {
        sweep(cluster, now);
        status(cluster, now)
    });
    let value = json!({ "cluster_statuses": clusters.collect::<Vec<_>>() });
    format!("{value:#}\n")
}

fn status(cluster: &Cluster, now: Instant) -> Value {
    let (_, least) = cluster.state.success_rate(Origin::External);
    let (_, local_least) = cluster.state.success_rate(Origin::Local);
    let endpoints = cluster.endpoints.iter();
    json!({
        "name": cluster.name,
        "observability_name": cluster.name,
        "added_via_api": false,
        "lb_policy": super::balancing_name(cluster.balancing),
        "success_rate_ejection_threshold": { "value": percent(least) },
        "local_origin_success_rate_ejection_threshold": { "value": percent(local_least) },
        "circuit_breakers": cluster.limits.map(circuit_breakers),
        "host_statuses": endpoints.map(|endpoint| host(endpoint, now)).collect::<Vec<_>>(),
    })
}

/// No limit is Envoy's largest number.
fn circuit_breakers(limits: Limits) -> Value {
    let retries = match limits.retries {
        RetryLimit::Count(count) => json!(count),
        RetryLimit::Share(_) => Value::Null,
    };
    json!({ "thresholds": [{
        "priority": "DEFAULT",
        "max_connections": limits.connections,
        "max_pending_requests": limits.pending,
        "max_requests": limits.requests,
        "max_retries": retries,
    }] })
}

fn host(endpoint: &Endpoint, now: Instant) -> Value {
    let state = &endpoint.state;
    let (total, active, errors) = (state.requests(), state.active(), state.failures());
    let success = total.saturating_sub(errors).saturating_sub(active.into());
    let counter = |name: &str, value: u64| json!({ "type": "COUNTER", "name": name, "value": value.to_string() });
    let gauge = |name: &str, value: u32| json!({ "type": "GAUGE", "name": name, "value": value.to_string() });
    let ejected = state.ejected();
    let mut locality = endpoint.locality.splitn(3, '/');
    let mut part = || locality.next().unwrap_or_default();
    let (region, zone, sub_zone) = (part(), part(), part());
    json!({
        "address": address(&endpoint.address),
        "hostname": endpoint.hostname,
        "stats": [
            counter("cx_connect_fail", state.connect_failures()),
            counter("rq_error", errors),
            counter("rq_success", success),
            counter("rq_total", total),
            gauge("cx_active", state.connections()),
            gauge("rq_active", active),
        ],
        "health_status": {
            "failed_outlier_check": ejected.is_some(),
            "eds_health_status": "HEALTHY",
        },
        "ejection": ejected.map(|ejected| json!({
            "reason": ejected.reason.to_string(),
            "age_ms": now.since(ejected.since).as_millis() as u64,
            "left_ms": ejected.until.since(now).as_millis() as u64,
        })),
        "success_rate": { "value": percent(state.success_rate(Origin::External)) },
        "local_origin_success_rate": { "value": percent(state.success_rate(Origin::Local)) },
        "weight": endpoint.weight,
        "priority": endpoint.priority,
        "locality": { "region": region, "zone": zone, "sub_zone": sub_zone },
    })
}

fn address(address: &Address) -> Value {
    match address {
        Address::Socket(addr) | Address::Local(addr, _) => socket_address(*addr),
        Address::Name(name, port) => {
            json!({ "socket_address": { "address": name, "port_value": port } })
        }
        Address::Unix(path) => json!({ "pipe": { "path": path } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::compile::from_yaml;

    #[test]
    fn clusters_are_told_in_envoys_shape() {
        let snapshot = from_yaml(
            "kind: ServiceEntry\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {name: shop}\n\
             spec: {hosts: [shop.example], resolution: STATIC, \
             endpoints: [{address: 10.0.0.1, locality: here/a, weight: 3}], \
             ports: [{number: 80, name: http, protocol: HTTP}]}\n\
             ---\n\
             kind: DestinationRule\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {name: shop}\n\
             spec: {host: shop.example, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 7}}}}\n",
        )
        .snapshot;
        let text = json(&snapshot, Instant::ZERO);
        let told: Value = serde_json::from_str(&text).unwrap();
        let all = told["cluster_statuses"].as_array().unwrap();
        let name = "outbound|80||shop.example";
        let shop = all.iter().find(|cluster| cluster["name"] == name).unwrap();
        assert_eq!(shop["circuit_breakers"]["thresholds"][0]["max_requests"], 7);
        let host = &shop["host_statuses"][0];
        let addr = json!({ "socket_address": { "address": "10.0.0.1", "port_value": 80 } });
        assert_eq!(host["address"], addr);
        assert_eq!(host["weight"], 3);
        assert_eq!(host["locality"]["zone"], "a");
        assert_eq!(host["health_status"]["failed_outlier_check"], false);
        assert_eq!(
            host["stats"][3],
            json!({ "type": "COUNTER", "name": "rq_total", "value": "0" })
        );
        assert_eq!(text, json(&snapshot, Instant::ZERO), "keys have one order");
    }
}
