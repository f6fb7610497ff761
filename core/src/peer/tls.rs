//! What a runtime tells of a connection that TLS protects: facts, never keys or ciphertext.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Which version protects a connection. Older ones are never agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// As Envoy logs it (`%DOWNSTREAM_TLS_VERSION%`).
impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

/// What is known of a protected connection once its handshake is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// See [`TlsVersion`].
    pub version: TlsVersion,
    /// The cipher suite's name as OpenSSL spells it, which is how logs name it.
    pub cipher: Box<str>,
    /// The name that the client asked for (RFC 6066 §3), in lower case; for a connection to an endpoint the one that we asked
    /// for.
    pub sni: Option<Box<str>>,
    /// The protocol that was agreed on (RFC 7301).
    pub alpn: Option<Box<str>>,
    /// An earlier session was taken up again.
    pub resumed: bool,
    /// What the peer has proved; `None` where it was not asked to, or showed nothing.
    pub peer: Option<PeerCertificate>,
}

/// What a certificate says whose chain was verified and whose key the peer has proved to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCertificate {
    /// Its URI names, as they stand in the certificate, compared byte by byte.
    pub uri_names: Box<[Box<str>]>,
    /// Its DNS names.
    pub dns_names: Box<[Box<str>]>,
    /// Its subject (RFC 4514), empty when it has none.
    pub subject: Box<str>,
    /// The SHA-256 of its DER form.
    pub sha256: [u8; 32],
}

impl PeerCertificate {
    /// Who the peer is in a mesh: its one SPIFFE ID (SPIFFE X.509-SVID §2: exactly one URI name), without the scheme, as
    /// policies spell principals. `None` where it has none or several.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        match &*self.uri_names {
            [only] => only.strip_prefix("spiffe://"),
            _ => None,
        }
    }
}

/// Why TLS could not be agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsFault {
    /// The peer speaks something else, or breaks the rules of TLS.
    NotTls,
    /// The peer ended it and said why (RFC 8446 §6.2), or just ended it.
    Refused(Box<str>),
    /// The peer's certificate was not accepted: what about it.
    Untrusted(Box<str>),
    /// The peer's certificate is good, and of somebody else than is wanted: what about it.
    WrongName(Box<str>),
    /// No certificate was shown where one is asked for.
    NoCertificate,
    /// We lack what it takes: a certificate of ours, or roots to check the peer's against.
    NoIdentity(Box<str>),
    /// Nothing that both speak: version, suite or protocol.
    NothingInCommon(Box<str>),
    /// The ClientHello is longer than is read.
    HelloTooLong,
}

/// The same in one word, for what is counted and for Envoy's details, which must not grow with what peers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsFaultKind {
    /// See [`TlsFault::NotTls`].
    NotTls,
    /// See [`TlsFault::Refused`].
    Refused,
    /// See [`TlsFault::Untrusted`].
    Untrusted,
    /// See [`TlsFault::WrongName`].
    WrongName,
    /// See [`TlsFault::NoCertificate`].
    NoCertificate,
    /// See [`TlsFault::NoIdentity`].
    NoIdentity,
    /// See [`TlsFault::NothingInCommon`].
    NothingInCommon,
    /// See [`TlsFault::HelloTooLong`].
    HelloTooLong,
}

impl TlsFault {
    /// Which of the kinds it is.
    #[must_use]
    pub const fn kind(&self) -> TlsFaultKind {
        match self {
            Self::NotTls => TlsFaultKind::NotTls,
            Self::Refused(_) => TlsFaultKind::Refused,
            Self::Untrusted(_) => TlsFaultKind::Untrusted,
            Self::WrongName(_) => TlsFaultKind::WrongName,
            Self::NoCertificate => TlsFaultKind::NoCertificate,
            Self::NoIdentity(_) => TlsFaultKind::NoIdentity,
            Self::NothingInCommon(_) => TlsFaultKind::NothingInCommon,
            Self::HelloTooLong => TlsFaultKind::HelloTooLong,
        }
    }
}

impl TlsFaultKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NotTls,
        Self::Refused,
        Self::Untrusted,
        Self::WrongName,
        Self::NoCertificate,
        Self::NoIdentity,
        Self::NothingInCommon,
        Self::HelloTooLong,
    ];
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("what came is not TLS"),
            Self::Refused(why) => write!(f, "the peer ended the handshake: {why}"),
            Self::Untrusted(why) | Self::WrongName(why) => {
                write!(f, "the peer's certificate is not accepted: {why}")
            }
            Self::NoCertificate => f.write_str("the peer shows no certificate"),
            Self::NoIdentity(what) => write!(f, "nothing to prove or check identity with: {what}"),
            Self::NothingInCommon(what) => write!(f, "nothing in common with the peer: {what}"),
            Self::HelloTooLong => f.write_str("the ClientHello is longer than is read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_the_only_uri_name_and_a_spiffe_id() {
        for (names, want) in [
            (&[][..], None),
            (&["spiffe://td/ns/a/sa/b"], Some("td/ns/a/sa/b")),
            (&["spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/c"], None),
            (&["spiffe://td/ns/a/sa/b", "https://example.com"], None),
            (&["https://example.com"], None),
            (&["SPIFFE://td/ns/a/sa/b"], None),
        ] {
            let certificate = PeerCertificate {
                uri_names: names.iter().map(|name| (*name).into()).collect(),
                ..PeerCertificate::default()
            };
            assert_eq!(certificate.principal(), want, "{names:?}");
        }
    }
}
