//! What a client asks for, again and again.

use std::fmt::Write as _;

use crate::reader::Head;

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
    /// More fields of the head, by name.
    pub headers: Vec<(String, String)>,
    /// What `x-request-id` begins with, before the number of the request.
    pub id: String,
}

/// What ends the `x-request-id` of a request that would not have been made without a retry somewhere before.
const AGAIN: char = '~';

/// Whether a request would not be there without a retry: its own, or one of a request before it.
pub(super) fn is_again(head: &Head) -> bool {
    let is_retry = |count: &str| count != "1";
    head.values("x-envoy-attempt-count").any(is_retry)
        || head.values("x-request-id").any(|id| id.ends_with(AGAIN))
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
            headers: Vec::new(),
            id: String::new(),
        }
    }

    /// The bytes of the request with this number, which is its id, too.
    pub(super) fn render(&self, number: u64, again: bool) -> Vec<u8> {
        let (method, path, host) = (&self.method, &self.path, &self.host);
        let id = &self.id;
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-request-id: {id}{number}");
        if again {
            text.push(AGAIN);
        }
        text.push_str("\r\n");
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if self.body > 0 {
            let _ = write!(text, "content-length: {}\r\n", self.body);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len() + self.body, b'b');
        bytes
    }
}
