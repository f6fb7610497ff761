//! What a proxy says of itself: `/server_info`, `/listeners`, in Envoy's shapes as far as they fit.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outrigger_core::peer::ListenerKind;
use outrigger_runtime::{Handle, Located};
use serde_json::{Value, json};

use crate::cli::RunArgs;
use crate::run::listeners::Counts;
use crate::run::pod_labels::Current;

/// What it was started with, as far as that is shown.
#[derive(Clone, Debug)]
pub(in crate::run) struct About {
    pub(super) runtime: &'static str,
    pub(super) namespace: String,
    labels: Arc<Current>,
    pub(super) admin: String,
    config: Vec<PathBuf>,
    drain_time: Duration,
    minimum_drain_time: Duration,
    pub(super) started: Instant,
}

impl About {
    pub(in crate::run) fn new(
        args: &RunArgs,
        labels: Arc<Current>,
        runtime: &'static str,
        admin: String,
    ) -> Self {
        Self {
            runtime,
            namespace: args.namespace.clone(),
            labels,
            admin,
            config: args.config.clone(),
            drain_time: args.drain_time,
            minimum_drain_time: args.minimum_drain_time,
            started: Instant::now(),
        }
    }

    /// What this workload is called: its `app` label, or the first other thing that names it.
    pub(super) fn workload(&self) -> String {
        let labels = self.labels.get();
        let mut keys = ["app", "app.kubernetes.io/name"].into_iter();
        let named = keys.find_map(|key| labels.get(key));
        named.unwrap_or(&self.namespace).clone()
    }

    /// All labels, by key.
    pub(super) fn labels(&self) -> Value {
        json!(*self.labels.get())
    }
}

/// `/server_info`.
pub(super) fn server_info(about: &About, handle: &Handle) -> String {
    let uptime = format!("{}s", about.started.elapsed().as_secs());
    let config: Vec<_> = about.config.iter().map(|p| p.to_string_lossy()).collect();
    let seconds = |time: Duration| format!("{}s", time.as_secs_f64());
    let value = json!({
        "version": concat!("outrigger/", env!("CARGO_PKG_VERSION")),
        "state": state(handle),
        "uptime_current_epoch": uptime,
        "uptime_all_epochs": uptime,
        "node": {
            "cluster": format!("{}.{}", about.workload(), about.namespace),
            "metadata": { "NAMESPACE": about.namespace, "LABELS": about.labels() },
        },
        "command_line_options": {
            "concurrency": handle.stats().workers,
            "runtime": about.runtime,
            "config_path": config,
            "admin_address": about.admin,
            "drain_time": seconds(about.drain_time),
            "minimum_drain_time": seconds(about.minimum_drain_time),
        },
    });
    format!("{value:#}\n")
}

/// Envoy's word for it.
pub(super) fn state(handle: &Handle) -> &'static str {
    if handle.is_draining() {
        "DRAINING"
    } else {
        "LIVE"
    }
}

/// Every listener: which way it leads, and where it is.
fn named_listeners(handle: &Handle) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let located = handle.located().into_iter();
    located.map(|Located { kind, addr }| (direction(kind), addr))
}

/// Which way a listener leads.
pub(super) const fn direction(kind: ListenerKind) -> &'static str {
    match kind {
        ListenerKind::Outbound => "outbound",
        ListenerKind::Inbound(_) => "inbound",
        ListenerKind::Gateway(_) => "gateway",
    }
}

/// The name of a listener: as in `/stats`, behind `http.`.
pub(super) fn listener_name(direction: &str, addr: SocketAddr) -> String {
    format!("{direction}_{}", addr.to_string().replace(':', "_"))
}

/// `/listeners`, a line each.
pub(super) fn listeners(handle: &Handle) -> String {
    let mut out = String::new();
    for (direction, addr) in named_listeners(handle) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}::{addr}", listener_name(direction, addr));
    }
    out
}

/// `/listeners?format=json`, with those that are wanted and could not be opened.
pub(super) fn listeners_json(handle: &Handle, counts: &Counts) -> String {
    let statuses: Vec<Value> = named_listeners(handle)
        .map(|(direction, addr)| {
            json!({
                "name": listener_name(direction, addr),
                "local_address": socket_address(addr),
            })
        })
        .collect();
    let missing = counts.missing();
    let missing: Vec<Value> = (missing.iter())
        .map(|missing| json!({ "name": missing.name(), "error": missing.error }))
        .collect();
    let told = json!({ "listener_statuses": statuses, "not_open": missing });
    format!("{told:#}\n")
}

/// An address as Envoy's messages write it.
pub(super) fn socket_address(addr: SocketAddr) -> Value {
    json!({ "socket_address": { "address": addr.ip().to_string(), "port_value": addr.port() } })
}
