//! What the authority allows.

use std::time::Duration;

/// Limits, each with a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a certificate is good when nobody asks for anything else.
    pub lifetime: Duration,
    /// How long it is good at most, whatever is asked for.
    pub max_lifetime: Duration,
    /// Bytes of a request for a certificate (PKCS #10 in PEM).
    pub max_csr_bytes: usize,
    /// Handshakes of TLS at a time; more connections wait for one of them to end.
    pub max_handshakes: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Connections to a listener at a time, those that shake hands among them; more are closed at once.
    pub max_connections: usize,
    /// A connection on which nobody has proved who he is within this time after its handshake is closed. Longer than a review
    /// may take.
    pub proof_timeout: Duration,
    /// Reviews of tokens at a time; more wait.
    pub max_reviews: usize,
    /// How long a review may take, the wait for its turn included.
    pub review_timeout: Duration,
    /// What a review has found good is believed so long without another one: who is taken out may ask that much longer.
    pub good_for: Duration,
    /// And what it has found bad.
    pub bad_for: Duration,
    /// Answers of reviews that are kept, of either kind.
    pub max_kept: usize,
    /// Who has come by a token stays no longer than this without showing one again, and no longer than the token itself says.
    pub token_recheck: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(24 * 3_600),
            max_lifetime: Duration::from_secs(90 * 24 * 3_600),
            max_csr_bytes: 16 * 1024,
            max_handshakes: 256,
            handshake_timeout: Duration::from_secs(10),
            max_connections: 30_000,
            proof_timeout: Duration::from_secs(30),
            max_reviews: 64,
            review_timeout: Duration::from_secs(10),
            good_for: Duration::from_secs(10),
            bad_for: Duration::from_secs(2),
            max_kept: 16_384,
            token_recheck: Duration::from_secs(3_600),
        }
    }
}
