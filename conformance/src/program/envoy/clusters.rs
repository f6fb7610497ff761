//! From clusters to Envoy's clusters: balancing, limits, ejection and pools.

use core::num::NonZeroU32;

use outrigger_core::cluster::{OutlierDetection, RetryLimit};
use outrigger_core::snapshot::{
    Balancing, Cluster, ConsistentHash, HashTableKind, Http2Options, LocalityPolicy,
    UpstreamProtocol, WarmUp,
};
use serde_json::{Value, json};

use super::words::{duration, duration_or_none, extension, type_url};
use super::{Derived, endpoints, listener, routes, transport};

/// No limit.
const ANY: u32 = u32::MAX;

/// Istio's name for the protocol options of a cluster.
const PROTOCOL: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Envoy's `Cluster`.
pub(super) fn cluster(cluster: &Cluster, folder: &str) -> Derived<Value> {
    if cluster.adaptive.is_some() {
        return Err("adaptive concurrency of a cluster is an extension of ours");
    }
    if cluster.token_budget.is_some() {
        return Err("a budget of retries over time is an extension of ours");
    }
    let mut out = json!({
        "name": cluster.name,
        // A case says what names resolve to, so endpoints have addresses.
        "type": "STATIC",
        "connect_timeout": duration(cluster.connect_timeout),
        "load_assignment": endpoints::assignment(cluster),
        "circuit_breakers": { "thresholds": [thresholds(cluster)] },
        "typed_extension_protocol_options": { PROTOCOL: protocol(cluster) },
        // Envoy tells its workers of ejections up to a second late, unless this is zero. Cases do not wait.
        "common_lb_config": { "update_merge_window": "0s" },
    });
    balancing(cluster, &mut out)?;
    transport::outbound(cluster, folder, &mut out)?;
    if let Some(detection) = &cluster.outlier_detection {
        out["outlier_detection"] = outlier_detection(detection);
        let panic = json!({ "value": detection.min_health_percent });
        out["common_lb_config"]["healthy_panic_threshold"] = panic;
    }
    match &cluster.locality_policy {
        LocalityPolicy::Alike => {}
        LocalityPolicy::Weighted(_) => {
            out["common_lb_config"]["locality_weighted_lb_config"] = json!({});
        }
        LocalityPolicy::ZoneAware(zones) => {
            out["common_lb_config"]["zone_aware_lb_config"] =
                json!({ "min_cluster_size": zones.min_endpoints });
        }
    }
    Ok(out)
}

/// The cluster that leads where the client wanted to go. Istio's asks the kernel for that, ours the authority.
pub(super) fn passthrough(connect_timeout: outrigger_core::time::Duration) -> Value {
    json!({
        "name": routes::PASSTHROUGH,
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": duration(connect_timeout),
        "cluster_type": extension(
            "envoy.clusters.dynamic_forward_proxy",
            "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
            json!({ "dns_cache_config": listener::dns_cache() }),
        ),
        "circuit_breakers": { "thresholds": [no_thresholds()] },
        "typed_extension_protocol_options": { PROTOCOL: {
            "@type": type_url(PROTOCOL),
            "use_downstream_protocol_config": as_client(),
            // Such a cluster insists on them where protocol options are written.
            "upstream_http_protocol_options": { "auto_sni": true, "auto_san_validation": true },
        }},
    })
}

fn balancing(cluster: &Cluster, out: &mut Value) -> Derived<()> {
    let slow_start = cluster.warm_up.map(slow_start);
    let mut set = |policy: &str, config: &str| {
        out["lb_policy"] = policy.into();
        if let Some(slow_start) = &slow_start {
            out[config]["slow_start_config"] = slow_start.clone();
        }
    };
    match cluster.balancing {
        Balancing::LeastRequest => set("LEAST_REQUEST", "least_request_lb_config"),
        Balancing::RoundRobin => set("ROUND_ROBIN", "round_robin_lb_config"),
        Balancing::Random => out["lb_policy"] = "RANDOM".into(),
        Balancing::ConsistentHash(hash) => consistent_hash(hash, out),
        Balancing::Passthrough => return Err("a cluster that goes where the kernel says"),
        Balancing::PeakEwma => return Err("peak EWMA is an extension of ours"),
    }
    Ok(())
}

fn consistent_hash(hash: ConsistentHash, out: &mut Value) {
    match hash.table {
        HashTableKind::Ring { min_size } => {
            out["lb_policy"] = "RING_HASH".into();
            out["ring_hash_lb_config"] = json!({ "minimum_ring_size": min_size });
        }
        HashTableKind::Maglev { size } => {
            out["lb_policy"] = "MAGLEV".into();
            out["maglev_lb_config"] = json!({ "table_size": size });
        }
    }
    if let Some(factor) = hash.balance_factor {
        out["common_lb_config"]["consistent_hashing_lb_config"] =
            json!({ "hash_balance_factor": factor });
    }
}

fn slow_start(warm_up: WarmUp) -> Value {
    json!({
        "slow_start_window": duration(warm_up.duration),
        "min_weight_percent": { "value": warm_up.minimum * 100.0 },
        "aggression": { "default_value": warm_up.aggression, "runtime_key": "aggression" },
    })
}

