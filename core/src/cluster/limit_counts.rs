//! What a rate limit did so far, by the names that Envoy counts it under.

use serde::{Deserialize, Serialize};

use super::atomic::{AtomicU64, Ordering};

/// What became of a request that a rate limit looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limited {
    /// There was a token for it.
    Ok,
    /// There was none, and it went on because the limit is not enforced for it.
    NotEnforced,
    /// There was none, and it was refused.
    Enforced,
}

/// The counts of all limits with one `stat_prefix`, shared by all workers.
///
/// Orderings are relaxed: each counter stands alone.
#[derive(Debug, Default)]
pub struct LimitCounts {
    ok: AtomicU64,
    not_enforced: AtomicU64,
    enforced: AtomicU64,
}

impl LimitCounts {
    /// Counts a request.
    pub fn count(&self, limited: Limited) {
        let counter = match limited {
            Limited::Ok => &self.ok,
            Limited::NotEnforced => &self.not_enforced,
            Limited::Enforced => &self.enforced,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Every count by Envoy's name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (ok, enforced) = (read(&self.ok), read(&self.enforced));
        let limited = read(&self.not_enforced) + enforced;
        [
            ("enabled", ok + limited),
            ("enforced", enforced),
            ("ok", ok),
            ("rate_limited", limited),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_enabled_and_either_ok_or_limited() {
        let counts = LimitCounts::default();
        for limited in [
            Limited::Ok,
            Limited::Ok,
            Limited::NotEnforced,
            Limited::Enforced,
            Limited::Enforced,
            Limited::Enforced,
        ] {
            counts.count(limited);
        }
        assert_eq!(
            counts.named(),
            [
                ("enabled", 6),
                ("enforced", 3),
                ("ok", 2),
                ("rate_limited", 4)
            ]
        );
    }
}
