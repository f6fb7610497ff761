//! What `outrigger diff` takes, and the examples that its `--help` shows.

use std::path::PathBuf;

use clap::Args;

use crate::compiled::{ForWhom, InboundTo};
use crate::options::Format;

const DIFF_EXAMPLES: &str = "\
Examples:
  outrigger diff rules/ rules.new/
  outrigger diff --config services.yaml old.yaml new.yaml        with what is the same in both
  outrigger diff --inbound 8080 --from app=cart rules/ rules.new/    and for what the mesh asks this workload
  outrigger diff --requests run.rec rules/ rules.new/            and for requests that were recorded
  outrigger diff --format json rules/ rules.new/                 for machines

Requests are made from the rules of both: for each host and port, one for which each rule holds, and ones just outside of each
of its conditions. Those that go elsewhere, or get other times, retries, faults, rewrites, limits, endpoints, are put together
by what changes. Nothing is sent.

Exit code 0: nothing changes for users; 1: something does; 2: a path or the recording could not be read,
or `run` would refuse one of the two.

--format json writes one document; fields may be added, none is renamed or removed:
  {
    \"requests\": 12, \"changed\": 5, \"in_further_ways\": 0, \"incomplete\": false,
    \"ways\": [{
      \"requests\": 5, \"before\": \"outbound|80|v1|shop\", \"after\": \"outbound|80|v2|shop\",
      \"changes\": [{\"what\": \"timeout\", \"before\": \"2s\", \"after\": \"5s\"}],
      \"examples\": [{\"request\": \"GET http://shop/\", \"before\": {\"resource\", \"path\", \"file\", \"line\"} | null, \"after\": …}]
    }]
  }";

/// What `outrigger diff` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub(crate) struct DiffArgs {
    /// What is in use: a file, or a folder that is searched for *.yaml, *.yml and *.json
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// What is to be
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

    /// What stands beside both, such as services; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Vec<PathBuf>,

    /// Compare the outbound requests of a recording, too (`run --record`)
    #[arg(long, value_name = "FILE")]
    pub(crate) requests: Option<PathBuf>,

    /// Show every way in which requests change, where some are shown
    #[arg(long)]
    pub(crate) all: bool,

    /// Compare what comes from the mesh to the application, too, on this port of it (or ADDR=APP_ADDR, as for `run`); may be
    /// repeated. The workload is --from
    #[arg(long, value_name = "APP")]
    pub(crate) inbound: Vec<InboundTo>,

    #[command(flatten)]
    pub(crate) whom: ForWhom,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
