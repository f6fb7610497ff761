//! What `outrigger run` can be told, what it defaults to, and the examples that `run --help` shows.
//!
//! Owns words only; those that belong together have a file of their own each (`…_args`).

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use outrigger_core::worker::WorkerSettings;

use crate::access_log_args::AccessLogArgs;
use crate::admin_args::AdminArgs;
use crate::authority_args::AuthorityArgs;
use crate::dns_args::DnsArgs;
use crate::event_levels::Levels;
use crate::gateway_args::GatewayArgs;
use crate::http2_args::Http2Args;
use crate::identity_args::IdentityArgs;
use crate::intercept::ModeArg;
use crate::limit_args::LimitArgs;
use crate::metrics_args::MetricsArgs;
use crate::options::{
    InboundArg, LabelArg, LogFormat, Runtime, parse_size, parse_some_time, parse_time,
};
use crate::overload_args::OverloadArgs;
use crate::recent_args::RecentArgs;
use crate::sources::Pattern;
use crate::trace_args::TraceArgs;
use crate::xds_args::XdsArgs;

const RUN_EXAMPLES: &str = "\
Examples:
  Proxy outbound calls by the rules in a folder, and ask it something:
    outrigger run --config rules/
    curl -H 'Host: recommendation' 127.0.0.1:15001/
    http_proxy=http://127.0.0.1:15001 curl http://recommendation:8080/

  Stand in front of an application that listens on 8080:
    outrigger run --config rules/ --inbound 0.0.0.0:15006=127.0.0.1:8080

  As version v2 of a service in namespace shop, with an access log:
    outrigger run --config rules/ --namespace shop --label app=cart --label version=v2 --access-log text

  As the gateway that Gateways select by istio=ingressgateway, whose port 443 is reached at 8443:
    outrigger run --config rules/ --label istio=ingressgateway --gateway 80=0.0.0.0:8080 --gateway 443=0.0.0.0:8443

  By what a control plane says, instead of files (`outrigger control`):
    outrigger run --xds http://127.0.0.1:15010 --namespace shop --label app=cart

  With an identity that an authority gives and renews:
    outrigger run --config rules/ --namespace shop --ca control.example:15012 --ca-roots root-cert.pem --token token

  Record the run, to be replayed elsewhere (the file holds every byte, secrets too; without bodies it is smaller):
    outrigger run --config rules/ --record run.rec --record-without-bodies
    outrigger replay run.rec

  Restart, as with a new version of the program, without losing a request: start it once more with the same socket:
    outrigger run --config rules/ --takeover /run/outrigger/takeover.sock

Files are read again when they change and on SIGHUP. A configuration with an error in anything that the proxy uses is
refused as a whole: it does not start with it, and keeps what it runs (see --lenient). SIGTERM and SIGINT drain, SIGINT without --minimum-drain-time and without the admin address; a second one ends at once.";

