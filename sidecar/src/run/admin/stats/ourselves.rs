//! What `/stats` tells of the proxy itself: what it is, which configuration it uses, what it holds.

use std::fs;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use outrigger_runtime::Stats;
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value, label_text};
use outrigger_telemetry::metrics::{Collected, MirrorFates};

use super::super::{Sources, connections};
use super::{control_plane, identity};
use crate::run::overload::resident_bytes;
use crate::run::{events, resolve};

pub(super) const OURS: Scope<'static> = Scope {
    text: "outrigger",
    family: "outrigger",
    labels: "",
};

const SERVER: Scope<'static> = Scope {
    text: "server",
    family: "envoy_server",
    labels: "",
};

/// One of ours, which text and Prometheus call differently: a counter's name ends in `_total` there.
pub(super) const fn ours<'a>(text: &'a str, family: &'static str, help: &'static str) -> Stat<'a> {
    Stat {
        text,
        family,
        label: None,
        help,
    }
}

/// Everything of the proxy itself.
pub(super) fn add(sheet: &mut Sheet, of: &Sources, stats: &Stats, collected: &Collected) {
    add_server(sheet, of, stats);
    add_build(sheet);
    add_configuration(sheet, of, stats);
    add_dropped(sheet, of, stats, collected);
    add_connections(sheet, stats);
    add_mirrors(sheet, stats.mirrors, &collected.mirrors);
    for (name, count) in resolve::counted() {
        let text = format!("dns.{name}");
        let stat = Stat {
            text: &text,
            family: "dns",
            label: Some(("what", name)),
            help: "What is counted of names of endpoints: totals, and how many there are",
        };
        sheet.add(&OURS, stat, Value::Gauge(count as f64));
    }
    for (name, count) in of.lookup.named() {
        let text = format!("dns_lookup.{name}");
        let stat = Stat {
            text: &text,
            family: "dns_lookup",
            label: Some(("what", name)),
            help: "What is counted of names that clients give: totals, how many are asked for, and how many are known",
        };
        sheet.add(&OURS, stat, Value::Gauge(count as f64));
    }
    for (name, count) in of.dns.iter().flat_map(|counts| counts.named()) {
        let text = format!("dns_proxy.{name}");
        let stat = Stat {
            text: &text,
            family: "dns_proxy",
            label: Some(("what", name)),
            help: "What is counted of applications that ask for names: totals, and how many questions wait",
        };
        sheet.add(&OURS, stat, Value::Gauge(count as f64));
    }
    identity::add(sheet, of);
    control_plane::add(sheet, of.discovered.as_deref());
    add_process(sheet, of);
}

/// Before there is anything to serve by.
pub(super) fn add_early(sheet: &mut Sheet, started: Instant) {
    for (name, help, value) in [
        ("live", LIVE, 0.0),
        ("state", STATE, f64::from(INITIALIZING)),
        ("uptime", UPTIME, started.elapsed().as_secs() as f64),
    ] {
        sheet.add(&SERVER, Stat::new(name, help), Value::Gauge(value));
    }
    add_build(sheet);
}

const LIVE: &str = "1 if traffic is served and the proxy does not drain";
const STATE: &str = "0 live, 1 draining, 3 waiting for a first configuration";
const UPTIME: &str = "Seconds since the start";

/// As Envoy numbers its states.
const INITIALIZING: u8 = 3;

fn add_server(sheet: &mut Sheet, of: &Sources, stats: &Stats) {
    let is_draining = u8::from(of.handle.is_draining());
    for (name, help, value) in [
        ("live", LIVE, f64::from(1 - is_draining)),
        ("state", STATE, f64::from(is_draining)),
        (
            "uptime",
            UPTIME,
            of.about.started.elapsed().as_secs() as f64,
        ),
        ("concurrency", "Workers", stats.workers as f64),
        (
            "hot_restart_generation",
            "How many processes served before this one, each of which handed over to the next",
            of.takeovers.generation() as f64,
        ),
    ] {
        sheet.add(&SERVER, Stat::new(name, help), Value::Gauge(value));
    }
}

fn add_build(sheet: &mut Sheet) {
    let version = env!("CARGO_PKG_VERSION");
    for (family, labels) in [
        (
            "istio_build",
            vec![("component", "proxy"), ("tag", version)],
        ),
        ("outrigger_build_info", vec![("version", version)]),
    ] {
        let labels = label_text(&labels);
        let text = format!("{family}{{{labels}}}");
        let scope = Scope {
            text: &text,
            family,
            labels: &labels,
        };
        let stat = Stat::new("", "What runs here; always 1");
        sheet.add(&scope, stat, Value::Gauge(1.0));
    }
}

