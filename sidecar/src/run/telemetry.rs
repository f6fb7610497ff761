//! What is shown of requests, as the command line asks for it. What each part makes of them is in the package `telemetry`.

use std::sync::Arc;

use outrigger_core::decision::access_log::Place;
use outrigger_core::peer::Identity;
use outrigger_telemetry::metrics::MetricsSettings;
use outrigger_telemetry::{
    LogSettings, RecentSettings, Settings, SpanNotice, SpanSettings, Telemetry,
};
use outrigger_tls::Identities;
use tracing::{info, warn};

use super::collectors::Collectors;
use super::workers;
use crate::cli::RunArgs;
use crate::metrics_args::OnOff;
use crate::proxy_config;

/// Begins, before there are workers.
pub(super) fn start(args: &RunArgs, identities: Arc<Identities>) -> Telemetry {
    Telemetry::start(Settings {
        metrics: metrics(args),
        tells_limits: true,
        access_logs: Some(LogSettings {
            waiting: args.log.access_log_queue,
            hear: Arc::new(|words| warn!(target: "access_log", "{words}")),
        }),
        hears: None,
        place: place(),
        recent: recent(args),
        spans: Some(SpanSettings {
            namespace: args.namespace.clone(),
            room: args.trace.trace_queue.get(),
            protect: Arc::new(Collectors::new(identities)),
            tell: Arc::new(|notice| match notice {
                SpanNotice::NotTaken { .. } | SpanNotice::NotStarted(_) => {
                    warn!(target: "tracing", "{notice}");
                }
                SpanNotice::Taken { .. } => info!(target: "tracing", "{notice}"),
            }),
        }),
    })
}

fn recent(args: &RunArgs) -> Option<RecentSettings> {
    let asked = &args.recent;
    let keep = usize::try_from(asked.recent_requests).ok()?;
    let bytes = asked.recent_bytes / workers(args).get() as u64;
    (keep > 0).then(|| RecentSettings {
        keep,
        slow: Some(asked.recent_slow).filter(|slow| !slow.is_zero()),
        sample: asked.recent_sample,
        bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
    })
}

/// The machine's name, or the pod's, and the environment, as they are now.
fn place() -> Place {
    let environment = proxy_config::all();
    let of_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let hostname = of_kernel().or_else(|| environment.get("HOSTNAME").cloned());
    Place {
        hostname: hostname.unwrap_or_default().trim().to_owned(),
        environment,
    }
}

fn metrics(args: &RunArgs) -> Option<MetricsSettings> {
    let labels = args.labels.iter();
    let labels = labels.map(|label| (label.key.clone(), label.value.clone()));
    (args.metrics.metrics == OnOff::On).then(|| MetricsSettings {
        ourselves: Identity::of("", &args.namespace, &labels.collect()),
        max_series: args.metrics.max_metric_series,
        series_idle: Some(args.metrics.metric_series_idle).filter(|idle| !idle.is_zero()),
    })
}
