//! A retry while the configuration changes: where nothing but endpoints differs, it picks among those that there are now.
//!
//! A request is decided by one configuration. But whoever removes an endpoint stops it next, and a request that had just
//! begun would try it again and again, because it knows no other. Envoy's clusters change under their requests, so a retry
//! finds the new endpoints there. Here it moves to the configuration that is in use by now, if that decides the same.

use std::rc::Rc;

use crate::decision::{Attempt, GONE, PickedBy, Record, RouteDecision};
use crate::local::View;
use crate::snapshot::Snapshot;

/// Moves a request whose attempt has failed from its view to the one in use.
pub fn catch_up(record: &mut Record, view: &mut Rc<View>, latest: &Rc<View>) {
    let then = &*view;
    if Rc::ptr_eq(then, latest) || !decides_alike(record, &then.snapshot, &latest.snapshot) {
        return;
    }
    for attempt in &mut record.attempts {
        attempt.endpoint = place(attempt, &then.snapshot, &latest.snapshot);
    }
    record.revision = Some(latest.snapshot.revision);
    *view = Rc::clone(latest);
}

/// Everything that was decided stands in the same place of both, and clusters have the same numbers.
fn decides_alike(record: &Record, then: &Snapshot, now: &Snapshot) -> bool {
    let RouteDecision::Rule {
        virtual_host, rule, ..
    } = record.route
    else {
        return false;
    };
    let at = virtual_host.0 as usize;
    let hosts = then.virtual_hosts.get(at).zip(now.virtual_hosts.get(at));
    let is_same_rule = hosts.is_some_and(|(then, now)| {
        let rules = (then.rules.get(rule as usize)).zip(now.rules.get(rule as usize));
        then.name == now.name
            && then.pod == now.pod
            && rules.is_some_and(|(then, now)| {
                then.name == now.name
                    && then.condition == now.condition
                    && then.action == now.action
            })
    });
    let names = |snapshot: &Snapshot| -> Vec<_> {
        let limits = snapshot.rate_limits.iter();
        limits.map(|limit| limit.stat_prefix.clone()).collect()
    };
    is_same_rule
        && (record.rate_limit.is_none() || names(then) == names(now))
        && (record.checks.is_empty() || asked(then).eq(asked(now)))
        && then.clusters.len() == now.clusters.len()
        && (then.clusters.iter().zip(now.clusters.iter())).all(|(then, now)| then.name == now.name)
}

/// Who may be asked about a request, in order.
fn asked(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    let providers = snapshot.authorization.external.iter();
    let limits = snapshot.global_rate_limits.iter();
    let providers = providers.map(|check| &*check.authorizer.name);
    providers.chain(limits.map(|limit| &*limit.domain))
}

/// Where the endpoint of an attempt stands now.
fn place(attempt: &Attempt, then: &Snapshot, now: &Snapshot) -> u32 {
    let Some(cluster) = attempt.cluster else {
        return attempt.endpoint;
    };
    if attempt.picked.by == PickedBy::OriginalDestination {
        return attempt.endpoint;
    }
    let Some(endpoint) = attempt.endpoint(then) else {
        return GONE;
    };
    let mut endpoints = now.cluster(cluster).endpoints.iter();
    let place = endpoints.position(|now| now.state.id() == endpoint.state.id());
    // There are fewer than so many.
    place.map_or(GONE, |place| place as u32)
}
