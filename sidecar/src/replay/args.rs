//! What `outrigger replay` takes, and the examples that its `--help` shows.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Format;

const REPLAY_RESULT: &str = "\
Examples:
  outrigger run --config rules/ --record run.rec      on the machine
  outrigger replay run.rec                            on a desk: nothing else of the machine is needed

Exit code 0: everything is decided as it was; 1: something is not, and the first such thing is told; 2: the file cannot
be read, or is damaged. A file that a crash cut off is replayed up to there.

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
`end` is finished, full, slow, panicked, or cut.";

/// What `outrigger replay` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = REPLAY_RESULT)]
pub(crate) struct ReplayArgs {
    /// What `outrigger run --record` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
