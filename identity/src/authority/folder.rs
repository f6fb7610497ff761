//! An authority in a folder, and identities in folders: files under Istio's names, keys for their owner alone.
//!
//! Files are put in place as a whole (written beside, then renamed), the key before the certificate: whoever reads between
//! the two sees a key that does not match, and keeps what it has.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Authority, Issued, Unmade};
use crate::certificate::Certificate;
use crate::fault::Fault;
use crate::pem;

/// The authority's key.
const CA_KEY: &str = "ca-key.pem";

/// The authority's own certificate.
const CA_CERT: &str = "ca-cert.pem";

/// What workloads are to trust: the authority's certificate, and those of the authorities before it.
const ROOTS: &str = "root-cert.pem";

/// Why a folder cannot be worked with.
#[derive(Debug)]
pub enum FolderFault {
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// There is an authority already.
    Exists(PathBuf),
    /// What is there is not as it should be.
    Bad(Fault),
    /// The authority refuses.
    Unmade(Unmade),
}

impl std::fmt::Display for FolderFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "`{}`: {error}", path.display()),
            Self::Exists(path) => {
                let path = path.display();
                write!(
                    f,
                    "`{path}` is an authority already: `outrigger ca rotate {path}` gives it another root"
                )
            }
            Self::Bad(fault) => fault.fmt(f),
            Self::Unmade(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for FolderFault {}

impl From<Unmade> for FolderFault {
    fn from(why: Unmade) -> Self {
        Self::Unmade(why)
    }
}

impl From<Fault> for FolderFault {
    fn from(fault: Fault) -> Self {
        Self::Bad(fault)
    }
}

/// An authority in a folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    authority: Authority,
}

impl Folder {
    /// Makes one.
    ///
    /// # Errors
    /// There is one already, or files cannot be written.
    pub fn init(
        path: &Path,
        trust_domain: &str,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Self, FolderFault> {
        if path.join(CA_KEY).exists() {
            return Err(FolderFault::Exists(path.to_owned()));
        }
        let authority = Authority::new(trust_domain)?;
        let root = authority.root(now, lifetime)?;
        make(path)?;
        put(&path.join(CA_CERT), &root, Readers::All)?;
        put(&path.join(ROOTS), &root, Readers::All)?;
        // Last: where it stands there is an authority, and a whole one.
        put(&path.join(CA_KEY), &authority.key(), Readers::Owner)?;
        Ok(Self {
            path: path.to_owned(),
            authority,
        })
    }

    /// Opens one.
    ///
    /// # Errors
    /// It is not there, or not as [`Self::init`] leaves it.
    pub fn open(path: &Path) -> Result<Self, FolderFault> {
        let key = text(&path.join(CA_KEY))?;
        let at = path.join(CA_CERT);
        let certificates = pem::certificates(text(&at)?.as_bytes(), &at)?;
        let malformed = |why| FolderFault::Bad(Fault::Malformed(at.clone(), why));
        let certificate = Certificate::read(&certificates[0]).map_err(malformed)?;
        let domain = match &*certificate.uri_names {
            [only] => only.strip_prefix("spiffe://"),
            _ => None,
        };
        let domain = domain.ok_or_else(|| malformed("it names no trust domain".into()))?;
        Ok(Self {
            path: path.to_owned(),
            authority: Authority::open(domain, &key)?,
        })
    }

    /// The authority.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Gives it another key and root. What workloads are to trust holds the new root and those before it, so that whoever has
    /// been given an identity by either believes the other.
    ///
    /// # Errors
    /// Files cannot be written.
    pub fn rotate(&mut self, now: SystemTime, lifetime: Duration) -> Result<(), FolderFault> {
        let authority = Authority::new(self.authority.trust_domain())?;
        let root = authority.root(now, lifetime)?;
        let bundle = format!("{root}{}", self.roots()?);
        // Before anybody has an identity of it.
        put(&self.path.join(ROOTS), &bundle, Readers::All)?;
        put(&self.path.join(CA_KEY), &authority.key(), Readers::Owner)?;
        put(&self.path.join(CA_CERT), &root, Readers::All)?;
        self.authority = authority;
        Ok(())
    }

    /// Lets workloads trust the newest root alone.
    ///
    /// # Errors
    /// Files cannot be written.
    pub fn retire(&self) -> Result<(), FolderFault> {
        let root = text(&self.path.join(CA_CERT))?;
        put(&self.path.join(ROOTS), &root, Readers::All)
    }

    /// What workloads are to trust, in PEM.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn roots(&self) -> Result<String, FolderFault> {
        text(&self.path.join(ROOTS))
    }

    /// Gives a workload an identity, in a folder.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate, or files that cannot be written.
    pub fn issue(
        &self,
        (namespace, service_account): (&str, &str),
        out: &Path,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued, FolderFault> {
        let issued = self
            .authority
            .issue(namespace, service_account, now, lifetime)?;
        write_identity(out, &issued, &self.roots()?)?;
        Ok(issued)
    }
}

/// Puts an identity and its roots into a folder, under Istio's names.
///
/// # Errors
/// Files cannot be written.
pub fn write_identity(out: &Path, issued: &Issued, roots: &str) -> Result<(), FolderFault> {
    make(out)?;
    put(&out.join("root-cert.pem"), roots, Readers::All)?;
    put(&out.join("key.pem"), &issued.key, Readers::Owner)?;
    put(&out.join("cert-chain.pem"), &issued.chain, Readers::All)
}

/// Who may read a file.
#[derive(Clone, Copy)]
enum Readers {
    Owner,
    All,
}

/// Makes a folder that only its owner may look into, unless it is there.
fn make(path: &Path) -> Result<(), FolderFault> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|error| FolderFault::File(path.to_owned(), error))
}

/// Puts a file in place as a whole. Nobody can read it before its mode is set.
fn put(path: &Path, text: &str, readers: Readers) -> Result<(), FolderFault> {
    let cannot = |error| FolderFault::File(path.to_owned(), error);
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    file.sync_all().map_err(cannot)?;
    fs::rename(&beside, path).map_err(cannot)
}

fn text(path: &Path) -> Result<String, FolderFault> {
    fs::read_to_string(path).map_err(|error| FolderFault::File(path.to_owned(), error))
}
