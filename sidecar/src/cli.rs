//! The command line: what can be said, what it defaults to, and the examples that `--help` shows.
//!
//! Owns words only. What a command does is in the module of its name; usage errors end the program with exit code 2
//! before any of them runs.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use outrigger_core::worker::WorkerSettings;

use crate::access_log_args::AccessLogArgs;
use crate::admin_args::AdminArgs;
pub(crate) use crate::ca::CaArgs;
pub(crate) use crate::check::CheckArgs;
pub(crate) use crate::control::ControlArgs;
pub(crate) use crate::diff::DiffArgs;
use crate::dns_args::DnsArgs;
use crate::event_levels::Levels;
pub(crate) use crate::explain::ExplainArgs;
use crate::gateway_args::GatewayArgs;
use crate::http2_args::Http2Args;
use crate::identity_args::IdentityArgs;
pub(crate) use crate::inject::InjectArgs;
pub(crate) use crate::intercept::{InterceptArgs, ModeArg};
use crate::limit_args::LimitArgs;
use crate::metrics_args::MetricsArgs;
use crate::options::{Format, InboundArg, LabelArg, parse_size, parse_some_time, parse_time};
use crate::overload_args::OverloadArgs;
use crate::recent_args::RecentArgs;
pub(crate) use crate::replay::ReplayArgs;
pub(crate) use crate::simulate::SimulateArgs;
use crate::sources::Pattern;
use crate::trace_args::TraceArgs;
use crate::xds_args::XdsArgs;

const EXAMPLES: &str = "\
Examples:
  outrigger demo                        see it work, on loopback, in a few seconds
  outrigger check rules/                judge the Istio YAML you have
  outrigger explain --config rules/ 'GET http://reviews/'
                                        say which rule a request falls under, where it goes, and why
  outrigger diff rules/ rules.new/      say what would change for users
  outrigger simulate scenario.yaml      see what users would see of a slow or failing service under it
  outrigger run --config rules/         route what comes to 127.0.0.1:15001 by it
  outrigger replay run.rec              decide again what was recorded, and compare

Exit codes: 0 done, 1 the input was judged bad, 2 usage.";

/// An Istio-compatible sidecar proxy: YAML in, real traffic out.
#[derive(Clone, Debug, Parser)]
#[command(name = "outrigger", version, propagate_version = true)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy
    Run(Box<RunArgs>),
    /// Have the configuration of a mesh, and tell each sidecar its part (`run --xds`)
    Control(Box<ControlArgs>),
    /// Judge configuration: print every finding, with file, line and what to do
    Check(CheckArgs),
    /// Say what rules make of a request, and why; nothing is sent
    Explain(Box<ExplainArgs>),
    /// Say what changes for users between two configurations
    Diff(Box<DiffArgs>),
    /// Play services, faults and load in virtual time by the rules you have, and show what users would see
    Simulate(SimulateArgs),
    /// Decide again what a run recorded (`run --record`), and compare every decision
    Replay(ReplayArgs),
    /// Send what goes in and out of this network namespace through a sidecar, as Istio's init container does
    Intercept(Box<InterceptArgs>),
    /// Put sidecars into the pods of files, as `control` does when a cluster asks it
    Inject(InjectArgs),
    /// Make a throw-away certificate authority, and identities of it, to try mutual TLS with
    Ca(CaArgs),
    /// Watch the tutorial's services talk through real sidecars on loopback
    Demo(DemoArgs),
}

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

    /// A label of this workload; may be repeated. `topology.kubernetes.io/region`, `topology.kubernetes.io/zone` and
    /// `topology.istio.io/subzone`, or `istio-locality` with `region.zone.subzone`, say where it is
    #[arg(long = "label", value_name = "K=V")]
    pub(crate) labels: Vec<LabelArg>,

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

    /// How long draining may take before what still runs is cut off, in seconds, of the program and of a listener that a reload takes
    /// away; the default ends within the 30 s that Kubernetes grants a pod
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = parse_seconds)]
    pub(crate) drain_time: Duration,

    /// For how long inbound listeners still accept once draining has begun, in seconds, because clients hear late that
    /// this workload ends (Istio's MINIMUM_DRAIN_DURATION); without inbound listeners nothing is waited for
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub(crate) minimum_drain_time: Duration,

    /// Accept, after the minimum drain time too, until no inbound connection is left, and end those that idle; also by the
    /// environment: EXIT_ON_ZERO_ACTIVE_CONNECTIONS=true
    #[arg(long)]
    pub(crate) exit_on_zero_active_connections: bool,
}

const DEMO_RESULT: &str = "\
Exit code 0: every step showed what it should; 1: one did not.

Examples:
  outrigger demo                     the tutorial, on loopback
  outrigger demo --stories           and why each step went as it did
  sudo outrigger demo --intercept    connections that the kernel brings to sidecars, in namespaces that end with the program

