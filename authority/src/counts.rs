//! What has happened, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of an authority, each for as long as the process runs.
#[derive(Debug, Default)]
pub struct Counts {
    /// Certificates that were given to workloads.
    pub signed: AtomicU64,
    /// Requests that were refused because they are none, or for a key that is not signed for.
    pub bad_requests: AtomicU64,
    /// Requests that could not be signed because of the authority itself.
    pub failed: AtomicU64,
    /// Callers that had not proved who they are.
    pub not_proved: AtomicU64,
    /// Callers of whom nobody could say whether they had.
    pub unknown: AtomicU64,
    /// Reviews of tokens that were made.
    pub reviews: AtomicU64,
    /// Tokens whose review was answered from memory, or by one that was on its way.
    pub reviews_spared: AtomicU64,
    /// Connections that were closed because there were as many as there may be.
    pub connections_too_many: AtomicU64,
    /// Connections that were closed because nobody has proved who he is.
    pub connections_unproved: AtomicU64,
    /// Handshakes of TLS that failed.
    pub handshakes_failed: AtomicU64,
    /// Handshakes that took too long.
    pub handshakes_late: AtomicU64,
    /// Certificates that the control plane gave itself.
    pub served: AtomicU64,
}

impl Counts {
    /// Names, for a page of metrics, with what they count.
    pub fn all(&self) -> [(&'static str, u64, &'static str); 12] {
        let value = |of: &AtomicU64| of.load(Ordering::Relaxed);
        [
            (
                "authority_signed_total",
                value(&self.signed),
                "Certificates given to workloads",
            ),
            (
                "authority_bad_requests_total",
                value(&self.bad_requests),
                "Requests that were none, or for a key that is not signed for",
            ),
            (
                "authority_failed_total",
                value(&self.failed),
                "Requests that the authority could not sign",
            ),
            (
                "authority_not_proved_total",
                value(&self.not_proved),
                "Callers that had not proved who they are",
            ),
            (
                "authority_unknown_total",
                value(&self.unknown),
                "Callers of whom nobody could say whether they had",
            ),
            (
                "authority_reviews_total",
                value(&self.reviews),
                "Reviews of tokens",
            ),
            (
                "authority_reviews_spared_total",
                value(&self.reviews_spared),
                "Tokens that were found good or bad a moment ago, and not reviewed again",
            ),
            (
                "authority_connections_too_many_total",
                value(&self.connections_too_many),
                "Connections closed by --max-connections or --max-webhook-connections",
            ),
            (
                "authority_connections_unproved_total",
                value(&self.connections_unproved),
                "Connections closed because nobody has proved who he is there",
            ),
            (
                "authority_handshakes_failed_total",
                value(&self.handshakes_failed),
                "Handshakes of TLS that failed",
            ),
            (
                "authority_handshakes_late_total",
                value(&self.handshakes_late),
                "Handshakes of TLS that took too long",
            ),
            (
                "authority_served_total",
                value(&self.served),
                "Certificates that the control plane gave itself",
            ),
        ]
    }
}
