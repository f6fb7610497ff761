//! Who the demo's sidecars are: certificates by a throw-away authority, the one that `outrigger ca` makes, of which nothing
//! outlives the run.

use std::time::{Duration, SystemTime};

use outrigger_core::peer::SpiffeId;
use outrigger_core::snapshot::{KeyName, RootsName};
use outrigger_identity::authority::Authority;
use outrigger_identity::{Material, pem_material};
use outrigger_tls::Proofs;

/// The trust domain of the mesh.
const TRUST_DOMAIN: &str = "cluster.local";

/// Longer than any run takes.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// An authority and its root.
pub(super) struct Certificates {
    authority: Authority,
    root: String,
    now: SystemTime,
}

impl Certificates {
    /// A new authority.
    ///
    /// # Errors
    /// There is no randomness.
    pub(super) fn new() -> Result<Self, String> {
        let now = SystemTime::now();
        let authority = Authority::new(TRUST_DOMAIN).map_err(|error| error.to_string())?;
        let root = authority.root(now, LIFETIME);
        Ok(Self {
            root: root.map_err(|error| error.to_string())?,
            authority,
            now,
        })
    }

    /// What proves that somebody is a service account, and whom that one believes.
    ///
    /// # Errors
    /// The account has a name that no certificate can have.
    pub(super) fn issue(&self, namespace: &str, service_account: &str) -> Result<Proofs, String> {
        let issued = self
            .authority
            .issue(namespace, service_account, self.now, LIFETIME);
        let issued = issued.map_err(|error| error.to_string())?;
        let material = pem_material(&issued.chain, &issued.key, &self.root);
        let Material {
            chain, key, roots, ..
        } = material.map_err(|fault| fault.to_string())?;
        let mut proofs = Proofs::default();
        proofs.key(KeyName::Mesh, chain, key)?;
        proofs.roots(RootsName::Mesh, &roots)?;
        Ok(proofs)
    }
}

/// Who a service account is in the mesh.
pub(super) fn spiffe_id(namespace: &str, service_account: &str) -> Box<str> {
    let id = SpiffeId {
        trust_domain: TRUST_DOMAIN,
        namespace,
        service_account,
    };
    id.to_string().into()
}
