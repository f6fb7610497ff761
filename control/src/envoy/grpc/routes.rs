//! The routes of a service's port (RDS).

use std::collections::BTreeMap;
use std::time::Duration;

use outrigger_core::snapshot::{
    self as core, DestinationCluster, FaultAnswer, FaultPolicy, Forward, HeaderOps, RetryOn,
    RetryPolicy, Rule, Snapshot, StreamIdle,
};
use outrigger_xds::envoy::fault::{
    FAULT, FAULT_FILTER, FaultAbort, FaultDelay, FractionalPercent, HttpFault,
};
use outrigger_xds::envoy::route::{
    self, Action, Cluster, ClusterWeight, HashPolicy, HashedHeader, MaxStreamDuration,
    NonForwardingAction, RetryBackOff, Route, RouteAction, RouteConfiguration, VirtualHost,
    WeightedCluster,
};
use outrigger_xds::envoy::typed;
use outrigger_xds::messages::Any;

use super::Notes;
use super::listeners::Target;
use super::matches::{Matches, matches};

/// What of `retryOn` gRPC tries again (gRFC A44).
const RETRIED: [(&str, RetryOn); 5] = [
    ("cancelled", RetryOn::GRPC_CANCELLED),
    ("deadline-exceeded", RetryOn::GRPC_DEADLINE_EXCEEDED),
    ("internal", RetryOn::GRPC_INTERNAL),
    ("resource-exhausted", RetryOn::GRPC_RESOURCE_EXHAUSTED),
    ("unavailable", RetryOn::GRPC_UNAVAILABLE),
];

/// What no endpoint has begun to do is tried again by gRPC in any case (gRFC A6), and these never happen to a call.
const RETRIED_ANYHOW: RetryOn = RetryOn::CONNECT_FAILURE
    .or(RetryOn::REFUSED_STREAM)
    .or(RetryOn::RESET_BEFORE_REQUEST)
    .or(RetryOn::RETRIABLE_HEADERS)
    .or(RetryOn::HTTP3_POST_CONNECT_FAILURE);

/// The later pauses of retries are at most so many times the first (Envoy's default).
const LONGEST_BACKOFF: u32 = 10;

/// What a rule cannot do is so served.
const SERVED: &str = "calls are served without";

/// Or so not.
const FAILS: &str = "calls that it may be meant for fail";

/// The routes of a service's port, by the name that they are asked for. They hold whatever name the client has for the service.
pub(in super::super) fn routes(
    snapshot: &Snapshot,
    target: &Target<'_>,
    notes: &mut Notes,
) -> RouteConfiguration {
    let name = target.route_name();
    if target.virtual_host.limits.is_some() {
        notes.note(&name, "rate limits", SERVED);
    }
    let rules = target.virtual_host.rules.iter();
    let routes = rules
        .flat_map(|rule| of_rule(snapshot, rule, &name, notes))
        .collect();
    RouteConfiguration {
        virtual_hosts: vec![VirtualHost {
            name: target.name(),
            domains: vec!["*".into()],
            routes,
        }],
        name,
    }
}

/// The routes of a rule: several where a call may match in several ways.
fn of_rule(snapshot: &Snapshot, rule: &Rule, of: &str, notes: &mut Notes) -> Vec<Route> {
    let place = place(snapshot, rule, of);
    let (all, acted) = match matches(&rule.condition) {
        Matches::Never => return Vec::new(),
        Matches::These(all) => (all, act(snapshot, &rule.action, &place, notes)),
        Matches::Wider(all, unsaid) => (all, Err(unsaid.join(" and "))),
    };
    let (action, filters) = acted.unwrap_or_else(|what| {
        notes.note(&place, &what, FAILS);
        let fails = Action::NonForwarding(NonForwardingAction {});
        (fails, BTreeMap::new())
    });
    let routes = all.into_iter().map(|one| Route {
        r#match: Some(one),
        action: Some(action.clone()),
        typed_per_filter_config: filters.clone(),
        name: rule.name.to_string(),
    });
    routes.collect()
}

/// Where a rule stands, in words.
fn place(snapshot: &Snapshot, rule: &Rule, of: &str) -> String {
    let Some(origin) = &rule.origin else {
        return format!("the route `{}` of {of}", rule.name);
    };
    let resource = snapshot.resources.get(origin.resource.0 as usize);
    let name = resource.map_or_else(String::new, ToString::to_string);
    format!("{name}: {} for {of}", origin.path)
}

type Acted = (Action, BTreeMap<String, Any>);

/// What a rule does; what of that cannot be said where calls would go wrong.
fn act(
    snapshot: &Snapshot,
    action: &core::Action,
    place: &str,
    notes: &mut Notes,
) -> Result<Acted, String> {
    let forward = match action {
        core::Action::Forward(forward) => forward,
        core::Action::Redirect(_) => return Err("redirects".into()),
        core::Action::Respond(_) => return Err("direct responses".into()),
    };
    if forward.rewrite.path.is_some() || forward.rewrite.authority.is_some() {
        return Err("rewrites".into());
    }
    let fault = forward
        .fault
        .as_deref()
        .map(|fault| faults(fault, place, notes));
    let mut filters = BTreeMap::new();
    if let Some(fault) = fault.transpose()? {
        filters.insert(FAULT_FILTER.to_owned(), typed(FAULT, &fault));
    }
    let (cluster, hash_policy) = destinations(snapshot, forward)?;
    tell_what_is_left_out(forward, place, notes);
    let retry = forward.retry.as_deref();
    let action = RouteAction {
        cluster: Some(cluster),
        retry_policy: retry.and_then(|retry| retries(retry, forward, place, notes)),
        hash_policy,
        max_stream_duration: forward.timeout.map(|timeout| MaxStreamDuration {
            max_stream_duration: Some(duration(timeout)),
        }),
    };
    Ok((Action::Route(action), filters))
}

