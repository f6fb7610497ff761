//! What `outrigger simulate` takes, and the examples that its help shows.

use std::path::PathBuf;

use clap::Args;

use crate::options::Format;

const EXAMPLES: &str = "\
Examples:
  outrigger simulate examples/simulate/canary-gone-bad.yaml
  outrigger simulate scenario.yaml --seed 7 --picture outcome.html
  outrigger simulate scenario.yaml --compare rules/now rules/proposed --picture both.html
  outrigger simulate scenario.yaml --format json | jq '.runs[].rows[] | {name, success_rate, p99_ms}'

A scenario names services, who calls whom, what goes wrong and when, the clients, and the Istio YAML it is played under:
  duration: 60s
  config: [rules/]                                      relative to this file
  services:
    recommendation:
      latency: {median: 5ms, p99: 20ms}
      replicas: [{version: v1, count: 2}, {version: v2}]
  clients:
    users: {asks: recommendation, rate: 100/s}
  faults:
  - {service: recommendation, version: v2, slow: 3s, from: 20s, until: 40s}
  expect:
    users: {success: '>= 99%', p99: '< 4s'}
docs/simulate.md has every field.

Exit code 0: played, and everything as expected; 1: the scenario or its configuration was judged bad, or something that it
expects did not hold; 2: usage, or a path could not be read or written. The same seed gives the same output, byte for byte.

--format json writes one document; fields may be added, none is renamed or removed:
  {
    \"trouble\": {\"from_ms\": 20000.0, \"until_ms\": 40000.0},      when faults and bursts are, or null
    \"runs\": [{
      \"config\": [\"rules/\"], \"seed\": 1, \"requests\": 6012, \"calls\": 12024, \"simulated_ms\": 63000.0,
      \"digest\": \"0123456789abcdef\",
      \"rows\": [{
        \"name\": \"users\", \"kind\": \"clients\" | \"service\",
        \"requests\": 6012, \"success_rate\": 0.998, \"p50_ms\", \"p90_ms\", \"p99_ms\", \"p999_ms\", \"mean_ms\",
        \"retries\", \"ejections\", \"overflow\", \"amplification\", \"reached\", \"turned_away\",
        \"failures\": {\"UO\": 12},                by response flags, or by the status that the service gave
        \"limits\": {\"http1MaxPendingRequests\": 12},        by the name under which a limit is set
        \"recovery\": {\"health\": \"unhurt\" | \"well\" | \"unwell\", \"hurt_ms\", \"well_since_ms\"},     of clients
        \"replicas\": [{\"name\", \"reached\"}],
        \"steps\": {\"ms\": 500, \"ended\": [...], \"failed\", \"p50_ms\", \"p99_ms\", \"retries\", \"overflow\",
                  \"under_way\", \"ejected\", \"at_limit\"}
      }],
      \"expectations\": [{\"of\": \"users\", \"metric\": \"success\", \"bound\": \">= 99%\", \"holds\": true}]
    }],
    \"comparison\": {                           with --compare: what B does to what A had
      \"verdict\": \"better\" | \"worse\" | \"mixed\" | \"alike\",
      \"rows\": [{
        \"name\", \"kind\", \"recovery\": \"better\" | \"worse\" | \"alike\",
        \"changes\": {\"success_rate\": {\"a\": 0.9, \"b\": 0.99, \"delta\": 0.09, \"differs\": true, \"judged\": \"better\"}}
      }]
    }
  }";

/// What `outrigger simulate` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// The scenario
    #[arg(value_name = "SCENARIO.yaml")]
    pub(crate) scenario: PathBuf,

    /// Names the run [default: the scenario's, or 1]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Two policies side by side under this scenario, with a verdict: files or folders of Istio YAML, each in place of its
    /// `config`
    #[arg(long, value_names = ["A", "B"], num_args = 2)]
    pub(crate) compare: Vec<PathBuf>,

    /// Draw what happened over time: a page for a browser (*.html) or a drawing (*.svg)
    #[arg(long, value_name = "FILE", value_parser = picture_path)]
    pub(crate) picture: Option<PathBuf>,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

fn picture_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|end| end.to_str()) {
        Some("html" | "htm" | "svg") => Ok(path),
        _ => Err("end its name in .html or .svg".to_owned()),
    }
}
