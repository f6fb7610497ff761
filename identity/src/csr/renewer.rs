//! Asks for an identity, and again before its time is over; after a failure again, sooner.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outrigger_xds::certificates::CertificateRequest;
use outrigger_xds::channel::Backoff;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::answer;
use super::ask::{Ask, Proof};
use super::held::Held;
use super::renewal::{LOOK, due};
use super::{Settings, key};
use crate::material::Identity;

/// Longest token that is sent, bytes: what the authority looks at.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What asks.
pub(super) struct Renewer<A> {
    pub(super) ask: A,
    pub(super) settings: Settings,
    pub(super) held: Held,
    /// Called when another identity is held.
    pub(super) tell: Box<dyn Fn() + Send>,
    /// The calendar.
    pub(super) now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl<A: Ask> Renewer<A> {
    /// For ever.
    pub(super) async fn serve(mut self) {
        let mut failures = 0;
        // What was told last, so that it is told once.
        let mut said = String::new();
        loop {
            match self.renew().await {
                Ok(identity) => {
                    failures = 0;
                    said.clear();
                    let not_after = identity.leaf.not_after;
                    // Who it is does not change while it runs.
                    self.settings.id.get_or_insert(identity.id);
                    self.held.put(identity.material);
                    (self.tell)();
                    self.wait_until_due(not_after).await;
                }
                Err(why) => {
                    failures += 1;
                    self.held.failed(&why);
                    let at = self.settings.target.address.text();
                    let text = format!("no certificate from {at}: {why}");
                    if text == said {
                        debug!(target: "identity", "{text}");
                    } else {
                        warn!(target: "identity", "{text}; trying again");
                        said = text;
                    }
                    sleep(Backoff::ORDINARY.pause(failures, chance())).await;
                }
            }
        }
    }

    async fn wait_until_due(&self, not_after: SystemTime) {
        let due = due((self.now)(), not_after, chance());
        while let Ok(left) = due.duration_since((self.now)())
            && left > Duration::ZERO
        {
            sleep(left.min(LOOK)).await;
        }
    }

    /// Asks once. A key is made for each question, so that one that was seen is good for half a certificate's life at most.
    async fn renew(&self) -> Result<Identity, String> {
        let Settings {
            id,
            cluster,
            key: kind,
            lifetime,
            ..
        } = &self.settings;
        let proof = self.proof()?;
        let (csr, key) = key::request(*kind, id.as_deref())?;
        let request = CertificateRequest {
            csr,
            validity_duration: i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX),
            metadata: None,
        };
        let answered = self.ask.ask(request, proof, cluster).await?;
        let now = (self.now)();
        let wanted = id.as_deref();
        let identity =
            answer::take(&answered, key, wanted, now).map_err(|fault| fault.to_string())?;
        let serial = &identity.leaf.serial;
        info!(target: "identity", serial, "was given a certificate for `{}`", identity.id);
        Ok(identity)
    }

    /// The token; where there is none, the identity that is held while it is good.
    fn proof(&self) -> Result<Proof, String> {
        let path = self.settings.token.display();
        let why = match std::fs::read_to_string(&self.settings.token) {
            Ok(token) if token.trim().is_empty() => format!("the token `{path}` is empty"),
            Ok(token) if token.len() > MAX_TOKEN_BYTES => {
                format!("the token `{path}` has more than {MAX_TOKEN_BYTES} bytes")
            }
            Ok(token) => return Ok(Proof::Token(token.trim().to_owned())),
            Err(error) => format!("cannot read the token `{path}`: {error}"),
        };
        self.held.material().map(Proof::Certificate).ok_or(why)
    }
}

/// A random number. Where there is none, all come at once.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    let _ = rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
