//! An identity in files: as Istio's agent lays them out, as Kubernetes mounts a TLS secret, or each by its own path.

mod layout;

pub use layout::{Layout, Paths};

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::fault::Fault;
use crate::material::Material;
use crate::pem;
use crate::source::Source;

/// Longest file that is read; a bundle of a hundred roots has a tenth of this.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Bits of a mode that let others than the owner's user and group read.
const OTHERS: u32 = 0o007;

/// Bits of a mode that let the group write.
const GROUP_WRITES: u32 = 0o020;

/// The files of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    layout: Layout,
}

impl Files {
    /// Files that lie so.
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        Self { layout }
    }
}

impl Source for Files {
    fn fetch(&mut self) -> Result<Material, Fault> {
        let paths = self.layout.paths()?;
        let revoked = match &paths.revoked {
            Some(path) => read_revoked(path)?,
            None => Vec::new(),
        };
        Ok(Material {
            key: read_key(&paths.key)?,
            chain: read_certificates(&paths.chain)?,
            roots: read_certificates(&paths.roots)?,
            revoked,
        })
    }

    fn watched(&self) -> Vec<PathBuf> {
        self.layout.watched()
    }
}

/// The certificates of a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    pem::certificates(&read(path)?, path)
}

/// The key of a file that nobody else can read.
///
/// # Errors
/// It cannot be read, is open to others, or holds none.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    check_mode(path)?;
    pem::key(&read(path)?, path)
}

/// The lists of what was revoked in a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn read_revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    pem::revoked(&read(path)?, path)
}

/// Reads a file of a size that is meant.
///
/// # Errors
/// It cannot be read, or is too long.
fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |error| Fault::Unreadable(path.to_owned(), error);
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        let why = format!("it is longer than {MAX_FILE_BYTES} bytes");
        return Err(Fault::Malformed(path.to_owned(), why));
    }
    fs::read(path).map_err(unreadable)
}

/// A key that everybody on the machine can read is nobody's. Its group may: that is how Kubernetes mounts secrets for users
/// that are not root (`fsGroup`).
fn check_mode(key: &Path) -> Result<(), Fault> {
    let unreadable = |error| Fault::Unreadable(key.to_owned(), error);
    let mode = fs::metadata(key).map_err(unreadable)?.permissions().mode();
    if mode & (OTHERS | GROUP_WRITES) != 0 {
        return Err(Fault::ReadableByOthers(key.to_owned(), mode & 0o7777));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
