//! Which endpoint an attempt goes to: the one that the balancer picks, the one that the client named, or where the client
//! wanted to go.
//!
//! Whether there is to be an attempt at all is decided before; how endpoints are balanced is `policy::balance`.

use core::net::{IpAddr, SocketAddr};
use std::str;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use smallvec::SmallVec;

use super::{Context, Target, Verdict, hashing, head, plan, reply, trace};
use crate::decision::{
    Attempt, AttemptEnd, Connection, Details, Followed, Picked, PickedBy, Record, RequestHash,
    RouteDecision,
};
use crate::message::{ResponseHead, Version};
use crate::peer::Peer;
use crate::policy::ourselves::leads_to_ourselves;
use crate::policy::{authority, balance, retry};
use crate::proxy_protocol::{self, Addresses};
use crate::snapshot::{
    Address, Balancing, Cluster, ClusterId, DestinationCluster, Http2Options, PodOf, Snapshot,
    UpstreamProtocol,
};

/// What is answered where a destination is not there.
fn status_of_missing(context: &Context<'_>, record: &Record) -> StatusCode {
    match plan::of(record, &context.view.snapshot) {
        Some(plan) if plan.forward.missing_is_500 => StatusCode::INTERNAL_SERVER_ERROR,
        Some(_) | None => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Picks an endpoint of a cluster, and tells it which attempt it sees.
pub(super) fn attempt(
    context: &Context<'_>,
    cluster: &DestinationCluster,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let verdict = pick(context, cluster, record, response);
    if matches!(verdict, Verdict::Attempt(_)) {
        head::announce_attempt(context, record);
        trace::announce(record);
    }
    verdict
}

/// Picks an endpoint of a cluster.
pub(super) fn pick(
    context: &Context<'_>,
    cluster: &DestinationCluster,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let snapshot = &context.view.snapshot;
    let id = match cluster {
        DestinationCluster::Known(id) => *id,
        DestinationCluster::Missing(_) => {
            record.details = Details::ClusterNotFound;
            reply::from_router(
                context,
                status_of_missing(context, record),
                record,
                response,
            );
            return Verdict::Reply(Bytes::new());
        }
        DestinationCluster::Passthrough => {
            return passthrough(context, None, record, response);
        }
    };
    let cluster = snapshot.cluster(id);
    let pod = pod_of(record, snapshot).filter(|pod| pod.service == cluster.host);
    let named = pod.and_then(|pod| endpoint_of(pod, cluster));
    // A pod that is none of the endpoints is where the client's name leads, as for Envoy, which goes where it was bound.
    if named.is_none() && (pod.is_some() || cluster.balancing == Balancing::Passthrough) {
        return passthrough(context, Some(id), record, response);
    }
    if named.is_none()
        && let Balancing::ConsistentHash(_) = cluster.balancing
    {
        hashing::hash(context, record);
    }
    let named = named.map(|endpoint| (endpoint, Picked::simply(PickedBy::Named)));
    let Some((endpoint, picked)) = named.or_else(|| balance(id, context, record)) else {
        record.details = Details::NoHealthyUpstream;
        reply::from_router(context, StatusCode::SERVICE_UNAVAILABLE, record, response);
        return Verdict::Reply(Bytes::from_static(b"no healthy upstream"));
    };
    let chosen = &cluster.endpoints[endpoint];
    record.begin_attempt(Attempt {
        cluster: Some(id),
        endpoint: endpoint as u32,
        picked,
        reused: false,
        began: context.now,
        end: AttemptEnd::Open,
        ended: context.now,
        followed: Followed::Nothing,
        ejected: None,
    });
    Verdict::Attempt(Target {
        address: chosen.address.clone(),
        cluster: Some(id),
        host: Some(chosen.state.clone()),
        connect_timeout: cluster.connect_timeout,
        keepalive: cluster.keepalive,
        preface: preface(cluster, context),
        tunnel: is_tunnel(record),
        http2: spoken_to(cluster.protocol, record),
        tls: cluster.tls_to(chosen).cloned(),
    })
}

/// What an HTTP/2 connection for a request keeps to; `None` where HTTP/1.1 is spoken, or nothing of ours because its bytes
/// only pass.
fn spoken_to(protocol: UpstreamProtocol, record: &Record) -> Option<Http2Options> {
    let options = protocol.http2_for(record.request.version == Version::Http2);
    options.filter(|_| !is_tunnel(record))
}

/// Whether bytes only pass.
fn is_tunnel(record: &Record) -> bool {
    record.connection.is_some() || record.request.method == Method::CONNECT
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

/// Asks the balancer. A first attempt takes what the balancer says; a retry asks again while it gets an endpoint that
/// was tried before, up to a bound, and then takes that. It may be told to leave priorities that were tried before, too.
fn balance(id: ClusterId, context: &Context<'_>, record: &Record) -> Option<(usize, Picked)> {
    let (view, now) = (context.view, context.now);
    let policy = (record.retries > 0)
        .then(|| plan::of(record, &view.snapshot)?.retry())
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

/// Sends the request where the client wanted to go: where it connected to, if that is known, else its authority, resolved by
/// the runtime. The cluster of a service that
/// has no endpoints of its own still has its limits and its name.
fn passthrough(
    context: &Context<'_>,
    cluster: Option<ClusterId>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    if context.peer.listener.is_inbound() {
        return of_application(context, cluster, record, response);
    }
    let known = cluster.map(|id| context.view.snapshot.cluster(id));
    let by_host = known.filter(|known| known.goes_by_host);
    let named = |port| match (&record.connection, by_host) {
        (None, _) => original_destination(&record.request.authority, port),
        (Some(connection), Some(known)) => asked_for(connection, known, port),
        (Some(_), None) => None,
    };
    // Who came by a Unix socket was to go nowhere but where he says.
    let connected = context.peer.original.filter(|to| to.port() > 0);
    let address = match connected {
        // Nobody need be where it was connected to, and a client may not say one host and go to another. A connection that
        // is not HTTP says one if it is TLS.
        Some(to) if by_host.is_some() => named(Some(to.port())).or(Some(Address::Socket(to))),
        Some(to) => Some(Address::Socket(to)),
        None => named(None),
    };
    let Some(address) = address else {
        return reply::blocked(record, response);
    };
    let own = &context.view.snapshot.own_sockets;
    if leads_to_ourselves(&address, context.peer.local) || own.has(&address) {
        // Reference §2.15: a connection to the proxy's own port goes nowhere, or it would go round for ever.
        return reply::blocked(record, response);
    }
    go_there(address, context, cluster, record)
}

/// Sends on what was to go to the application where it was to go, on the port that its cluster has, if that has one.
fn of_application(
    context: &Context<'_>,
    cluster: Option<ClusterId>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    let Peer {
        local, original, ..
    } = *context.peer;
    let Some(mut to) = original else {
        return reply::blocked(record, response);
    };
    let port = cluster.map(|id| context.view.snapshot.cluster(id).port);
    if let Some(port) = port.filter(|port| *port > 0) {
        to.set_port(port);
    }
    // Where the kernel left both addresses as they were, the application sees its client, too.
    let is_as_sent = original == Some(local);
    let client = is_as_sent.then(|| context.peer.remote.ip());
    let address = Address::of_application(to, client);
    if !is_as_sent && leads_to_ourselves(&address, local) {
        return reply::blocked(record, response);
    }
    go_there(address, context, cluster, record)
}

fn go_there(
    address: Address,
    context: &Context<'_>,
    cluster: Option<ClusterId>,
    record: &mut Record,
) -> Verdict {
    record.begin_attempt(Attempt {
        cluster,
        endpoint: 0,
        picked: Picked::simply(PickedBy::OriginalDestination),
        reused: false,
        began: context.now,
        end: AttemptEnd::Open,
        ended: context.now,
        followed: Followed::Nothing,
        ejected: None,
    });
    let settings = &context.view.snapshot.settings;
    let known = cluster.map(|id| context.view.snapshot.cluster(id));
    Verdict::Attempt(Target {
        address,
        cluster,
        host: None,
        connect_timeout: known.map_or(settings.connect_timeout, |known| known.connect_timeout),
        keepalive: known.map_or(settings.keepalive, |known| known.keepalive),
        preface: known.and_then(|known| preface(known, context)),
        tunnel: is_tunnel(record),
        http2: spoken_to(
            known.map_or(UpstreamProtocol::AsClient, |known| known.protocol),
            record,
        ),
        tls: known.and_then(|known| known.tls.clone()),
    })
}

/// Whose connection it is, where endpoints are told (Envoy: both ends of the client's, as far as they are known).
fn preface(cluster: &Cluster, context: &Context<'_>) -> Option<Arc<[u8]>> {
    let addresses = Addresses {
        source: context.peer.remote,
        destination: context.peer.destination(),
    };
    let version = cluster.proxy_protocol?;
    Some(proxy_protocol::write(version, addresses).into())
}

/// Where the name leads that TLS on a connection asks for, if it is one of the service's: what else is asked for there is nobody's
/// that rules speak of.
fn asked_for(connection: &Connection, known: &Cluster, port: Option<u16>) -> Option<Address> {
    let name = connection.server_name.as_deref()?;
    let is_its_own = match known.host.strip_prefix('*') {
        Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
        None => *known.host == *name,
    };
    is_its_own.then(|| Address::Name(name.into(), port.unwrap_or(known.port)))
}

/// The address an authority names, at this port, else at its own, port 80 when it names none.
fn original_destination(authority: &[u8], at: Option<u16>) -> Option<Address> {
    let (host, port) = authority::split(authority);
    let port = at.or(port).unwrap_or(80);
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
