//! A throw-away authority: for trying mutual TLS, for tests and for the demo.
//!
//! Its key lies in a file beside its certificate, so it is as safe as that folder, and no more; a mesh that matters has an
//! authority of its own. Owns what roots and identities look like; where they lie is in [`Folder`].

mod folder;

pub use folder::{Folder, FolderFault, write_identity};

use std::time::{Duration, SystemTime};

use outrigger_core::peer::{SpiffeId, is_trust_domain};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType, SerialNumber,
};

/// Certificates begin this long before they are made, because clocks differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// Why something could not be made.
#[derive(Debug)]
pub struct Unmade(String);

impl std::fmt::Display for Unmade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unmade {}

impl From<rcgen::Error> for Unmade {
    fn from(error: rcgen::Error) -> Self {
        Self(error.to_string())
    }
}

/// An authority of a trust domain.
#[derive(Debug)]
pub struct Authority {
    trust_domain: String,
    key: KeyPair,
}

/// What an authority gives a workload.
#[derive(Clone)]
pub struct Issued {
    /// The certificate in PEM.
    pub chain: String,
    /// Its key in PEM (PKCS #8).
    pub key: String,
    /// Until when it is good.
    pub not_after: SystemTime,
    /// Its serial number.
    pub serial: Vec<u8>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a certificate with a key")
    }
}

/// Whom a certificate is for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// URI names; one, unless somebody tries what is refused.
    pub uri_names: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// The common name of its subject; none when empty, as in a mesh.
    pub common_name: String,
}

impl Authority {
    /// One with a new key.
    ///
    /// # Errors
    /// The name is no trust domain, or there is no randomness.
    pub fn new(trust_domain: &str) -> Result<Self, Unmade> {
        Self::with_key(trust_domain, KeyPair::generate()?)
    }

    fn with_key(trust_domain: &str, key: KeyPair) -> Result<Self, Unmade> {
        if !is_trust_domain(trust_domain) {
            return Err(Unmade(format!("`{trust_domain}` is no trust domain")));
        }
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            key,
        })
    }

    /// One whose key is known already.
    ///
    /// # Errors
    /// The key is none.
    pub fn open(trust_domain: &str, key: &str) -> Result<Self, Unmade> {
        Self::with_key(trust_domain, KeyPair::from_pem(key)?)
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Its key in PEM.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// Its own certificate in PEM, good from now on for this long.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn root(&self, now: SystemTime, lifetime: Duration) -> Result<String, Unmade> {
        let mut params = self.params()?;
        set_time(&mut params, now, lifetime);
        Ok(params.self_signed(&self.key)?.pem())
    }

    /// An identity for a workload.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn issue(
        &self,
        namespace: &str,
        service_account: &str,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued, Unmade> {
        let id = SpiffeId {
            trust_domain: &self.trust_domain,
            namespace,
            service_account,
        }
        .to_string();
        if SpiffeId::parse(&id).is_none() {
            return Err(Unmade(format!("`{id}` is no identity of a workload")));
        }
        let wanted = Wanted {
            uri_names: vec![id],
            ..Wanted::default()
        };
        self.issue_to(&wanted, now, lifetime)
    }

    /// A certificate for anybody.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn issue_to(
        &self,
        wanted: &Wanted,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued, Unmade> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if !wanted.common_name.is_empty() {
            let name = wanted.common_name.as_str();
            params.distinguished_name.push(DnType::CommonName, name);
        }
        for uri in &wanted.uri_names {
            let uri = uri.as_str().try_into()?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        for dns in &wanted.dns_names {
            let dns = dns.as_str().try_into()?;
            params.subject_alt_names.push(SanType::DnsName(dns));
        }
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let not_after = set_time(&mut params, now, lifetime);
        let key = KeyPair::generate()?;
        // A number that no other certificate has, as their keys differ (RFC 5280 §4.1.2.2: positive, at most 20 bytes).
        let mut serial = params.key_identifier(&key);
        serial.truncate(20);
        if let Some(first) = serial.first_mut() {
            *first = (*first & 0x7f) | 1;
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate: Certificate = params.signed_by(&key, &self.issuer()?)?;
        Ok(Issued {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            not_after,
            serial,
        })
    }

    /// A list of what was revoked, by serial number, in PEM.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn revoked(
        &self,
        serials: &[Vec<u8>],
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<String, Unmade> {
        let since = now.checked_sub(CLOCKS_DIFFER).unwrap_or(now);
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: since.into(),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH);
        let params = CertificateRevocationListParams {
            this_update: since.into(),
            next_update: (now + lifetime).into(),
            crl_number: SerialNumber::from(seconds.unwrap_or_default().as_secs()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer()?)?.pem()?)
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, Unmade> {
        Ok(Issuer::new(self.params()?, &self.key))
    }

    fn params(&self) -> Result<CertificateParams, Unmade> {
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, self.trust_domain.as_str());
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // SPIFFE X.509-SVID §4.1: a signing certificate names the trust domain.
        let id = format!("spiffe://{}", self.trust_domain);
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
        Ok(params)
    }
}

/// Sets when a certificate is good; answers until when.
fn set_time(params: &mut CertificateParams, now: SystemTime, lifetime: Duration) -> SystemTime {
    let not_after = now + lifetime;
    params.not_before = now.checked_sub(CLOCKS_DIFFER).unwrap_or(now).into();
    params.not_after = not_after.into();
    not_after
}
