//! Throw-away authorities, and what they sign.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use outrigger_core::snapshot::{KeyName, RootsName};
use outrigger_tls::Proofs;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};

/// How many there were, so that each has a name of its own.
static AUTHORITIES: AtomicU32 = AtomicU32::new(0);

/// An authority: a root, or one that another one vouches for.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
    /// What leads from it to its root: itself first, and nothing for a root.
    others: Vec<CertificateDer<'static>>,
}

/// A certificate and its key.
pub(crate) type Signed = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            root,
            others: Vec::new(),
        }
    }

    /// An authority that this one vouches for, under a serial number.
    pub(crate) fn authority(&self, serial: &[u8]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority();
        params.serial_number = Some(SerialNumber::from_slice(serial));
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let mut others = vec![signed.der().clone()];
        others.extend(self.others.iter().cloned());
        Self {
            issuer: Issuer::new(params, key),
            root: self.root.clone(),
            others,
        }
    }

    /// A certificate with these names: of URIs where they have a scheme, else of hosts.
    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        self.sign_as(names, |_| {})
    }

    /// The same, but for what is changed in it.
    pub(crate) fn sign_as(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.contains("://") {
                true => SanType::URI((*name).try_into().unwrap()),
                false => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        change(&mut params);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut chain = vec![signed.der().clone()];
        chain.extend(self.others.iter().cloned());
        (chain, key)
    }

    /// The identity of a workload of the mesh whose authority this is.
    pub(crate) fn identity(&self, names: &[&str]) -> Proofs {
        self.proofs(self.sign(names))
    }

    /// The same with a certificate that is there already.
    pub(crate) fn proofs(&self, (chain, key): Signed) -> Proofs {
        let mut proofs = Proofs::default();
        proofs.key(KeyName::Mesh, chain, key).unwrap();
        let roots = [self.root.clone()];
        proofs.roots(RootsName::Mesh, &roots).unwrap();
        proofs
    }

    /// What it has revoked.
    pub(crate) fn revoked(&self, serials: &[&[u8]]) -> CertificateRevocationListDer<'static> {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3_600);
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: (now - hour).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: (now - hour).into(),
            next_update: (now + hour).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        list.der().clone()
    }
}

/// What all authorities are, each with a name of its own.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = DistinguishedName::new();
    let name = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
