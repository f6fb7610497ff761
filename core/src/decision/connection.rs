//! What makes a story that of a connection that is not HTTP.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// By what it was known that a connection is not HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToldBy {
    /// By where it goes: HTTP is not spoken there, or nobody knows what is.
    Destination,
    /// It begins as TLS does.
    Tls,
    /// It begins as neither HTTP nor TLS does.
    FirstBytes,
    /// Its client said nothing, or not enough, in the time that it has for that.
    Silence,
    /// It could not be told within as many bytes as are looked at.
    Length,
    /// By the protocol that was agreed on in TLS of the mesh (RFC 7301).
    Alpn,
}

/// A connection that is not HTTP, so that its bytes pass as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Where the client wanted to go.
    pub destination: SocketAddr,
    /// The same as logs write it.
    pub to: Box<str>,
    /// See [`ToldBy`].
    pub told_by: ToldBy,
    /// The name that TLS on it asks for, which passes through (RFC 6066 §3), in lower case.
    pub server_name: Option<Box<str>>,
}
