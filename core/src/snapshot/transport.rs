//! What lies beneath HTTP on a connection: clear text, or TLS, and what each side must prove then.
//!
//! Names of what proves something, never keys: those are the runtime's, which finds them by these names
//! ([`KeyName`], [`RootsName`]). What came of it are facts ([`crate::peer::TlsFacts`]).

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::peer::TlsVersion;

/// A certificate of ours with its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyName {
    /// This workload's identity in the mesh.
    Mesh,
    /// Files in PEM: the chain, and the key.
    Files(Box<str>, Box<str>),
    /// A Kubernetes secret of type TLS or generic: namespace and name.
    Secret(Box<str>, Box<str>),
}

/// As users are told of it.
impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("the mesh"),
            Self::Files(chain, _) => f.write_str(chain),
            Self::Secret(namespace, name) => write!(f, "the secret {namespace}/{name}"),
        }
    }
}

/// Certificates of authorities that a peer's chain must lead to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RootsName {
    /// Those of the mesh.
    Mesh,
    /// Those that the operating system trusts.
    System,
    /// A file in PEM.
    File(Box<str>),
    /// A Kubernetes secret: namespace and name.
    Secret(Box<str>, Box<str>),
}

/// As users are told of it.
impl fmt::Display for RootsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("the mesh"),
            Self::System => f.write_str("the system"),
            Self::File(file) => f.write_str(file),
            Self::Secret(namespace, name) => write!(f, "the secret {namespace}/{name}"),
        }
    }
}

/// Which names a certificate must say at least one of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PeerNames {
    /// None: whoever the roots vouch for will do.
    Any,
    /// One of these, compared byte by byte with URI and DNS names (`subjectAltNames`, or the identities of a service).
    Of(Box<[Box<str>]>),
    /// The name that was asked for ([`Sni`]), as browsers check it (RFC 6125; Envoy's `auto_san_validation`). Where none was
    /// asked for, nobody is trusted.
    Wanted,
}

/// What a peer must prove.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Trust {
    /// Nothing: whoever answers is taken for who was wanted (`insecureSkipVerify`).
    Nothing,
    /// Its certificate's chain leads to one of these roots, is not on the list of revoked ones if there is one (a file in
    /// PEM, `caCrl`; for the roots of the mesh the mesh's own list holds besides), and says one of these names.
    Chain {
        /// See [`RootsName`].
        roots: RootsName,
        /// The file of revoked certificates.
        crl: Option<Box<str>>,
        /// See [`PeerNames`].
        names: PeerNames,
    },
}

/// What a client names as the one it wants to reach (RFC 6066 §3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sni {
    /// Nobody.
    None,
    /// Always this one.
    Name(Box<str>),
    /// The host of the request that the connection is made for.
    Host,
}

/// Which protocols a client offers (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Alpn {
    /// Those of sidecars among each other: Istio's own, by which the server's side tells TLS of the mesh from that of the
    /// application, and the usual ones.
    Mesh,
    /// As Envoy does towards anybody else: the usual name of what is spoken.
    Plain,
}

impl Alpn {
    /// What is answered to clients of the mesh, the dearest first: as Envoy, the usual names where they are offered.
    pub const ANSWERED: &'static [&'static str] = &[
        "h2",
        "http/1.1",
        "istio-h2",
        "istio-http/1.1",
        "istio-http/1.0",
        "istio",
        "istio-peer-exchange",
        "http/1.0",
    ];

    /// What a gateway answers to anybody whose requests it routes, the dearest first.
    pub const ANSWERED_BY_HTTP: &'static [&'static str] = &["h2", "http/1.1"];

    /// Whether a protocol's name is one of the mesh's own: both sides are sidecars then.
    #[must_use]
    pub fn is_of_the_mesh(protocol: &[u8]) -> bool {
        let rest = protocol.strip_prefix(b"istio");
        rest.is_some_and(|rest| rest.first().is_none_or(|first| *first == b'-'))
    }

    /// What is spoken where a protocol of the mesh was agreed on, or a usual one; `None` where that says nothing of it.
    #[must_use]
    pub fn spoken(agreed: &str) -> Option<Spoken> {
        match agreed {
            "h2" | "istio-h2" => Some(Spoken::Http2),
            "http/1.1" | "http/1.0" | "istio-http/1.1" | "istio-http/1.0" => Some(Spoken::Http1),
            "istio" | "istio-peer-exchange" => Some(Spoken::Bytes),
            _ => None,
        }
    }

    /// What is offered on a connection on which this will be spoken, the dearest first.
    #[must_use]
    pub const fn offered(self, spoken: Spoken) -> &'static [&'static str] {
        match (self, spoken) {
            (Self::Mesh, Spoken::Http1) => &["istio-http/1.1", "istio", "http/1.1"],
            (Self::Mesh, Spoken::Http2) => &["istio-h2", "istio", "h2"],
            (Self::Mesh, Spoken::Bytes) => &["istio-peer-exchange", "istio"],
            (Self::Plain, Spoken::Http1) => &["http/1.1"],
            (Self::Plain, Spoken::Http2) => &["h2"],
            (Self::Plain, Spoken::Bytes) => &[],
        }
    }
}

