//! Sending a request on: which destination, with which head, to which endpoint.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str;

use http::{Method, StatusCode};
use smallvec::SmallVec;

use super::failure;
use super::{Context, Target, Verdict, grpc, hashing, head, mirror, reply, scheme};
use crate::decision::{
    Attempt, AttemptEnd, Details, Followed, Picked, PickedBy, Record, RequestHash, RouteDecision,
    Timeouts,
};
use crate::message::{Known, RequestHead, ResponseHead};
use crate::peer::{ListenerKind, Peer};
use crate::policy::header_ops::{self, FormatContext};
use crate::policy::{
    authority, balance, cors, destination, grpc_timeout, retry, rewrite, timeouts,
};
use crate::snapshot::{
    Action, Address, Balancing, Cluster, ClusterId, Destination, DestinationCluster, Forward,
    HeaderOps, PodOf, Rule, Snapshot,
};

/// Picks one of a rule's destinations; the request keeps it through all its attempts.
pub(super) fn choose(plan: &Forward, record: &mut Record) {
    let chosen = destination::pick(plan, record.entropy);
    if let RouteDecision::Rule { destination, .. } = &mut record.route {
        *destination = chosen.map(|at| at as u32);
    }
}

/// Changes the head as the rule and its chosen destination say, and picks an endpoint.
pub(super) fn forward(
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
    snapshot: &Snapshot,
) -> Verdict {
    let Some((plan, rule, chosen)) = destination_of(record, snapshot) else {
        return reply::no_route(record, response);
    };
    record.timeouts = timeouts(context.peer, Some(plan), &record.request);
    // Before the rule's operations, which may change or remove what it writes (Envoy).
    head::announce_attempt(context, record);
    apply_to_request(context, &chosen.request, &rule.name, record);
    rewrite::apply(&plan.rewrite, &rule.condition, &mut record.request);
    let verdict = begin(context, &chosen.cluster, record, response, snapshot);
    if matches!(verdict, Verdict::Attempt(_)) {
        mirror::choose(context, plan, record);
    }
    verdict
}

/// How long a request may take. Outbound, a gRPC client's own timeout counts too (Istio's `max_grpc_timeout`).
pub(super) fn timeouts(peer: &Peer, plan: Option<&Forward>, request: &RequestHead) -> Timeouts {
    let retry = plan.and_then(|plan| plan.retry.as_deref());
    let asked = || {
        let asked = request.headers.get(Known::GrpcTimeout);
        asked.and_then(grpc_timeout::parse)
    };
    let counts = peer.listener == ListenerKind::Outbound && grpc::is_request(request);
    timeouts::of_request(
        plan.and_then(|plan| plan.timeout),
        retry.and_then(|retry| retry.per_try_timeout),
        retry.is_some_and(|retry| retry.hedge_on_per_try_timeout),
        counts.then(asked),
    )
}

/// Runs header operations on the request.
pub(super) fn apply_to_request(
    context: &Context<'_>,
    ops: &HeaderOps,
    route_name: &str,
    record: &mut Record,
) {
    if ops.is_empty() {
        return;
    }
    // Format strings speak of the request as it came, so they need a copy; plain text does not.
    let original = if ops.reads_request() {
        record.request.clone()
    } else {
        RequestHead::default()
    };
    let format = FormatContext {
        request: &original,
        scheme: scheme(&original),
        downstream_remote: Some(context.peer.remote),
        downstream_local: Some(context.peer.local),
        upstream_host: "",
        route_name,
    };
    header_ops::apply_to_request(ops, &mut record.request, &format);
}

/// Picks an endpoint of a cluster, and tells it which attempt it sees.
pub(super) fn attempt(
    context: &Context<'_>,
    cluster: &DestinationCluster,
    record: &mut Record,
    response: &mut ResponseHead,
    snapshot: &Snapshot,
) -> Verdict {
    let verdict = begin(context, cluster, record, response, snapshot);
    if matches!(verdict, Verdict::Attempt(_)) {
        head::announce_attempt(context, record);
    }
    verdict
}

