//! `/stats`: counters as `name: value` lines, under Envoy's names where Envoy has one.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::net::SocketAddr;

use outrigger_core::cluster::{
    AdaptiveConcurrency, AdaptiveLimit, Choice, ClusterState, Detector, RetryEvent,
};
use outrigger_core::http2::Counts;
use outrigger_core::snapshot::{
    Balancing, Cluster, ConsistentHash, HashTable, HashTableKind, RateLimit,
};
use outrigger_core::worker::{Buffered, Http2Counted, Http2Side};
use outrigger_runtime::ListenerStats;
use outrigger_telemetry::{ListenerRequests, MirrorFates};

use super::clusters::sweep;
use super::{Sources, connections};
use crate::run::{resolve, told};

/// Everything that is counted now.
pub(super) fn text(sources: &Sources, admin: &connections::Counts) -> String {
    let Sources {
        handle,
        telemetry,
        reloads,
        about,
        ..
    } = sources;
    let (stats, snapshot) = (handle.stats(), handle.snapshot());
    let requests = telemetry.requests();
    let mut lines = Lines::default();
    for (index, listener) in stats.listeners.iter().enumerate() {
        // The first listener is the outbound one.
        let prefix = if index == 0 { "outbound" } else { "inbound" };
        add_listener(&mut lines, listener);
        if let Some(requests) = requests.listeners.get(index) {
            add_requests(&mut lines, prefix, listener.addr, requests);
        }
    }
    for cluster in snapshot.clusters.iter() {
        sweep(cluster, handle.now());
        add_cluster(&mut lines, cluster);
    }
    add_rate_limits(&mut lines, &snapshot.rate_limits);
    let is_draining = u8::from(handle.is_draining());
    lines.add("server.live", 1 - is_draining);
    lines.add("server.state", is_draining);
    lines.add("server.uptime", about.started.elapsed().as_secs());
    lines.add("server.concurrency", stats.workers);
    lines.add(
        "listener_manager.total_listeners_active",
        stats.listeners.len(),
    );
    lines.add("outrigger.config_revision", snapshot.revision);
    lines.add("outrigger.config_revision_in_use", stats.revision);
    lines.add("outrigger.config_reload_success", reloads.successes());
    lines.add("outrigger.config_reload_refused", reloads.refusals());
    if let Some(refused) = reloads.last_refused() {
        // As Envoy writes a text readout; the words are on one line.
        lines.add("outrigger.config_last_refused", format!("\"{refused}\""));
    }
    lines.add("outrigger.connection_panics", stats.panics);
    lines.add("outrigger.upstream_cx_idle", stats.idle_upstream);
    lines.add(
        "outrigger.access_log_lines_dropped",
        telemetry.log_lines_dropped(),
    );
    lines.add("outrigger.notices_dropped", told::dropped());
    if let Some(recent) = telemetry.recent() {
        lines.add("outrigger.recent_requests.kept", recent.kept);
        lines.add("outrigger.recent_requests.passed_over", recent.passed_over);
        lines.add("outrigger.recent_requests.bytes", recent.bytes);
    }
    for (name, count) in admin.named() {
        lines.add(format!("outrigger.admin_cx_{name}"), count);
    }
    let spans = telemetry.spans();
    lines.add("outrigger.trace_spans_exported", spans.exported);
    lines.add("outrigger.trace_spans_dropped", spans.dropped);
    lines.add("outrigger.trace_spans_failed", spans.failed);
    lines.add("outrigger.trace_spans_waiting", spans.waiting);
    add_buffers(&mut lines, &stats.buffered);
    add_http2(&mut lines, &stats.http2);
    for (name, count) in resolve::counted() {
        lines.add(format!("outrigger.dns.{name}"), count);
    }
    lines.add("outrigger.mirror_rq_active", stats.mirrors);
    add_mirrors(&mut lines, &requests.mirrors);
    lines.sorted()
}

/// Limits with one prefix count together.
fn add_rate_limits(lines: &mut Lines, limits: &[RateLimit]) {
    let mut prefixes = BTreeSet::new();
    for limit in limits {
        let prefix = &limit.stat_prefix;
        if prefixes.insert(prefix) {
            for (name, count) in limit.counts.named() {
                lines.add(format!("{prefix}.http_local_rate_limit.{name}"), count);
            }
        }
    }
}

