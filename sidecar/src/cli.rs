//! The command line: what can be said, what it defaults to, and the examples that `--help` shows.
//!
//! Owns words only. What a command does is in the module of its name; usage errors end the program with exit code 2
//! before any of them runs.

use clap::{Args, Parser, Subcommand};

pub(crate) use crate::ca::CaArgs;
pub(crate) use crate::check::CheckArgs;
pub(crate) use crate::control_args::ControlArgs;
pub(crate) use crate::diff::DiffArgs;
pub(crate) use crate::explain::ExplainArgs;
pub(crate) use crate::hooks::{DrainArgs, WaitArgs};
pub(crate) use crate::inject::InjectArgs;
pub(crate) use crate::intercept::InterceptArgs;
pub(crate) use crate::manual::{CompletionArgs, ManArgs, VersionArgs};
use crate::options::{Format, Runtime};
pub(crate) use crate::replay::ReplayArgs;
pub(crate) use crate::run_args::RunArgs;
pub(crate) use crate::simulate::SimulateArgs;

const EXAMPLES: &str = "\
Examples:
  outrigger demo                        see it work, on loopback, in a few seconds
  outrigger check rules/                judge the Istio YAML you have
  outrigger explain --config rules/ 'GET http://reviews/'
                                        say which rule a request falls under, where it goes, and why
  outrigger diff rules/ rules.new/      say what would change for users
  outrigger simulate scenario.yaml      see what users would see of a slow or failing service under it
  outrigger run --config rules/         route what comes to 127.0.0.1:15001 by it
  outrigger control --config mesh/      tell sidecars (`run --xds`) what concerns them, and what changes
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
    /// Have the sidecar that runs here drain, and wait until it has: for a container's `preStop` hook
    Drain(DrainArgs),
    /// Wait until the sidecar that runs here is ready: for a container's `postStart` hook
    Wait(WaitArgs),
    /// Write what a shell completes commands with
    Completion(CompletionArgs),
    /// Write a page of the manual
    Man(ManArgs),
    /// Say which version this is, of which commit, with what
    Version(VersionArgs),
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    fn run_args(args: &[&str]) -> Result<RunArgs, clap::Error> {
        let words = ["outrigger", "run"].iter().chain(args);
        match Cli::try_parse_from(words)?.command {
            Command::Run(args) => Ok(*args),
            other => unreachable!("the words say `run`: {other:?}"),
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
