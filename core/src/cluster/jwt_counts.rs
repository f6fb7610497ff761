//! What became of tokens so far, by the names that Envoy counts it under.

use super::atomic::{AtomicU64, Ordering};

/// What is counted of tokens and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtEvent {
    /// A request had nothing but tokens that are accepted, or none.
    Allowed,
    /// A request was refused for its tokens, or for want of one.
    Denied,
    /// A question of CORS was not asked for tokens.
    PreflightBypassed,
    /// A token had been checked before.
    CacheHit,
    /// A token had to be checked.
    CacheMiss,
    /// A token that was checked took the place of another one.
    CacheEvicted,
    /// A request had more tokens than are looked at.
    TooMany,
    /// A token was longer than is looked at.
    TooLong,
}

impl JwtEvent {
    /// All of them, with Envoy's names; the last three are ours.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Allowed, "allowed"),
        (Self::Denied, "denied"),
        (Self::PreflightBypassed, "cors_preflight_bypassed"),
        (Self::CacheHit, "jwt_cache_hit"),
        (Self::CacheMiss, "jwt_cache_miss"),
        (Self::CacheEvicted, "jwt_cache_evicted"),
        (Self::TooMany, "jwt_too_many"),
        (Self::TooLong, "jwt_too_long"),
    ];
}

/// The counts, shared by all workers.
///
/// Orderings are relaxed: each counter stands alone.
#[derive(Debug, Default)]
pub struct JwtCounts([AtomicU64; JwtEvent::ALL.len()]);

impl JwtCounts {
    /// Counts one.
    pub fn count(&self, event: JwtEvent) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    #[must_use]
    pub fn of(&self, event: JwtEvent) -> u64 {
        self.0[event as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_a_counter_of_its_own() {
        let counts = JwtCounts::default();
        for (at, (event, _)) in (1..).zip(JwtEvent::ALL) {
            (0..at).for_each(|_| counts.count(event));
        }
        let counted = JwtEvent::ALL.map(|(event, _)| counts.of(event));
        assert_eq!(counted, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
