//! Which limit refused a request or an ejection, by the name under which whoever wrote the rules knows it.

use outrigger_core::cluster::{Counted, Limited, RetriesFull};
use outrigger_core::decision::{AttemptEnd, Followed, Overflow, Record, ResetReason};

/// What refuses ejections: they are no requests, and a service that should lose an endpoint keeps it.
pub const EJECTIONS: &str = "maxEjectionPercent";

/// The limits that a request ran into, each once.
pub(super) fn reached(record: &Record) -> Vec<&'static str> {
    let mut names: Vec<&str> = record
        .attempts
        .iter()
        .flat_map(|attempt| [of_end(attempt.end), of_retry(attempt.followed)])
        .flatten()
        .collect();
    if let Some(Limited::Enforced) = record.rate_limit.map(|seen| seen.limited) {
        names.push("local-rate-limit");
    }
    names.sort_unstable();
    names.dedup();
    names
}

const fn of_end(end: AttemptEnd) -> Option<&'static str> {
    match end {
        AttemptEnd::Reset(ResetReason::Overflow(Overflow { counted, .. })) => Some(name(counted)),
        AttemptEnd::Reset(_)
        | AttemptEnd::Open
        | AttemptEnd::Response(_)
        | AttemptEnd::Connected
        | AttemptEnd::Call { .. }
        | AttemptEnd::StaleConnection
        | AttemptEnd::Unprocessed
        | AttemptEnd::Cancelled
        | AttemptEnd::Overtaken => None,
    }
}

const fn of_retry(followed: Followed) -> Option<&'static str> {
    match followed {
        Followed::RetriesFull(RetriesFull::Count { .. }) => Some("maxRetries"),
        Followed::RetriesFull(RetriesFull::Share { .. }) => Some("retryBudget"),
        Followed::RetriesFull(RetriesFull::Tokens { .. }) => Some("retry-budget"),
        Followed::Nothing
        | Followed::CannotRepeat
        | Followed::Retry { .. }
        | Followed::RetryAfter { .. }
        | Followed::Hedge { .. }
        | Followed::NoRetriesLeft { .. } => None,
    }
}

/// The field of a DestinationRule, or the annotation, that sets a limit.
const fn name(counted: Counted) -> &'static str {
    match counted {
        Counted::Connections => "maxConnections",
        Counted::Pending | Counted::Waiting => "http1MaxPendingRequests",
        Counted::Requests => "http2MaxRequests",
        Counted::Retries => "maxRetries",
        Counted::Concurrency => "adaptive-concurrency",
    }
}
