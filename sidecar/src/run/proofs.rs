//! What proves something, for the TLS beneath connections: the identity in use, and what rules name (files, secrets, the roots of
//! the system).
//!
//! Owns when it is gathered again, and that what was good stays when what comes is not: a connection that lacks its proof is
//! refused, never made without. What is proved to whom stands in the snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outrigger_core::config::kubernetes::Secret;
use outrigger_core::snapshot::{ClientProof, KeyName, RootsName, Snapshot, Trust};
use outrigger_identity::{
    Fault, Identity, pem_certificates, pem_key, read_certificates, read_key, read_revoked,
};
use outrigger_tls::{Identities, Proofs};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use tracing::{error, info};

/// Something that rules name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Key(KeyName),
    Roots(RootsName),
    Revoked(Box<str>),
}

impl Name {
    /// The files that it stands for.
    fn files(&self) -> Vec<&str> {
        match self {
            Self::Key(KeyName::Files(chain, key)) => vec![chain, key],
            Self::Roots(RootsName::File(path)) | Self::Revoked(path) => vec![path],
            Self::Key(KeyName::Secret(..) | KeyName::Mesh)
            | Self::Roots(RootsName::Secret(..) | RootsName::System | RootsName::Mesh) => {
                Vec::new()
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(KeyName::Files(chain, _)) => write!(f, "the certificate and key of {chain}"),
            Self::Key(KeyName::Secret(namespace, name)) => {
                write!(f, "the certificate and key of secret {namespace}/{name}")
            }
            Self::Roots(RootsName::File(path)) => write!(f, "the authorities of {path}"),
            Self::Roots(RootsName::Secret(namespace, name)) => {
                write!(f, "the authorities of secret {namespace}/{name}")
            }
            Self::Roots(RootsName::System) => f.write_str("the authorities of the system"),
            Self::Revoked(path) => write!(f, "what {path} revokes"),
            // Those of the mesh come with the identity.
            Self::Key(KeyName::Mesh) | Self::Roots(RootsName::Mesh) => f.write_str("the identity"),
        }
    }
}

/// What was read for a name.
#[derive(PartialEq)]
enum Piece {
    Key(Vec<CertificateDer<'static>>, Vec<u8>),
    Roots(Vec<CertificateDer<'static>>),
    Revoked(Vec<Vec<u8>>),
}

/// Gathers proofs, and swaps them in when they change.
pub(super) struct Gatherer {
    identities: Arc<Identities>,
    pieces: BTreeMap<Name, Piece>,
    identity: Option<Arc<Identity>>,
    /// What was told of each that cannot be had.
    told: BTreeMap<Name, String>,
}

impl Gatherer {
    pub(super) fn new() -> Self {
        Self {
            identities: Arc::new(Identities::new(Proofs::default())),
            pieces: BTreeMap::new(),
            identity: None,
            told: BTreeMap::new(),
        }
    }

    /// What connections are protected by.
    pub(super) fn identities(&self) -> Arc<Identities> {
        Arc::clone(&self.identities)
    }

    /// The files among what was named last, whether they could be read or not.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        let names = self.pieces.keys().chain(self.told.keys());
        names.flat_map(Name::files).map(PathBuf::from).collect()
    }

    /// Gathers what a snapshot names, before it is put to use or because files may have changed.
    pub(super) fn gather(
        &mut self,
        snapshot: &Snapshot,
        identity: Option<Arc<Identity>>,
        secrets: &[Secret],
    ) {
        let names = names(snapshot);
        let mut is_changed = false;
        let mut taken = Vec::new();
        self.pieces.retain(|name, _| {
            let stays = names.contains(name);
            is_changed |= !stays;
            stays
        });
        self.told.retain(|name, _| names.contains(name));
        for name in names {
            let piece = piece(&name, secrets).and_then(|piece| {
                let is_news = self.pieces.get(&name) != Some(&piece);
                // A key may come before its certificate, and a list may be none.
                match is_news {
                    true => add(&mut Proofs::default(), &name, &piece).map(|()| Some(piece)),
                    false => Ok(None),
                }
            });
            match piece {
                Ok(news) => {
                    let was_told = self.told.remove(&name).is_some();
                    is_changed |= news.is_some();
                    // What is there from the start is no news.
                    if was_told || news.is_some() && self.pieces.contains_key(&name) {
                        taken.push(name.to_string());
                    }
                    self.pieces.extend(news.map(|piece| (name, piece)));
                }
                Err(fault) => self.tell(name, fault),
            }
        }
        let is_same = match (&self.identity, &identity) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_changed || !is_same {
            self.identity = identity;
            self.swap();
        }
        // Whoever hears of it can rely on it.
        for name in taken {
            info!(target: "identity", "took {name}");
        }
    }

    fn tell(&mut self, name: Name, fault: String) {
        if self.told.get(&name) != Some(&fault) {
            let outcome = match self.pieces.contains_key(&name) {
                true => "kept what it was",
                false => "connections that need it fail",
            };
            error!(target: "identity", "{fault}; {outcome}");
            self.told.insert(name, fault);
        }
    }

    fn swap(&self) {
        let mut proofs = Proofs::default();
        let mut faults = Vec::new();
        if let Some(identity) = &self.identity {
            let material = &identity.material;
            let (chain, key) = (material.chain.clone(), material.key.clone_key());
            faults.extend(proofs.key(KeyName::Mesh, chain, key).err());
            // Without its lists nobody of the mesh is believed: it may be one that was revoked.
            let revoked = match &*material.revoked {
                [] => Ok(()),
                lists => proofs.revoked_in_mesh(lists),
            };
            let believed = revoked.and_then(|()| proofs.roots(RootsName::Mesh, &material.roots));
            faults.extend(believed.err());
        }
        let added = self.pieces.iter();
        faults.extend(added.filter_map(|(name, piece)| add(&mut proofs, name, piece).err()));
        for fault in faults {
            error!(target: "identity", "{fault}; connections that need it fail");
        }
        self.identities.swap(proofs);
    }
}

/// Adds what was read for a name.
fn add(proofs: &mut Proofs, name: &Name, piece: &Piece) -> Result<(), String> {
    match (name, piece) {
        (Name::Key(name), Piece::Key(chain, key)) => {
            let key = PrivateKeyDer::try_from(key.clone())?;
            proofs.key(name.clone(), chain.clone(), key)
        }
        (Name::Roots(name), Piece::Roots(roots)) => proofs.roots(name.clone(), roots),
        (Name::Revoked(file), Piece::Revoked(lists)) => {
            let lists = lists.iter().cloned();
            let lists: Vec<_> = lists.map(CertificateRevocationListDer::from).collect();
            proofs.revoked(file, &lists)
        }
        // Each name gets its own kind of piece, see `piece`.
        (Name::Key(_) | Name::Roots(_) | Name::Revoked(_), _) => Ok(()),
    }
}

/// Everything that the TLS of a snapshot names, but the mesh's own.
fn names(snapshot: &Snapshot) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    let clusters = snapshot.clusters.iter().filter_map(|c| c.tls.as_ref());
    let collectors = snapshot.tracing.collectors();
    let collectors = collectors.flat_map(|of| of.addresses.iter().filter_map(|a| a.tls.as_ref()));
    for tls in clusters.chain(collectors) {
        match &tls.identity {
            Some(name @ (KeyName::Files(..) | KeyName::Secret(..))) => {
                names.insert(Name::Key(name.clone()));
            }
            Some(KeyName::Mesh) | None => {}
        }
        if let Trust::Chain { roots, crl, .. } = &tls.trust {
            if *roots != RootsName::Mesh {
                names.insert(Name::Roots(roots.clone()));
            }
            names.extend(crl.clone().map(Name::Revoked));
        }
    }
    let gateways = snapshot.gateways.iter().filter_map(|one| one.tls.as_ref());
    let terminations = gateways.flat_map(|tls| &tls.servers);
    for termination in terminations.filter_map(|server| server.termination.as_ref()) {
        let keys = [&termination.key].into_iter().chain(&termination.more_keys);
        let own = keys.filter(|key| **key != KeyName::Mesh);
        names.extend(own.map(|key| Name::Key(key.clone())));
        if let ClientProof::Optional(trust) | ClientProof::Required(trust) = &termination.clients {
            names.insert(Name::Roots(trust.roots.clone()));
            names.extend(trust.crl.clone().map(Name::Revoked));
        }
    }
    names
}

/// Reads what a name stands for.
fn piece(name: &Name, secrets: &[Secret]) -> Result<Piece, String> {
    let told = |fault: Fault| fault.to_string();
    Ok(match name {
        Name::Key(KeyName::Files(chain, key)) => Piece::Key(
            read_certificates(Path::new(&**chain)).map_err(told)?,
            read_key(Path::new(&**key))
                .map_err(told)?
                .secret_der()
                .to_vec(),
        ),
        Name::Key(KeyName::Secret(namespace, name)) => {
            let secret = Secret::find(secrets, namespace, name)
                .ok_or_else(|| format!("there is no secret {namespace}/{name}"))?;
            let at = format!("secret {namespace}/{name}");
            let chain = secret
                .certificate()
                .ok_or_else(|| format!("{at} holds no certificate"))?;
            let key = secret.key().ok_or_else(|| format!("{at} holds no key"))?;
            Piece::Key(
                pem_certificates(chain, Path::new(&at)).map_err(told)?,
                pem_key(key, Path::new(&at))
                    .map_err(told)?
                    .secret_der()
                    .to_vec(),
            )
        }
        Name::Roots(RootsName::File(path)) => {
            Piece::Roots(read_certificates(Path::new(&**path)).map_err(told)?)
        }
        Name::Roots(RootsName::Secret(namespace, name)) => {
            let at = format!("secret {namespace}/{name}");
            let roots = Secret::authorities_of(secrets, namespace, name);
            let roots = roots.ok_or_else(|| format!("{at} holds no authorities"))?;
            Piece::Roots(pem_certificates(roots, Path::new(&at)).map_err(told)?)
        }
        Name::Roots(RootsName::System) => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Err("the system has no authorities".to_owned());
            }
            Piece::Roots(found.certs)
        }
        Name::Revoked(path) => {
            let lists = read_revoked(Path::new(&**path)).map_err(told)?;
            Piece::Revoked(lists.iter().map(|list| list.as_ref().to_vec()).collect())
        }
        // Those of the mesh come with the identity.
        Name::Key(KeyName::Mesh) | Name::Roots(RootsName::Mesh) => Piece::Roots(Vec::new()),
    })
}

#[cfg(test)]
mod tests;