fn add_adaptive(
    lines: &mut Lines,
    cluster: &str,
    settings: &AdaptiveConcurrency,
    limit: &AdaptiveLimit,
) {
    let name = format!("{cluster}.adaptive_concurrency.gradient_controller");
    let unbusy = limit.unbusy();
    lines.add(format!("{name}.concurrency_limit"), limit.limit(settings));
    lines.add(format!("{name}.rq_blocked"), limit.blocked());
    let is_measuring = u8::from(unbusy.is_none());
    lines.add(format!("{name}.min_rtt_calculation_active"), is_measuring);
    let millis = unbusy.unwrap_or_default().as_millis();
    lines.add(format!("{name}.min_rtt_msecs"), millis);
}

fn add_buffers(lines: &mut Lines, buffered: &Buffered) {
    for (name, count) in [
        ("buffered_bytes", buffered.bytes),
        ("buffered_bytes_overflow", buffered.overflows),
        // As Envoy calls what its limits of single connections do.
        ("retry_or_shadow_abandoned", buffered.abandoned),
    ] {
        lines.add(format!("outrigger.{name}"), count);
    }
}

fn add_http2(lines: &mut Lines, counted: &Http2Counted) {
    let mut add = |side: &str, counted: &Http2Side| {
        let connections = format!("outrigger.{side}_cx_http2");
        lines.add(format!("{connections}_total"), counted.connections);
        lines.add(format!("{connections}_active"), counted.active);
        let name = format!("outrigger.http2.{side}");
        lines.add(format!("{name}.streams_active"), counted.streams);
        for (limit, count) in Counts::NAMES.iter().zip(counted.met.values()) {
            lines.add(format!("{name}.{limit}"), count);
        }
    };
    add("downstream", &counted.clients);
    add("upstream", &counted.endpoints);
}

fn add_mirrors(lines: &mut Lines, stats: &MirrorFates) {
    for (name, count) in [
        ("sent", stats.sent),
        ("incomplete", stats.incomplete),
        ("no_cluster", stats.no_cluster),
        ("no_endpoint", stats.no_endpoint),
        ("body_too_long", stats.body_too_long),
        ("dropped", stats.dropped),
    ] {
        lines.add(format!("outrigger.mirror_rq_{name}"), count);
    }
}

fn add_listener(lines: &mut Lines, stats: &ListenerStats) {
    let listener = format!("listener.{}", address(stats.addr));
    lines.add(format!("{listener}.downstream_cx_total"), stats.connections);
    lines.add(format!("{listener}.downstream_cx_active"), stats.active);
    lines.add(format!("{listener}.accept_errors"), stats.accept_errors);
}

fn add_requests(lines: &mut Lines, prefix: &str, addr: SocketAddr, stats: &ListenerRequests) {
    let http = format!("http.{prefix}_{}", address(addr));
    lines.add(format!("{http}.downstream_rq_total"), stats.requests);
    // Both are of their own moments.
    let http1 = stats.requests.saturating_sub(stats.http2_requests);
    lines.add(format!("{http}.downstream_rq_http1_total"), http1);
    lines.add(
        format!("{http}.downstream_rq_http2_total"),
        stats.http2_requests,
    );
    let [none, classes @ ..] = stats.status_classes;
    lines.add(format!("{http}.downstream_rq_no_response"), none);
    for (class, count) in (1..).zip(classes) {
        lines.add(format!("{http}.downstream_rq_{class}xx"), count);
    }
    lines.add(format!("{http}.request_body_bytes"), stats.bytes_received);
    lines.add(format!("{http}.response_body_bytes"), stats.bytes_sent);
}

