//! What `outrigger check` takes, and the examples that its `--help` shows.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::compiled::InboundTo;
use crate::gateway_args::GatewayArgs;
use crate::identity_args::IdentityArgs;
use crate::options::LabelArg;
use crate::sources::Pattern;

const CHECK_EXAMPLES: &str = "\
Examples:
  outrigger check rules/
  outrigger check --strict rules/ && kubectl apply -f rules/
  outrigger check --format github rules/          in a workflow: findings stand beside their lines
  outrigger check rules/ --namespace shop --label app=cart --inbound 8080 --identity /etc/certs      as `run` would start here
  outrigger check rules/ --label istio=ingressgateway --gateway 0.0.0.0          as the gateway that this selects
  kubectl get virtualservice,destinationrule,service -A -o yaml | outrigger check --format json -

Exit code 0: no errors (with --strict: no warnings either); 1: errors; 2: a path could not be read.

--format json writes one document; fields may be added, none is renamed or removed:
  {
    \"findings\": [{
      \"severity\": \"error\" | \"warning\" | \"info\",
      \"code\": \"invalid-duration\",      stable, see docs/findings.md
      \"file\": \"rules/a.yaml\",          as it was named
      \"line\": 12, \"column\": 16,        from 1; 0 when the whole file is meant
      \"resource\": {\"kind\", \"namespace\", \"name\"} | null,
      \"path\": \"spec.http[0].timeout\",  empty when no field is meant
      \"message\": \"...\", \"help\": \"...\"
    }],
    \"summary\": {\"files\": 3, \"errors\": 1, \"warnings\": 0, \"infos\": 0}
  }";

/// What `outrigger check` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Files, folders that are searched for *.yaml, *.yml and *.json, or - for standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Leave out of folders what is like GLOB, as in a `.gitignore`; a folder's own `.outriggerignore` does the same. May be
    /// repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) ignore: Vec<Pattern>,

    /// Warnings fail as well
    #[arg(long)]
    pub(crate) strict: bool,

    /// Call it a warning, no error, what `run --lenient` puts into effect: fields and subsets that do not exist
    #[arg(long)]
    pub(crate) lenient: bool,

    /// Show every finding, where a few of each sort are shown
    #[arg(long)]
    pub(crate) all: bool,

    /// Say nothing but what fails, and nothing at all when nothing does; for the formats text and github
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,

    /// The namespace of resources that name none
    #[arg(long, value_name = "NS", default_value = "default")]
    pub(crate) namespace: String,

    /// Istio's mesh configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) mesh_config: Option<PathBuf>,

    /// As `run --dns` has it: services without addresses have some, so that those of one port are told apart
    #[arg(long)]
    pub(crate) dns: bool,

    /// A label of the workload that `run` would stand beside, such as app=cart; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<LabelArg>,

    /// A port of its application (or ADDR=APP_ADDR, as for `run`). With this or an identity it is judged as `run` would judge
    /// on this machine: STRICT without an identity, files and secrets that are missing
    #[arg(long, value_name = "APP")]
    pub(crate) inbound: Vec<InboundTo>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,

    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

impl CheckArgs {
    /// Whether it is judged as on the machine where the sidecar would run.
    pub(crate) fn is_here(&self) -> bool {
        !self.inbound.is_empty() || self.identity.place().is_some()
    }
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people, in colour on a terminal
    Text,
    /// One JSON document
    Json,
    /// One SARIF 2.1.0 document, for code scanning
    Sarif,
    /// Workflow commands of GitHub Actions, a line a finding
    Github,
}
