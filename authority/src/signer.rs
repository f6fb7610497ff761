//! Signs: by a root that was plugged in or made here. What it signs names who has proved who he is, and outlives nothing that
//! vouches for it.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outrigger_core::peer::is_trust_domain;
use outrigger_identity::{Allowed, Certificate, Material, check, pem_certificates, pem_key};
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::caller::{Caller, Proof};
use crate::files::{CA_CERT, CA_KEY, CERT_CHAIN, CaFiles, ROOT_CERT};
use crate::request::Requested;

/// Certificates begin this long before they are made, because clocks differ.
pub const CLOCKS_DIFFER: Duration = Duration::from_secs(120);

/// Bytes of a serial number (RFC 5280 §4.1.2.2: at most 20).
const SERIAL_BYTES: usize = 16;

/// How long a certificate may be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// What is asked for; zero for what is ordinary.
    pub wanted: Duration,
    /// What is ordinary.
    pub ordinary: Duration,
    /// The most that is given.
    pub most: Duration,
}

impl Lifetime {
    fn given(self) -> Duration {
        let wanted = match self.wanted {
            Duration::ZERO => self.ordinary,
            wanted => wanted,
        };
        wanted.min(self.most)
    }
}

/// A certificate that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// It alone, in PEM.
    pub leaf: String,
    /// Until when it is good.
    pub not_after: SystemTime,
    /// Its serial number, hexadecimal.
    pub serial: String,
}

/// An authority that can sign.
pub struct Signer {
    trust_domain: String,
    issuer: Issuer<'static, KeyPair>,
    /// What leads from a certificate to a root, in PEM, one a string, nearest first; no root among them.
    between: Vec<String>,
    between_der: Vec<CertificateDer<'static>>,
    roots: String,
    roots_der: Vec<CertificateDer<'static>>,
    /// When the first of those that vouch for it is over.
    not_after: SystemTime,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the authority of `{}`", self.trust_domain)
    }
}

impl Signer {
    /// Opens an authority. What it would sign is tried, so that one whose pieces do not belong together is found here and not by
    /// the first workload.
    ///
    /// # Errors
    /// Which file is wrong, and why.
    pub fn open(files: &CaFiles, trust_domain: &str, now: SystemTime) -> Result<Self, String> {
        if !is_trust_domain(trust_domain) {
            return Err(format!("`{trust_domain}` is no trust domain"));
        }
        let read = |text: &str, name: &str| {
            pem_certificates(text.as_bytes(), Path::new(name)).map_err(|fault| fault.to_string())
        };
        let own = read(&files.cert, CA_CERT)?.remove(0);
        let roots_der = read(&files.roots, ROOT_CERT)?;
        let chain = match files.chain.trim().is_empty() {
            true => Vec::new(),
            false => read(&files.chain, CERT_CHAIN)?,
        };
        let key = key(&files.key)?;
        // With old and new roots in one bundle the wrong pair might be believed by some, and not by others.
        if public_key(&own)? != key.der_bytes() {
            return Err(format!("`{CA_KEY}` is not the key of `{CA_CERT}`"));
        }
        let issuer =
            Issuer::from_ca_cert_der(&own, key).map_err(|error| format!("`{CA_CERT}`: {error}"))?;
        let is_root = |one: &CertificateDer<'_>| roots_der.iter().any(|root| root == one);
        let mut between_der = vec![own];
        for one in chain {
            if !between_der.contains(&one) {
                between_der.push(one);
            }
        }
        let vouching = not_after(&between_der)?;
        between_der.retain(|one| !is_root(one));
        let signer = Self {
            trust_domain: trust_domain.to_owned(),
            issuer,
            between: between_der.iter().map(|one| to_pem(one)).collect(),
            between_der,
            roots: files.roots.clone(),
            roots_der,
            not_after: vouching,
        };
        signer.try_out(now)?;
        Ok(signer)
    }

