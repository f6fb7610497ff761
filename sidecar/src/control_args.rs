//! What `outrigger control` takes.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::event_levels::Levels;
use crate::options::LogFormat;
use crate::signing_args::SigningArgs;
use crate::sources::Pattern;

const EXAMPLES: &str = "\
Examples:
  A mesh without Kubernetes, for sidecars on this machine: the rules and endpoints in a folder
    outrigger control --config mesh/
    outrigger run --xds http://127.0.0.1:15010 --namespace shop --label app=cart

  The same for other machines: over TLS, with certificates for workloads that show a token of the list
    outrigger control --config mesh/ --listen 0.0.0.0:15012 --service control.example --ca ca/ --tokens tokens
    outrigger run --xds control.example:15012 --ca control.example:15012 --ca-roots ca/root-cert.pem --token token --namespace shop

  What it serves, and who is there:
    curl 127.0.0.1:15014/clients
    curl 127.0.0.1:15014/stats/prometheus

  A mesh in Kubernetes, from outside of it; what is found in its objects, and which kinds may not be read
    outrigger control --kubernetes=http://127.0.0.1:8001 --no-events --no-status
    curl 127.0.0.1:15014/findings
    curl 127.0.0.1:15014/kinds

Each sidecar is told what is in its namespace or exported to it and what its Sidecar imports, and of changes alone. A change
of an object that a sidecar finds no good is refused by it, with the reason, and its last good one stays in use there.";

/// What it takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ControlArgs {
    /// Istio and Kubernetes YAML of the whole mesh: files, or folders that are searched for *.yaml, *.yml and *.json. A ConfigMap
    /// called `istio` holds the mesh's settings. They are read again when they change
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present = "kubernetes",
        conflicts_with = "kubernetes",
        num_args = 1..,
        env = "OUTRIGGER_CONTROL_CONFIG"
    )]
    pub(crate) config: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,

    /// Leave out of folders what is like GLOB, as in a `.gitignore`; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) ignore: Vec<Pattern>,

    /// Where sidecars of this machine come, in clear text, without proof of who they are
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:15010",
        env = "OUTRIGGER_CONTROL_PLAIN"
    )]
    pub(crate) plain: SocketAddr,

    #[command(flatten)]
    pub(crate) secure: SecureArgs,

    /// Where our health, counters and clients are asked for
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:15014",
        env = "OUTRIGGER_CONTROL_ADMIN"
    )]
    pub(crate) admin: SocketAddr,

    /// Streams of clients at a time; more are sent to another replica
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20_000,
        env = "OUTRIGGER_CONTROL_MAX_CLIENTS"
    )]
    pub(crate) max_clients: u64,

    /// Clients that are sent a first configuration at a time; others wait, for all of it is in memory until it is sent
    #[arg(
        long,
        value_name = "N",
        default_value = "64",
        env = "OUTRIGGER_CONTROL_MAX_FIRST_AT_ONCE"
    )]
    pub(crate) max_first_at_once: NonZeroUsize,

    /// Connections to --admin at a time; more wait
    #[arg(
        long,
        value_name = "N",
        default_value = "128",
        env = "OUTRIGGER_CONTROL_MAX_ADMIN_CONNECTIONS"
    )]
    pub(crate) max_admin_connections: NonZeroUsize,

    /// What is told of what happens, such as `warn` or `info,discovery:debug` [default: info]
    #[arg(long, value_name = "LEVELS", env = "OUTRIGGER_LOG")]
    pub(crate) log_level: Option<Levels>,

    /// How it is told
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// A mesh in Kubernetes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub(crate) struct ClusterArgs {
    /// The mesh is in Kubernetes: reached as this pod's service account, by the kubeconfig, or at URL
    #[arg(
        long,
        value_name = "URL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        env = "OUTRIGGER_CONTROL_KUBERNETES"
    )]
    pub(crate) kubernetes: Option<String>,

    /// The namespace whose resources hold for all, and that has the mesh's settings (ConfigMap `istio`)
    #[arg(long, value_name = "NS", default_value = "istio-system")]
    pub(crate) root_namespace: String,

    /// The webhook configurations there of which Kubernetes is to believe our roots
    #[arg(
        long,
        value_name = "NAME",
        requires = "webhooks",
        requires = "kubernetes"
    )]
    pub(crate) webhook_configuration: Option<String>,

    /// Write no Events there for what is found in objects, or refused by sidecars
    #[arg(
        long,
        requires = "kubernetes",
        value_parser = BoolishValueParser::new(),
        env = "OUTRIGGER_CONTROL_NO_EVENTS"
    )]
    pub(crate) no_events: bool,

    /// Write nothing of it into the status of objects there
    #[arg(
        long,
        requires = "kubernetes",
        value_parser = BoolishValueParser::new(),
        env = "OUTRIGGER_CONTROL_NO_STATUS"
    )]
    pub(crate) no_status: bool,
}

