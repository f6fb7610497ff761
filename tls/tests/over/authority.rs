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

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) type Signed = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = DistinguishedName::new();
        let name = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    /// A certificate with these names: of URIs where they have a scheme, else of hosts.
    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        self.sign_as(names, 1)
    }

    /// The same with this serial number.
    fn sign_as(&self, names: &[&str], serial: u64) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(serial));
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
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![signed.der().clone()], key)
    }

    /// The identity of a workload of the mesh whose authority this is.
    pub(crate) fn identity(&self, names: &[&str]) -> Proofs {
        self.identity_as(names, 1)
    }

    /// The same by a certificate with this serial number.
    pub(crate) fn identity_as(&self, names: &[&str], serial: u64) -> Proofs {
        let mut proofs = Proofs::default();
        let (chain, key) = self.sign_as(names, serial);
        proofs.key(KeyName::Mesh, chain, key).unwrap();
        let roots = [self.root.clone()];
        proofs.roots(RootsName::Mesh, &roots).unwrap();
        proofs
    }

    /// The list that says of these serial numbers that their certificates were revoked.
    pub(crate) fn revoked(&self, serials: &[u64]) -> CertificateRevocationListDer<'static> {
        let now = SystemTime::now();
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + Duration::from_secs(3600)).into(),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().clone()
    }
}
