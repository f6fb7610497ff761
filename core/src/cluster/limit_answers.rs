//! What the service that keeps global rate limits said of a cluster's requests, by the names that Envoy counts it under.

use super::atomic::{AtomicU64, Ordering};

/// What became of asking about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAnswer {
    /// It may pass.
    Ok,
    /// It is over a limit.
    OverLimit,
    /// There was no answer.
    Error,
}

/// The counts of one cluster, shared by all workers.
///
/// Orderings are relaxed: each counter stands alone.
#[derive(Debug, Default)]
pub struct LimitAnswers {
    ok: AtomicU64,
    over_limit: AtomicU64,
    error: AtomicU64,
    failure_mode_allowed: AtomicU64,
}

impl LimitAnswers {
    /// Counts an answer, or that there was none.
    pub fn count(&self, answer: LimitAnswer) {
        let counter = match answer {
            LimitAnswer::Ok => &self.ok,
            LimitAnswer::OverLimit => &self.over_limit,
            LimitAnswer::Error => &self.error,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A request passed although there was no answer.
    pub fn count_allowed(&self) {
        self.failure_mode_allowed.fetch_add(1, Ordering::Relaxed);
    }

    /// Every count by Envoy's name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        [
            ("ratelimit.error", &self.error),
            ("ratelimit.failure_mode_allowed", &self.failure_mode_allowed),
            ("ratelimit.ok", &self.ok),
            ("ratelimit.over_limit", &self.over_limit),
        ]
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }
}
