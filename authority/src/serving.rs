//! The certificate that the control plane shows, from its own authority, renewed before its time is over and without a restart.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

use crate::counts::Counts;
use crate::limits::Limits;
use crate::service::Authority;
use crate::signer::Signer;

/// After a failure it is tried again so much later.
const AGAIN: Duration = Duration::from_secs(10);

/// Longest sleep before it is looked whether the authority has changed.
const LOOK: Duration = Duration::from_secs(60);

/// What connections are accepted with.
pub struct Serving {
    authority: Arc<Authority>,
    names: Vec<String>,
    current: Mutex<Current>,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a certificate for {}", self.names.join(", "))
    }
}

struct Current {
    config: Arc<ServerConfig>,
    /// What it was signed by.
    signer: Arc<Signer>,
    made: SystemTime,
    not_after: SystemTime,
}

impl Serving {
    /// A first certificate for these DNS names and addresses.
    ///
    /// # Errors
    /// A name is none, or the authority cannot sign.
    pub fn new(
        authority: Arc<Authority>,
        names: Vec<String>,
        now: SystemTime,
    ) -> Result<Self, String> {
        if names.is_empty() {
            return Err("a server has a name at least".into());
        }
        let current = make(&authority, &names, now)?;
        Ok(Self {
            authority,
            names,
            current: Mutex::new(current),
        })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // Each change of it is whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next connection is accepted with. Peers may show certificates; one that does not lead to the roots of the mesh
    /// ends the handshake.
    #[must_use]
    pub fn config(&self, alpn: &[&str]) -> ServerConfig {
        let mut config = ServerConfig::clone(&self.current().config);
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    pub(crate) fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.config(alpn)))
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.authority.limits()
    }

    pub(crate) fn counts(&self) -> &Arc<Counts> {
        self.authority.counts()
    }

    pub(crate) fn trust_domain(&self) -> String {
        self.authority.signer().trust_domain().to_owned()
    }

    /// Until when the certificate in use is good.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.current().not_after
    }

    /// Makes another certificate if half of this one's life is over, or the authority signs by another root now; says when to
    /// look again.
    ///
    /// # Errors
    /// There is no other one; the one in use stays.
    pub fn renew(&self, now: SystemTime) -> Result<Duration, String> {
        let signer = self.authority.signer();
        {
            let current = self.current();
            let due = due(current.made, current.not_after);
            if Arc::ptr_eq(&current.signer, &signer) && now < due {
                let left = due.duration_since(now).unwrap_or_default();
                return Ok(left.min(LOOK));
            }
        }
        let made = make(&self.authority, &self.names, now)?;
        let left = due(made.made, made.not_after).duration_since(now);
        *self.current() = made;
        Ok(left.unwrap_or_default().min(LOOK))
    }

    /// Renews it for ever, in a task that whoever serves spawns.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let pause = match self.renew(SystemTime::now()) {
                Ok(pause) => pause.max(Duration::from_millis(100)),
                Err(why) => {
                    error!(target: "authority", "the certificate of this server cannot be renewed: {why}");
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// Half of its life.
fn due(made: SystemTime, not_after: SystemTime) -> SystemTime {
    made + not_after.duration_since(made).unwrap_or_default() / 2
}

fn make(authority: &Authority, names: &[String], now: SystemTime) -> Result<Current, String> {
    let signer = authority.signer();
    let made = signer.for_server(names, authority.limits().lifetime, now)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for root in signer.roots_der() {
        roots
            .add(root.clone())
            .map_err(|error| format!("a root cannot be used: {error}"))?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| error.to_string())?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(made.chain, made.key)
        .map_err(|error| error.to_string())?;
    let mut config = config;
    // A ticket would let in who has no certificate any more.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    authority.counts().served.fetch_add(1, Ordering::Relaxed);
    let (serial, names) = (&made.serial, names.join(", "));
    info!(target: "authority", serial, "this server shows a certificate for {names}");
    Ok(Current {
        config: Arc::new(config),
        signer,
        made: now,
        not_after: made.not_after,
    })
}
