//! What reviews came to, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::review::Outcome;

/// Counters of the server of reviews.
#[derive(Debug, Default)]
pub struct Counts {
    injected: AtomicU64,
    left: AtomicU64,
    refused: AtomicU64,
    allowed: AtomicU64,
    denied: AtomicU64,
    no_reviews: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) waited: AtomicU64,
}

impl Counts {
    /// Each with its name, for metrics, and what it counts.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64, &'static str); 8] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            (
                "webhook_pods_injected_total",
                of(&self.injected),
                "pods that got a sidecar",
            ),
            (
                "webhook_pods_left_total",
                of(&self.left),
                "pods that got none",
            ),
            (
                "webhook_pods_refused_total",
                of(&self.refused),
                "pods that ask for what there is not",
            ),
            (
                "webhook_configuration_allowed_total",
                of(&self.allowed),
                "objects of the configuration that are let in",
            ),
            (
                "webhook_configuration_denied_total",
                of(&self.denied),
                "objects of the configuration that are not",
            ),
            (
                "webhook_no_reviews_total",
                of(&self.no_reviews),
                "requests that are no reviews, or longer than they may be",
            ),
            (
                "webhook_reviews_late_total",
                of(&self.late),
                "reviews that did not come in time",
            ),
            (
                "webhook_connections_waited_total",
                of(&self.waited),
                "times that connections had to wait for others to end",
            ),
        ]
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Injected => &self.injected,
            Outcome::Left => &self.left,
            Outcome::Refused => &self.refused,
            Outcome::Allowed => &self.allowed,
            Outcome::Denied => &self.denied,
            Outcome::NoReview => &self.no_reviews,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
