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
    /// Handshakes of TLS that failed.
    pub handshakes_failed: AtomicU64,
    /// Handshakes that took too long.
    pub handshakes_late: AtomicU64,
    /// Certificates that the control plane gave itself.
    pub served: AtomicU64,
}

impl Counts {
    /// Names, for a page of metrics, with what they count.
    pub fn all(&self) -> [(&'static str, u64, &'static str); 8] {
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
