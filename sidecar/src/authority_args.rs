//! Where the command line says that an authority gives this workload its identity.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use outrigger_core::peer::SpiffeId;
use outrigger_identity::csr::{KeyKind, Settings};
use outrigger_xds::channel::{Address, Roots, Target, roots_of_file};

use crate::options::{parse_some_time, parse_time};
use crate::proxy_config;

/// Where Istio puts the address of an authority into a pod.
const CA_ADDR: &str = "CA_ADDR";

/// An authority that is asked for this workload's identity, instead of files.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct AuthorityArgs {
    /// The authority to ask for this workload's certificate, `HOST:PORT` of `outrigger control` or of istiod; also CA_ADDR, where
    /// no files are given. The key is made here and stays in memory, the certificate is renewed at half of its life, and no
    /// traffic is taken before there is one. `http://` before it is clear text, which goes to this machine alone
    #[arg(
        long,
        value_name = "ADDR",
        env = "OUTRIGGER_CA",
        conflicts_with_all = ["identity", "identity_cert"]
    )]
    ca: Option<String>,

    /// Who vouches for the authority, in PEM; read anew at each connection
    #[arg(
        long,
        value_name = "FILE",
        env = "OUTRIGGER_CA_ROOTS",
        default_value = "/var/run/secrets/istio/root-cert.pem"
    )]
    ca_roots: PathBuf,

    /// The token that tells the authority who this workload is; read anew for each request. Where there is none, the
    /// certificate that is in use tells it
    #[arg(
        long,
        value_name = "FILE",
        env = "OUTRIGGER_TOKEN",
        default_value = "/var/run/secrets/tokens/istio-token"
    )]
    token: PathBuf,

    /// The service account that this workload is to have: an identity of another one is refused
    #[arg(long, value_name = "NAME", env = "SERVICE_ACCOUNT")]
    service_account: Option<String>,

    /// The trust domain that it is then of
    #[arg(
        long,
        value_name = "NAME",
        env = "TRUST_DOMAIN",
        default_value = "cluster.local"
    )]
    trust_domain: String,

    /// The cluster that this workload and its token are of, for authorities and control planes of several
    #[arg(long, value_name = "NAME", env = "ISTIO_META_CLUSTER_ID")]
    cluster_id: Option<String>,

    /// The kind of key that is made
    #[arg(long, value_enum, default_value_t = KeyType::Ecdsa, env = "OUTRIGGER_KEY_TYPE")]
    key_type: KeyType,

    /// How long a certificate should be good; 0 is as long as the authority likes
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_time, env = "SECRET_TTL")]
    certificate_lifetime: Duration,

    /// How long a start waits for the first certificate; without one nothing is started
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_some_time)]
    pub(crate) first_certificate_timeout: Duration,
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KeyType {
    /// P-256
    Ecdsa,
    /// 2048 bits, for peers that know nothing else
    Rsa,
}

impl AuthorityArgs {
    /// Who vouches for the authority, and for the control plane.
    pub(crate) fn roots(&self) -> Roots {
        roots_of_file(self.ca_roots.clone())
    }

    /// The cluster that this workload is in, if somebody said so.
    pub(crate) fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// The trust domain of this workload.
    pub(crate) fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The file of the token that tells either who this workload is.
    pub(crate) fn token(&self) -> &Path {
        &self.token
    }

    /// What is asked for, and of whom, if an authority is to be asked.
    ///
    /// # Errors
    /// An address that is none, or a name that is in no identity.
    pub(crate) fn settings(
        &self,
        namespace: &str,
        has_files: bool,
    ) -> Result<Option<Settings>, String> {
        let of_pod = || {
            let set = proxy_config::text(CA_ADDR);
            set.filter(|_| !has_files)
        };
        let Some(addr) = self.ca.clone().or_else(of_pod) else {
            return Ok(None);
        };
        let address = Address::parse(&addr).map_err(|why| format!("--ca: {why}"))?;
        let id = self
            .service_account
            .as_ref()
            .filter(|name| !name.is_empty());
        let id = id.map(|name| {
            SpiffeId {
                trust_domain: &self.trust_domain,
                namespace,
                service_account: name,
            }
            .to_string()
        });
        if let Some(id) = id.as_ref().filter(|id| SpiffeId::parse(id).is_none()) {
            return Err(format!(
                "`{id}` is no identity of a workload: look at --trust-domain, --namespace and --service-account"
            ));
        }
        Ok(Some(Settings {
            target: Target::new(address, self.roots()),
            token: self.token.clone(),
            id,
            cluster: self.cluster_id.clone().unwrap_or_default(),
            key: match self.key_type {
                KeyType::Ecdsa => KeyKind::Ecdsa,
                KeyType::Rsa => KeyKind::Rsa,
            },
            lifetime: self.certificate_lifetime,
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(args: &[&str]) -> Result<Option<Settings>, String> {
        let words = ["outrigger", "run", "--config", "a", "--namespace", "shop"];
        let cli = Cli::try_parse_from(words.iter().chain(args)).map_err(|why| why.to_string())?;
        let Command::Run(args) = cli.command else {
            unreachable!("the words say `run`");
        };
        let has_files = args.identity.place().is_some();
        args.authority.settings(&args.namespace, has_files)
    }

    #[test]
    fn an_authority_is_asked_as_the_command_line_says() {
        let own = [
            "--ca",
            "istiod.istio-system.svc:15012",
            "--service-account",
            "cart",
        ];
        let asked = settings(&own).unwrap().unwrap();
        assert_eq!(
            asked.id.as_deref(),
            Some("spiffe://cluster.local/ns/shop/sa/cart")
        );
        assert_eq!(
            asked.token,
            PathBuf::from("/var/run/secrets/tokens/istio-token")
        );
        assert_eq!(asked.lifetime, Duration::from_secs(86_400));
        assert_eq!(asked.key, KeyKind::Ecdsa);
        let rsa = settings(&[
            "--ca",
            "a:1",
            "--key-type",
            "rsa",
            "--certificate-lifetime",
            "0s",
        ]);
        let rsa = rsa.unwrap().unwrap();
        assert_eq!(
            (rsa.key, rsa.id, rsa.lifetime),
            (KeyKind::Rsa, None, Duration::ZERO)
        );
        for (args, words) in [
            (
                &["--ca", "a:1", "--identity", "b"][..],
                "cannot be used with",
            ),
            (&["--ca", "nowhere"], "HOST:PORT"),
            (&["--ca", "http://10.0.0.1:15012"], "clear text"),
            (
                &["--ca", "a:1", "--service-account", "../x"],
                "no identity of a workload",
            ),
            (&["--ca", "a:1", "--key-type", "dsa"], "dsa"),
            (
                &["--ca", "a:1", "--first-certificate-timeout", "0s"],
                "longer than nothing",
            ),
        ] {
            let why = settings(args).unwrap_err();
            assert!(why.contains(words), "{args:?}: {why}");
        }
        assert!(settings(&[]).unwrap().is_none());
    }
}