/// Picks an endpoint of a cluster.
pub(super) fn begin(
    context: &Context<'_>,
    cluster: &DestinationCluster,
    record: &mut Record,
    response: &mut ResponseHead,
    snapshot: &Snapshot,
) -> Verdict {
    let id = match cluster {
        DestinationCluster::Known(id) => *id,
        DestinationCluster::Missing(_) => {
            record.details = Details::ClusterNotFound;
            reply::from_router(context, StatusCode::SERVICE_UNAVAILABLE, record, response);
            return Verdict::Reply(bytes::Bytes::new());
        }
        DestinationCluster::Passthrough => {
            return passthrough(context, None, record, response, snapshot);
        }
    };
    let cluster = snapshot.cluster(id);
    let pod = pod_of(record, snapshot).filter(|pod| pod.service == cluster.host);
    let named = pod.and_then(|pod| endpoint_of(pod, cluster));
    // A pod that is none of the endpoints is where the client's name leads, as for Envoy, which goes where it was bound.
    if named.is_none() && (pod.is_some() || cluster.balancing == Balancing::Passthrough) {
        return passthrough(context, Some(id), record, response, snapshot);
    }
    if named.is_none()
        && let Balancing::ConsistentHash(_) = cluster.balancing
    {
        hashing::hash(context, record);
    }
    let named = named.map(|endpoint| (endpoint, Picked::simply(PickedBy::Named)));
    let Some((endpoint, picked)) = named.or_else(|| pick(id, context, record)) else {
        record.details = Details::NoHealthyUpstream;
        reply::from_router(context, StatusCode::SERVICE_UNAVAILABLE, record, response);
        return Verdict::Reply(bytes::Bytes::from_static(b"no healthy upstream"));
    };
    let chosen = &cluster.endpoints[endpoint];
    record.begin_attempt(Attempt {
        cluster: Some(id),
        endpoint: endpoint as u32,
        picked,
        reused: false,
        began: context.now,
        end: AttemptEnd::Open,
        followed: Followed::Nothing,
        ejected: None,
    });
    Verdict::Attempt(Target {
        address: chosen.address.clone(),
        cluster: Some(id),
        host: Some(chosen.state.clone()),
        connect_timeout: cluster.connect_timeout,
        tunnel: record.request.method == Method::CONNECT,
    })
}

/// The pod that the request's host stands for, if it stands for one.
fn pod_of<'s>(record: &Record, snapshot: &'s Snapshot) -> Option<&'s PodOf> {
    let RouteDecision::Rule { virtual_host, .. } = record.route else {
        return None;
    };
    snapshot.virtual_host(virtual_host).pod.as_deref()
}

/// The position of the endpoint that a pod is.
fn endpoint_of(pod: &PodOf, cluster: &Cluster) -> Option<usize> {
    let hostname = pod.hostname.as_ref()?;
    let mut endpoints = cluster.endpoints.iter();
    endpoints.position(|endpoint| endpoint.hostname == *hostname)
}

/// Picks an endpoint. A first attempt takes what the balancer says; a retry asks again while it gets an endpoint that
/// was tried before, up to a bound, and then takes that. It may be told to leave priorities that were tried before, too.
fn pick(id: ClusterId, context: &Context<'_>, record: &Record) -> Option<(usize, Picked)> {
    let (view, now) = (context.view, context.now);
    let policy = (record.retries > 0)
        .then(|| failure::policy_of(record, &view.snapshot))
        .flatten();
    let avoids = policy.is_some_and(|policy| policy.ignore_previous_hosts);
    let tried = || record.attempts.iter().filter(|a| a.cluster == Some(id));
    let was_tried = |endpoint: usize| tried().any(|a| a.endpoint as usize == endpoint);
    let mut priorities = SmallVec::<[u32; 8]>::new();
    if policy.is_some_and(|policy| policy.remote_localities) {
        priorities.extend(tried().map(|a| a.picked.priority));
    }
    let reselections = if avoids { retry::RESELECTIONS } else { 0 };
    let mut picked = None;
    for again in 0..=reselections {
        let context = balance::Context {
            entropy: record.entropy,
            attempt: u64::from(record.retries) * (retry::RESELECTIONS + 1) + again,
            now,
            tried: &priorities,
            hash: record.hash.as_ref().and_then(RequestHash::number),
            step: again,
        };
        picked = view.pick(id, &context);
        if picked.is_none_or(|(endpoint, _)| !avoids || !was_tried(endpoint)) {
            break;
        }
    }
    picked
}

/// Sends the request where the client wanted to go: its authority, resolved by the runtime. The cluster of a service that
/// has no endpoints of its own still has its limits and its name.
fn passthrough(
    context: &Context<'_>,
    cluster: Option<ClusterId>,
    record: &mut Record,
    response: &mut ResponseHead,
    snapshot: &Snapshot,
) -> Verdict {
    let Some(address) = original_destination(&record.request.authority) else {
        return reply::blocked(record, response);
    };
    if is_ourselves(&address, context.peer) {
        // Reference §2.15: a connection to the proxy's own port goes nowhere, or it would go round for ever.
        return reply::blocked(record, response);
    }
    record.begin_attempt(Attempt {
        cluster,
        endpoint: 0,
        picked: Picked::simply(PickedBy::OriginalDestination),
        reused: false,
        began: context.now,
        end: AttemptEnd::Open,
        followed: Followed::Nothing,
        ejected: None,
    });
    Verdict::Attempt(Target {
        address,
        cluster,
        host: None,
        connect_timeout: cluster.map_or(snapshot.settings.connect_timeout, |id| {
            snapshot.cluster(id).connect_timeout
        }),
        tunnel: record.request.method == Method::CONNECT,
    })
}

/// The address an authority names, port 80 when it names none.
fn original_destination(authority: &[u8]) -> Option<Address> {
    let (host, port) = authority::split(authority);
    let port = port.unwrap_or(80);
    let host = str::from_utf8(host).ok().filter(|host| !host.is_empty())?;
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    Some(match bare.parse::<IpAddr>() {
        Ok(ip) => Address::Socket(SocketAddr::new(ip, port)),
        Err(_) => Address::Name(host.into(), port),
    })
}

