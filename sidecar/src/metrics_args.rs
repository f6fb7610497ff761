//! What the command line says of metrics.

use std::time::Duration;

use clap::{Args, ValueEnum};
use outrigger_telemetry::metrics::MetricsSettings;

use crate::options::parse_time;

/// Which requests are counted, and how much that may take.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Count requests: Istio's standard metrics, and Envoy's by cluster, listener and route. Off, and they cost nothing;
    /// counts of connections, endpoints and the configuration stay
    #[arg(long, value_enum, default_value_t = OnOff::On)]
    pub(crate) metrics: OnOff,

    /// Sets of labels that Istio's metrics may have at a time; requests that find no room are counted in one whose labels say
    /// `overflow`
    #[arg(long, value_name = "N", default_value_t = MetricsSettings::MAX_SERIES)]
    pub(crate) max_metric_series: usize,

    /// How long a set of labels of Istio's metrics stays that nothing is counted under; 0s for ever. It begins anew when
    /// something is
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_time)]
    pub(crate) metric_series_idle: Duration,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    /// It is
    On,
    /// It is not
    Off,
}