fn add_cluster(lines: &mut Lines, cluster: &Cluster) {
    let name = format!("cluster.{}", cluster.name);
    let sum = |count: &dyn Fn(&outrigger_core::cluster::HostState) -> u64| {
        let endpoints = cluster.endpoints.iter();
        endpoints
            .map(|endpoint| count(&endpoint.state))
            .sum::<u64>()
    };
    lines.add(format!("{name}.membership_total"), cluster.endpoints.len());
    lines.add(
        format!("{name}.upstream_cx_active"),
        sum(&|h| h.connections().into()),
    );
    lines.add(
        format!("{name}.upstream_cx_connect_fail"),
        sum(&|h| h.connect_failures()),
    );
    lines.add(
        format!("{name}.upstream_rq_active"),
        sum(&|h| h.active().into()),
    );
    lines.add(format!("{name}.upstream_rq_total"), sum(&|h| h.requests()));
    add_retries(lines, &name, &cluster.state);
    add_choices(lines, &name, &cluster.state);
    if let Some(table) = cluster.tables.get(0) {
        add_table(lines, &name, cluster.balancing, table);
    }
    if let Some(settings) = &cluster.adaptive {
        add_adaptive(lines, &name, settings, cluster.state.adaptive());
    }
    if cluster.outlier_detection.is_some() {
        add_ejections(lines, &name, &cluster.state);
    }
}

/// A cluster whose retries nothing has happened to has no lines: most have none.
fn add_retries(lines: &mut Lines, cluster: &str, state: &ClusterState) {
    use RetryEvent::{BackOff, Hedge, LimitExceeded, Overflow, RetryAfter, Success};
    let [exponential, asked, hedged, success, overflow, exceeded] =
        [BackOff, RetryAfter, Hedge, Success, Overflow, LimitExceeded]
            .map(|event| state.counted_retries(event));
    let all = exponential + asked + hedged;
    if all + overflow + exceeded == 0 {
        return;
    }
    let name = format!("{cluster}.upstream_rq_retry");
    lines.add(&name, all);
    lines.add(format!("{name}_backoff_exponential"), exponential);
    lines.add(format!("{name}_backoff_ratelimited"), asked);
    lines.add(format!("{name}_hedged"), hedged);
    lines.add(format!("{name}_success"), success);
    lines.add(format!("{name}_overflow"), overflow);
    lines.add(format!("{name}_limit_exceeded"), exceeded);
}

/// The table of hashes of the first priority, once a request has needed it, as it is while nobody is out.
fn add_table(lines: &mut Lines, cluster: &str, balancing: Balancing, table: &HashTable) {
    let (least, most) = table.entries_per_host();
    let is_maglev = matches!(
        balancing,
        Balancing::ConsistentHash(ConsistentHash {
            table: HashTableKind::Maglev { .. },
            ..
        })
    );
    let (name, entries) = if is_maglev {
        ("maglev_lb", "entries")
    } else {
        lines.add(format!("{cluster}.ring_hash_lb.size"), table.size());
        ("ring_hash_lb", "hashes")
    };
    lines.add(format!("{cluster}.{name}.min_{entries}_per_host"), least);
    lines.add(format!("{cluster}.{name}.max_{entries}_per_host"), most);
}

/// Only what has happened: few clusters panic or know zones.
fn add_choices(lines: &mut Lines, cluster: &str, state: &ClusterState) {
    for (name, choice) in [
        ("lb_healthy_panic", Choice::Panic),
        ("lb_zone_routing_all_directly", Choice::AllInZone),
        ("lb_zone_routing_sampled", Choice::KeptInZone),
        ("lb_zone_routing_cross_zone", Choice::CrossZone),
    ] {
        match state.counted_choices(choice) {
            0 => {}
            count => lines.add(format!("{cluster}.{name}"), count),
        }
    }
}

fn add_ejections(lines: &mut Lines, cluster: &str, state: &ClusterState) {
    let name = format!("{cluster}.outlier_detection.ejections");
    let tally = state.tally();
    lines.add(format!("{name}_active"), state.ejections_active());
    lines.add(format!("{name}_enforced_total"), tally.enforced_total());
    lines.add(format!("{name}_overflow"), tally.overflow());
    for detector in Detector::ALL {
        let (detected, enforced) = (tally.detected(detector), tally.enforced(detector));
        let detector = detector.name();
        lines.add(format!("{name}_detected_{detector}"), detected);
        lines.add(format!("{name}_enforced_{detector}"), enforced);
    }
}