/// What `outrigger run` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// Istio and Kubernetes YAML: files, or folders that are searched for *.yaml, *.yml and *.json
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) config: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) xds: XdsArgs,

    /// Leave out of folders what is like GLOB, as in a `.gitignore`; a folder's own `.outriggerignore` does the same. May be
    /// repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) ignore: Vec<Pattern>,

    /// What moves the bytes
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,

    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,

    /// For how long a worker goes on looking for events, at full CPU, after the last one, such as 50us; 0s, and it
    /// sleeps at once: then an idle proxy uses no CPU
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_time)]
    pub(crate) busy_poll: Duration,

    /// Where local clients send their requests
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:15001")]
    pub(crate) outbound: SocketAddr,

    /// Forward everything that comes to ADDR to the application at APP_ADDR; may be repeated. With --interception several may
    /// have one ADDR: each gets the connections that were to go to its port, and ADDR alone gets all others, which go where
    /// they were to go, or where the Sidecar's `ingress` says
    #[arg(long, value_name = "ADDR[=APP_ADDR]")]
    pub(crate) inbound: Vec<InboundArg>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,

    /// How the kernel brings connections here that were to go elsewhere (`outrigger intercept`); then they go by where they were
    /// to go
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        ignore_case = true,
        default_value_t = ModeArg::None,
        env = "OUTRIGGER_INTERCEPTION"
    )]
    pub(crate) interception: ModeArg,

    /// The namespace of this workload
    #[arg(long, value_name = "NS", default_value = "default")]
    pub(crate) namespace: String,

    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) authority: AuthorityArgs,

    /// A label of this workload; may be repeated. `topology.kubernetes.io/region`, `topology.kubernetes.io/zone` and
    /// `topology.istio.io/subzone`, or `istio-locality` with `region.zone.subzone`, say where it is
    #[arg(long = "label", value_name = "K=V")]
    pub(crate) labels: Vec<LabelArg>,

    /// More labels, a line each as Kubernetes' downward API writes them (`KEY="VALUE"`, Istio's /etc/istio/pod/labels); those of
    /// `--label` go before them. It is followed
    #[arg(long, value_name = "FILE")]
    pub(crate) labels_file: Option<PathBuf>,

    /// Those of `--label` alone.
    #[arg(skip)]
    pub(crate) labels_said: Vec<LabelArg>,

    /// Put into effect what istiod would, though `check` calls it an error: fields that do not exist are ignored, and
    /// requests for subsets that do not exist get a 503
    #[arg(long)]
    pub(crate) lenient: bool,

    #[command(flatten)]
    pub(crate) trace: TraceArgs,

    /// Istio's mesh configuration (the `mesh` key of the ConfigMap `istio`, or its content)
    #[arg(long, value_name = "FILE")]
    pub(crate) mesh_config: Option<PathBuf>,

    /// How long a client may take for the head of a request, from its first byte to its last; then 408. 0s is for ever
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_time)]
    pub(crate) request_head_timeout: Duration,

    /// How long a client of a listener with TLS may take for the handshake, or to begin in clear text where it may; then its
    /// connection is closed. 0s is for ever
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_time)]
    pub(crate) tls_handshake_timeout: Duration,

    /// How long a client that was brought here may take to show by its first bytes what it speaks, where the port does not say; then
    /// its bytes pass as they are, and its server may speak first; towards the application it is judged as HTTP. What the mesh says
    /// goes before. 0s is for ever
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_time)]
    pub(crate) protocol_detection_timeout: Duration,

    /// How many first bytes are looked at for that; a connection that has not told by then is not HTTP
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = parse_size)]
    pub(crate) max_sniffed_bytes: u64,

    /// How long a header of the PROXY protocol (version 2) may be, where gateways expect one, 16KiB at most; longer ones are refused
    #[arg(long, value_name = "SIZE", default_value = "4KiB", value_parser = parse_size)]
    pub(crate) max_proxy_header_bytes: u64,

    /// For how long a client's connection may be without a request; 0s is for ever
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_time)]
    pub(crate) idle_timeout: Duration,

    /// Answer requests whose body is longer with 413; without it a body may be as long as it likes
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_request_body: Option<u64>,

    /// For how long nothing of a request or its response may move; 0s is for ever
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_time)]
    pub(crate) stream_idle_timeout: Duration,

    /// Bytes of requests, responses and tunnels that may wait in memory before those that hold most are not read until their
    /// peers have taken some, and long bodies are not kept for retries and mirrors; each worker has its share. 0 is no limit
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub(crate) max_buffered_bytes: u64,

    /// Certificates in PEM of who else may speak for the addresses of keys (`jwksUri`), besides whom the machine trusts; may be
    /// repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) jwks_ca: Vec<PathBuf>,

    /// How long keys of an issuer that were fetched stand before they are fetched again
    #[arg(long, value_name = "DURATION", default_value = "20m", value_parser = parse_some_time)]
    pub(crate) jwks_refresh: Duration,

    /// Accepted tokens (JWT) that a worker keeps so that the signature of each is checked once; 0 keeps none
    #[arg(long, value_name = "N", default_value_t = WorkerSettings::default().max_cached_tokens)]
    pub(crate) max_cached_tokens: usize,

    /// Which events are written to standard error: trace, debug, info, warning, error or off; for all, and for some loggers:
    /// warning,config:debug [environment: OUTRIGGER_LOG; default: info]
    #[arg(long, value_name = "LEVELS", help_heading = "Event log")]
    pub(crate) log_level: Option<Levels>,

    /// How events look
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        default_value = "text",
        help_heading = "Event log"
    )]
    pub(crate) log_format: LogFormat,

    #[command(flatten)]
    pub(crate) log: AccessLogArgs,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    #[command(flatten)]
    pub(crate) dns: DnsArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) http2: Http2Args,

    #[command(flatten)]
    pub(crate) overload: OverloadArgs,

    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,

    #[command(flatten)]
    pub(crate) recent: RecentArgs,

    /// Record everything that decisions depend on to FILE, for `outrigger replay`; the file of the run before is kept as
    /// FILE.previous
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// The recording ends, and the run goes on, before the file is longer than this
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size, requires = "record")]
    pub(crate) record_limit: u64,

    /// Leave out of the recording what bodies say, and keep how long they are: heads are recorded whole, secrets in them too
    #[arg(long, requires = "record")]
    pub(crate) record_without_bodies: bool,

    /// Take over from the process that serves SOCKET, if there is one, without losing a request: it hands its listening sockets over, and
    /// drains and ends once this one serves. Then others may take over from this one there. Only processes of this user may
    #[arg(long, value_name = "SOCKET", help_heading = "End and restart")]
    pub(crate) takeover: Option<PathBuf>,

    /// How long a process that takes over from this one may take until it is ready; then this one goes on
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_some_time, requires = "takeover", help_heading = "End and restart")]
    pub(crate) takeover_time: Duration,

    /// How long draining may take before what still runs is cut off, in seconds; the default ends within the 30 s that Kubernetes grants a pod
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = parse_seconds)]
    pub(crate) drain_time: Duration,

    /// How long connections of a listener that a reload takes away may go on, in seconds [default: --drain-time]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) listener_drain_time: Option<Duration>,

    /// For how long inbound listeners still accept once draining has begun, in seconds, because clients hear late that
    /// this workload ends (Istio's MINIMUM_DRAIN_DURATION); without inbound listeners nothing is waited for
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub(crate) minimum_drain_time: Duration,

    /// Accept, after the minimum drain time too, until no inbound connection is left, and end those that idle; also by the
    /// environment: EXIT_ON_ZERO_ACTIVE_CONNECTIONS=true
    #[arg(long)]
    pub(crate) exit_on_zero_active_connections: bool,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim_end_matches('s').parse::<f64>().ok();
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| format!("`{text}` is not a number of seconds"))
}
