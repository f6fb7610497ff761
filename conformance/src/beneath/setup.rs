//! What the connections of a peer that speaks TLS are made with.
//!
//! It believes whoever it meets, unless the page demands something: what it has met is what the page judges.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion, version,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::made;
use crate::trust::{Tls, Trust};

/// What stands in the place of a name that is not asked for.
const NOBODY: &str = "nobody.invalid";

static OLD: [&SupportedProtocolVersion; 1] = [&version::TLS12];
static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// What a connection is made with.
pub(super) enum Setup {
    Client(Arc<ClientConfig>, ServerName<'static>),
    Service(Arc<ServerConfig>),
}

fn protocols(tls: &Tls, usual: &[&str]) -> Vec<Vec<u8>> {
    let names = tls.protocols(usual).into_iter();
    names.map(String::into_bytes).collect()
}

fn versions(tls: &Tls) -> &'static [&'static SupportedProtocolVersion] {
    if tls.is_old { &OLD } else { &BOTH }
}

/// That of a client.
///
/// # Errors
/// A name that cannot be asked for.
pub(super) fn client(tls: &Tls, trust: &Trust, usual: &[&str]) -> Result<Setup, String> {
    let told = |error: Error| error.to_string();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let anyone = Arc::new(Anyone(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder
        .with_protocol_versions(versions(tls))
        .map_err(told)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(anyone);
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let (chain, key) = trust.made(name)?.pair().ok_or("a key that is none")?;
            builder.with_client_auth_cert(chain, key).map_err(told)?
        }
    };
    config.alpn_protocols = protocols(tls, usual);
    config.enable_sni = tls.sni.is_some();
    config.resumption = Resumption::disabled();
    let name = tls.sni.clone().unwrap_or_else(|| NOBODY.to_owned());
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    Ok(Setup::Client(Arc::new(config), name))
}

/// That of a service.
///
/// # Errors
/// It has no certificate.
pub(super) fn service(tls: &Tls, trust: &Trust, usual: &[&str]) -> Result<Setup, String> {
    let told = |error: Error| error.to_string();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder
        .with_protocol_versions(versions(tls))
        .map_err(told)?;
    let verifier: Arc<dyn ClientCertVerifier> = match &tls.demands {
        None => Arc::new(Anyone(provider)),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(made::certificates(&made::signer(authority)?.root));
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            verifier.build().map_err(|error| error.to_string())?
        }
    };
    let name = tls
        .certificate
        .as_ref()
        .ok_or("a service without a certificate")?;
    let (chain, key) = trust.made(name)?.pair().ok_or("a key that is none")?;
    let builder = builder.with_client_cert_verifier(verifier);
    let mut config = builder.with_single_cert(chain, key).map_err(told)?;
    config.alpn_protocols = protocols(tls, usual);
    Ok(Setup::Service(Arc::new(config)))
}

/// Believes anyone who has the key of what it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for Anyone {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}
