//! A record told as a person would ask for it: which rule, which destination, every attempt with why that endpoint, how
//! it ended and what followed, and what the client saw.
//!
//! One rendering of the record, as the access log is another; it decides nothing. Rules, who may ask, attempts and how these end
//! are told by files of their own (`route`, `access`, `attempt`, `ending`).

mod access;
mod attempt;
mod connection;
mod ending;
mod route;
mod tokens;

pub use ending::Ending;

use core::fmt::{self, Display, Formatter};

use crate::cluster::Limited;
use crate::decision::{Details, MirrorFate, Mirrored, RateLimitSeen, Record, RouteDecision};
use crate::snapshot::{Action, Origin, Rule, Snapshot};
use crate::time::Duration;
use route::cluster_name;

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
        route::tell(f, record, snapshot)?;
        for checked in &record.checks {
            access::tell_checked(f, checked, snapshot)?;
        }
        if let Some(authentication) = record.authentication {
            tokens::tell(f, authentication, record, snapshot)?;
        }
        if let Some(seen) = record.authorization {
            access::tell(f, seen, snapshot)?;
        }
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
        request_line(f, record)?;
        record.opening(snapshot).fmt(f)?;
        for (number, attempt) in (1..).zip(&record.attempts) {
            attempt::tell(f, number, attempt, record, snapshot)?;
        }
        for mirrored in &record.mirrors {
            one_mirror(f, *mirrored, record, snapshot)?;
        }
        ending::tell_timeout(f, record, snapshot)?;
        end(f, record)
    }
}

/// What could not be read has no line, and is told as Envoy logs it.
fn request_line(f: &mut Formatter<'_>, record: &Record) -> fmt::Result {
    if let Some(connection) = &record.connection {
        return connection.fmt(f);
    }
    let Some(method) = record.method() else {
        return writeln!(f, "- -");
    };
    let request = &record.request;
    let text = String::from_utf8_lossy;
    let (authority, path) = (text(&request.authority), text(&request.path));
    writeln!(f, "{method} {authority}{path}")
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
    write!(f, "  rate limit   {did}: {tokens} for {}", limit.holds_for)?;
    for (key, value) in descriptor.iter().flat_map(|d| &d.entries) {
        write!(f, ", {key}={value}")?;
    }
    writeln!(f, "; {}", At(&limit.origin, snapshot))
}

fn end(f: &mut Formatter<'_>, record: &Record) -> fmt::Result {
    let took = Span(record.ended.since(record.began));
    match record.status {
        _ if record.is_mirror() => write!(f, "  client       waited for nothing, the copy ended")?,
        0 if record.connection.is_some() => {
            let (received, sent) = (record.bytes_received, record.bytes_sent);
            write!(
                f,
                "  client       sent {received} bytes and was sent {sent}, closed"
            )?;
        }
        0 => write!(f, "  client       saw no response")?,
        status => write!(f, "  client       saw {status}")?,
    }
    write!(f, " after {took}: {}", record.details)?;
    if let Details::Refused(refused) = &record.details {
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

/// Where something stands: `VirtualService default/shop spec.http[0] (rules.yaml:27)`.
struct At<'a>(&'a Origin, &'a Snapshot);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(origin, snapshot) = self;
        let Some(resource) = snapshot.resources.get(origin.resource.0 as usize) else {
            return f.write_str(&origin.path);
        };
        let (file, line) = (&resource.file, origin.line);
        write!(f, "{resource} {} ({file}:{line})", origin.path)
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
