//! What is served over TLS: configuration and certificates to workloads that prove who they are, and reviews to Kubernetes.
//!
//! Owns which of them there are and what they have in common: the authority, the certificate that we show, and who is believed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use outrigger_authority::{
    Authority, CaFiles, Door, Follower, Gate, Keeper, KnownTokens, Refused, Reviewer, Reviewing,
    Serving, SignedTokens, Signer, incoming,
};
use outrigger_control::discovery::{Server, listen};
use outrigger_control::hub::Hub;
use outrigger_inject::Counts;
use outrigger_xds::service::Discovery;
use tracing::error;

use outrigger_kubernetes::TokenReviews;

use super::cluster::Cluster;
use super::injection::Injection;
use super::{BAD, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, USAGE, bind};
use crate::control_args::SecureArgs;

/// Everything that is served over TLS.
pub(super) struct Secure {
    authority: Arc<Authority>,
    serving: Arc<Serving>,
    keeper: Arc<Keeper>,
    reviews: Arc<Counts>,
    /// What the authority signs by at first, where that is in a folder, which is followed.
    files: Option<CaFiles>,
}

/// Nobody's token is any good: certificates of the authority are the only proof.
struct NoTokens;

impl Reviewer for NoTokens {
    fn review<'a>(&'a self, _token: &'a str) -> Reviewing<'a> {
        Box::pin(async {
            let why = "no token is believed here (`control` has neither --tokens nor --token-keys)";
            Err(Refused::NotProved(why.into()))
        })
    }
}

/// Opens the authority, and looks whether everything that is to be believed can be read. `None`: nothing is served over TLS.
///
/// # Errors
/// Something cannot.
pub(super) async fn open(
    args: &SecureArgs,
    cluster: Option<&Cluster>,
) -> Result<Option<Secure>, (u8, String)> {
    if args.listen.is_none() && args.webhooks.is_none() {
        return Ok(None);
    }
    let now = SystemTime::now();
    let of_cluster = match cluster {
        Some(cluster) => cluster.authority(args).await?,
        None => None,
    };
    let is_of_cluster = of_cluster.is_some();
    let files = match of_cluster {
        Some(files) => files,
        None => CaFiles::read_or_make(&args.ca, &args.trust_domain, now)
            .map_err(|why| (BAD, format!("--ca {}: {why}", args.ca.display())))?,
    };
    let signer = Signer::open(&files, &args.trust_domain, now);
    let signer = signer.map_err(|why| (BAD, format!("--ca {}: {why}", args.ca.display())))?;
    let limits = args.signing.limits();
    let authority = Arc::new(Authority::new(signer, limits));
    let reviewer = reviewer(args, cluster).map_err(|why| (USAGE, why))?;
    let counts = Arc::clone(authority.counts());
    let keeper = Arc::new(Keeper::new(reviewer, limits, counts));
    let serving = Serving::new(Arc::clone(&authority), args.service.clone(), now);
    let serving = Arc::new(serving.map_err(|why| (BAD, why))?);
    Ok(Some(Secure {
        authority,
        serving,
        keeper,
        reviews: Arc::default(),
        files: (!is_of_cluster).then_some(files),
    }))
}

fn reviewer(args: &SecureArgs, cluster: Option<&Cluster>) -> Result<Arc<dyn Reviewer>, String> {
    match (&args.tokens, &args.token_keys) {
        (Some(file), _) => {
            let known = KnownTokens::of_file(file.clone());
            known.check().map_err(|why| format!("--tokens {why}"))?;
            Ok(Arc::new(known))
        }
        (None, Some(file)) => {
            let audience = SignedTokens::AUDIENCE.to_owned();
            let signed = SignedTokens::new(file.clone(), audience, None);
            signed
                .check()
                .map_err(|why| format!("--token-keys {why}"))?;
            Ok(Arc::new(signed))
        }
        (None, None) => Ok(match cluster {
            Some(cluster) => Arc::new(TokenReviews::new(cluster.client.clone())),
            None => Arc::new(NoTokens),
        }),
    }
}

impl Secure {
    /// Our own counters, for people.
    pub(super) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }

    /// What Kubernetes asked and was told, counted.
    pub(super) fn reviews(&self) -> Arc<Counts> {
        Arc::clone(&self.reviews)
    }

    /// Serves until the program ends. Returns where.
    ///
    /// # Errors
    /// An address cannot be had, or the settings of injection are none.
    pub(super) fn serve(
        &self,
        args: &SecureArgs,
        server: &Arc<Server>,
        hub: &Arc<Hub>,
    ) -> Result<Vec<(&'static str, SocketAddr)>, (u8, String)> {
        tokio::spawn(Arc::clone(&self.serving).keep());
        if let Some(files) = self.files.clone() {
            let authority = Arc::clone(&self.authority);
            tokio::spawn(Follower::new(authority, args.ca.clone(), files).follow());
        }
        let mut places = Vec::new();
        if let Some(addr) = args.listen {
            let (listener, addr) = bind(addr, "--listen")?;
            places.push(("secure", addr));
            let discovery = Discovery::new(Arc::clone(server));
            let keeper = || Arc::clone(&self.keeper);
            let served = tonic::transport::Server::builder()
                .http2_keepalive_interval(Some(KEEP_ALIVE))
                .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
                .add_service(Gate::new(self.authority.service(), keeper()))
                .add_service(Gate::new(discovery, keeper()))
                .serve_with_incoming(incoming(
                    listener,
                    Arc::clone(&self.serving),
                    Door::of_services(self.authority.limits()),
                ));
            tokio::spawn(async move {
                if let Err(error) = served.await {
                    error!(target: "main", "nobody is served over TLS any more: {error}");
                }
            });
        }
        if let Some(addr) = args.webhooks {
            let settings = Injection::new(args, Arc::clone(&self.authority), Arc::clone(hub))?;
            let listener = listen(addr).map_err(|error| {
                (
                    BAD,
                    format!("cannot listen on {addr} (--webhooks): {error}"),
                )
            })?;
            let addr = listener
                .local_addr()
                .map_err(|error| (BAD, error.to_string()))?;
            places.push(("webhooks", addr));
            // API servers prove nothing, and who says nothing is let go of by who serves.
            let door = Door {
                alpn: &["h2", "http/1.1"],
                max_connections: args.max_webhook_connections.get(),
                proof_timeout: None,
            };
            let streams = incoming(listener, Arc::clone(&self.serving), door);
            let counts = Arc::clone(&self.reviews);
            tokio::spawn(outrigger_inject::serve(settings.asked(), counts, streams));
        }
        Ok(places)
    }
}
