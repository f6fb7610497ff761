//! What `outrigger replay` takes, and the examples that its `--help` shows.

use std::path::PathBuf;

use clap::Args;

use crate::options::Format;

const REPLAY_RESULT: &str = "\
Examples:
  outrigger run --config rules/ --record run.rec      on the machine
  outrigger replay run.rec                            on a desk: nothing else of the machine is needed
  outrigger replay run.rec --config rules/            what would have become of these requests under other rules?

Exit code 0: everything is decided as it was; 1: something is not, and the first such thing is told; 2: the file cannot
be read, or is damaged. A file that a crash cut off is replayed up to there.

With --config, each recorded request is decided by the recorded rules and by those, up to where an endpoint is tried: rule,
fault, destination, time limits, retries, rewrites, mirrors. How an endpoint that was not asked would have answered is not
known, and nothing is said about it. Exit code 0: no request is decided otherwise; 1: some are; 2: the file or the rules
cannot be read, or the rules have errors.

--format json writes one document:
  {
    \"same\": true,                       null when the file is damaged before anything differs
    \"replayed\": {
      \"program\": \"0.1.0\", \"workers\": 1, \"configurations\": 2, \"connections\": 8, \"requests\": 5000,
      \"copies\": 0, \"inputs\": 25012, \"bytes\": 7210034, \"seconds\": 3.2, \"end\": \"finished\"
    },
    \"difference\": null | {
      \"offset\": 51234, \"connection\": 3, \"seconds\": 1.7, \"what\": \"...\",
      \"fields\": [{\"field\": \"status\", \"recorded\": \"200\", \"now\": \"503\"}]
    },
    \"error\": null | \"...\"
  }
`end` is finished, full, slow, panicked, or cut. With --config:
  {
    \"same\": false, \"requests\": 12345, \"otherwise\": 312, \"in_further_ways\": 0,
    \"program\": \"0.1.0\", \"connections\": 80, \"seconds\": 3.2,
    \"ways\": [{
      \"requests\": 300, \"recorded\": \"outbound|80|v1|shop\", \"now\": \"outbound|80|v2|shop\",
      \"changes\": [{\"what\": \"timeout\", \"recorded\": \"2s\" | null, \"now\": \"5s\" | null}],
      \"example\": {
        \"offset\": 51234, \"connection\": 3, \"seconds\": 1.7, \"request\": \"GET shop/\",
        \"recorded\": \"...\", \"now\": \"...\", \"fields\": \"...\"
      }
    }],
    \"error\": null | \"...\"
  }";

/// What `outrigger replay` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = REPLAY_RESULT)]
pub(crate) struct ReplayArgs {
    /// What `outrigger run --record` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Say instead which requests would be decided otherwise under these rules: a file, or a folder that is searched for
    /// *.yaml, *.yml and *.json; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Vec<PathBuf>,

    /// Istio's mesh configuration for those rules [default: the recorded one]
    #[arg(long, value_name = "FILE", requires = "config")]
    pub(crate) mesh_config: Option<PathBuf>,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
