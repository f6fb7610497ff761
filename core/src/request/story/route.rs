//! The part of a story up to a destination: the rule, or what kept each of those that were tried from holding.

use core::fmt::{self, Formatter};

use super::{At, mirror_name};
use crate::decision::{Record, RouteDecision};
use crate::policy::route::{unmet, words};
use crate::request::scheme;
use crate::snapshot::{Action, DestinationCluster, Forward, Rule, Snapshot, VirtualHost};

/// Rules that are told where none holds: stories are told on workers, and hosts may have thousands.
const MOST_RULES: usize = 16;

/// What was found for a request.
pub(super) fn tell(f: &mut Formatter<'_>, record: &Record, snapshot: &Snapshot) -> fmt::Result {
    match record.route {
        RouteDecision::NotReached => Ok(()),
        RouteDecision::UnknownHost => {
            let authority = String::from_utf8_lossy(&record.request.authority);
            let host = match &record.connection {
                Some(connection) => &*connection.to,
                None => &*authority,
            };
            writeln!(
                f,
                "  rule         none: no service answers for `{host}`, the egress policy decides"
            )
        }
        RouteDecision::NoRule { virtual_host } => {
            no_rule(f, snapshot.virtual_host(virtual_host), record, snapshot)
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
            rule_line(f, host, rule, snapshot)?;
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
            rule_line(f, host, rule, snapshot)?;
            write!(f, "  copy for     ")?;
            mirror_name(f, rule, mirror, snapshot)?;
            writeln!(f)
        }
    }
}

/// Each rule that was tried, with the first of its conditions that does not hold. Nothing has changed the head since.
fn no_rule(
    f: &mut Formatter<'_>,
    host: &VirtualHost,
    record: &Record,
    snapshot: &Snapshot,
) -> fmt::Result {
    let count = host.rules.len();
    writeln!(
        f,
        "  rule         none of the {count} of {} matches",
        host.name
    )?;
    let scheme = scheme(&record.request);
    let claims = record.token.as_ref().map(|token| &token.claims);
    for (number, rule) in (1..).zip(host.rules.iter().take(MOST_RULES)) {
        write!(f, "               {number}. ")?;
        match &rule.origin {
            Some(origin) => write!(f, "{}", At(origin, snapshot))?,
            None => f.write_str(&rule.name)?,
        }
        match unmet(&rule.condition, &record.request, scheme, claims) {
            Some(unmet) => writeln!(f, " needs {}", words::unmet(unmet, &record.request, scheme))?,
            None => writeln!(f)?,
        }
    }
    match count.saturating_sub(MOST_RULES) {
        0 => Ok(()),
        more => writeln!(f, "               … and {more} more"),
    }
}

fn rule_line(
    f: &mut Formatter<'_>,
    host: &VirtualHost,
    rule: &Rule,
    snapshot: &Snapshot,
) -> fmt::Result {
    match &rule.origin {
        Some(origin) => writeln!(
            f,
            "  rule         {}, route {}",
            At(origin, snapshot),
            rule.name
        ),
        None if host.is_inbound() => writeln!(
            f,
            "  rule         the one of an inbound listener: all goes to the application"
        ),
        None => writeln!(
            f,
            "  rule         the default one of a service that no VirtualService is for"
        ),
    }
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

/// What logs call a destination.
pub(super) fn cluster_name<'a>(cluster: &'a DestinationCluster, snapshot: &'a Snapshot) -> &'a str {
    match cluster {
        DestinationCluster::Known(id) => &snapshot.cluster(*id).name,
        DestinationCluster::Missing(name) => name,
        DestinationCluster::Passthrough => "PassthroughCluster",
    }
}
