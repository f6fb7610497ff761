//! What is wrong with an identity, in words that say what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why an identity is not used.
#[derive(Debug)]
pub enum Fault {
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A folder holds none of the files that an identity consists of.
    NothingIn(PathBuf),
    /// A file holds nothing of what it should: the file, and what.
    Lacks(PathBuf, &'static str),
    /// A file that is not well formed: the file, and why.
    Malformed(PathBuf, String),
    /// Others than its owner can read a key.
    ReadableByOthers(PathBuf, u32),
    /// The key is not that of the certificate.
    OtherKey,
    /// A kind of key that is not spoken here, or a broken one.
    BadKey(String),
    /// The certificate is over or has not begun: which, and since or until when.
    Expired(String),
    /// The certificate does not say who its owner is: what it says instead.
    NotSpiffe(String),
    /// It is one of another mesh: whose it is, and what is allowed.
    OtherTrustDomain(String, String),
    /// It does not lead to the roots that came with it.
    NotOfRoots(String),
    /// All roots are over.
    RootsExpired(String),
    /// An authority gives none: why.
    NotGiven(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read `{}`: {error}", path.display()),
            Self::NothingIn(path) => write!(
                f,
                "`{}` holds neither cert-chain.pem, key.pem and root-cert.pem nor tls.crt, tls.key and ca.crt",
                path.display()
            ),
            Self::Lacks(path, what) => write!(f, "`{}` holds no {what} in PEM", path.display()),
            Self::Malformed(path, why) => write!(f, "`{}`: {why}", path.display()),
            Self::ReadableByOthers(path, mode) => write!(
                f,
                "the key `{}` can be read by others (mode {mode:04o}): `chmod 600` it",
                path.display()
            ),
            Self::OtherKey => f.write_str("the key is not the one of the certificate"),
            Self::BadKey(why) => write!(f, "the key cannot be used: {why}"),
            Self::Expired(when) => write!(f, "the certificate {when}"),
            Self::NotSpiffe(what) => write!(
                f,
                "the certificate names no workload (one URI name, spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT): {what}"
            ),
            Self::OtherTrustDomain(id, allowed) => write!(
                f,
                "`{id}` is of another trust domain than the mesh ({allowed}): set `trustDomain` of the mesh configuration"
            ),
            Self::NotOfRoots(why) => {
                write!(
                    f,
                    "the certificate does not lead to the roots beside it: {why}"
                )
            }
            Self::NotGiven(why) => write!(f, "the authority has given no identity: {why}"),
            Self::RootsExpired(when) => write!(f, "no root is good: the last one {when}"),
        }
    }
}

impl std::error::Error for Fault {}