fn add_configuration(sheet: &mut Sheet, of: &Sources, stats: &Stats) {
    let reloads = &of.reloads;
    let last = reloads.last_success().as_secs_f64();
    for (name, help, value) in [
        (
            "config_revision",
            "The configuration in use, counted from 1",
            of.handle.snapshot().revision as f64,
        ),
        (
            "config_revision_in_use",
            "The oldest configuration that a worker still uses",
            stats.revision as f64,
        ),
        (
            "config_last_reload_success_timestamp_seconds",
            "When the configuration in use was taken, since 1970",
            last,
        ),
        (
            "config_refused",
            "1 if what was read last was refused, so that something older is in use",
            f64::from(u8::from(reloads.is_refused())),
        ),
    ] {
        sheet.add(&OURS, Stat::new(name, help), Value::Gauge(value));
    }
    for (text, family, help, count) in [
        (
            "config_reload_success",
            "config_reload_success_total",
            "Reloads that put something into use",
            reloads.successes(),
        ),
        (
            "config_reload_refused",
            "config_reload_refused_total",
            "Reloads that put nothing into use",
            reloads.refusals(),
        ),
    ] {
        sheet.add(&OURS, ours(text, family, help), Value::Counter(count));
    }
    if let Some(refused) = reloads.last_refused() {
        let stat = Stat::new("config_last_refused", "Why what was read last was refused");
        sheet.add(&OURS, stat, Value::Text(&refused.to_string()));
    }
    for ((code, severity), count) in reloads.findings() {
        let labels = label_text(&[("code", code), ("severity", severity)]);
        let text = format!("outrigger.config_findings.{severity}.{code}");
        let scope = Scope {
            text: &text,
            family: "outrigger_config_findings",
            labels: &labels,
        };
        let stat = Stat::new("", "Findings in what was read last");
        sheet.add(&scope, stat, Value::Gauge(count as f64));
    }
}

fn add_dropped(sheet: &mut Sheet, of: &Sources, stats: &Stats, collected: &Collected) {
    for (text, family, help, count) in [
        (
            "connection_panics",
            "connection_panics_total",
            "Faults of this program that ended a connection",
            stats.panics,
        ),
        (
            "access_log_lines_dropped",
            "access_log_lines_dropped_total",
            "Lines of the access log that were not written",
            of.telemetry.log_lines_dropped(),
        ),
        (
            "notices_dropped",
            "notices_dropped_total",
            "Lines for the operator that were not written",
            events::dropped(),
        ),
        (
            "buffered_bytes_overflow",
            "buffered_bytes_overflow_total",
            "Times that --max-buffered-bytes was reached",
            stats.buffered.overflows,
        ),
        // As Envoy calls what its limits of single connections do.
        (
            "retry_or_shadow_abandoned",
            "retry_or_shadow_abandoned_total",
            "Bodies that were not kept for retries and mirrors",
            stats.buffered.abandoned,
        ),
        (
            "agent_scrapes",
            "agent_scrapes_total",
            "Times that the application was asked for its metrics",
            of.beside.scrape.counted().0,
        ),
        (
            "agent_scrapes_failed",
            "agent_scrapes_failed_total",
            "Times that it told none that could be added to ours",
            of.beside.scrape.counted().1,
        ),
        (
            "agent_scrapes_refused",
            "agent_scrapes_refused_total",
            "Of these, times that it was not asked, because of --agent-scrapes",
            of.beside.scrape.counted().2,
        ),
        (
            "takeovers_failed",
            "takeovers_failed_total",
            "Processes that came to take over from this one and did not",
            of.takeovers.failed(),
        ),
        (
            "metric_series_overflow",
            "metric_series_overflow_requests_total",
            "Requests counted in a series whose labels say overflow, because of --max-metric-series",
            collected.overflowed,
        ),
        (
            "metric_series_ended",
            "metric_series_ended_total",
            "Sets of labels that have ended because of --metric-series-idle",
            collected.ended,
        ),
    ] {
        sheet.add(&OURS, ours(text, family, help), Value::Counter(count));
    }
    add_waiting(sheet, of);
    if let Some(recent) = of.telemetry.recent() {
        for (text, family, help, count) in [
            (
                "recent_requests.kept",
                "recent_requests_kept_total",
                "Requests that were kept with their stories",
                recent.kept,
            ),
            (
                "recent_requests.passed_over",
                "recent_requests_passed_over_total",
                "Requests that were to be kept with their stories, and were too many at a time",
                recent.passed_over,
            ),
        ] {
            sheet.add(&OURS, ours(text, family, help), Value::Counter(count));
        }
        let bytes = Stat::new(
            "recent_requests.bytes",
            "What requests that are kept take of memory",
        );
        sheet.add(&OURS, bytes, Value::Gauge(recent.bytes as f64));
    }
    let series = Stat::new("metric_series", "Sets of labels of Istio's metrics");
    sheet.add(&OURS, series, Value::Gauge(collected.series() as f64));
}

