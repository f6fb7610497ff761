//! What the first bytes of a connection tell: HTTP, TLS and whom it asks for, or neither.
//!
//! Knows the grammar of first lines and of a ClientHello, and no policy. How many bytes are waited for, and how long, is decided
//! by who looks. What is said once stays so, however many bytes follow.

mod client_hello;
mod request_line;

pub use client_hello::{ClientHello, client_hello};

/// What first bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstBytes {
    /// More are needed.
    Undecided,
    /// HTTP/1 or HTTP/2.
    Http,
    /// TLS.
    Tls(ClientHello),
    /// Neither.
    Other,
}

/// Looks at all bytes that have come so far.
#[must_use]
pub fn look(bytes: &[u8]) -> FirstBytes {
    match bytes.first() {
        None => FirstBytes::Undecided,
        Some(&client_hello::HANDSHAKE) => match client_hello(bytes) {
            Some(Some(hello)) => FirstBytes::Tls(hello),
            Some(None) => FirstBytes::Undecided,
            None => FirstBytes::Other,
        },
        Some(_) => match request_line::is_begun(bytes) {
            Some(true) => FirstBytes::Http,
            Some(false) => FirstBytes::Other,
            None => FirstBytes::Undecided,
        },
    }
}

#[cfg(test)]
mod tests;
