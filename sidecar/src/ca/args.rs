//! What `outrigger ca` takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::options::parse_some_time;

const EXAMPLES: &str = "\
Examples:
  Make an authority, and an identity for the workload `cart` of namespace `shop`:
    outrigger ca init ca/
    outrigger ca issue ca/ --namespace shop --service-account cart --out cart/

  Run a sidecar with it:
    outrigger run --config rules/ --identity cart/

  Keep it fresh: it is renewed at half of its life, and the sidecar takes it over without losing a connection:
    outrigger ca issue ca/ --namespace shop --service-account cart --out cart/ --lifetime 10m --watch

  Change the root while everybody goes on: the new one beside the old, new identities, then the new one alone:
    outrigger ca rotate ca/
    outrigger ca issue ca/ --namespace shop --service-account cart --out cart/
    outrigger ca rotate ca/ --retire

The key of the authority lies in DIR, for its owner alone (mode 0600). It is made to be thrown away: a mesh that matters has an
authority that keeps its key elsewhere.";

/// What `outrigger ca` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CaArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: CaAction,
}

/// What an authority can be asked.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CaAction {
    /// Make an authority
    Init {
        /// The folder of the authority; it is made
        #[arg(value_name = "DIR")]
        folder: PathBuf,

        /// The trust domain: `trustDomain` of the mesh configuration
        #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
        trust_domain: String,

        /// For how long its root is good
        #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = parse_some_time)]
        lifetime: Duration,
    },
    /// Give a workload an identity: cert-chain.pem, key.pem and root-cert.pem
    Issue {
        /// The folder of the authority
        #[arg(value_name = "DIR")]
        folder: PathBuf,

        /// The workload's namespace
        #[arg(long, value_name = "NS", default_value = "default")]
        namespace: String,

        /// The workload's service account
        #[arg(long, value_name = "NAME", default_value = "default")]
        service_account: String,

        /// Where to put the files; the folder is made
        #[arg(long, value_name = "DIR")]
        out: PathBuf,

        /// For how long the identity is good
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_some_time)]
        lifetime: Duration,

        /// Go on, and renew the identity whenever half of its life is over
        #[arg(long)]
        watch: bool,
    },
    /// Give an authority another key and root; workloads are to trust the old root as well
    Rotate {
        /// The folder of the authority
        #[arg(value_name = "DIR")]
        folder: PathBuf,

        /// For how long the new root is good
        #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = parse_some_time)]
        lifetime: Duration,

        /// Make no new one: let workloads trust the newest root alone
        #[arg(long)]
        retire: bool,
    },
}
