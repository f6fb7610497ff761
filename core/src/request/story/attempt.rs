//! One attempt of a story: where it went and why there, how it ended, and what the retry policy made of that.

use core::fmt::{self, Display, Formatter};

use super::{Ending, Span};
use crate::cluster::{Counted, RetriesFull};
use crate::decision::{
    Attempt, AttemptEnd, Followed, GONE, HashedBy, LocalityChoice, Overflow, Picked, PickedBy,
    Record, ResetReason,
};
use crate::snapshot::{HashPolicy, Snapshot};

/// Tells one attempt over two lines or three.
pub(super) fn tell(
    f: &mut Formatter<'_>,
    number: u32,
    attempt: &Attempt,
    record: &Record,
    snapshot: &Snapshot,
) -> fmt::Result {
    let cluster = attempt.cluster.map(|id| snapshot.cluster(id));
    let endpoint = attempt.endpoint(snapshot);
    let address = match endpoint {
        Some(endpoint) => &*endpoint.text,
        None if attempt.endpoint == GONE => "an endpoint that is gone",
        None => "original destination",
    };
    write!(f, "  attempt {number:<4} {address}")?;
    if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.locality.is_empty()) {
        write!(f, " in {}", endpoint.locality)?;
    }
    write!(f, " at {}: ", Span(attempt.began.since(record.began)))?;
    let hash_policy = cluster.and_then(|cluster| cluster.hash_policy.as_deref());
    pick(f, &attempt.picked, hash_policy)?;
    writeln!(
        f,
        "{}",
        if attempt.reused {
            ", kept connection"
        } else {
            ""
        }
    )?;
    write!(f, "               {}", Ending { attempt, record })?;
    let is_late = attempt.end == AttemptEnd::Reset(ResetReason::PerTryTimeout);
    let hedges = matches!(attempt.followed, Followed::Hedge { .. });
    if let Some(time) = record.timeouts.per_try.filter(|_| is_late || hedges) {
        write!(f, ", a try may take {}", Span(time))?;
    }
    writeln!(f, "; {}", attempt.followed)?;
    match attempt.ejected {
        Some(reason) => writeln!(f, "               its endpoint was ejected: {reason}"),
        None => Ok(()),
    }
}

/// Why this endpoint. What was ordinary is not told: one priority that gets everything, localities that do not matter.
fn pick(f: &mut Formatter<'_>, picked: &Picked, hash_policy: Option<&HashPolicy>) -> fmt::Result {
    let (priority, load) = (picked.priority, picked.load);
    if priority > 0 || load < 100 {
        write!(f, "priority {priority} with {load} % of the traffic, ")?;
    }
    if picked.is_panic {
        f.write_str("in panic, ")?;
    }
    f.write_str(match picked.locality {
        LocalityChoice::Any => "",
        LocalityChoice::Weighted => "locality by weight, ",
        LocalityChoice::Own => "in the own locality, ",
        LocalityChoice::Kept => "kept in the own locality, ",
        LocalityChoice::Other => "in a locality with room, ",
    })?;
    picked_by(f, &picked.by, hash_policy)
}

fn picked_by(
    f: &mut Formatter<'_>,
    by: &PickedBy,
    hash_policy: Option<&HashPolicy>,
) -> fmt::Result {
    match by {
        PickedBy::Only => f.write_str("the only endpoint"),
        PickedBy::Turn => f.write_str("its turn"),
        PickedBy::Random => f.write_str("drawn at random"),
        PickedBy::LeastRequest {
            active,
            other_active,
            ..
        } => write!(
            f,
            "fewest requests of two drawn ({active} against {other_active})"
        ),
        PickedBy::Weighted { warmth: 1000.. } => f.write_str("its turn by weight"),
        PickedBy::Weighted { warmth } => {
            let percent = f64::from(*warmth) / 10.0;
            write!(f, "its turn by weight, warmed up to {percent:.1} %")
        }
        PickedBy::Hashed {
            hash,
            by,
            entry,
            bound,
        } => {
            write!(f, "hash {hash:016x} of {by}")?;
            if let Some(name) = hash_policy.and_then(|policy| name_of(*by, policy)) {
                write!(f, " ({name})")?;
            }
            write!(f, ", entry {entry}")?;
            bound.map_or(Ok(()), |bound| write!(f, ", {bound}"))
        }
        PickedBy::PeakEwma {
            cost, other_cost, ..
        } => write!(
            f,
            "cheaper of two drawn ({} against {})",
            Span(*cost),
            Span(*other_cost)
        ),
        PickedBy::OriginalDestination => f.write_str("where the client wanted to go"),
        PickedBy::Named => f.write_str("named by the client"),
    }
}

/// The name of what was hashed, if that was one thing with a name.
fn name_of(by: HashedBy, policy: &HashPolicy) -> Option<&str> {
    match (by, policy) {
        (HashedBy::Field, HashPolicy::Field(field)) => Some(field.as_str()),
        (HashedBy::Cookie | HashedBy::MadeCookie, HashPolicy::Cookie(cookie)) => Some(&cookie.name),
        (HashedBy::QueryParameter, HashPolicy::QueryParameter(name)) => Some(name),
        (
            HashedBy::Nothing
            | HashedBy::Field
            | HashedBy::Cookie
            | HashedBy::MadeCookie
            | HashedBy::SourceAddress
            | HashedBy::QueryParameter
            | HashedBy::Several,
            _,
        ) => None,
    }
}

impl Display for Picked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        pick(f, self, None)
    }
}

impl Display for AttemptEnd {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("has not ended"),
            Self::Response(status) => write!(f, "ended with {status}"),
            Self::Connected => f.write_str("connected, and bytes passed"),
            Self::Call { status, code } => write!(f, "ended with {status}, grpc-status {code}"),
            Self::Reset(ResetReason::Overflow(Overflow { counted, limit })) => {
                let by = match counted {
                    Counted::Concurrency => "the limit that follows response times",
                    Counted::Connections
                    | Counted::Pending
                    | Counted::Requests
                    | Counted::Retries
                    | Counted::Waiting => "the circuit limit",
                };
                let counted = counted.as_str();
                write!(f, "refused by {by}: {limit} {counted} at a time")
            }
            Self::Reset(reason) => write!(f, "ended without a response: {}", reason.as_str()),
            Self::StaleConnection => {
                f.write_str("the kept connection was dead, replaced by a new one")
            }
            Self::Unprocessed => f.write_str("the endpoint did not look at it, sent again"),
            Self::Cancelled => f.write_str("given up: the client went away"),
            Self::Overtaken => f.write_str("given up: another one was answered first"),
        }
    }
}

impl Display for Followed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing to retry"),
            Self::CannotRepeat => f.write_str("not retried: the request cannot be sent again"),
            Self::Retry { wait } => write!(f, "retried after {}", Span(*wait)),
            Self::RetryAfter { wait } => {
                write!(f, "retried after {}, as it asked", Span(*wait))
            }
            Self::Hedge { wait } => write!(
                f,
                "hedged: another one was made beside it after {}",
                Span(*wait)
            ),
            Self::NoRetriesLeft { allowed } => {
                write!(f, "not retried: all {allowed} retries were made")
            }
            Self::RetriesFull(full) => write!(f, "not retried: {full}"),
        }
    }
}

impl Display for RetriesFull {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { limit } => write!(f, "the cluster has {limit} retries under way"),
            Self::Share { requests, limit } => write!(
                f,
                "the cluster has {limit} retries under way, its share of {requests} requests"
            ),
            Self::Tokens { retries, requests } => write!(
                f,
                "the budget is spent: {retries} retries for {requests} requests that needed none"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
