//! What an authority consists of, under the names that Istio's secret `cacerts` has for it: plugged in, or made and kept in a
//! folder that replicas may share.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use outrigger_identity::authority::{Folder, FolderFault};

/// The authority's certificate.
pub const CA_CERT: &str = "ca-cert.pem";

/// Its key.
pub const CA_KEY: &str = "ca-key.pem";

/// The certificates that lead from it to a root, its own first; may be missing.
pub const CERT_CHAIN: &str = "cert-chain.pem";

/// What workloads are to trust; old and new roots while they change.
pub const ROOT_CERT: &str = "root-cert.pem";

/// Held while somebody makes an authority.
const LOCK: &str = ".lock";

/// How long the root of an authority that was made here is good: ten years, as Istio's.
pub const ROOT_LIFETIME: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// The texts of an authority, in PEM. Whoever keeps them elsewhere than in a folder, such as in a Secret of Kubernetes, reads
/// and writes them by [`Self::from_named`] and [`Self::named`].
#[derive(Clone, PartialEq, Eq)]
pub struct CaFiles {
    /// [`CA_CERT`].
    pub cert: String,
    /// [`CA_KEY`].
    pub key: String,
    /// [`CERT_CHAIN`]; empty when there is none.
    pub chain: String,
    /// [`ROOT_CERT`].
    pub roots: String,
}

impl std::fmt::Debug for CaFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the files of an authority")
    }
}

impl CaFiles {
    /// Reads them by name.
    ///
    /// # Errors
    /// The name of one that is missing.
    pub fn from_named(get: impl Fn(&str) -> Option<String>) -> Result<Self, &'static str> {
        Ok(Self {
            cert: get(CA_CERT).ok_or(CA_CERT)?,
            key: get(CA_KEY).ok_or(CA_KEY)?,
            chain: get(CERT_CHAIN).unwrap_or_default(),
            roots: get(ROOT_CERT).ok_or(ROOT_CERT)?,
        })
    }

    /// Their names and texts.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &str); 4] {
        [
            (CA_CERT, &self.cert),
            (CA_KEY, &self.key),
            (CERT_CHAIN, &self.chain),
            (ROOT_CERT, &self.roots),
        ]
    }

    /// Makes an authority of a trust domain, kept nowhere.
    ///
    /// # Errors
    /// The name is no trust domain.
    pub fn make(trust_domain: &str, now: SystemTime, lifetime: Duration) -> Result<Self, String> {
        let made = outrigger_identity::authority::Authority::new(trust_domain)
            .and_then(|authority| Ok((authority.root(now, lifetime)?, authority.key())));
        let (root, key) = made.map_err(|why| why.to_string())?;
        Ok(Self {
            cert: root.clone(),
            key,
            chain: String::new(),
            roots: root,
        })
    }

    /// Reads the files of a folder.
    ///
    /// # Errors
    /// One is missing or cannot be read.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))
        };
        let chain = match folder.join(CERT_CHAIN).exists() {
            true => read(CERT_CHAIN)?,
            false => String::new(),
        };
        Ok(Self {
            cert: read(CA_CERT)?,
            key: read(CA_KEY)?,
            chain,
            roots: read(ROOT_CERT)?,
        })
    }

    /// Reads the files of a folder, or makes an authority there if there is none. Of several that try at once, one makes it and
    /// all read the same; `outrigger ca rotate` gives it another root.
    ///
    /// # Errors
    /// Files cannot be read or written.
    pub fn read_or_make(
        folder: &Path,
        trust_domain: &str,
        now: SystemTime,
    ) -> Result<Self, String> {
        if !folder.join(CA_KEY).exists() {
            make_in(folder, trust_domain, now)?;
        }
        Self::read(folder)
    }
}

fn make_in(folder: &Path, trust_domain: &str, now: SystemTime) -> Result<(), String> {
    let cannot = |error| format!("`{}`: {error}", folder.display());
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(cannot)?;
    let lock = File::create(folder.join(LOCK)).map_err(cannot)?;
    // Until it is closed.
    lock.lock().map_err(cannot)?;
    let has = |name: &str| folder.join(name).exists();
    let mut others = [CA_CERT, ROOT_CERT, CERT_CHAIN].into_iter();
    if let (false, Some(name)) = (has(CA_KEY), others.find(|name| has(name))) {
        return Err(format!(
            "`{}` has {name} and no {CA_KEY}: an authority that has lost its key. Bring the key back; or take the certificates away, and another \
             authority is made, which nobody trusts yet",
            folder.display()
        ));
    }
    match Folder::init(folder, trust_domain, now, ROOT_LIFETIME) {
        // Somebody else was first.
        Ok(_) | Err(FolderFault::Exists(_)) => Ok(()),
        Err(fault) => Err(fault.to_string()),
    }
}