/// Sidecars of other machines: over TLS, with proof of who they are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Over TLS")]
pub(crate) struct SecureArgs {
    /// Where sidecars come over TLS, for configuration and for certificates: each shows a token, or a certificate of this authority
    #[arg(
        long,
        value_name = "ADDR",
        requires = "service",
        env = "OUTRIGGER_CONTROL_LISTEN"
    )]
    pub(crate) listen: Option<SocketAddr>,

    /// What we are called by those who come, such as `outrigger.outrigger-system.svc`: in the certificate that they see; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Vec<String>,

    /// The folder of the authority that gives certificates: ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem as in Istio's `cacerts`. If there is
    /// none in it, one is made and kept there
    #[arg(
        long,
        value_name = "DIR",
        default_value = "ca",
        env = "OUTRIGGER_CONTROL_CA"
    )]
    pub(crate) ca: PathBuf,

    /// The Secret in Kubernetes that holds the authority instead, NAMESPACE/NAME; made if there is none
    #[arg(
        long,
        value_name = "NS/NAME",
        requires = "kubernetes",
        conflicts_with = "ca"
    )]
    pub(crate) ca_secret: Option<String>,

    /// The mesh's name in identities, spiffe://TRUST_DOMAIN/…
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cluster.local",
        env = "TRUST_DOMAIN"
    )]
    pub(crate) trust_domain: String,

    /// Tokens of workloads, a line for each: the SHA-256 of one in hexadecimal digits, and NAMESPACE/ACCOUNT; read anew each time
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "token_keys",
        env = "OUTRIGGER_CONTROL_TOKENS"
    )]
    pub(crate) tokens: Option<PathBuf>,

    /// Keys of who signs tokens of workloads for the audience `istio-ca` (a JWK Set), as `kubectl get --raw /openid/v1/jwks` prints them
    #[arg(long, value_name = "FILE", env = "OUTRIGGER_CONTROL_TOKEN_KEYS")]
    pub(crate) token_keys: Option<PathBuf>,

    /// Where Kubernetes asks about pods that get sidecars and about configuration that is stored, over TLS
    #[arg(
        long,
        value_name = "ADDR",
        requires = "service",
        env = "OUTRIGGER_CONTROL_WEBHOOKS"
    )]
    pub(crate) webhooks: Option<SocketAddr>,

    /// Connections to --webhooks at a time, of which 128 are served and others wait; more are closed at once
    #[arg(
        long,
        value_name = "N",
        default_value = "512",
        env = "OUTRIGGER_CONTROL_MAX_WEBHOOK_CONNECTIONS"
    )]
    pub(crate) max_webhook_connections: NonZeroUsize,

    /// What is put into pods, see docs/injection.md; read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        requires = "webhooks",
        env = "OUTRIGGER_CONTROL_INJECTION"
    )]
    pub(crate) injection: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) signing: SigningArgs,
}
