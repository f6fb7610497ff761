//! A record told as a person would ask for it: which rule, which destination, every attempt with why that endpoint, how
//! it ended and what followed, and what the client saw.
//!
//! One rendering of the record, as the access log is another; it decides nothing.

use core::fmt::{self, Display, Formatter};

use super::details::{Details, Overflow, ResetReason};
use super::picked::{LocalityChoice, Picked, PickedBy};
use super::record::{
    Attempt, AttemptEnd, Followed, MirrorFate, Mirrored, RateLimitSeen, Record, RouteDecision,
};
use crate::cluster::{Counted, Limited, RetriesFull};
use crate::snapshot::{Action, DestinationCluster, Forward, Rule, Snapshot};
use crate::time::Duration;

/// The story of one request, over several lines.
#[derive(Clone, Copy, Debug)]
pub struct Story<'a>(&'a Record);

impl Record {
    /// The record for people.
    #[must_use]
    pub const fn story(&self) -> Story<'_> {
        Story(self)
    }
}

impl Display for Story<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.0;
        let request = &record.request;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        writeln!(
            f,
            "{} {}{}",
            request.method,
            text(&request.authority),
            text(&request.path)
        )?;
        if let Some(view) = &record.view {
            route(f, record, &view.snapshot)?;
        }
        if let (Some(seen), Some(view)) = (&record.rate_limit, &record.view) {
            rate_limit(f, seen, &view.snapshot)?;
        }
        if let Some(delay) = record.delayed {
            writeln!(f, "  fault        held for {}", Span(delay))?;
        }
        for (number, attempt) in (1..).zip(&record.attempts) {
            one_attempt(f, number, attempt, record)?;
        }
        for mirrored in &record.mirrors {
            one_mirror(f, *mirrored, record)?;
        }
        end(f, record)
    }
}

fn route(f: &mut Formatter<'_>, record: &Record, snapshot: &Snapshot) -> fmt::Result {
    match record.route {
        RouteDecision::NotReached => Ok(()),
        RouteDecision::UnknownHost => {
            writeln!(
                f,
                "  rule         none: no service has this host, the egress policy decides"
            )
        }
        RouteDecision::NoRule { virtual_host } => {
            let host = snapshot.virtual_host(virtual_host);
            let rules = host.rules.len();
            writeln!(
                f,
                "  rule         none of the {rules} of {} matches",
                host.name
            )
        }
        RouteDecision::Rule {
            virtual_host,
            rule: at,
            destination,
        } => {
            let host = snapshot.virtual_host(virtual_host);
            let Some(rule) = host.rules.get(at as usize) else {
                return Ok(());
            };
            rule_line(f, rule, snapshot)?;
            match (&*rule.action, destination) {
                (Action::Forward(forward), Some(at)) => {
                    destination_line(f, forward, at as usize, snapshot)
                }
                (Action::Forward(_) | Action::Redirect(_) | Action::Respond(_), _) => Ok(()),
            }
        }
        RouteDecision::Mirror {
            virtual_host,
            rule: at,
            mirror,
        } => {
            let host = snapshot.virtual_host(virtual_host);
            let Some(rule) = host.rules.get(at as usize) else {
                return Ok(());
            };
            rule_line(f, rule, snapshot)?;
            write!(f, "  copy for     ")?;
            mirror_name(f, rule, mirror, snapshot)?;
            writeln!(f)
        }
    }
}

fn one_mirror(f: &mut Formatter<'_>, mirrored: Mirrored, record: &Record) -> fmt::Result {
    let number = mirrored.mirror + 1;
    write!(f, "  mirror {number:<5} ")?;
    if let (
        Some(view),
        RouteDecision::Rule {
            virtual_host, rule, ..
        },
    ) = (&record.view, record.route)
    {
        let host = view.snapshot.virtual_host(virtual_host);
        if let Some(rule) = host.rules.get(rule as usize) {
            mirror_name(f, rule, mirrored.mirror, &view.snapshot)?;
            f.write_str(": ")?;
        }
    }
    writeln!(f, "{}", mirrored.fate)
}

