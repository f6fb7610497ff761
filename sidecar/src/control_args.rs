//! What `outrigger control` takes.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use crate::event_levels::Levels;
use crate::options::LogFormat;
use crate::sources::Pattern;

const EXAMPLES: &str = "\
Examples:
  A mesh without Kubernetes: the rules and endpoints in a folder, for sidecars on this machine:
    outrigger control --config mesh/
    outrigger run --xds http://127.0.0.1:15010 --namespace shop --label app=cart

  What it serves, and who is there:
    curl 127.0.0.1:15014/clients
    curl 127.0.0.1:15014/stats/prometheus

Each sidecar is told what is in its namespace or exported to it and what its Sidecar imports, and of changes alone. A change
of an object that a sidecar finds no good is refused by it, with the reason, and its last good one stays in use there.";

/// What it takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ControlArgs {
    /// Istio and Kubernetes YAML of the whole mesh: files, or folders that are searched for *.yaml, *.yml and *.json. A ConfigMap
    /// called `istio` holds the mesh's settings. They are read again when they change
    #[arg(long, value_name = "PATH", required = true, num_args = 1.., env = "OUTRIGGER_CONTROL_CONFIG")]
    pub(crate) config: Vec<PathBuf>,

    /// Leave out of folders what is like GLOB, as in a `.gitignore`; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) ignore: Vec<Pattern>,

    /// Where sidecars of this machine come, in clear text
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:15010",
        env = "OUTRIGGER_CONTROL_PLAIN"
    )]
    pub(crate) plain: SocketAddr,

    /// Where our health, counters and clients are asked for
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:15014",
        env = "OUTRIGGER_CONTROL_ADMIN"
    )]
    pub(crate) admin: SocketAddr,

    /// Streams of clients at a time; more are sent to another replica
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20_000,
        env = "OUTRIGGER_CONTROL_MAX_CLIENTS"
    )]
    pub(crate) max_clients: u64,

    /// Clients that are sent a first configuration at a time; others wait, for all of it is in memory until it is sent
    #[arg(
        long,
        value_name = "N",
        default_value = "64",
        env = "OUTRIGGER_CONTROL_MAX_FIRST_AT_ONCE"
    )]
    pub(crate) max_first_at_once: NonZeroUsize,

    /// What is told of what happens, such as `warn` or `info,discovery:debug` [default: info]
    #[arg(long, value_name = "LEVELS", env = "OUTRIGGER_LOG")]
    pub(crate) log_level: Option<Levels>,

    /// How it is told
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}