fn add_waiting(sheet: &mut Sheet, of: &Sources) {
    let spans = of.telemetry.spans();
    for (text, family, help, count) in [
        (
            "trace_spans_exported",
            "trace_spans_exported_total",
            "Spans that a collector took",
            spans.exported,
        ),
        (
            "trace_spans_dropped",
            "trace_spans_dropped_total",
            "Spans for which there was no room",
            spans.dropped,
        ),
        (
            "trace_spans_failed",
            "trace_spans_failed_total",
            "Spans that a collector did not take",
            spans.failed,
        ),
    ] {
        sheet.add(&OURS, ours(text, family, help), Value::Counter(count));
    }
    let waiting = Stat::new("trace_spans_waiting", "Spans that wait to be exported");
    sheet.add(&OURS, waiting, Value::Gauge(spans.waiting as f64));
    let waiting = Stat::new(
        "access_log_bytes_waiting",
        "Bytes of access logs that wait to be written",
    );
    let bytes = of.telemetry.log_bytes_waiting();
    sheet.add(&OURS, waiting, Value::Gauge(bytes as f64));
}

fn add_connections(sheet: &mut Sheet, stats: &Stats) {
    let clients: u64 = stats.listeners.iter().map(|listener| listener.active).sum();
    let idle = stats.idle_upstream;
    for (text, side, state, count) in [
        ("downstream_cx_active", "downstream", "open", clients),
        ("upstream_cx_idle", "upstream", "idle", idle),
    ] {
        let labels = label_text(&[("side", side), ("state", state)]);
        let scope = Scope {
            text: "outrigger",
            family: "outrigger_connections",
            labels: &labels,
        };
        let stat = Stat {
            text,
            family: "",
            label: None,
            help: "Connections by side and state",
        };
        sheet.add(&scope, stat, Value::Gauge(count as f64));
    }
    let buffered = Stat::new(
        "buffered_bytes",
        "Bytes that wait in memory for somebody to take them",
    );
    sheet.add(&OURS, buffered, Value::Gauge(stats.buffered.bytes as f64));
}

fn add_mirrors(sheet: &mut Sheet, active: u64, fates: &MirrorFates) {
    let stat = Stat::new(
        "mirror_rq_active",
        "Copies of requests that are under way for mirrors",
    );
    sheet.add(&OURS, stat, Value::Gauge(active as f64));
    for (fate, count) in [
        ("sent", fates.sent),
        ("incomplete", fates.incomplete),
        ("no_cluster", fates.no_cluster),
        ("no_endpoint", fates.no_endpoint),
        ("body_too_long", fates.body_too_long),
        ("dropped", fates.dropped),
    ] {
        let text = format!("mirror_rq_{fate}");
        let stat = Stat {
            text: &text,
            family: "mirror_requests_total",
            label: Some(("fate", fate)),
            help: "What became of the copies that mirrors were to get",
        };
        sheet.add(&OURS, stat, Value::Counter(count));
    }
}

/// The connections of the admin endpoints themselves.
pub(super) fn add_admin(sheet: &mut Sheet, admin: &connections::Counts) {
    for (name, count) in admin.named() {
        let text = format!("admin_cx_{name}");
        let stat = Stat {
            text: &text,
            family: "admin_connections",
            label: Some(("what", name)),
            help: "Connections to the admin endpoints: totals, and how many are open",
        };
        sheet.add(&OURS, stat, Value::Gauge(count as f64));
    }
}

/// Of the process, under the names that every program has for them. Systems without `/proc` do not say.
fn add_process(sheet: &mut Sheet, of: &Sources) {
    let scope = Scope {
        text: "process",
        family: "process",
        labels: "",
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let started = now
        .unwrap_or_default()
        .saturating_sub(of.about.started.elapsed());
    let stat = Stat::new("start_time_seconds", "When the program started, since 1970");
    sheet.add(&scope, stat, Value::Gauge(started.as_secs_f64()));
    if let Some(resident) = resident_bytes() {
        let stat = Stat::new("resident_memory_bytes", "Memory that the program has");
        sheet.add(&scope, stat, Value::Gauge(resident as f64));
        let memory = Stat::new(
            "memory_physical_size",
            "Memory that the program has, in bytes",
        );
        sheet.add(&SERVER, memory, Value::Gauge(resident as f64));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let stat = Stat::new("open_fds", "Descriptors that are open");
        sheet.add(&scope, stat, Value::Gauge(open.count() as f64));
    }
}