/// What will be spoken on a connection beneath which TLS lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Something that is not HTTP.
    Bytes,
}

/// A cipher suite of TLS 1.2; those of 1.3 are always on. Only those with forward secrecy are spoken at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CipherSuite {
    /// `ECDHE-ECDSA-AES128-GCM-SHA256`.
    EcdsaAes128Gcm,
    /// `ECDHE-ECDSA-AES256-GCM-SHA384`.
    EcdsaAes256Gcm,
    /// `ECDHE-ECDSA-CHACHA20-POLY1305`.
    EcdsaChaCha20,
    /// `ECDHE-RSA-AES128-GCM-SHA256`.
    RsaAes128Gcm,
    /// `ECDHE-RSA-AES256-GCM-SHA384`.
    RsaAes256Gcm,
    /// `ECDHE-RSA-CHACHA20-POLY1305`.
    RsaChaCha20,
}

/// A group in which keys are agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyExchange {
    /// `X25519`.
    X25519,
    /// `P-256`.
    P256,
    /// `P-384`.
    P384,
    /// `X25519MLKEM768`, of TLS 1.3 only.
    X25519MlKem768,
}

/// What is agreed to beyond who the peer is. Where a list is empty, all that we speak, in the order of the library.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TlsParameters {
    /// The oldest version; `None` for the oldest that we speak.
    pub min_version: Option<TlsVersion>,
    /// See [`CipherSuite`], the dearest first.
    pub cipher_suites: Box<[CipherSuite]>,
    /// See [`KeyExchange`], the dearest first.
    pub key_exchanges: Box<[KeyExchange]>,
}

/// TLS on connections to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientTls {
    /// What we show if the endpoint asks for a certificate.
    pub identity: Option<KeyName>,
    /// What the endpoint must prove.
    pub trust: Trust,
    /// See [`Sni`].
    pub sni: Sni,
    /// See [`Alpn`].
    pub alpn: Alpn,
    /// See [`TlsParameters`].
    pub parameters: TlsParameters,
}

/// What clients of an inbound listener speak beneath HTTP (Istio PeerAuthentication `mtls.mode`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum MutualTls {
    /// Clear text; TLS is not looked for.
    #[default]
    Disable,
    /// Clear text, or TLS of the mesh with a certificate: the first bytes tell.
    Permissive,
    /// TLS of the mesh with a certificate.
    Strict,
    /// TLS, which each server of a Gateway says for itself ([`ServerTls::servers`]).
    ByName,
}

/// What clients of a Gateway's server show.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientProof {
    /// Nothing; nothing is asked for (`SIMPLE`).
    Nothing,
    /// A certificate if they have one; one that is no good is refused (`OPTIONAL_MUTUAL`).
    Optional(ClientTrust),
    /// A certificate (`MUTUAL`).
    Required(ClientTrust),
    /// An identity of the mesh (`ISTIO_MUTUAL`).
    Mesh,
}

/// Which certificates of clients will do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientTrust {
    /// The authorities.
    pub roots: RootsName,
    /// The file of revoked certificates.
    pub crl: Option<Box<str>>,
    /// Names of which a certificate must say one; none where any will do (`subjectAltNames`).
    pub names: Box<[Box<str>]>,
}

