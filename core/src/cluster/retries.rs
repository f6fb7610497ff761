//! How many retries a cluster may have: at a time, as a share of its requests, or by a budget over time.
//!
//! A limit at a time is held by guards ([`Permit`]); a budget over time is a count that grows old. Both are exact over all
//! workers: a retry is counted first and then weighed, so that of two workers that meet at the limit none passes it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::atomic::{AtomicU64, Ordering};
use super::limits::{Counted, Permit};
use super::state::ClusterState;
use super::window::Window;
use crate::time::{Duration, Instant};

/// What shares are counted in.
const MILLION: u64 = 1_000_000;

/// What a budget over time is counted in.
const BILLION: u128 = 1_000_000_000;

/// How many retries may be under way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryLimit {
    /// So many (`connectionPool.http.maxRetries`); `u32::MAX` is no limit.
    Count(u32),
    /// A share of the requests (`retryBudget`).
    Share(RetryBudget),
}

/// A share of the cluster's requests (Envoy's `retry_budget`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of requests with a connection and without one, in millionths.
    pub per_million: u32,
    /// So many are allowed however few requests there are.
    pub least: u32,
    /// If given, it is a share of the requests that got a connection within this time.
    pub interval: Option<Duration>,
}

/// A budget that requests pay into and retries draw from (linkerd, Finagle, tower).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBudget {
    /// Retries for each request that needed none, in millionths.
    pub per_million: u32,
    /// Retries a second that are allowed whatever the requests.
    pub per_second: u32,
    /// How long a payment and a withdrawal count.
    pub ttl: Duration,
}

/// Why there is no retry although one is wanted, left and possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetriesFull {
    /// As many are under way as there may be at a time.
    Count {
        /// How many that is.
        limit: u32,
    },
    /// As many are under way as the share of the requests allows.
    Share {
        /// The requests of which it is a share.
        requests: u64,
        /// How many retries they allow.
        limit: u64,
    },
    /// The budget over time is spent.
    Tokens {
        /// Retries within the budget's time.
        retries: u64,
        /// Requests within that time that needed none.
        requests: u64,
    },
}

impl RetryLimit {
    /// Nothing is limited.
    pub const NONE: Self = Self::Count(u32::MAX);
}

/// What happened to a cluster's retries so far, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryEvent {
    /// One was decided on, after a wait that doubles (`upstream_rq_retry_backoff_exponential`).
    BackOff,
    /// One was decided on, after the wait that the response asked for (`upstream_rq_retry_backoff_ratelimited`).
    RetryAfter,
    /// One was made at once, beside the attempt that took too long.
    Hedge,
    /// One ended well (`upstream_rq_retry_success`).
    Success,
    /// A limit of the cluster refused one (`upstream_rq_retry_overflow`).
    Overflow,
    /// The policy had none left (`upstream_rq_retry_limit_exceeded`).
    LimitExceeded,
}

/// The state of a cluster's budgets, and the counters.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// Requests that got a connection, for a share of those of some time.
    connected: Window,
    /// Requests that needed no retry.
    paid: Window,
    drawn: Window,
    events: [AtomicU64; 6],
}

impl Retries {
    pub(super) fn count(&self, event: RetryEvent) {
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counted(&self, event: RetryEvent) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }
}

impl ClusterState {
    /// One more retry under way, if the limit allows it.
    ///
    /// # Errors
    /// Which limit does not.
    pub fn begin_retry(
        self: &Arc<Self>,
        limit: RetryLimit,
        now: Instant,
    ) -> Result<Permit, RetriesFull> {
        match limit {
            RetryLimit::Count(limit) => {
                let permit = self.admit(Counted::Retries, limit);
                permit.ok_or(RetriesFull::Count { limit })
            }
            RetryLimit::Share(budget) => {
                let requests = self.requests_of(&budget, now);
                let limit = share(requests, budget.per_million).max(budget.least.into());
                let permit = self.admit(Counted::Retries, u32::try_from(limit).unwrap_or(u32::MAX));
                permit.ok_or(RetriesFull::Share { requests, limit })
            }
        }
    }

    fn requests_of(&self, budget: &RetryBudget, now: Instant) -> u64 {
        let gauges = self.gauges();
        let current = |counted| u64::from(gauges.current(counted));
        budget.interval.map_or_else(
            || current(Counted::Requests) + current(Counted::Pending),
            |interval| self.retries().connected.sum(interval, now),
        )
    }

    /// A request got a connection; it matters to a share of the requests over some time.
    pub fn note_request(&self, limit: RetryLimit, now: Instant) {
        match limit {
            RetryLimit::Share(RetryBudget {
                interval: Some(interval),
                ..
            }) => self.retries().connected.add(interval, now),
            RetryLimit::Share(RetryBudget { interval: None, .. }) | RetryLimit::Count(_) => {}
        }
    }

    /// A request needed no retry: it pays into the budget.
    pub fn pay(&self, budget: &TokenBudget, now: Instant) {
        self.retries().paid.add(budget.ttl, now);
    }

    /// Draws one retry from the budget.
    ///
    /// # Errors
    /// The budget is spent.
    pub fn draw(&self, budget: &TokenBudget, now: Instant) -> Result<(), RetriesFull> {
        let state = self.retries();
        state.drawn.add(budget.ttl, now);
        let requests = state.paid.sum(budget.ttl, now);
        let drawn = state.drawn.sum(budget.ttl, now);
        if drawn <= budget.allows(requests) {
            return Ok(());
        }
        state.drawn.take_back(budget.ttl, now);
        Err(RetriesFull::Tokens {
            retries: drawn.saturating_sub(1),
            requests,
        })
    }

    /// Counts what happened to a retry.
    pub fn count_retry(&self, event: RetryEvent) {
        self.retries().count(event);
    }

    /// How often it has happened.
    #[must_use]
    pub fn counted_retries(&self, event: RetryEvent) -> u64 {
        self.retries().counted(event)
    }
}

impl TokenBudget {
    /// Retries within its time, when so many requests needed none.
    #[must_use]
    pub fn allows(&self, requests: u64) -> u64 {
        // Both in billionths, so that no part of a time is lost.
        let reserve = u128::from(self.per_second) * self.ttl.as_nanos();
        let earned = u128::from(requests) * u128::from(self.per_million) * 1000;
        u64::try_from((earned + reserve) / BILLION).unwrap_or(u64::MAX)
    }
}

/// A share of some requests, rounded down.
fn share(requests: u64, per_million: u32) -> u64 {
    let product = u128::from(requests) * u128::from(per_million);
    u64::try_from(product / u128::from(MILLION)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
