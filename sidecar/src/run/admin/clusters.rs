//! `/clusters`: endpoints and their counters, a line each, as Envoy writes them.

mod json;

use std::fmt::Write as _;

use outrigger_core::cluster::Origin;
use outrigger_core::entropy::Entropy;
use outrigger_core::snapshot::{Balancing, Cluster, Endpoint, HashTableKind, Snapshot};
use outrigger_core::time::Instant;

pub(super) use json::json;

/// Every cluster of a snapshot, as it is at this moment.
pub(super) fn text(snapshot: &Snapshot, now: Instant) -> String {
    let mut out = String::new();
    for cluster in snapshot.clusters.iter() {
        sweep(cluster, now);
        write_cluster(&mut out, cluster, now);
    }
    out
}

/// Makes up for sweeps that no request has brought about. No request, no random number of one: the clock is read to the
/// nanosecond, which is random enough for what is enforced only sometimes.
pub(super) fn sweep(cluster: &Cluster, now: Instant) {
    cluster.sweep(now, Entropy(now.as_nanos()));
}

fn write_cluster(out: &mut String, cluster: &Cluster, now: Instant) {
    let name = &cluster.name;
    let balancing = balancing_name(cluster.balancing);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "{name}::observability_name::{name}");
    let _ = writeln!(out, "{name}::lb_policy::{balancing}");
    let _ = writeln!(out, "{name}::added_via_api::false");
    if cluster.outlier_detection.is_some() {
        for (origin, prefix) in [(Origin::External, ""), (Origin::Local, "local_origin_")] {
            let (mean, least) = cluster.state.success_rate(origin);
            let (mean, least) = (percent(mean), percent(least));
            let _ = writeln!(out, "{name}::outlier::{prefix}success_rate_average::{mean}");
            let _ = writeln!(
                out,
                "{name}::outlier::{prefix}success_rate_ejection_threshold::{least}"
            );
        }
    }
    for endpoint in &cluster.endpoints {
        write_endpoint(out, name, endpoint, now);
        if cluster.balancing == Balancing::PeakEwma {
            let millis = endpoint.state.response_time().average(now) * 1000.0;
            let address = &endpoint.text;
            let _ = writeln!(out, "{name}::{address}::response_time_ms::{millis:.3}");
        }
    }
}

/// Envoy writes -1 for none.
fn percent(percent: Option<f64>) -> f64 {
    percent.unwrap_or(-1.0)
}

fn write_endpoint(out: &mut String, cluster: &str, endpoint: &Endpoint, now: Instant) {
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
    let ejected = state.ejected();
    let health = if ejected.is_some() {
        "/failed_outlier_check"
    } else {
        "healthy"
    };
    line("health_flags", &health);
    if let Some(ejected) = ejected {
        line("ejection_reason", &ejected.reason);
        line("ejection_age_ms", &now.since(ejected.since).as_millis());
        line("ejection_left_ms", &ejected.until.since(now).as_millis());
    }
    line("weight", &endpoint.weight);
    let mut locality = endpoint.locality.splitn(3, '/');
    for name in ["region", "zone", "sub_zone"] {
        line(name, &locality.next().unwrap_or(""));
    }
    line("priority", &endpoint.priority);
    line(
        "success_rate",
        &percent(state.success_rate(Origin::External)),
    );
    let local = percent(state.success_rate(Origin::Local));
    line("local_origin_success_rate", &local);
}

/// Envoy's name of a balancing policy.
pub(super) const fn balancing_name(balancing: Balancing) -> &'static str {
    match balancing {
        Balancing::LeastRequest => "LEAST_REQUEST",
        Balancing::RoundRobin => "ROUND_ROBIN",
        Balancing::Random => "RANDOM",
        Balancing::Passthrough => "CLUSTER_PROVIDED",
        Balancing::ConsistentHash(hash) => match hash.table {
            HashTableKind::Ring { .. } => "RING_HASH",
            HashTableKind::Maglev { .. } => "MAGLEV",
        },
        Balancing::PeakEwma => "PEAK_EWMA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::cluster::ejection::{Outcome, report};
    use outrigger_core::compile::from_yaml;

    #[test]
    fn an_ejected_endpoint_says_why_and_for_how_long() {
        let snapshot = from_yaml(
            "kind: ServiceEntry\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {name: shop}\n\
             spec: {hosts: [shop.example], resolution: STATIC, endpoints: [{address: 10.0.0.1}], \
             ports: [{number: 80, name: http, protocol: HTTP}]}\n\
             ---\n\
             kind: DestinationRule\n\
             apiVersion: networking.istio.io/v1\n\
             metadata: {name: shop}\n\
             spec: {host: shop.example, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 100}}}\n",
        )
        .snapshot;
        let cluster = snapshot
            .clusters
            .iter()
            .find(|c| c.outlier_detection.is_some());
        let cluster = cluster.unwrap();
        let detection = cluster.outlier_detection.as_ref().unwrap();
        for _ in 0..2 {
            let outcome = Outcome::Response(500);
            report(
                detection,
                &cluster.endpoints[0].state,
                outcome,
                Instant::ZERO,
            );
        }
        let lines = text(&snapshot, Instant::from_millis(12_000));
        let endpoint = "outbound|80||shop.example::10.0.0.1:80";
        for want in [
            "health_flags::/failed_outlier_check",
            "ejection_reason::consecutive_5xx: 2 in a row",
            "ejection_age_ms::12000",
            "ejection_left_ms::18000",
            "success_rate::-1",
            "local_origin_success_rate::-1",
        ] {
            let want = format!("{endpoint}::{want}\n");
            assert!(lines.contains(&want), "{want} is not in\n{lines}");
        }
        let average = "outbound|80||shop.example::outlier::success_rate_average::-1\n";
        assert!(lines.contains(average), "{lines}");
    }
}
