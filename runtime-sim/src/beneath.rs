//! What is spoken beneath HTTP in a simulation: clear text, or TLS, of which there is only what it proves.
//!
//! Owns who agrees with whom. There are no keys and no authorities: whoever has a certificate here has it from the authority that
//! everybody believes, and names decide.

use std::sync::Arc;

use outrigger_core::peer::{PeerCertificate, TlsFacts, TlsFault, TlsVersion};
use outrigger_core::snapshot::{MutualTls, PeerNames, ServerTls, Sni, Trust};
use outrigger_core::worker::Handshake;

/// What a peer speaks beneath HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Beneath {
    /// Nothing.
    #[default]
    ClearText,
    /// TLS, with this certificate.
    Tls(PeerCertificate),
}

/// The certificate of a workload of a mesh, such as `td/ns/shop/sa/cart`.
#[must_use]
pub fn certificate(principal: &str) -> PeerCertificate {
    PeerCertificate {
        uri_names: [format!("spiffe://{principal}").into()].into(),
        ..PeerCertificate::default()
    }
}

fn facts(peer: Option<PeerCertificate>, sni: Option<Box<str>>, http2: bool) -> Arc<TlsFacts> {
    Arc::new(TlsFacts {
        version: TlsVersion::Tls13,
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        sni,
        alpn: http2.then(|| "h2".into()),
        resumed: false,
        peer,
    })
}

/// Whom a handshake names.
fn sni(handshake: &Handshake) -> Option<Box<str>> {
    match &handshake.tls.sni {
        Sni::None => None,
        Sni::Name(name) => Some(name.clone()),
        Sni::Host => handshake.host.clone(),
    }
}

/// What a client learns of an endpoint that speaks this.
pub(crate) fn as_client(
    handshake: &Handshake,
    endpoint: &Beneath,
) -> Result<Arc<TlsFacts>, TlsFault> {
    let Beneath::Tls(certificate) = endpoint else {
        return Err(TlsFault::NotTls);
    };
    let sni = sni(handshake);
    let has = |name: &str| {
        let mut names = certificate.uri_names.iter().chain(&certificate.dns_names);
        names.any(|known| **known == *name)
    };
    let is_believed = match &handshake.tls.trust {
        Trust::Nothing => true,
        Trust::Chain { names, .. } => match names {
            PeerNames::Any => true,
            PeerNames::Of(names) => names.iter().any(|name| has(name)),
            PeerNames::Wanted => sni.as_deref().is_some_and(has),
        },
    };
    match is_believed {
        true => Ok(facts(Some(certificate.clone()), sni, handshake.http2)),
        false => {
            let why = "it says none of the names that are wanted";
            Err(TlsFault::Untrusted(why.into()))
        }
    }
}

/// What a server learns of a client that speaks this; `None` is clear text that it takes.
pub(crate) fn as_server(
    tls: &ServerTls,
    client: &Beneath,
    handshake: Option<&Handshake>,
) -> Result<Option<Arc<TlsFacts>>, TlsFault> {
    let certificate = match (client, tls.mode) {
        (Beneath::ClearText, MutualTls::Strict) => return Err(TlsFault::NotTls),
        (Beneath::ClearText, MutualTls::Permissive | MutualTls::Disable) => return Ok(None),
        (Beneath::Tls(certificate), _) => certificate,
    };
    let domain = certificate.principal().and_then(|of| of.split('/').next());
    let is_ours = |domain: &str| tls.trust_domains.iter().any(|known| **known == *domain);
    match domain.is_some_and(is_ours) {
        true => {
            let http2 = handshake.is_some_and(|handshake| handshake.http2);
            let sni = handshake.and_then(sni);
            Ok(Some(facts(Some(certificate.clone()), sni, http2)))
        }
        false => Err(TlsFault::Untrusted(
            "its trust domain is none of ours".into(),
        )),
    }
}