/// The clusters of a rule, and what is hashed for those that are rings.
fn destinations(
    snapshot: &Snapshot,
    forward: &Forward,
) -> Result<(Cluster, Vec<HashPolicy>), String> {
    let scale = forward.total_weight / u64::from(u32::MAX) + 1;
    let mut clusters = Vec::new();
    let mut hashed: Vec<HashPolicy> = Vec::new();
    for destination in &forward.destinations {
        let name = match &destination.cluster {
            DestinationCluster::Known(id) => {
                let cluster = snapshot.cluster(*id);
                let policy = cluster.hash_policy.as_deref();
                if let Some(core::HashPolicy::Field(core::MatchedField::Field(name))) = policy {
                    let header = HashedHeader {
                        header_name: name.as_str().to_owned(),
                    };
                    let policy = HashPolicy {
                        header: Some(header),
                    };
                    if !hashed.contains(&policy) {
                        hashed.push(policy);
                    }
                }
                &cluster.name
            }
            // There is no cluster of that name either: calls to it fail.
            DestinationCluster::Missing(name) => name,
            DestinationCluster::Passthrough => return Err("where a client wanted to go".into()),
        };
        let weight = (u64::from(destination.weight) / scale).max(1);
        clusters.push(ClusterWeight {
            name: name.to_string(),
            weight: u32::try_from(weight).ok(),
        });
    }
    match clusters.len() {
        0 => Err("rules without destinations".into()),
        1 => Ok((Cluster::One(clusters.remove(0).name), hashed)),
        _ => Ok((Cluster::Weighted(WeightedCluster { clusters }), hashed)),
    }
}

fn faults(fault: &FaultPolicy, place: &str, notes: &mut Notes) -> Result<HttpFault, String> {
    if fault.on_request.is_some() {
        notes.note(place, "faults that calls ask for", SERVED);
    }
    let share = |share: core::PerMillion| Some(FractionalPercent::millionths(share.get()));
    let abort = fault.abort.as_ref().map(|abort| {
        let (http_status, grpc_status) = match abort.answer {
            FaultAnswer::Http(status) => (u32::from(status.as_u16()), 0),
            FaultAnswer::Grpc(0) => return Err("faults that are none".to_owned()),
            FaultAnswer::Grpc(status) => (0, u32::from(status)),
        };
        Ok(FaultAbort {
            http_status,
            percentage: share(abort.share),
            grpc_status,
        })
    });
    Ok(HttpFault {
        delay: fault.delay.as_ref().map(|delay| FaultDelay {
            fixed_delay: Some(duration(delay.duration)),
            percentage: share(delay.share),
        }),
        abort: abort.transpose()?,
    })
}

/// What is tried again; `None` where that is nothing that gRPC would not try again by itself.
fn retries(
    retry: &RetryPolicy,
    forward: &Forward,
    place: &str,
    notes: &mut Notes,
) -> Option<route::RetryPolicy> {
    let on = RETRIED.iter().filter(|(_, one)| retry.on.has(*one));
    let on: Vec<&str> = on.map(|(word, _)| *word).collect();
    if forward.retries_written {
        let known = RETRIED
            .iter()
            .fold(RETRIED_ANYHOW, |all, (_, one)| all.or(*one));
        let others = RetryOn::TOKENS.iter();
        let others = others.filter(|(_, one)| retry.on.has(*one) && !known.has(*one));
        let others: Vec<&str> = others.map(|(word, _)| *word).collect();
        if !others.is_empty() {
            let what = format!("`retryOn: {}`", others.join(","));
            notes.note(place, &what, SERVED);
        }
        if retry.per_try_timeout.is_some() {
            notes.note(place, "`perTryTimeout`", SERVED);
        }
    }
    let base = Some(retry.backoff).filter(|backoff| !backoff.is_zero());
    (!on.is_empty()).then(|| route::RetryPolicy {
        retry_on: on.join(","),
        num_retries: Some(retry.retries),
        retry_back_off: base.map(|base| RetryBackOff {
            base_interval: Some(duration(base)),
            max_interval: Some(duration(base * LONGEST_BACKOFF)),
        }),
    })
}

/// What concerns neither whom a call reaches nor whether it is answered.
fn tell_what_is_left_out(forward: &Forward, place: &str, notes: &mut Notes) {
    let plain = HeaderOps::default();
    let mut destinations = forward.destinations.iter();
    let writes = destinations.any(|one| one.request != plain || one.response != plain);
    let left_out = [
        (writes, "changes of headers"),
        (!forward.mirrors.is_empty(), "mirrors"),
        (forward.cors.is_some(), "`corsPolicy`"),
        (
            matches!(forward.stream_idle, StreamIdle::After(_)),
            "a timeout of idle streams",
        ),
    ];
    for (_, what) in left_out.iter().filter(|(is, _)| *is) {
        notes.note(place, what, SERVED);
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    // What Istio takes is a number of nanoseconds of 64 bits, which fits.
    duration.try_into().unwrap_or_default()
}
