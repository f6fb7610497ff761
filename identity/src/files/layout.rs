//! Where the files of an identity lie.

use std::path::{Path, PathBuf};

use crate::fault::Fault;

/// The names that Istio's agent gives them, and those of a TLS secret of Kubernetes.
const NAMES: [[&str; 3]; 2] = [
    ["cert-chain.pem", "key.pem", "root-cert.pem"],
    ["tls.crt", "tls.key", "ca.crt"],
];

/// The names of a list of what was revoked, of which the first that is there is read.
const REVOKED: [&str; 2] = ["ca-crl.pem", "ca.crl"];

/// Where files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In a folder, under Istio's names or those of a TLS secret.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// A list of what was revoked that lies elsewhere.
        revoked: Option<PathBuf>,
    },
    /// Each where it says.
    Single(Paths),
}

/// The files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The workload's certificate and what leads to a root.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities of the mesh.
    pub roots: PathBuf,
    /// Lists of what was revoked.
    pub revoked: Option<PathBuf>,
}

impl Layout {
    /// The files as they lie now.
    ///
    /// # Errors
    /// A folder that holds no certificate under any of the names.
    pub(super) fn paths(&self) -> Result<Paths, Fault> {
        let (folder, elsewhere) = match self {
            Self::Single(paths) => return Ok(paths.clone()),
            Self::Folder { folder, revoked } => (folder, revoked),
        };
        let mut all = NAMES.iter();
        let names = all.find(|[chain, ..]| folder.join(chain).exists());
        let [chain, key, roots] = names.ok_or_else(|| Fault::NothingIn(folder.clone()))?;
        let beside = || {
            let paths = REVOKED.iter().map(|name| folder.join(name));
            paths.into_iter().find(|path| path.exists())
        };
        Ok(Paths {
            chain: folder.join(chain),
            key: folder.join(key),
            roots: folder.join(roots),
            revoked: elsewhere.clone().or_else(beside),
        })
    }

    /// What is watched: the folder as a whole, because a mounted secret changes by a link in it.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let owned = |path: &Path| path.to_owned();
        match self {
            Self::Folder { folder, revoked } => {
                [folder].into_iter().chain(revoked).cloned().collect()
            }
            Self::Single(paths) => [&*paths.chain, &*paths.key, &*paths.roots]
                .into_iter()
                .chain(paths.revoked.as_deref())
                .map(owned)
                .collect(),
        }
    }
}
