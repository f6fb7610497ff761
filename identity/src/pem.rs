//! PEM (RFC 7468) to certificates, keys and lists of what was revoked.

use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::fault::Fault;
use crate::material::Material;

/// An identity from three texts: the chain, the key and the roots.
///
/// # Errors
/// One of them holds nothing of what it should, or is not well formed.
pub fn material(chain: &str, key: &str, roots: &str) -> Result<Material, Fault> {
    let path = Path::new("text");
    Ok(Material {
        chain: certificates(chain.as_bytes(), path)?,
        key: self::key(key.as_bytes(), path)?,
        roots: certificates(roots.as_bytes(), path)?,
        revoked: Vec::new(),
    })
}

/// Every certificate of a text, in its order.
///
/// # Errors
/// There is none, or one is not well formed.
pub fn certificates(text: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let read = read.map_err(|error| malformed(path, &error))?;
    if read.is_empty() {
        return Err(Fault::Lacks(path.to_owned(), "certificate"));
    }
    Ok(read)
}

/// The first key of a text: PKCS #8, PKCS #1 or SEC 1.
///
/// # Errors
/// There is none, or it is not well formed.
pub fn key(text: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => Fault::Lacks(path.to_owned(), "key"),
        other => malformed(path, &other),
    })
}

/// Every list of a text.
///
/// # Errors
/// There is none, or one is not well formed.
pub(crate) fn revoked(
    text: &[u8],
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    let read = read.map_err(|error| malformed(path, &error))?;
    if read.is_empty() {
        return Err(Fault::Lacks(
            path.to_owned(),
            "list of revoked certificates",
        ));
    }
    Ok(read)
}

/// The words of the library, which do not repeat what stands in the file.
fn malformed(path: &Path, error: &pem::Error) -> Fault {
    let why = match error {
        pem::Error::MissingSectionEnd { .. } => "a section of PEM does not end",
        pem::Error::IllegalSectionStart { .. } => "a section of PEM does not begin as it should",
        pem::Error::Base64Decode(_) => "a section of PEM is not base64",
        pem::Error::SectionTooLarge => "a section of PEM is too large",
        _ => "it is not PEM",
    };
    Fault::Malformed(path.to_owned(), why.to_owned())
}
