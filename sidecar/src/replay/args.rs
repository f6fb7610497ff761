//! What `outrigger replay` takes, and the examples that its `--help` shows.

use std::path::PathBuf;

use clap::Args;

use outrigger_explain::filter::Filter;

use crate::options::Format;

const REPLAY_RESULT: &str = "\
Examples:
  outrigger run --config rules/ --record run.rec      on the machine
  outrigger replay run.rec                            on a desk: nothing else of the machine is needed
  outrigger replay run.rec --config rules/            what would have become of these requests under other rules?
  outrigger replay run.rec --story 'status>=500'      tell each request that failed, step by step

Exit code 0: everything is decided as it was; 1: something is not, and the first such thing is told; 2: the file cannot
be read, or is damaged. A file that a crash cut off is replayed up to there.

With --config, each recorded request is decided by the recorded rules and by those, up to where an endpoint is tried: rule,
fault, destination, time limits, retries, rewrites, mirrors. How an endpoint that was not asked would have answered is not
known, and nothing is said about it. Exit code 0: no request is decided otherwise; 1: some are; 2: the file or the rules
cannot be read, or the rules have errors.

With --story each request that ended and that FILTER takes in is told. A filter asks for
  status, attempts   =, !=, <, <=, >, >= and a number; status 0: the client saw none
  duration           the same and a time, such as 250ms
  path, host, route  =, != the whole text, ~ a part of it
  flags              =, != one of them, such as UH; ~ a part of one
and puts such questions together with and, or, not and parentheses. Texts with spaces stand in double quotes.

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
`end` is finished, full, slow, panicked, or cut. With --story:
  {
    \"requests\": 5000, \"told\": 12, \"left_out\": 0,
    \"stories\": [{
      \"seconds\": 1.7, \"connection\": 3, \"method\": \"GET\", \"host\": \"shop\", \"path\": \"/cart\",
      \"status\": 503, \"flags\": \"UF,URX\", \"details\": \"...\", \"duration_ms\": 54.4, \"route\": \"default\",
      \"endpoint\": \"10.0.0.1:80\", \"attempts\": 3, \"request_id\": \"...\", \"random\": \"7\", \"revision\": 1,
      \"story\": \"GET shop/cart\\n...\"
    }],
    \"error\": null | \"...\"
  }
With --config:
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

    /// Tell the stories of recorded requests, those that FILTER takes in, such as 'status>=500 and not path~/healthz'
    #[arg(long, value_name = "FILTER", value_parser = Filter::new, conflicts_with = "config")]
    pub(crate) story: Option<Filter>,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
