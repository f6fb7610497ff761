//! What is counted of requests to which a route applied that has a name (`http[].name` of a VirtualService).

use std::collections::HashSet;

use outrigger_core::decision::{Details, Record};
use outrigger_core::snapshot::{Rule, Snapshot, VirtualHost};
use outrigger_runtime::Counter;

use super::codes::{Codes, StatusCounts};
use super::histogram::{Distribution, Histogram};
use super::kept::Cells;

/// The name of a route that nobody named.
pub(crate) const UNNAMED: &str = "default";

/// What a route is called here: its virtual host, and its own name.
pub(crate) fn name(host: &VirtualHost, rule: &Rule) -> String {
    format!("{}.route.{}", host.name, rule.name)
}

/// The routes of a configuration that have a name.
pub(crate) fn names(snapshot: &Snapshot) -> HashSet<String> {
    let hosts = snapshot.virtual_hosts.iter();
    hosts
        .flat_map(|host| host.rules.iter().map(move |rule| (host, rule)))
        .filter(|(_, rule)| &*rule.name != UNNAMED)
        .map(|(host, rule)| name(host, rule))
        .collect()
}

/// What one worker counts of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteCells {
    codes: Codes,
    retries: Counter,
    timeouts: Counter,
    /// In microseconds.
    time: Histogram,
}

/// What all have counted of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteRequests {
    /// By the status that the client saw; 0 where it saw none.
    pub codes: StatusCounts,
    /// Attempts that were retries.
    pub retries: u64,
    /// Requests that took longer than the route allows.
    pub timeouts: u64,
    /// From the first byte of a request to the last of its response, in microseconds.
    pub time: Distribution,
}

impl RouteCells {
    /// A request has ended, after so many microseconds.
    pub(crate) fn count(&self, record: &Record, micros: u64) {
        self.codes.count(record.status);
        self.retries.add(u64::from(record.retries));
        if matches!(
            record.details,
            Details::ResponseTimeout | Details::PerTryTimeout
        ) {
            self.timeouts.add(1);
        }
        self.time.record(micros);
    }
}

impl Cells for RouteCells {
    type Sum = RouteRequests;

    fn add_to(&self, sum: &mut RouteRequests) {
        self.codes.add_to(&mut sum.codes);
        sum.retries += self.retries.value();
        sum.timeouts += self.timeouts.value();
        self.time.add_to(&mut sum.time);
    }
}
