//! The plan of a request: the rule that sends it on, and which of the rule's destinations was drawn.
//!
//! A request is planned once, where it begins ([`draw`]). What happens to it later has the plan by where it stands, which is
//! a few numbers to carry along, and finds it again without a doubt. Requests that no rule sends on have none.

use crate::decision::{Record, RouteDecision};
use crate::policy::destination;
use crate::snapshot::{Action, Destination, Forward, RetryPolicy, Rule, Snapshot, VirtualHostId};
use crate::time::Duration;

/// Where a plan stands. It means the same on the snapshot that it was made on, and on one that decides alike
/// ([`catch_up`](super::catch_up)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Planned {
    virtual_host: VirtualHostId,
    rule: u32,
    destination: u32,
}

/// A request that has a plan goes on after this wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// How long.
    pub wait: Duration,
    planned: Planned,
}

impl Later {
    /// The plan in a snapshot in which it means the same.
    pub(super) fn plan(self, snapshot: &Snapshot) -> Plan<'_> {
        self.planned.on(snapshot)
    }
}

/// A plan in its snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'s> {
    planned: Planned,
    pub(super) rule: &'s Rule,
    pub(super) forward: &'s Forward,
    /// The one that was drawn; the request keeps it through all its attempts.
    pub(super) destination: &'s Destination,
}

impl Planned {
    /// What is planned for a request; `None` when no rule sends it on.
    const fn of(record: &Record) -> Option<Self> {
        match record.route {
            RouteDecision::Rule {
                virtual_host,
                rule,
                destination: Some(destination),
            } => Some(Self {
                virtual_host,
                rule,
                destination,
            }),
            RouteDecision::Rule {
                destination: None, ..
            }
            | RouteDecision::NotReached
            | RouteDecision::UnknownHost
            | RouteDecision::NoRule { .. }
            | RouteDecision::Mirror { .. } => None,
        }
    }

    /// The plan in a snapshot in which it means the same.
    fn on(self, snapshot: &Snapshot) -> Plan<'_> {
        let rule = &snapshot.virtual_host(self.virtual_host).rules[self.rule as usize];
        let Action::Forward(forward) = &*rule.action else {
            // A destination is drawn of nothing else, and a request moves to no snapshot whose rule there does another thing.
            unreachable!("the rule that a request was planned by forwards");
        };
        Plan {
            planned: self,
            rule,
            forward,
            destination: &forward.destinations[self.destination as usize],
        }
    }
}

impl<'s> Plan<'s> {
    /// Goes on after a wait.
    pub(super) const fn after(&self, wait: Duration) -> Later {
        let planned = self.planned;
        Later { wait, planned }
    }

    /// How failed attempts are tried again.
    pub(super) fn retry(&self) -> Option<&'s RetryPolicy> {
        self.forward.retry.as_deref()
    }
}

/// The plan of a request; `None` when no rule sends it on.
pub(super) fn of<'s>(record: &Record, snapshot: &'s Snapshot) -> Option<Plan<'s>> {
    Planned::of(record).map(|planned| planned.on(snapshot))
}

/// Plans a request that a rule sends on; `None` when it has no destination to send it to.
pub(super) fn draw<'s>(
    rule: &'s Rule,
    forward: &'s Forward,
    record: &mut Record,
) -> Option<Plan<'s>> {
    let drawn = destination::pick(forward, record.entropy)?;
    if let RouteDecision::Rule { destination, .. } = &mut record.route {
        *destination = Some(drawn as u32);
    }
    Some(Plan {
        planned: Planned::of(record)?,
        rule,
        forward,
        destination: &forward.destinations[drawn],
    })
}