--format json writes one document:
  {
    \"ok\": true, \"requests\": 7216, \"seconds\": 8.9,
    \"checks\": [{
      \"step\": \"03-canary-90-10\", \"visit\": \"anybody\",
      \"expected\": \"10 % v2, 55 to 152 of 1000\",
      \"observed\": {\"v1\": 899, \"v2\": 101},
      \"ok\": true
    }, {
      \"step\": \"21-all-together\", \"visit\": \"8 at the same time\",
      \"expected\": \"v1 and v2, and an ejection or more\",
      \"observed\": {\"v1\": 96, \"v2\": 104},
      \"ok\": true,
      \"load\": {
        \"success_rate\": 1.0, \"p50_ms\": 5.7, \"p99_ms\": 19.1,
        \"v1\": 96, \"v2\": 104, \"second_v2\": 3, \"ejections\": 1
      }
    }],
    \"stories\": [{ \"step\": \"21-all-together\", \"story\": \"GET recommendation/\\n…\" }]
  }
`meanwhile` is there where visitors do not see all that counts, as with mirrors; `stories` with --stories only. Failures are
seen as `503 UO`, or `503 (504 UT)` where a service passed one on: status and response flag.";

/// What `outrigger demo` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = DEMO_RESULT)]
pub(crate) struct DemoArgs {
    /// Requests of each step that is up to chance, 24 or more so that a check can fail; other steps take a tenth
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) requests: u32,

    /// For people as it goes, or one document for machines at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// After each step, tell what became of one of its requests and why
    #[arg(long)]
    pub(crate) stories: bool,

    /// Instead of the tutorial: applications that know of no proxy, in two network namespaces made for them, whose connections the kernel
    /// brings to their sidecars; needs root on Linux, `ip`, and iptables or nft
    #[arg(long, conflicts_with_all = ["requests", "stories"])]
    pub(crate) intercept: bool,

    /// What moves the bytes in the sidecars
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,
}

/// Which runtime moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// epoll, any Unix
    Tokio,
    /// io_uring, Linux 6.1 or later
    Glommio,
    /// glommio where it can be used, else tokio
    Auto,
}

/// The event log's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A time, a level and a sentence
    #[default]
    Text,
    /// The same as a JSON object, with the numbers in it
    Json,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim_end_matches('s').parse::<f64>().ok();
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| format!("`{text}` is not a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run_args(args: &[&str]) -> Result<RunArgs, clap::Error> {
        let words = ["outrigger", "run"].iter().chain(args);
        match Cli::try_parse_from(words)?.command {
            Command::Run(args) => Ok(*args),
            Command::Ca(_)
            | Command::Check(_)
            | Command::Explain(_)
            | Command::Diff(_)
            | Command::Inject(_)
            | Command::Intercept(_)
            | Command::Demo(_)
            | Command::Simulate(_)
            | Command::Replay(_) => {
                unreachable!("the words say `run`")
            }
        }
    }

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_has_the_documented_defaults() {
        let args = run_args(&["--config", "a", "b"]).unwrap();
        assert_eq!(args.config, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(args.runtime, Runtime::Tokio);
        assert_eq!(args.outbound, "127.0.0.1:15001".parse().unwrap());
        assert_eq!(args.admin.admin, "127.0.0.1:15000".parse().unwrap());
        assert_eq!(args.namespace, "default");
        assert_eq!(args.log.access_log, None);
        assert_eq!(args.metrics.max_metric_series, 10_000);
        assert_eq!(args.drain_time, Duration::from_secs(25));
        assert_eq!(args.minimum_drain_time, Duration::from_secs(5));
        assert_eq!(
            (args.takeover, args.takeover_time),
            (None, Duration::from_secs(60))
        );
        assert_eq!(args.request_head_timeout, Duration::from_secs(60));
        assert_eq!(args.tls_handshake_timeout, Duration::from_secs(15));
        assert_eq!(args.idle_timeout, Duration::from_secs(3600));
        assert_eq!(args.stream_idle_timeout, Duration::ZERO);
        assert_eq!(args.max_request_body, None);
        assert_eq!(args.busy_poll, Duration::ZERO);
        assert_eq!(args.max_buffered_bytes, 256 << 20);
        assert_eq!((args.record, args.record_limit), (None, 64 << 20));
    }

    #[test]
    fn pairs_are_taken_apart() {
        let args = run_args(&[
            "--config",
            "a",
            "--inbound",
            "127.0.0.1:1=[::1]:2",
            "--label",
            "app=cart",
            "--label",
            "x=",
        ])
        .unwrap();
        assert_eq!(args.inbound[0].application, "[::1]:2".parse().ok());
        assert_eq!((&*args.labels[0].key, &*args.labels[1].value), ("app", ""));
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for args in [
            &["--config", "a", "--inbound", "127.0.0.1:1=127.0.0.1:0"][..],
            &["--config", "a", "--inbound", "x=127.0.0.1:1"],
            &["--config", "a", "--label", "=v"],
            &["--config", "a", "--workers", "0"],
            &["--config", "a", "--drain-time", "soon"],
            &["--config", "a", "--record-limit", "1MiB"],
            &["--config", "a", "--record", "b", "--record-limit", "much"],
            &[],
        ] {
            assert_eq!(run_args(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }
}
