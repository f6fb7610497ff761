//! Real certificates for the names of a case. Made once in a process for all who describe them alike, so that every subject
//! sees the same ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use outrigger_core::peer::PeerCertificate;
use outrigger_identity::authority::{Authority, Unmade, Wanted};
use outrigger_identity::{pem_certificates, pem_key};
use outrigger_sim::{Shown, Time};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::trust::{Certificate, Flaw, Trust};

/// How long what is good stays good: longer than any run, and short enough for every clock.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How far from now what has a flaw in its time is.
const AWAY: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Made {
    /// In PEM.
    pub(crate) chain: String,
    /// In PEM.
    pub(crate) key: String,
    /// What it says.
    pub(crate) told: PeerCertificate,
    serial: Vec<u8>,
}

/// An authority with its certificate in PEM.
#[derive(Debug)]
pub(crate) struct Signer {
    authority: Authority,
    pub(crate) root: String,
}

#[derive(Debug, Default)]
struct Known {
    signers: BTreeMap<String, Arc<Signer>>,
    made: BTreeMap<Certificate, Arc<Made>>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known {
    signers: BTreeMap::new(),
    made: BTreeMap::new(),
});

impl Known {
    fn signer(&mut self, name: &str) -> Result<Arc<Signer>, Unmade> {
        if let Some(known) = self.signers.get(name) {
            return Ok(Arc::clone(known));
        }
        let authority = Authority::new(name)?;
        let root = authority.root(SystemTime::now(), LIFETIME)?;
        let signer = Arc::new(Signer { authority, root });
        self.signers.insert(name.to_owned(), Arc::clone(&signer));
        Ok(signer)
    }

    fn made(&mut self, wanted: &Certificate) -> Result<Arc<Made>, Unmade> {
        if let Some(known) = self.made.get(wanted) {
            return Ok(Arc::clone(known));
        }
        let now = SystemTime::now();
        let begins = match wanted.flaw {
            Some(Flaw::Expired) => now - AWAY,
            Some(Flaw::Early) => now + AWAY,
            Some(Flaw::Revoked) | None => now,
        };
        let names = Wanted {
            uri_names: wanted.uri_names.clone(),
            dns_names: wanted.dns_names.clone(),
            common_name: wanted.common_name.clone(),
        };
        let signer = self.signer(&wanted.authority)?;
        let issued = signer.authority.issue_to(&names, begins, LIFETIME)?;
        let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        let subject = match &*wanted.common_name {
            "" => String::new(),
            name => format!("CN={name}"),
        };
        let made = Arc::new(Made {
            told: PeerCertificate {
                uri_names: boxed(&wanted.uri_names),
                dns_names: boxed(&wanted.dns_names),
                subject: subject.into(),
                sha256: sha256(&issued.chain),
            },
            chain: issued.chain,
            key: issued.key,
            serial: issued.serial,
        });
        self.made.insert(wanted.clone(), Arc::clone(&made));
        Ok(made)
    }
}

/// By the hash of a suite, which is here anyway.
fn sha256(pem: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    let leaf = certificates(pem).into_iter().next();
    if let (Some(leaf), Some(suite)) = (leaf, TLS13_AES_128_GCM_SHA256.tls13()) {
        digest.copy_from_slice(suite.common.hash_provider.hash(&leaf).as_ref());
    }
    digest
}

/// Certificates that were made here, from their PEM.
pub(crate) fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    pem_certificates(pem.as_bytes(), Path::new("a case")).unwrap_or_default()
}

impl Made {
    /// The certificate and its key.
    pub(crate) fn pair(&self) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = pem_key(self.key.as_bytes(), Path::new("a case")).ok()?;
        Some((certificates(&self.chain), key))
    }
}

/// What somebody has shown whose certificate was made here.
pub(crate) fn told(shown: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut made = known.made.values();
    let it = made.find(|made| certificates(&made.chain).first() == Some(shown));
    it.map(|made| made.told.clone())
}

/// The authority of this name. Names are the page's, which was read.
pub(crate) fn signer(name: &str) -> Result<Arc<Signer>, String> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.signer(name).map_err(|error| error.to_string())
}

impl Trust {
    /// The certificate of this name.
    ///
    /// # Errors
    /// The page names nothing that can stand in one.
    pub(crate) fn made(&self, name: &str) -> Result<Arc<Made>, String> {
        let wanted = self.certificates.get(name);
        let wanted = wanted.ok_or_else(|| format!("`{name}` is no certificate of this case"))?;
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.made(wanted).map_err(|error| error.to_string())
    }

    /// The same for the simulation.
    pub(crate) fn shown(&self, name: &str) -> Shown {
        let wanted = self.certificates.get(name);
        Shown {
            told: self
                .made(name)
                .map(|made| made.told.clone())
                .unwrap_or_default(),
            authority: wanted.map_or("", |wanted| &wanted.authority).into(),
            time: match wanted.and_then(|wanted| wanted.flaw) {
                Some(Flaw::Expired) => Time::Over,
                Some(Flaw::Early) => Time::ToCome,
                Some(Flaw::Revoked) | None => Time::Now,
            },
        }
    }

    /// Those that this authority has revoked.
    pub(crate) fn revoked_by(&self, authority: &str) -> impl Iterator<Item = Arc<Made>> {
        let all = self.certificates.iter();
        let revoked =
            all.filter(move |(_, of)| of.authority == authority && of.flaw == Some(Flaw::Revoked));
        revoked.filter_map(|(name, _)| self.made(name).ok())
    }

    /// The list of them in PEM.
    ///
    /// # Errors
    /// It cannot be signed.
    pub(crate) fn crl(&self, authority: &str) -> Result<String, String> {
        let serials: Vec<Vec<u8>> = self
            .revoked_by(authority)
            .map(|made| made.serial.clone())
            .collect();
        let signer = signer(authority)?;
        let list = signer
            .authority
            .revoked(&serials, SystemTime::now(), LIFETIME);
        list.map_err(|error| error.to_string())
    }
}
