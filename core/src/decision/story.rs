//! A record told as a person would ask for it: which rule, which destination, every attempt with why that endpoint, how
//! it ended and what followed, and what the client saw.
//!
//! One rendering of the record, as the access log is another; it decides nothing. Attempts are told by a file of their
//! own (`attempt`).

mod attempt;

use core::fmt::{self, Display, Formatter};

use super::details::Details;
use super::record::{MirrorFate, Mirrored, RateLimitSeen, Record, RouteDecision};
use crate::cluster::Limited;
use crate::snapshot::{Action, DestinationCluster, Forward, Rule, Snapshot};
use crate::time::Duration;

/// The story of one request, over several lines.
#[derive(Clone, Copy, Debug)]
pub struct Story<'a>(&'a Record, &'a Snapshot);

/// How a story begins: what was decided before an endpoint was tried, without the request's line.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a>(&'a Record, &'a Snapshot);

impl Record {
    /// The record for people, with the names of the snapshot that decided it.
    #[must_use]
    pub const fn story<'a>(&'a self, snapshot: &'a Snapshot) -> Story<'a> {
        Story(self, snapshot)
    }

    /// The same, up to where an endpoint is tried.
    #[must_use]
    pub const fn opening<'a>(&'a self, snapshot: &'a Snapshot) -> Opening<'a> {
        Opening(self, snapshot)
    }
}

impl Display for Opening<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(record, snapshot) = self;
        route(f, record, snapshot)?;
        if let Some(seen) = &record.rate_limit {
            rate_limit(f, seen, snapshot)?;
        }
        if let Some(delay) = record.delayed {
            writeln!(f, "  fault        held for {}", Span(delay))?;
        }
        Ok(())
    }
}

impl Display for Story<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(record, snapshot) = self;
        let request = &record.request;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        writeln!(
            f,
            "{} {}{}",
            request.method,
            text(&request.authority),
            text(&request.path)
        )?;
        record.opening(snapshot).fmt(f)?;
        for (number, attempt) in (1..).zip(&record.attempts) {
            attempt::tell(f, number, attempt, record, snapshot)?;
        }
        for mirrored in &record.mirrors {
            one_mirror(f, *mirrored, record, snapshot)?;
        }
        end(f, record)
    }
}

fn route(f: &mut Formatter<'_>, record: &Record, snapshot: &Snapshot) -> fmt::Result {
    match record.route {
        RouteDecision::NotReached => Ok(()),
        RouteDecision::UnknownHost => {
            let host = String::from_utf8_lossy(&record.request.authority);
            writeln!(
                f,
                "  rule         none: no service answers for `{host}`, the egress policy decides"
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

fn one_mirror(
    f: &mut Formatter<'_>,
    mirrored: Mirrored,
    record: &Record,
    snapshot: &Snapshot,
) -> fmt::Result {
    let number = mirrored.mirror + 1;
    write!(f, "  mirror {number:<5} ")?;
    if let RouteDecision::Rule {
        virtual_host, rule, ..
    } = record.route
    {
        let host = snapshot.virtual_host(virtual_host);
        if let Some(rule) = host.rules.get(rule as usize) {
            mirror_name(f, rule, mirrored.mirror, snapshot)?;
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
    let tokens = match sized.map(|sized| (sized.size.max_tokens(), sized.size.period())) {
        Some((most, _)) if seen.tokens > 0 => format!("{} of {most} tokens left", seen.tokens),
        Some((most, period)) => format!(
            "none of {most} tokens left, one comes every {}, the next in {}",
            Span(period),
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