/// The cluster of a rule's mirror.
fn mirror_name(f: &mut Formatter<'_>, rule: &Rule, at: u32, snapshot: &Snapshot) -> fmt::Result {
    let mirrors = match &*rule.action {
        Action::Forward(forward) => &*forward.mirrors,
        Action::Redirect(_) | Action::Respond(_) => &[],
    };
    match mirrors.get(at as usize) {
        Some(mirror) => f.write_str(cluster_name(&mirror.cluster, snapshot)),
        None => Ok(()),
    }
}

fn rule_line(f: &mut Formatter<'_>, rule: &Rule, snapshot: &Snapshot) -> fmt::Result {
    let Some(origin) = &rule.origin else {
        return writeln!(
            f,
            "  rule         the default one of a service that no VirtualService is for"
        );
    };
    let Some(resource) = snapshot.resources.get(origin.resource.0 as usize) else {
        return Ok(());
    };
    writeln!(
        f,
        "  rule         {resource} {} ({}:{}), route {}",
        origin.path, resource.file, origin.line, rule.name
    )
}

fn rate_limit(f: &mut Formatter<'_>, seen: &RateLimitSeen, snapshot: &Snapshot) -> fmt::Result {
    let Some(limit) = snapshot.rate_limits.get(seen.limit.0 as usize) else {
        return Ok(());
    };
    let descriptor = seen
        .descriptor
        .and_then(|at| limit.descriptors.get(at as usize));
    let sized = descriptor.map_or(limit.bucket.as_ref(), |descriptor| Some(&descriptor.sized));
    let most = sized.map(|sized| sized.size.max_tokens());
    let tokens = match most {
        Some(most) if seen.tokens > 0 => format!("{} of {most} tokens left", seen.tokens),
        Some(most) => format!(
            "none of {most} tokens left, the next in {}",
            Span(seen.next_token)
        ),
        None => "no bucket".to_owned(),
    };
    let did = match seen.limited {
        Limited::Ok => "passed",
        Limited::NotEnforced => "passed, not enforced",
        Limited::Enforced => "refused",
    };
    let origin = &limit.origin;
    let Some(resource) = snapshot.resources.get(origin.resource.0 as usize) else {
        return Ok(());
    };
    write!(f, "  rate limit   {did}: {tokens} for {}", limit.holds_for)?;
    for (key, value) in descriptor.iter().flat_map(|d| &d.entries) {
        write!(f, ", {key}={value}")?;
    }
    let (file, line) = (&resource.file, origin.line);
    writeln!(f, "; {resource} {} ({file}:{line})", origin.path)
}

fn destination_line(
    f: &mut Formatter<'_>,
    forward: &Forward,
    at: usize,
    snapshot: &Snapshot,
) -> fmt::Result {
    let Some(chosen) = forward.destinations.get(at) else {
        return Ok(());
    };
    let name = cluster_name(&chosen.cluster, snapshot);
    write!(f, "  destination  {name}")?;
    if forward.destinations.len() > 1 {
        let (weight, total) = (chosen.weight, forward.total_weight);
        write!(f, ", drawn with weight {weight} of {total}")?;
    }
    writeln!(f)
}

fn cluster_name<'a>(cluster: &'a DestinationCluster, snapshot: &'a Snapshot) -> &'a str {
    match cluster {
        DestinationCluster::Known(id) => &snapshot.cluster(*id).name,
        DestinationCluster::Missing(name) => name,
        DestinationCluster::Passthrough => "PassthroughCluster",
    }
}

