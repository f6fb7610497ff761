//! Which of several certificates a server shows.

use std::io;
use std::sync::Arc;

use outrigger_core::snapshot::{
    ClientProof, KeyName, MutualTls, NamedServer, ServerTls, Termination, TlsParameters,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConnection, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

use crate::contexts::Contexts;
use crate::identities::{Identities, Proofs};
use crate::provider;

/// A client that believes everybody, and can check such signatures alone.
#[derive(Debug)]
struct Checks(Vec<SignatureScheme>);

impl ServerCertVerifier for Checks {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

fn name(of: &str) -> KeyName {
    KeyName::Secret("edge".into(), of.into())
}

fn made(proofs: &mut Proofs, of: &str, key: &KeyPair) -> CertificateDer<'static> {
    let params = CertificateParams::new(vec![format!("{of}.test")]).expect("a name");
    let certificate = params.self_signed(key).expect("a certificate");
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.der().clone()];
    proofs.key(name(of), chain, der).expect("they fit");
    certificate.der().clone()
}

/// The certificate that a client is shown who checks such signatures; `None` where there is nothing in common.
fn shown(
    contexts: &Contexts,
    tls: &ServerTls,
    schemes: &[SignatureScheme],
) -> Option<CertificateDer<'static>> {
    let termination = tls.servers[0].termination.as_ref().expect("it ends here");
    let config = contexts
        .gateway(tls, termination, false)
        .expect("all is there");
    let client = ClientConfig::builder_with_provider(provider::all())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Checks(schemes.to_vec())))
        .with_no_client_auth();
    let to = ServerName::try_from("shop.test").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), to).expect("a client");
    let mut server = ServerConnection::new(config).expect("a server");
    let mut carry = || -> io::Result<()> {
        while client.is_handshaking() || server.is_handshaking() {
            let mut said = Vec::new();
            client.write_tls(&mut said)?;
            server.read_tls(&mut &*said)?;
            server.process_new_packets().map_err(io::Error::other)?;
            let mut said = Vec::new();
            server.write_tls(&mut said)?;
            client.read_tls(&mut &*said)?;
            client.process_new_packets().map_err(io::Error::other)?;
        }
        Ok(())
    };
    carry().ok()?;
    client
        .peer_certificates()
        .map(|chain| chain[0].clone().into_owned())
}

#[test]
fn the_certificate_is_one_that_the_client_can_check() {
    let mut proofs = Proofs::default();
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
    let ecdsa = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let rsa = made(&mut proofs, "rsa", &rsa);
    let ecdsa = made(&mut proofs, "ecdsa", &ecdsa);
    let contexts = Contexts::new(Arc::new(Identities::new(proofs)), crate::LONGEST_HELLO);
    let by_rsa = [
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PKCS1_SHA256,
    ];
    let by_ecdsa = [SignatureScheme::ECDSA_NISTP256_SHA256];
    let both = [by_rsa[0], by_ecdsa[0]];
    for (keys, schemes, want) in [
        (["rsa", "ecdsa"], &both[..], Some(&ecdsa)),
        (["ecdsa", "rsa"], &both, Some(&ecdsa)),
        (["ecdsa", "rsa"], &by_rsa, Some(&rsa)),
        (["rsa", "ecdsa"], &by_ecdsa, Some(&ecdsa)),
        // One that is missing is not waited for.
        (["missing", "rsa"], &both, Some(&rsa)),
        (["rsa", "missing"], &by_ecdsa, None),
    ] {
        let tls = ServerTls {
            mode: MutualTls::ByName,
            parameters: TlsParameters::default(),
            trust_domains: Box::default(),
            port: 443,
            servers: Box::new([NamedServer {
                names: Box::new(["*".into()]),
                termination: Some(Termination {
                    key: name(keys[0]),
                    more_keys: Box::new([name(keys[1])]),
                    clients: ClientProof::Nothing,
                    parameters: TlsParameters::default(),
                    is_http: false,
                }),
            }]),
        };
        let got = shown(&contexts, &tls, schemes);
        assert_eq!(got.as_ref(), want, "{keys:?} {schemes:?}");
    }
}
