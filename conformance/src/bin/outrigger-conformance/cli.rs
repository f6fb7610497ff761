//! The command line: what can be said, what it defaults to, and the examples that `--help` shows.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use outrigger_conformance::pairing::Pairing;
use outrigger_conformance::program::{Command, Reload};

const EXAMPLES: &str = "\
Examples:
  All cases against Outrigger:
    outrigger-conformance --subject 'target/debug/outrigger run --lenient --config {config} --outbound 127.0.0.1:{port}
        --admin 127.0.0.1:{admin} --workers 1 [--inbound 127.0.0.1:{inbound}={app}] [--label {label}]
        [--namespace {namespace}] [--mesh-config {mesh}] [--identity {identity}]' --drain TERM
        --reload outrigger.config_revision_in_use,outrigger.config_reload_refused

  What takes time, too, for which there is little to do but to wait:
    outrigger-conformance --longest 300 --jobs 40 --subject ...

  Where hashes lead, in a network namespace in which all addresses are local:
    unshare -rn sh -c 'ip link set lo up; ip route add local 10.0.0.0/8 dev lo; exec outrigger-conformance --jobs 1
        --own-addresses hash --subject ...'

  Those about retries and CORS, one at a time, for machines:
    outrigger-conformance --subject 'myproxy -c {config} -p {port}' --jobs 1 --format json retries cors

  Envoy, with a configuration that is derived from each case; what it is known to do otherwise counts as `differs`:
    outrigger-conformance --envoy /usr/local/bin/envoy

  With HTTP/2 on both sides:
    outrigger-conformance --pairing 2-2 --subject ...

  Which cases there are:
    outrigger-conformance --list

In the command, quotes keep blanks; no shell reads it. It is started once for each case, and killed afterwards; a
script around it should `exec` it. It may name:
  {config}   a file with the case's Istio YAML
  {port}     where it must take requests of local clients, on 127.0.0.1
  {admin}    a free port, for whatever else it opens
and, in brackets, what only some cases have: [... {name} ...] is left out where there is none, and repeated where there
are several. A case that needs what the command does not name is skipped.
  {inbound} {app}    where it takes requests for the application, on 127.0.0.1, and the application's address
  {label}            a label of the workload, `key=value`
  {namespace}        its namespace, where it is not `default`
  {mesh}             a file with Istio's MeshConfig
  {idle_timeout} {stream_idle_timeout} {request_head_timeout} {max_request_body}
  {dns}              the port of a name server on 127.0.0.1
  {identity}         the folder of its certificate, its key and the authorities of the mesh

Addresses and ports of a case are replaced by free ones of loopback: 10.0.0.1:8080 may become 127.100.5.1:20043.

Exit codes: 0 no case failed, 1 a case failed or the run was interrupted, 2 usage.

--format json writes one document; fields may be added, none is renamed or removed:
  {
    \"cases\": [{
      \"file\": \"cases/routing/cors.md\", \"line\": 12, \"title\": \"...\", \"area\": \"routing\", \"pairing\": \"1-1\",
      \"outcome\": \"passed\" | \"differs\" | \"failed\" | \"skipped\",
      \"why\": \"...\",                                 of a skipped case, or one known to differ
      \"problems\": [{ \"line\": 17, \"what\": \"...\" }]   of a failed one
    }],
    \"summary\": { \"passed\": 1, \"differs\": 0, \"failed\": 0, \"skipped\": 0 }
  }";

/// Play the conformance cases against a program: what is configured, what services do, what a client must see.
#[derive(Clone, Debug, Parser)]
#[command(name = "outrigger-conformance", version, after_help = EXAMPLES)]
#[command(group(ArgGroup::new("what").required(true).args(["subject", "envoy", "list"])))]
pub(crate) struct Cli {
    /// Only cases whose file or title has one of these words
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,

    /// How the program is started
    #[arg(long, value_name = "COMMAND", value_parser = Command::parse)]
    pub(crate) subject: Option<Command>,

    /// An Envoy, which is configured as Istio would have it for the case
    #[arg(long, value_name = "PATH")]
    pub(crate) envoy: Option<PathBuf>,

    /// Name the cases, and run nothing
    #[arg(long)]
    pub(crate) list: bool,

    /// The signal that makes the program drain, such as TERM; without it such cases are skipped
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) drain: Option<String>,

    /// The counters on http://127.0.0.1:{admin}/stats of which one moves when a change of {config} is in use, and before
    /// a `=` the signal that a program needs for that; without it such cases are skipped
    #[arg(long, value_name = "[SIGNAL=]COUNTER,...")]
    pub(crate) reload: Option<Reload>,

    /// Cases at the same time
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) jobs: NonZeroUsize,

    /// How long the program may take to listen, and then a case to be played, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = parse_seconds)]
    pub(crate) patience: Duration,

    /// Play no case that takes longer, in seconds; 300 leaves only a few out
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = parse_seconds)]
    pub(crate) longest: Duration,

    /// Have services at the addresses and ports that cases speak of, so that hashes lead where they say: 10.0.0.0/8 must be
    /// local, as in a network namespace
    #[arg(long)]
    pub(crate) own_addresses: bool,

    /// What clients and services speak: 1-1 (as cases are written), 1-2, 2-1, 2-2 or all. For services of HTTP/2 the mesh says
    /// `h2UpgradePolicy: UPGRADE`
    #[arg(long, value_name = "PAIRING", default_value = "1-1", value_parser = parse_pairings)]
    pub(crate) pairing: Pairings,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Other pages than those the suite was built with
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cases: Option<PathBuf>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// Versions of HTTP of clients and services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pairings(pub(crate) Vec<Pairing>);

fn parse_pairings(text: &str) -> Result<Pairings, String> {
    Pairing::named(text).map(Pairings)
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| *s > 0.0);
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| format!("`{text}` is not a number of seconds above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use outrigger_conformance::program::NAMES;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_explains_every_place() {
        for (name, _) in NAMES {
            assert!(EXAMPLES.contains(&format!("{{{name}}}")), "{name}");
        }
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for args in [
            &[][..],
            &["--subject", "p {config}"],
            &["--subject", "p {config} {port}", "--list"],
            &["--envoy", "envoy", "--subject", "p {config} {port}"],
            &["--list", "--patience", "0"],
            &["--list", "--jobs", "0"],
            &["--list", "--pairing", "3-1"],
        ] {
            let words = ["outrigger-conformance"].iter().chain(args);
            let error = Cli::try_parse_from(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
        }
    }
}
