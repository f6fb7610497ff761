//! `/clusters`: endpoints and their counters, a line each, as Envoy writes them.

use std::fmt::Write as _;

use outrigger_core::snapshot::{Balancing, Cluster, Endpoint, Snapshot};
use outrigger_core::time::Instant;

/// Every cluster of a snapshot, as it is at this moment.
pub(super) fn text(snapshot: &Snapshot, now: Instant) -> String {
    let mut out = String::new();
    for cluster in &snapshot.clusters {
        cluster.sweep(now);
        write_cluster(&mut out, cluster);
    }
    out
}

fn write_cluster(out: &mut String, cluster: &Cluster) {
    let name = &cluster.name;
    let balancing = balancing_name(cluster.balancing);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "{name}::observability_name::{name}");
    let _ = writeln!(out, "{name}::lb_policy::{balancing}");
    let _ = writeln!(out, "{name}::added_via_api::false");
    for endpoint in &cluster.endpoints {
        write_endpoint(out, name, endpoint);
    }
}

fn write_endpoint(out: &mut String, cluster: &str, endpoint: &Endpoint) {
    let state = &endpoint.state;
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{cluster}::{}::{name}::{value}", endpoint.text);
    };
    let (total, active, errors) = (state.requests(), state.active(), state.failures());
    line("cx_active", &state.connections());
    line("cx_connect_fail", &state.connect_failures());
    line("rq_active", &active);
    line("rq_error", &errors);
    // The three are read one after the other while requests go on.
    let success = total.saturating_sub(errors).saturating_sub(active.into());
    line("rq_success", &success);
    line("rq_total", &total);
    let is_ejected = state.is_ejected();
    let health = if is_ejected {
        "/failed_outlier_check"
    } else {
        "healthy"
    };
    line("health_flags", &health);
    line("weight", &endpoint.weight);
    let mut locality = endpoint.locality.splitn(3, '/');
    for name in ["region", "zone", "sub_zone"] {
        line(name, &locality.next().unwrap_or(""));
    }
    line("priority", &0);
}

/// Envoy's name of a balancing policy.
pub(super) const fn balancing_name(balancing: Balancing) -> &'static str {
    match balancing {
        Balancing::LeastRequest => "LEAST_REQUEST",
        Balancing::RoundRobin => "ROUND_ROBIN",
        Balancing::Random => "RANDOM",
        Balancing::Passthrough => "CLUSTER_PROVIDED",
    }
}
