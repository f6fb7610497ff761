//! What proves something: keys with their certificates, roots, and lists of what was revoked, by the names that a snapshot has
//! for them.
//!
//! Whoever reads files and secrets makes [`Proofs`] and swaps them in; connections that are open keep what they were made with,
//! and the next handshake uses the new ones.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use outrigger_core::snapshot::{KeyName, RootsName};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::provider;

/// Authorities that are believed.
pub(crate) type Roots = Arc<[TrustAnchor<'static>]>;

/// Lists of what was revoked.
pub(crate) type Revoked = Arc<[CertRevocationList<'static>]>;

/// What proves something, as of one moment. Made whole, then swapped in.
#[derive(Clone, Default)]
pub struct Proofs {
    keys: BTreeMap<KeyName, Arc<CertifiedKey>>,
    roots: BTreeMap<RootsName, Roots>,
    revoked: BTreeMap<Box<str>, Revoked>,
    revoked_in_mesh: Option<Revoked>,
}

impl Proofs {
    /// A key, and the certificates that lead from it to a root, its own first.
    ///
    /// # Errors
    /// The key cannot be used, or is not that of the certificate.
    pub fn key(
        &mut self,
        name: KeyName,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), String> {
        let key = CertifiedKey::from_der(chain, key, &provider::all());
        let key = key.map_err(|error| format!("the certificate and its key: {error}"))?;
        self.keys.insert(name, Arc::new(key));
        Ok(())
    }

    /// The authorities of a name. Old and new ones may stand beside each other.
    ///
    /// # Errors
    /// One is no certificate.
    pub fn roots(
        &mut self,
        name: RootsName,
        roots: &[CertificateDer<'static>],
    ) -> Result<(), String> {
        self.roots.insert(name, anchors(roots)?);
        Ok(())
    }

    /// A file of lists of what was revoked (`caCrl`).
    ///
    /// # Errors
    /// One is no such list.
    pub fn revoked(
        &mut self,
        file: &str,
        lists: &[CertificateRevocationListDer<'static>],
    ) -> Result<(), String> {
        self.revoked.insert(file.into(), revoked(lists)?);
        Ok(())
    }

    /// The same, for all that the mesh's authorities have signed.
    ///
    /// # Errors
    /// One is no such list.
    pub fn revoked_in_mesh(
        &mut self,
        lists: &[CertificateRevocationListDer<'static>],
    ) -> Result<(), String> {
        self.revoked_in_mesh = Some(revoked(lists)?);
        Ok(())
    }

    pub(crate) fn find_key(&self, name: &KeyName) -> Option<&Arc<CertifiedKey>> {
        self.keys.get(name)
    }

    pub(crate) fn find_roots(&self, name: &RootsName) -> Option<&Roots> {
        self.roots.get(name)
    }

    pub(crate) fn find_revoked(&self, file: &str) -> Option<&Revoked> {
        self.revoked.get(file)
    }

    pub(crate) fn find_revoked_in_mesh(&self) -> Option<&Revoked> {
        self.revoked_in_mesh.as_ref()
    }
}

/// Keys are not shown.
impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs")
            .field("keys", &self.keys.keys())
            .field("roots", &self.roots.keys())
            .finish_non_exhaustive()
    }
}

fn anchors(roots: &[CertificateDer<'static>]) -> Result<Roots, String> {
    let anchors = roots.iter().map(|root| {
        let anchor = webpki::anchor_from_trusted_cert(root);
        anchor
            .map(|anchor| anchor.to_owned())
            .map_err(|error| format!("not a root: {error}"))
    });
    anchors.collect()
}

fn revoked(lists: &[CertificateRevocationListDer<'static>]) -> Result<Revoked, String> {
    let lists = lists.iter().map(|list| {
        let list = OwnedCertRevocationList::from_der(list.as_ref());
        list.map(CertRevocationList::from)
            .map_err(|error| format!("not a list of revoked certificates: {error}"))
    });
    lists.collect()
}

/// What proves something, now and from the next swap on. Shared by all threads.
#[derive(Debug)]
pub struct Identities {
    proofs: ArcSwap<Proofs>,
    /// Counts swaps.
    generation: AtomicU64,
}

impl Identities {
    /// These hold until others do.
    #[must_use]
    pub fn new(proofs: Proofs) -> Self {
        Self {
            proofs: ArcSwap::from_pointee(proofs),
            generation: AtomicU64::new(0),
        }
    }

    /// From the next handshake on these hold. Connections that are open go on, and sessions that were begun with what held
    /// before are not taken up again.
    pub fn swap(&self, proofs: Proofs) {
        self.proofs.store(Arc::new(proofs));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// How often they were swapped.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn proofs(&self) -> Arc<Proofs> {
        self.proofs.load_full()
    }
}