/// TLS as one server of a Gateway takes it off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Termination {
    /// What is shown to clients.
    pub key: KeyName,
    /// What else may be, to who can not check the first (`credentialNames`, `tlsCertificates`): RSA beside ECDSA.
    pub more_keys: Box<[KeyName]>,
    /// See [`ClientProof`].
    pub clients: ClientProof,
    /// See [`TlsParameters`].
    pub parameters: TlsParameters,
    /// HTTP is spoken in it: `h2` and `http/1.1` are answered to who offers them. Otherwise nothing is.
    pub is_http: bool,
}

/// What becomes of clients that ask for one of some names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedServer {
    /// Names in lower case; `*.x` and `*` are wildcards, and `*` is also for who asks for nobody.
    pub names: Box<[Box<str>]>,
    /// How TLS is taken off; `None` where it passes.
    pub termination: Option<Termination>,
}

/// TLS on connections of clients: TLS of the mesh, in which both sides show an identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTls {
    /// See [`MutualTls`].
    pub mode: MutualTls,
    /// See [`TlsParameters`] (mesh `meshMTLS`).
    pub parameters: TlsParameters,
    /// The trust domains whose identities may come in: that of the mesh, and those that are taken for it (mesh
    /// `trustDomain`, `trustDomainAliases`).
    pub trust_domains: Box<[Box<str>]>,
    /// The application's port that lies behind it: sessions that were begun for one port are not taken up for another, as those of
    /// one of Envoy's filter chains are not for another.
    pub port: u16,
    /// The servers of a Gateway's port; empty for listeners of a sidecar.
    pub servers: Box<[NamedServer]>,
}

impl ServerTls {
    /// The server of a Gateway for clients that ask for this name, in lower case, if for any: the one with the most particular
    /// name, of equal ones the first.
    #[must_use]
    pub fn server(&self, server_name: Option<&str>) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for (at, server) in self.servers.iter().enumerate() {
            let fits = server.names.iter();
            let fits = fits.filter_map(|name| how_particular(name, server_name));
            if let Some(rank) = fits.max()
                && best.is_none_or(|(most, _)| rank > most)
            {
                best = Some((rank, at));
            }
        }
        best.map(|(_, at)| at)
    }
}

/// How much a name, or a wildcard, says of the one that is asked for; `None` where it is another.
fn how_particular(name: &str, asked: Option<&str>) -> Option<usize> {
    match (name.strip_prefix('*'), asked) {
        (Some(""), _) => Some(0),
        (_, None) => None,
        (None, Some(asked)) => (name == asked).then_some(usize::MAX),
        (Some(suffix), Some(asked)) => {
            (asked.len() > suffix.len() && asked.ends_with(suffix)).then_some(suffix.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_the_mesh_find_its_protocols_and_the_usual_ones() {
        for spoken in [Spoken::Http1, Spoken::Http2, Spoken::Bytes] {
            let offered = Alpn::Mesh.offered(spoken);
            assert!(offered.contains(&"istio"));
            assert_eq!(offered.contains(&"h2"), spoken == Spoken::Http2);
            assert_eq!(offered.contains(&"http/1.1"), spoken == Spoken::Http1);
            assert!(offered[0].starts_with("istio-"), "the dearest tells both");
        }
        assert_eq!(Alpn::Plain.offered(Spoken::Http2), ["h2"]);
        assert_eq!(Alpn::Plain.offered(Spoken::Http1), ["http/1.1"]);
        let nothing: [&str; 0] = [];
        assert_eq!(Alpn::Plain.offered(Spoken::Bytes), nothing);
    }

    #[test]
    fn protocols_of_the_mesh_are_told_from_others() {
        for (name, want) in [
            ("istio", true),
            ("istio-h2", true),
            ("istio-http/1.1", true),
            ("istio-peer-exchange", true),
            ("istiod", false),
            ("h2", false),
            ("", false),
        ] {
            assert_eq!(Alpn::is_of_the_mesh(name.as_bytes()), want, "{name}");
        }
    }
}
