//! What a client asks for, again and again.

use std::fmt::Write as _;

/// A request that is sent many times; only its `x-request-id` differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Method.
    pub method: String,
    /// The service asked for.
    pub host: String,
    /// Path.
    pub path: String,
    /// The length of the body, in bytes; 0 is no body.
    pub body: usize,
}

impl Ask {
    /// `GET /` from a service.
    #[must_use]
    pub fn get(host: &str) -> Self {
        Self {
            method: "GET".into(),
            host: host.into(),
            path: "/".into(),
            body: 0,
        }
    }

    /// The bytes of the request with this number, which is its id, too.
    pub(super) fn render(&self, number: u64) -> Vec<u8> {
        let (method, path, host) = (&self.method, &self.path, &self.host);
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-request-id: {number}\r\n");
        if self.body > 0 {
            let _ = write!(text, "content-length: {}\r\n", self.body);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len() + self.body, b'b');
        bytes
    }
}
