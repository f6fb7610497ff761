//! What a certificate says that a peer has shown: its names as bytes of its DER form, read by a parser that is not the one that
//! checks its chain.

use outrigger_core::peer::PeerCertificate;
use outrigger_identity::names_are_der;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate, as far as TLS asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// What core is told.
    pub(crate) told: PeerCertificate,
    /// Until when it is good, in seconds since 1970.
    pub(crate) not_after: i64,
}

/// Reads the names of a certificate.
///
/// # Errors
/// It is not well formed, or a name in it holds what no name does: who compares text could be shown another name than who
/// reads bytes.
pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Read, &'static str> {
    let (rest, read) = X509Certificate::from_der(der).map_err(|_| "it is not well formed")?;
    if !rest.is_empty() {
        return Err("something follows it");
    }
    let names = read.subject_alternative_name();
    let names = names.map_err(|_| "its names are not well formed")?;
    if !names_are_der(&read) {
        return Err("a name in it is not well formed");
    }
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let (mut uri_names, mut dns_names) = (Vec::new(), Vec::new());
    for name in names {
        match name {
            GeneralName::URI(uri) => uri_names.push(checked(uri)?),
            GeneralName::DNSName(dns) => dns_names.push(checked(dns)?),
            GeneralName::Invalid(..) => return Err("a name in it is not well formed"),
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_) => {}
        }
    }
    let digest = sha256(der);
    Ok(Read {
        told: PeerCertificate {
            uri_names: uri_names.into(),
            dns_names: dns_names.into(),
            subject: read.subject().to_string().into(),
            sha256: digest,
        },
        not_after: read.validity().not_after.timestamp(),
    })
}

/// What core is told of whoever has shown this certificate.
///
/// # Errors
/// It is not well formed, or a name in it holds what no name does.
pub fn peer(der: &CertificateDer<'_>) -> Result<PeerCertificate, &'static str> {
    read(der).map(|read| read.told)
}

/// The SHA-256 of its DER form, by the hash of a suite.
fn sha256(der: &CertificateDer<'_>) -> [u8; 32] {
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let mut digest = [0; 32];
    if let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() {
        let hash = suite.common.hash_provider.hash(der);
        digest.copy_from_slice(&hash.as_ref()[..32]);
    }
    digest
}

/// A name without a NUL, control characters and spaces (RFC 3986 §2; RFC 5280 §4.2.1.6).
fn checked(name: &str) -> Result<Box<str>, &'static str> {
    match name.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(name.into()),
        false => Err("a name in it holds what no name does"),
    }
}
