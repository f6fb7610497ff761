//! Heads of HTTP messages, free of any wire version.
//!
//! Owns what a request and a response *mean*: method, authority, path, status, fields. How they look on a wire (request
//! lines, chunk sizes, hop-by-hop fields) is the codec's business and never appears here, so HTTP/2 can share them.

mod digits;
mod headers;
mod name;
mod octets;

pub(crate) use digits::{HEX_PAIRS, digits, hex_pair};
pub use headers::{Field, Headers, InsertError};
pub(crate) use name::Names;
pub use name::{FieldName, Known, is_token_byte};
pub(crate) use octets::{
    are_all, are_of_target, are_visible, has_control, make_lower, next_control, next_no_name,
};

use core::net::IpAddr;

use http::{Method, StatusCode};

/// The version the peer spoke, for logs and for the few rules that depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0 (RFC 1945).
    Http10,
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http11,
    /// HTTP/2 (RFC 9113).
    Http2,
}

impl Version {
    /// The version as an access log writes it (Envoy's `%PROTOCOL%`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// The head of a request: everything before its body.
///
/// The byte buffers are reused from one request of a connection to the next; [`RequestHead::clear`] keeps their memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, case-sensitive (RFC 9110 §9.1).
    pub method: Method,
    /// Host and optional port, as sent (RFC 9110 §7.2). Empty when an HTTP/1.0 client sent none.
    pub authority: Vec<u8>,
    /// Path and query in origin form, `*`, or empty for CONNECT.
    pub path: Vec<u8>,
    /// What the peer spoke.
    pub version: Version,
    /// All fields but `host` and the hop-by-hop ones, names in lower case, in the order received.
    pub headers: Headers,
    /// Who sent it, where that was found out: a gateway knows which proxies before it are believed.
    pub client: Option<IpAddr>,
}

impl RequestHead {
    /// Empties the head and keeps its memory.
    pub fn clear(&mut self) {
        self.method = Method::GET;
        self.authority.clear();
        self.path.clear();
        self.version = Version::Http11;
        self.headers.clear();
        self.client = None;
    }

    /// The path without its query (RFC 3986 §3.3).
    #[must_use]
    pub fn path_only(&self) -> &[u8] {
        let end = memchr::memchr(b'?', &self.path).unwrap_or(self.path.len());
        &self.path[..end]
    }

    /// The query without its question mark, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        memchr::memchr(b'?', &self.path).map(|at| &self.path[at + 1..])
    }
}

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code, 100 to 999.
    pub status: StatusCode,
    /// What the peer spoke.
    pub version: Version,
    /// All fields but the hop-by-hop ones, names in lower case, in the order received.
    pub headers: Headers,
}

impl ResponseHead {
    /// Empties the head and keeps its memory.
    pub fn clear(&mut self) {
        self.status = StatusCode::OK;
        self.version = Version::Http11;
        self.headers.clear();
    }
}