/// An address as a part of a name: Envoy replaces colons.
fn address(addr: SocketAddr) -> String {
    addr.to_string().replace(':', "_")
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, name: impl Display, value: impl Display) {
        self.0.push(format!("{name}: {value}"));
    }

    fn sorted(mut self) -> String {
        self.0.sort_unstable();
        let mut out = String::new();
        for line in self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{line}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::snapshot::shares;

    #[test]
    fn tables_of_hashes_are_told_under_envoys_names() {
        let hosts = shares([("a", 1), ("b", 3)].into_iter(), 1.0);
        let told = |table| {
            let hash = ConsistentHash {
                table,
                balance_factor: None,
            };
            let mut lines = Lines::default();
            let made = HashTable::new(table, &hosts);
            add_table(&mut lines, "c", Balancing::ConsistentHash(hash), &made);
            lines.0
        };
        assert_eq!(
            told(HashTableKind::Ring { min_size: 8 }),
            [
                "c.ring_hash_lb.size: 8",
                "c.ring_hash_lb.min_hashes_per_host: 2",
                "c.ring_hash_lb.max_hashes_per_host: 6",
            ]
        );
        assert_eq!(
            told(HashTableKind::Maglev { size: 7 }),
            [
                "c.maglev_lb.min_entries_per_host: 2",
                "c.maglev_lb.max_entries_per_host: 5",
            ]
        );
    }

    #[test]
    fn limits_of_http2_are_told_by_side() {
        let mut counted = Http2Counted::default();
        (counted.clients.connections, counted.clients.met.stalled) = (3, 2);
        counted.endpoints.streams = 5;
        let mut lines = Lines::default();
        add_http2(&mut lines, &counted);
        let told: Vec<_> = (lines.0.iter())
            .filter(|line| !line.ends_with(": 0"))
            .collect();
        assert_eq!(
            told,
            [
                "outrigger.downstream_cx_http2_total: 3",
                "outrigger.http2.downstream.stalled: 2",
                "outrigger.http2.upstream.streams_active: 5",
            ]
        );
        let limits = include_str!("../../../../docs/limits.md");
        for name in Counts::NAMES {
            let row = format!("`{name}`");
            assert!(limits.contains(&row), "{name} stands in docs/limits.md");
        }
    }

    #[test]
    fn ejections_are_told_by_detector_under_envoys_names() {
        let mut lines = Lines::default();
        add_ejections(&mut lines, "c", &ClusterState::default());
        let names: Vec<_> = lines
            .0
            .iter()
            .filter_map(|line| {
                line.strip_prefix("c.outlier_detection.ejections_")?
                    .strip_suffix(": 0")
            })
            .collect();
        assert_eq!(lines.0.len(), 17);
        for name in [
            "active",
            "enforced_total",
            "overflow",
            "detected_consecutive_5xx",
            "enforced_consecutive_5xx",
            "detected_consecutive_gateway_failure",
            "enforced_consecutive_local_origin_failure",
            "enforced_success_rate",
            "detected_failure_percentage",
            "enforced_local_origin_success_rate",
            "detected_local_origin_failure_percentage",
        ] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
    }

    #[test]
    fn limits_are_told_under_envoys_names() {
        let compiled = outrigger_core::compile::from_yaml(
            "apiVersion: networking.istio.io/v1\n\
             kind: VirtualService\n\
             metadata: {name: shop, annotations: {outrigger.dev/local-rate-limit: 1/m}}\n\
             spec: {hosts: [shop.example], http: [{match: [{uri: {prefix: /a}}], redirect: {uri: /b}}, {redirect: {uri: /c}}]}\n",
        );
        let mut lines = Lines::default();
        let limits = &compiled.snapshot.rate_limits;
        limits[0]
            .counts
            .count(outrigger_core::cluster::Limited::Enforced);
        add_rate_limits(&mut lines, limits);
        assert_eq!(
            lines.0,
            ["enabled: 1", "enforced: 1", "ok: 0", "rate_limited: 1"]
                .map(|line| format!("default.shop.http_local_rate_limit.{line}"))
        );
        let settings = AdaptiveConcurrency {
            min: 3,
            max: 1000,
            initial: 20,
            buffer: 0.5,
            interval: std::time::Duration::from_secs(10),
            window: 50,
        };
        let mut lines = Lines::default();
        let limit = AdaptiveLimit::default();
        limit.count_blocked();
        add_adaptive(&mut lines, "c", &settings, &limit);
        assert_eq!(
            lines.0,
            [
                "concurrency_limit: 8",
                "rq_blocked: 1",
                "min_rtt_calculation_active: 1",
                "min_rtt_msecs: 0",
            ]
            .map(|line| format!("c.adaptive_concurrency.gradient_controller.{line}"))
        );
    }
}
