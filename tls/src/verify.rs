//! Whom to believe: chains that lead to the right roots, and names. What a chain is, webpki decides; which name counts is decided
//! here, by bytes.

use std::fmt;
use std::sync::Arc;

use outrigger_core::snapshot::PeerNames;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    EndEntityCert, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::certificate::{self, Read};
use crate::fault::{rejected, wrong_name};
use crate::identities::{Revoked, Roots};

/// Authorities, and what they have revoked.
#[derive(Clone)]
pub(crate) struct Authorities {
    pub(crate) roots: Roots,
    pub(crate) revoked: Vec<Revoked>,
    /// They are the mesh's: who is vouched for is one workload.
    pub(crate) is_mesh: bool,
}

impl Authorities {
    /// Checks that a chain leads to one of them.
    fn check_chain(
        &self,
        provider: &CryptoProvider,
        (leaf, others): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        usage: KeyUsage,
        now: UnixTime,
    ) -> Result<(), Error> {
        let lists: Vec<_> = self.revoked.iter().flat_map(|lists| lists.iter()).collect();
        // What no list speaks of is not revoked; a list that is too old still says what it says.
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .build()
        });
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| rejected(error.to_string()))?;
        let algorithms = provider.signature_verification_algorithms.all;
        leaf.verify_for_usage(
            algorithms,
            &self.roots,
            others,
            now,
            usage,
            revocation,
            None,
        )
        .map(|_path| ())
        .map_err(|error| rejected(words(&error)))
    }
}

/// What is wrong with a chain, as users are told: what has no words here is named as the library names it.
fn words(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnknownIssuer => "no authority that is believed has signed it".to_owned(),
        webpki::Error::CertExpired { .. } => "its time is over".to_owned(),
        webpki::Error::CertNotValidYet { .. } => "its time has not begun".to_owned(),
        webpki::Error::CertRevoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}

/// Of a peer of a mesh: that of its one SPIFFE ID. A trust domain alone is nobody in it (SPIFFE X.509-SVID §2).
fn trust_domain(read: &Read) -> Option<&str> {
    let (domain, path) = read.told.principal()?.split_once('/')?;
    (!path.is_empty()).then_some(domain)
}

fn read(leaf: &CertificateDer<'_>) -> Result<Read, Error> {
    certificate::read(leaf).map_err(rejected)
}

/// How both believe that whoever shows a certificate has its key: as the library does, which asks each of them.
macro_rules! signatures_by_provider {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, cert, dss, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, cert, dss, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            let algorithms = &self.provider.signature_verification_algorithms;
            algorithms.supported_schemes()
        }
    };
}

/// Believes clients of the mesh.
pub(crate) struct Clients {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) authorities: Authorities,
    /// Whose identities may come in.
    pub(crate) trust_domains: Box<[Box<str>]>,
}

impl ClientCertVerifier for Clients {
    /// Not told: a list of authorities tells strangers whom we believe, and peers of a mesh have one certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let read = read(end_entity)?;
        let chain = (end_entity, intermediates);
        let (provider, usage) = (&self.provider, KeyUsage::client_auth());
        (self.authorities).check_chain(provider, chain, usage, now)?;
        let Some(domain) = trust_domain(&read) else {
            return Err(rejected(
                "it has no name, or more than one, that is a SPIFFE ID",
            ));
        };
        match self.trust_domains.iter().any(|known| &**known == domain) {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(rejected(format!(
                "its trust domain `{domain}` is none of ours"
            ))),
        }
    }

    signatures_by_provider!();
}

/// Believes clients of a gateway, which may be of any kind, or have no certificate where none is required.
pub(crate) struct Visitors {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) authorities: Authorities,
    /// Names of which a certificate must say one; none where any will do.
    pub(crate) names: Box<[Box<str>]>,
    pub(crate) is_required: bool,
}

impl ClientCertVerifier for Visitors {
    /// Not told, as for [`Clients`].
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let read = read(end_entity)?;
        let chain = (end_entity, intermediates);
        let (provider, usage) = (&self.provider, KeyUsage::client_auth());
        (self.authorities).check_chain(provider, chain, usage, now)?;
        let mut names = self.names.iter();
        match self.names.is_empty() || names.any(|name| says(name, end_entity, &read)) {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(wrong_name()),
        }
    }

    signatures_by_provider!();
}

impl fmt::Debug for Visitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitors").finish_non_exhaustive()
    }
}

/// Believes endpoints.
pub(crate) struct Servers {
    pub(crate) provider: Arc<CryptoProvider>,
    /// What they must prove; `None` for nothing.
    pub(crate) wants: Option<(Authorities, PeerNames)>,
    /// Nobody is named on these connections, so that nobody can be who was named.
    pub(crate) names_nobody: bool,
}

impl Servers {
    fn check_names(
        &self,
        names: &PeerNames,
        wanted: &ServerName<'_>,
        leaf: &CertificateDer<'_>,
        read: &Read,
    ) -> Result<(), Error> {
        let is_good = match names {
            PeerNames::Any => true,
            PeerNames::Of(names) => names.iter().any(|name| says(name, leaf, read)),
            PeerNames::Wanted if self.names_nobody && is_placeholder(wanted) => false,
            PeerNames::Wanted => is_for(wanted, leaf),
        };
        is_good.then_some(()).ok_or_else(wrong_name)
    }
}

/// What stands in the place of a name where none is asked for. It is not sent, and no certificate says it (RFC 6761 §6.4).
pub(crate) const NOBODY: &str = "nobody.invalid";

fn is_placeholder(wanted: &ServerName<'_>) -> bool {
    matches!(wanted, ServerName::DnsName(name) if name.as_ref() == NOBODY)
}

/// Whether a certificate says a name: a URI by its bytes, a host as Envoy compares it, an address.
fn says(name: &str, leaf: &CertificateDer<'_>, read: &Read) -> bool {
    read.told.uri_names.iter().any(|uri| **uri == *name)
        || ServerName::try_from(name).is_ok_and(|name| is_for(&name, leaf))
}

fn is_for(wanted: &ServerName<'_>, leaf: &CertificateDer<'_>) -> bool {
    let leaf = EndEntityCert::try_from(leaf);
    leaf.is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(wanted).is_ok())
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some((authorities, names)) = &self.wants {
            let read = read(end_entity)?;
            let chain = (end_entity, intermediates);
            let (provider, usage) = (&self.provider, KeyUsage::server_auth());
            authorities.check_chain(provider, chain, usage, now)?;
            // SPIFFE X.509-SVID §2: whoever is two is nobody.
            if authorities.is_mesh && read.told.uri_names.len() > 1 {
                return Err(rejected("it has more than one name that is a URI"));
            }
            self.check_names(names, server_name, end_entity, &read)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_provider!();
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}