fn thresholds(cluster: &Cluster) -> Value {
    let Some(limits) = cluster.limits else {
        return no_thresholds();
    };
    let mut thresholds = json!({
        "max_connections": limits.connections,
        "max_pending_requests": limits.pending,
        "max_requests": limits.requests,
        "max_retries": ANY,
    });
    match limits.retries {
        RetryLimit::Count(count) => thresholds["max_retries"] = count.into(),
        RetryLimit::Share(budget) => {
            let percent = f64::from(budget.per_million) / 10_000.0;
            thresholds["retry_budget"] = json!({
                "budget_percent": { "value": percent },
                "min_retry_concurrency": budget.least,
            });
            if let Some(interval) = budget.interval {
                thresholds["retry_budget"]["budget_interval"] = duration(interval);
            }
        }
    }
    thresholds
}

fn no_thresholds() -> Value {
    json!({
        "max_connections": ANY,
        "max_pending_requests": ANY,
        "max_requests": ANY,
        "max_retries": ANY,
    })
}

fn protocol(cluster: &Cluster) -> Value {
    let mut common = json!({ "idle_timeout": duration_or_none(cluster.idle_timeout) });
    if let Some(time) = cluster.max_connection_duration {
        common["max_connection_duration"] = duration(time);
    }
    if let Some(most) = cluster.max_requests_per_connection {
        common["max_requests_per_connection"] = most.into();
    }
    let mut protocol = json!({
        "@type": type_url(PROTOCOL),
        "common_http_protocol_options": common,
    });
    let http1 = json!({ "enable_trailers": true });
    match cluster.protocol {
        UpstreamProtocol::Http1 => {
            protocol["explicit_http_config"] = json!({ "http_protocol_options": http1 });
        }
        UpstreamProtocol::Http2(options) => {
            protocol["explicit_http_config"] = json!({ "http2_protocol_options": http2(options) });
        }
        UpstreamProtocol::AsClient => {
            protocol["use_downstream_protocol_config"] = as_client();
        }
    }
    if let Some(by_host) = cluster.tls.as_ref().and_then(|tls| transport::by_host(tls)) {
        protocol["upstream_http_protocol_options"] = by_host;
    }
    let detection = cluster.outlier_detection.as_deref();
    if let Some(errors) = detection.map(|d| &d.error_codes).filter(|e| !e.is_empty()) {
        let errors: Vec<String> = errors.iter().map(u16::to_string).collect();
        let status = json!({ "safe_regex": { "regex": errors.join("|") } });
        let header = json!({ "name": ":status", "string_match": status });
        let matcher = json!({ "http_response_headers_match": { "headers": [header] } });
        protocol["outlier_detection"] = json!({ "error_matcher": matcher });
    }
    protocol
}

fn http2(options: Http2Options) -> Value {
    let mut out = json!({ "allow_connect": true });
    if let Some(most) = options.max_concurrent_streams {
        out["max_concurrent_streams"] = most.into();
    }
    if let Some(pings) = options.keepalive {
        out["connection_keepalive"] = json!({
            "interval": duration(pings.interval),
            "timeout": duration(pings.timeout),
        });
    }
    out
}

/// What the client speaks, whichever it is.
fn as_client() -> Value {
    json!({ "http_protocol_options": { "enable_trailers": true }, "http2_protocol_options": {} })
}

fn outlier_detection(detection: &OutlierDetection) -> Value {
    let count = |of: Option<NonZeroU32>| of.map_or(0, NonZeroU32::get);
    let sure = |of: Option<NonZeroU32>| if of.is_some() { 100 } else { 0 };
    let gateway = detection.consecutive_gateway;
    let local = detection.consecutive_local_origin;
    let mut out = json!({
        "consecutive_5xx": count(detection.consecutive_5xx),
        "enforcing_consecutive_5xx": sure(detection.consecutive_5xx),
        "consecutive_gateway_failure": count(gateway),
        "enforcing_consecutive_gateway_failure": sure(gateway),
        "split_external_local_origin_errors": detection.split_local_origin,
        "consecutive_local_origin_failure": count(local),
        "enforcing_consecutive_local_origin_failure": sure(local),
        "interval": duration(detection.interval),
        "base_ejection_time": duration(detection.base_ejection_time),
        "max_ejection_time": duration(detection.max_ejection_time),
        "max_ejection_percent": detection.max_ejection_percent,
        "always_eject_one_host": detection.always_eject_one,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
    });
    if let Some(rate) = detection.success_rate {
        out["success_rate_minimum_hosts"] = rate.minimum_hosts.into();
        out["success_rate_request_volume"] = rate.request_volume.into();
        out["success_rate_stdev_factor"] = rate.stdev_factor.into();
        out["enforcing_success_rate"] = rate.enforcing.into();
        out["enforcing_local_origin_success_rate"] = rate.enforcing.into();
    }
    if let Some(failures) = detection.failure_percentage {
        out["failure_percentage_threshold"] = failures.threshold.into();
        out["failure_percentage_minimum_hosts"] = failures.minimum_hosts.into();
        out["failure_percentage_request_volume"] = failures.request_volume.into();
        out["enforcing_failure_percentage"] = failures.enforcing.into();
        out["enforcing_failure_percentage_local_origin"] = failures.enforcing.into();
    }
    out
}
