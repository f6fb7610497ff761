//! Requests for certificates (PKCS #10, RFC 2986): whether who asks holds the key, and whether we sign for such a key.
//!
//! Nothing else of a request is looked at. Whom a certificate is for is known from the caller, never from what the request says.

use std::fmt;

use rcgen::{PublicKeyData as _, SubjectPublicKeyInfo};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{
    CertificateSigningRequestDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer,
};
use webpki::{RawPublicKeyEntity, aws_lc_rs as by};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

/// Shorter keys of RSA are guessed in reach of a state; NIST SP 800-131A has forbidden them since 2014.
const MIN_RSA_BITS: usize = 2048;

/// Longer ones cost a verifier more than they are worth.
const MAX_RSA_BITS: usize = 8192;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// More bytes than are allowed: how many, and how many are.
    TooLong(usize, usize),
    /// It is none: why.
    Malformed(&'static str),
    /// It is not signed by the key that it names, or in a way that is not taken.
    NotSigned,
    /// No certificates are given for such keys: what it is.
    Key(String),
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes, most) => {
                write!(f, "the request has {bytes} bytes, and {most} are allowed")
            }
            Self::Malformed(why) => write!(f, "the request is malformed: {why}"),
            Self::NotSigned => f.write_str(
                "the request is not signed by its key with RSA (PKCS #1), ECDSA or Ed25519 and SHA-2",
            ),
            Self::Key(what) => write!(
                f,
                "{what}: keys are RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, P-256, P-384 or Ed25519"
            ),
        }
    }
}

impl std::error::Error for BadRequest {}

/// A key whose holder has asked.
pub struct Requested(pub(crate) SubjectPublicKeyInfo);

impl fmt::Debug for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Requested")
            .field(&self.0.algorithm())
            .finish()
    }
}

impl Requested {
    /// Reads a request in PEM of at most so many bytes.
    ///
    /// # Errors
    /// It is none, or one that is not signed for.
    pub fn read(pem: &str, max_bytes: usize) -> Result<Self, BadRequest> {
        if pem.len() > max_bytes {
            return Err(BadRequest::TooLong(pem.len(), max_bytes));
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| BadRequest::Malformed("no CERTIFICATE REQUEST in PEM"))?;
        let (rest, request) = X509CertificationRequest::from_der(&der)
            .map_err(|_| BadRequest::Malformed("not of PKCS #10"))?;
        if !rest.is_empty() {
            return Err(BadRequest::Malformed("more than a request of PKCS #10"));
        }
        let info = &request.certification_request_info;
        check_key(&info.subject_pki)?;
        let spki = SubjectPublicKeyInfoDer::from(info.subject_pki.raw);
        let held = RawPublicKeyEntity::try_from(&spki)
            .map_err(|_| BadRequest::Malformed("its key is not well formed"))?;
        let signature = request.signature_value.as_ref();
        // Bits that do not count are none of a signature.
        if request.signature_value.unused_bits != 0 {
            return Err(BadRequest::NotSigned);
        }
        let oid = request.signature_algorithm.algorithm.to_id_string();
        let algorithms = algorithms(&oid);
        let is_signed = algorithms
            .iter()
            .any(|by| held.verify_signature(*by, info.raw, signature).is_ok());
        if !is_signed {
            return Err(BadRequest::NotSigned);
        }
        SubjectPublicKeyInfo::from_der(info.subject_pki.raw)
            .map(Self)
            .map_err(|_| BadRequest::Malformed("its key is not well formed"))
    }
}

fn check_key(key: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Result<(), BadRequest> {
    match key.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => match rsa.key_size() {
                MIN_RSA_BITS..=MAX_RSA_BITS => Ok(()),
                bits => Err(BadRequest::Key(format!("a key of RSA with {bits} bits"))),
            },
            _ => Err(BadRequest::Malformed("its key is not well formed")),
        },
        "1.2.840.10045.2.1" => {
            let curve = key.algorithm.parameters.as_ref();
            let curve = curve.and_then(|any| any.as_oid().ok());
            match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7" | "1.3.132.0.34") => Ok(()),
                _ => Err(BadRequest::Key("a key of another curve".into())),
            }
        }
        "1.3.101.112" => Ok(()),
        other => Err(BadRequest::Key(format!("a key of kind {other}"))),
    }
}

/// What may be meant by an algorithm of signatures: for ECDSA the curve is that of the key.
fn algorithms(oid: &str) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    match oid {
        "1.2.840.113549.1.1.11" => vec![by::RSA_PKCS1_2048_8192_SHA256],
        "1.2.840.113549.1.1.12" => vec![by::RSA_PKCS1_2048_8192_SHA384],
        "1.2.840.113549.1.1.13" => vec![by::RSA_PKCS1_2048_8192_SHA512],
        "1.2.840.10045.4.3.2" => vec![by::ECDSA_P256_SHA256, by::ECDSA_P384_SHA256],
        "1.2.840.10045.4.3.3" => vec![by::ECDSA_P256_SHA384, by::ECDSA_P384_SHA384],
        "1.3.101.112" => vec![by::ED25519],
        _ => vec![],
    }
}