    /// Signs for somebody and looks whether a sidecar would take it.
    fn try_out(&self, now: SystemTime) -> Result<(), String> {
        let nobody =
            Caller::new("outrigger", "trial", Proof::Token).map_err(|why| why.to_string())?;
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        let minute = Duration::from_secs(60);
        let (leaf, ..) = self.issue(&self.names_of(&nobody)?, &key, minute, now)?;
        let mut chain = vec![leaf];
        chain.extend(self.between_der.iter().cloned());
        let material = Material {
            chain,
            key: PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?,
            roots: self.roots_der.clone(),
            revoked: Vec::new(),
        };
        let allowed = Allowed {
            trust_domains: &[&self.trust_domain],
        };
        check(material, allowed, now).map(drop).map_err(|fault| {
            format!(
                "what `{CA_KEY}` and `{CA_CERT}` sign is not believed by who has `{ROOT_CERT}`: {fault}"
            )
        })
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// What workloads are to trust, in PEM.
    #[must_use]
    pub fn roots(&self) -> &str {
        &self.roots
    }

    /// The same, read.
    #[must_use]
    pub fn roots_der(&self) -> &[CertificateDer<'static>] {
        &self.roots_der
    }

    /// Until when the first of the certificates is good that vouch for what is signed.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Signs for a workload that holds a key.
    ///
    /// # Errors
    /// The authority's own time is over.
    pub fn sign(
        &self,
        requested: &Requested,
        caller: &Caller,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<Signed, String> {
        let names = self.names_of(caller)?;
        let (der, not_after, serial) = self.issue(&names, &requested.0, lifetime.given(), now)?;
        Ok(Signed {
            leaf: to_pem(&der),
            not_after,
            serial,
        })
    }

    /// What a workload is answered: its certificate, what leads to a root, and the roots last.
    #[must_use]
    pub fn answer(&self, signed: &Signed) -> Vec<String> {
        let leaf = std::iter::once(signed.leaf.clone());
        let between = self.between.iter().cloned();
        let roots = std::iter::once(self.roots.clone());
        leaf.chain(between).chain(roots).collect()
    }

    /// A certificate for a server of these DNS names or addresses, with a key that is made for it.
    ///
    /// # Errors
    /// A name that is none, or the authority's own time is over.
    pub fn for_server(
        &self,
        names: &[String],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<ForServer, String> {
        let names: Result<Vec<SanType>, String> =
            names.iter().map(|name| server_name(name)).collect();
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        let (leaf, not_after, serial) = self.issue(&names?, &key, lifetime, now)?;
        let mut chain = vec![leaf];
        chain.extend(self.between_der.iter().cloned());
        Ok(ForServer {
            chain,
            key: PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?,
            not_after,
            serial,
        })
    }

    fn names_of(&self, caller: &Caller) -> Result<Vec<SanType>, String> {
        let id = caller.id(&self.trust_domain);
        let id = id
            .as_str()
            .try_into()
            .map_err(|error: rcgen::Error| error.to_string())?;
        Ok(vec![SanType::URI(id)])
    }

    fn issue(
        &self,
        names: &[SanType],
        key: &impl PublicKeyData,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<(CertificateDer<'static>, SystemTime, String), String> {
        let not_after = (now + lifetime).min(self.not_after);
        if not_after <= now {
            return Err(format!(
                "a certificate of the authority of `{}` is over: renew `{CA_CERT}`",
                self.trust_domain
            ));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names.to_vec();
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.not_before = now.checked_sub(CLOCKS_DIFFER).unwrap_or(now).into();
        params.not_after = not_after.into();
        let serial = serial()?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let signed = params
            .signed_by(key, &self.issuer)
            .map_err(|error| error.to_string())?;
        let serial = serial.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((signed.der().clone(), not_after, serial))
    }
}

/// A certificate for a server, with its key.
pub struct ForServer {
    /// Its own certificate first, then those that lead to a root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
    /// Until when it is good.
    pub not_after: SystemTime,
    /// Its serial number, hexadecimal.
    pub serial: String,
}

impl fmt::Debug for ForServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate {} with its key", self.serial)
    }
}

fn server_name(name: &str) -> Result<SanType, String> {
    if let Ok(ip) = name.parse() {
        return Ok(SanType::IpAddress(ip));
    }
    match rustls_pki_types::DnsName::try_from(name) {
        Ok(_) => Ok(SanType::DnsName(
            name.try_into()
                .map_err(|error: rcgen::Error| error.to_string())?,
        )),
        Err(_) => Err(format!("`{name}` is neither a DNS name nor an address")),
    }
}

/// A positive number that nobody can guess.
fn serial() -> Result<[u8; SERIAL_BYTES], String> {
    let mut bytes = [0; SERIAL_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "there is no randomness".to_owned())?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(bytes)
}

/// The key of a certificate, without what says its kind.
fn public_key(der: &CertificateDer<'_>) -> Result<Vec<u8>, String> {
    let (_, read) = x509_parser::parse_x509_certificate(der)
        .map_err(|_| format!("`{CA_CERT}` is no certificate"))?;
    Ok(read.public_key().subject_public_key.data.to_vec())
}

/// PKCS #8, PKCS #1 or SEC 1.
fn key(text: &str) -> Result<KeyPair, String> {
    let der = pem_key(text.as_bytes(), Path::new(CA_KEY)).map_err(|fault| fault.to_string())?;
    KeyPair::try_from(&der).map_err(|_| {
        format!("`{CA_KEY}` is no key that can sign: RSA, P-256, P-384 or Ed25519, not encrypted")
    })
}

/// When the first of them is over.
fn not_after(all: &[CertificateDer<'_>]) -> Result<SystemTime, String> {
    let times: Result<Vec<SystemTime>, String> = all
        .iter()
        .map(|der| Certificate::read(der).map(|read| read.not_after))
        .collect();
    let times = times.map_err(|why| format!("`{CA_CERT}` or `{CERT_CHAIN}`: {why}"))?;
    times
        .into_iter()
        .min()
        .ok_or_else(|| format!("`{CA_CERT}` holds nothing"))
}

fn to_pem(der: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    // Base64 is of ASCII alone, so that any byte is an end of a character.
    for start in (0..text.len()).step_by(64) {
        let end = text.len().min(start + 64);
        pem.push_str(&text[start..end]);
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
