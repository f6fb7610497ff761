//! An identity from an authority over the network (Istio's `IstioCertificateService`), renewed before its time is over.
//!
//! Owns the key, which is made here and stays in memory, what is asked and when ([`renewal`]), and what is held now ([`Held`]).
//! Whether an answer is any good is said by [`crate::check`], how the authority is reached by `outrigger_xds::channel`.

mod answer;
mod ask;
mod held;
mod key;
pub mod renewal;
mod renewer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use outrigger_xds::channel::Target;
use tokio::runtime::Builder;

use ask::Network;
pub use held::{Counts, Held};
pub use key::KeyKind;
use renewer::Renewer;

/// What is asked for, and of whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The authority.
    pub target: Target,
    /// The file of the token that says who we are, read anew for each request: kubelet renews it. Where it is not, the
    /// certificate that is held says so.
    pub token: PathBuf,
    /// Who we are to be, `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, if we know: written into requests, and an answer for
    /// anybody else is refused.
    pub id: Option<String>,
    /// The cluster that the token is of, as Istio names it (`ClusterID`); not said when empty.
    pub cluster: String,
    /// The kind of key.
    pub key: KeyKind,
    /// How long a certificate should be good; the authority may give less.
    pub lifetime: Duration,
}

/// Begins to ask, on a thread of its own, for as long as the process runs. Whatever comes is held, and told.
///
/// # Errors
/// There is no thread for it.
pub fn start(settings: Settings, tell: Box<dyn Fn() + Send>) -> io::Result<Held> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let held = Held::default();
    let renewer = Renewer {
        ask: Network::new(settings.target.clone()),
        settings,
        held: held.clone(),
        tell,
        now: Arc::new(SystemTime::now),
    };
    thread::Builder::new()
        .name("identity".into())
        .spawn(move || runtime.block_on(renewer.serve()))?;
    Ok(held)
}
