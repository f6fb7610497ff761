//! What `outrigger inject` takes, and the examples that its `--help` shows.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  outrigger inject -f cart.yaml | kubectl apply -f -          for who has no webhook
  kubectl get deployment cart -o yaml | outrigger inject -f - > cart.yaml
  outrigger inject -f namespace.yaml -f cart.yaml             the labels of namespaces that are among the files count
  outrigger inject -f cart.yaml --settings settings.yaml      with another image, other addresses (docs/injection.md)
  outrigger inject -f cart.yaml --format patch                what would change, as RFC 6902 says it
  outrigger inject -f cart.yaml --quiet > /dev/null           only whether it can be done

Documents that get no sidecar are printed as they stand; one that does is written anew in the order of its keys, below the comments
that stood before it, and without those inside. On standard error it is said of each that has pods whether it got a sidecar, why not,
and which of its annotations have no effect.

Exit code 0: done, also where nobody got one; 1: a pod asks for what there is not, and nothing was printed; 2: a file could not be read.";

/// What `outrigger inject` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InjectArgs {
    /// A file of documents, a folder of them (*.yaml, *.yml and *.json), or `-` for standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Settings of injection, as `outrigger control` has them
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// Istio's mesh configuration (the `mesh` key of the ConfigMap `istio`, or the ConfigMap), whose `defaultConfig` holds for all pods
    #[arg(long, value_name = "FILE")]
    pub(crate) mesh_config: Option<PathBuf>,

    /// Roots of the mesh in PEM, for pods to carry; without them each namespace has a ConfigMap `istio-ca-root-cert`
    #[arg(long, value_name = "FILE")]
    pub(crate) roots: Option<PathBuf>,

    /// The namespace of what does not name one
    #[arg(long, short = 'n', value_name = "NS", default_value = "default")]
    pub(crate) namespace: String,

    /// What is printed
    #[arg(long, value_enum, default_value_t = InjectFormat::Yaml)]
    pub(crate) format: InjectFormat,

    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InjectFormat {
    /// All documents, those that were not injected as they stand
    Yaml,
    /// All documents as JSON, a line each
    Json,
    /// A line of JSON for each document that changes: what it is, and the patch that does it
    Patch,
}