fn is_ourselves(address: &Address, peer: &Peer) -> bool {
    if peer.listener != ListenerKind::Outbound {
        return false;
    }
    match address {
        Address::Socket(to) => {
            to.port() == peer.local.port()
                && (to.ip() == peer.local.ip() || to.ip().is_loopback() || to.ip().is_unspecified())
        }
        Address::Name(name, port) => {
            *port == peer.local.port()
                && name.eq_ignore_ascii_case("localhost")
                && (peer.local.ip().is_loopback()
                    || peer.local.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
        Address::Unix(_) => false,
    }
}

/// The forwarding action that applied, with its rule.
pub(super) fn plan_of<'a>(
    record: &Record,
    snapshot: &'a Snapshot,
) -> Option<(&'a Forward, &'a Rule)> {
    let RouteDecision::Rule {
        virtual_host, rule, ..
    } = record.route
    else {
        return None;
    };
    let rule = &snapshot.virtual_host(virtual_host).rules[rule as usize];
    match &*rule.action {
        Action::Forward(plan) => Some((plan, rule)),
        Action::Redirect(_) | Action::Respond(_) => None,
    }
}

/// The destination that was chosen, with its rule.
pub(super) fn destination_of<'a>(
    record: &Record,
    snapshot: &'a Snapshot,
) -> Option<(&'a Forward, &'a Rule, &'a Destination)> {
    let RouteDecision::Rule {
        destination: Some(at),
        ..
    } = record.route
    else {
        return None;
    };
    let (plan, rule) = plan_of(record, snapshot)?;
    Some((plan, rule, &plan.destinations[at as usize]))
}

/// Runs CORS and header operations of the rule on a response that passes through the router.
pub(super) fn apply_route_to_response(
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
) {
    decorate_response(context, record, response);
    operate_on_response(context, record, response);
}

/// Runs CORS of the rule on a response.
pub(super) fn decorate_response(
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
) {
    let Some((plan, _, _)) = destination_of(record, &context.view.snapshot) else {
        return;
    };
    if let Some(policy) = &plan.cors
        && cors::decide(policy, &record.request) == cors::CorsDecision::Decorate
    {
        cors::decorate(policy, &record.request, &mut response.headers);
    }
}

/// Runs header operations of the rule and its destination on a response.
pub(super) fn operate_on_response(
    context: &Context<'_>,
    record: &Record,
    response: &mut ResponseHead,
) {
    let snapshot = &context.view.snapshot;
    let Some((_, rule, chosen)) = destination_of(record, snapshot) else {
        return;
    };
    if !chosen.response.is_empty() {
        let upstream = record.upstream_host(snapshot).unwrap_or("");
        header_ops::apply_to_response(
            &chosen.response,
            response,
            &format_context(context.peer, record, &rule.name, upstream),
        );
    }
}

/// What format strings of a response may speak of.
pub(super) fn format_context<'a>(
    peer: &Peer,
    record: &'a Record,
    route_name: &'a str,
    upstream_host: &'a str,
) -> FormatContext<'a> {
    FormatContext {
        request: &record.request,
        scheme: scheme(&record.request),
        downstream_remote: Some(peer.remote),
        downstream_local: Some(peer.local),
        upstream_host,
        route_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_to_the_proxys_own_port_goes_nowhere() {
        use ListenerKind::{Inbound, Outbound};
        let (loopback, pod, any) = ("127.0.0.1:15001", "10.0.0.7:15001", "0.0.0.0:15001");
        for (listener, local, authority, want) in [
            (Outbound, loopback, "127.0.0.1:15001", true),
            (Outbound, loopback, "127.0.0.1:15006", false),
            (Outbound, loopback, "10.0.0.7:15001", false),
            (Outbound, loopback, "0.0.0.0:15001", true),
            (Outbound, loopback, "[::1]:15001", true),
            (Outbound, pod, "10.0.0.7:15001", true),
            (Outbound, pod, "10.0.0.8:15001", false),
            (Outbound, pod, "127.0.0.2:15001", true),
            (Outbound, pod, "10.0.0.7", false),
            // By name only where this name surely leads here.
            (Outbound, loopback, "LocalHost:15001", true),
            (Outbound, any, "localhost:15001", true),
            (Outbound, pod, "localhost:15001", false),
            (Outbound, loopback, "localhost:80", false),
            (Outbound, loopback, "other:15001", false),
            (Inbound(0), loopback, "127.0.0.1:15001", false),
        ] {
            let peer = Peer {
                remote: SocketAddr::from(([10, 0, 0, 9], 4000)),
                local: local.parse().unwrap(),
                listener,
            };
            let address = original_destination(authority.as_bytes()).unwrap();
            assert_eq!(is_ourselves(&address, &peer), want, "{local} {authority}");
        }
    }
}
