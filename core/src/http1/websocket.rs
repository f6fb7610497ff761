//! The handshake of a websocket as HTTP/1 has it (RFC 6455 §4): a key that is asked and a proof that it was read.
//!
//! HTTP/2 has neither (RFC 8441 §5). Where a websocket comes by one version and goes on by the other, what is missing is
//! made here, and a proof that nobody else waits for is looked at here. A client's own key goes through unchanged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::refusals::PROOF;
use crate::decision::Refused;
use crate::message::{Headers, ResponseHead, Version};

/// The only protocol that has keys.
const PROTOCOL: &str = "websocket";

const KEY: &[u8] = b"sec-websocket-key";
const ACCEPT: &[u8] = b"sec-websocket-accept";

/// What a server adds to the key (RFC 6455 §1.3).
const SERVERS: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A `sec-websocket-key` from 16 random bytes (RFC 6455 §4.1).
#[must_use]
pub fn key(random: u128) -> [u8; 24] {
    encoded(&random.to_be_bytes())
}

/// The `sec-websocket-accept` that answers a key (RFC 6455 §4.2.2), whatever the key is.
#[must_use]
pub fn accept(key: &[u8]) -> [u8; 28] {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(SERVERS);
    encoded(&hash.digest().bytes())
}

/// The key of a request for a websocket, if it has one.
#[must_use]
pub fn key_of<'h>(headers: &'h Headers, upgrade: Option<&str>) -> Option<&'h [u8]> {
    match asks(upgrade) {
        true => first(headers, KEY),
        false => None,
    }
}

/// Whether a request is for a websocket and has no key: HTTP/2 has none.
#[must_use]
pub fn lacks_key(headers: &Headers, upgrade: Option<&str>) -> bool {
    asks(upgrade) && first(headers, KEY).is_none()
}

/// A request's fields with a key.
pub(super) fn add_key(headers: &mut Headers, key: &[u8; 24]) {
    // A head with no room for another field was refused before; without a key this one will be.
    let _ = headers.append(KEY, key);
}

/// Takes the proof that a key was read out of an answer whose request had none.
///
/// # Errors
/// It is of another key: who answered speaks no websocket (RFC 6455 §4.1). None at all is taken, for the client is not told
/// of one (RFC 8441 §5), and who says 101 has agreed.
pub(super) fn take_proof(key: &[u8; 24], headers: &mut Headers) -> Result<(), Refused> {
    let proof = first(headers, ACCEPT);
    let is_proved = proof.is_none_or(|proof| proof == accept(key));
    headers.remove_if(|field| field.name == ACCEPT);
    is_proved.then_some(()).ok_or(PROOF)
}

/// An answer that came by HTTP/2 to a client that sent this key, with the proof that it waits for. `None` when nothing is
/// missing.
pub(super) fn with_proof(key: &[u8], head: &ResponseHead) -> Option<ResponseHead> {
    if head.version != Version::Http2 || first(&head.headers, ACCEPT).is_some() {
        return None;
    }
    let mut proved = head.clone();
    // As for a key.
    let _ = proved.headers.append(ACCEPT, &accept(key));
    Some(proved)
}

fn asks(upgrade: Option<&str>) -> bool {
    upgrade.is_some_and(|token| token.eq_ignore_ascii_case(PROTOCOL))
}

fn first<'h>(headers: &'h Headers, name: &[u8]) -> Option<&'h [u8]> {
    let mut fields = headers.iter();
    let found = fields.find(|field| field.name == name)?;
    Some(found.value)
}

/// In base64. `N` is what so many bytes take with padding.
fn encoded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let written = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(written, Ok(N));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_looked_at_and_made() {
        let key = key(7);
        let proof = |value: &[u8]| {
            let mut headers = Headers::default();
            headers.append(ACCEPT, value).expect("room");
            headers
        };
        for (mut headers, is_proved) in [
            (proof(&accept(&key)), true),
            (proof(&accept(b"another")), false),
            (Headers::default(), true),
        ] {
            assert_eq!(take_proof(&key, &mut headers).is_ok(), is_proved);
            assert!(headers.is_empty(), "nobody waits for it");
        }
        let mut head = ResponseHead::default();
        assert_eq!(with_proof(b"abc", &head), None, "of HTTP/1 as it is");
        head.version = Version::Http2;
        let proved = with_proof(b"abc", &head).expect("it was missing");
        assert_eq!(first(&proved.headers, ACCEPT), Some(&accept(b"abc")[..]));
        assert_eq!(with_proof(b"abc", &proved), None);
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 6455 §1.2 and §1.3.
        let random = u128::from_be_bytes(*b"the sample nonce");
        assert_eq!(key(random), *b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key(random)), *b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(key(0), *b"AAAAAAAAAAAAAAAAAAAAAA==");
        assert_eq!(accept(b""), *b"Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=");
    }
}