fn one_attempt(
    f: &mut Formatter<'_>,
    number: u32,
    attempt: &Attempt,
    record: &Record,
) -> fmt::Result {
    let cluster = record.view.as_ref().zip(attempt.cluster);
    let endpoint = cluster.and_then(|(view, id)| {
        let endpoints = &view.snapshot.cluster(id).endpoints;
        endpoints.get(attempt.endpoint as usize)
    });
    let address = endpoint.map_or("original destination", |endpoint| &*endpoint.text);
    let kept = if attempt.reused {
        ", kept connection"
    } else {
        ""
    };
    let after = Span(attempt.began.since(record.began));
    writeln!(
        f,
        "  attempt {number:<4} {address} at {after}: {}{kept}",
        attempt.picked
    )?;
    writeln!(f, "               {}; {}", attempt.end, attempt.followed)?;
    match attempt.ejected {
        Some(reason) => writeln!(f, "               its endpoint was ejected: {reason}"),
        None => Ok(()),
    }
}

fn end(f: &mut Formatter<'_>, record: &Record) -> fmt::Result {
    let took = Span(record.ended.since(record.began));
    match record.status {
        _ if record.is_mirror() => write!(f, "  client       waited for nothing, the copy ended")?,
        0 => write!(f, "  client       saw no response")?,
        status => write!(f, "  client       saw {status}")?,
    }
    write!(f, " after {took}: {}", record.details)?;
    if let Details::Refused(refused) = record.details {
        write!(f, " ({})", refused.explain)?;
    }
    let flags = record.flags();
    if !flags.is_empty() {
        write!(f, ", flags {flags}")?;
    }
    writeln!(f)
}

impl Display for Picked {
    /// What was ordinary is not told: one priority that gets everything, localities that do not matter.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (priority, load) = (self.priority, self.load);
        if priority > 0 || load < 100 {
            write!(f, "priority {priority} with {load} % of the traffic, ")?;
        }
        if self.is_panic {
            f.write_str("in panic, ")?;
        }
        f.write_str(match self.locality {
            LocalityChoice::Any => "",
            LocalityChoice::Weighted => "locality by weight, ",
            LocalityChoice::Own => "in the own locality, ",
            LocalityChoice::Kept => "kept in the own locality, ",
            LocalityChoice::Other => "in a locality with room, ",
        })?;
        self.by.fmt(f)
    }
}

impl Display for PickedBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the only endpoint"),
            Self::Turn => f.write_str("its turn"),
            Self::Random => f.write_str("drawn at random"),
            Self::LeastRequest {
                active,
                other_active,
                ..
            } => write!(
                f,
                "fewest requests of two drawn ({active} against {other_active})"
            ),
            Self::Weighted { warmth: 1000.. } => f.write_str("its turn by weight"),
            Self::Weighted { warmth } => {
                let percent = f64::from(*warmth) / 10.0;
                write!(f, "its turn by weight, warmed up to {percent:.1} %")
            }
            Self::Hashed {
                hash,
                by,
                entry,
                bound,
            } => {
                write!(f, "hash {hash:016x} of {by}, entry {entry}")?;
                bound.map_or(Ok(()), |bound| write!(f, ", {bound}"))
            }
            Self::PeakEwma {
                cost, other_cost, ..
            } => write!(
                f,
                "cheaper of two drawn ({} against {})",
                Span(*cost),
                Span(*other_cost)
            ),
            Self::OriginalDestination => f.write_str("where the client wanted to go"),
        }
    }
}

impl Display for AttemptEnd {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("has not ended"),
            Self::Response(status) => write!(f, "ended with {status}"),
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
            Self::Cancelled => f.write_str("given up: the client went away"),
            Self::Overtaken => f.write_str("given up: another one was answered first"),
        }
    }
}

impl Display for MirrorFate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "no copy, the request was not received whole",
            Self::Sent => "a copy was sent",
            Self::NoCluster => "no copy, there is no such service, port or subset",
            Self::NoEndpoint => "no copy, it has no endpoint",
            Self::BodyTooLong => "no copy, the body is longer than what is kept",
            Self::Dropped => "dropped, too many copies are under way",
        })
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
                "it took longer than a try may, so another one was made beside it after {}",
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

/// A duration in milliseconds with one decimal, or in seconds.
struct Span(Duration);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 1.0 {
            write!(f, "{:.1} ms", seconds * 1000.0)
        } else {
            write!(f, "{seconds:.2} s")
        }
    }
}

#[cfg(test)]
mod tests;
