//! What lies beneath HTTP on a connection: clear text, or TLS, and what each side must prove then.
//!
//! Names of what proves something, never keys: those are the runtime's, which finds them by these names
//! ([`KeyName`], [`RootsName`]). What came of it are facts ([`crate::peer::TlsFacts`]).

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

/// What a peer must prove.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Trust {
    /// Nothing: whoever answers is taken for who was wanted (`insecureSkipVerify`).
    Nothing,
    /// Its certificate's chain leads to one of these roots, is not on the list of revoked ones if there is one (a file in
    /// PEM, `caCrl`), and says one of these names; any, where none is given.
    Chain {
        /// See [`RootsName`].
        roots: RootsName,
        /// The file of revoked certificates.
        crl: Option<Box<str>>,
        /// Names, compared byte by byte with URI and DNS names (`subjectAltNames`).
        names: Box<[Box<str>]>,
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

/// TLS on connections to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientTls {
    /// What we show if the endpoint asks for a certificate.
    pub identity: Option<KeyName>,
    /// What the endpoint must prove.
    pub trust: Trust,
    /// See [`Sni`].
    pub sni: Sni,
    /// Protocols to offer, the dearest first (RFC 7301).
    pub alpn: Box<[Box<str>]>,
    /// The oldest version that is agreed to.
    pub min_version: TlsVersion,
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
}

/// TLS on connections of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTls {
    /// See [`MutualTls`].
    pub mode: MutualTls,
    /// The oldest version that is agreed to; `None` for the oldest that we speak (mesh `meshMTLS.minProtocolVersion`).
    pub min_version: Option<TlsVersion>,
    /// Trust domains besides our own whose identities are taken for ours (mesh `trustDomainAliases`).
    pub trust_domain_aliases: Box<[Box<str>]>,
}
