//! One request's way through the policies: heads and outcomes in, verdicts out. It never sees a byte of a connection.
//!
//! The functions here compose `policy` in Istio's order (normalise, route, then the filters of `chain`, header operations,
//! rewrite, endpoint) and write what was decided into the request's [`Record`]. They own none of the policies' rules, and they wait for
//! nothing: the exchange carries a verdict out and comes back with what became of it.

mod authentication;
mod authorization;
mod catch_up;
mod chain;
mod connection;
mod endpoint;
mod external;
mod failure;
mod forward;
mod forwarded_client_cert;
mod forwarded_for;
mod grpc;
mod hashing;
mod head;
mod metadata;
mod mirror;
mod operations;
pub mod outcome;
mod plan;
mod rate_limit;
mod reply;
pub mod response_time;
mod story;
mod stream;
mod told;
mod trace;

pub use catch_up::catch_up;
pub use chain::{after_answer, after_delay};
pub use connection::{begin_connection, connection_timed_out, connection_times};
pub use external::{Asked, Heard, Question, begin_question};
pub use failure::{
    Failure, Judged, after_response, may_retry, on_attempt_failed, on_route_timeout,
    on_try_too_long, retries_are_written, retry,
};
pub use grpc::is_request as is_grpc;
pub use mirror::{begin_mirror, has_mirrors};
pub use plan::Later;
pub use reply::{NO_BASE64, SLOW_HEAD, TOO_LARGE, complete_local, on_response_cut, refuse, shed};

pub use story::{Ending, Opening, Story};
pub use told::tell_decision;

pub use stream::{
    StreamTimeout, body_timeout, max_duration, on_stream_cut, stream_idle_timeout, stream_timed_out,
};

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use crate::cluster::{Bucket, HostState};
use crate::decision::{GrpcWeb, Record, Refused, RouteDecision};
use crate::local::View;
use crate::message::{Known, RequestHead, ResponseHead};
use crate::peer::{ListenerKind, Peer, Said, TlsFacts};
use crate::policy::authority::{self, Selected};
use crate::policy::{header_ops, path, redirect, route};
use crate::snapshot::{
    Action, Address, ClientTls, Cluster, ClusterId, DestinationCluster, GatewayServer,
    Http2Options, Keepalive, Snapshot, UnknownHosts, VirtualHost, VirtualHostId,
};
use crate::stream::Protocol;
use crate::time::{Duration, Instant};

/// What the client used, as far as we know: somebody before us may have taken TLS off, and who came over TLS itself has
/// been given the field (Envoy derives `:scheme` from `x-forwarded-proto`).
#[must_use]
pub fn scheme(request: &RequestHead) -> &'static str {
    match request.headers.get(Known::XForwardedProto) {
        Some(proto) if proto.eq_ignore_ascii_case(b"https") => "https",
        Some(_) | None => "http",
    }
}

/// What the request machine needs to know besides the head.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What decides, with this worker's balancers.
    pub view: &'a View,
    /// Who asked, and where.
    pub peer: &'a Peer,
    /// What TLS has proved of them; `None` for clear text.
    pub tls: Option<&'a Arc<TlsFacts>>,
    /// What endpoints were told of their certificate.
    pub said: &'a Said,
    /// The protocol the client wants to switch to.
    pub upgrade: Option<&'a str>,
    /// The bucket that the client's connection has for itself.
    pub own_bucket: &'a Bucket,
    /// The time.
    pub now: Instant,
    /// When the last byte of the request arrived.
    pub complete_since: Option<Instant>,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Verdict {
    /// Try this endpoint; the head to send stands in the record.
    Attempt(Target),
    /// Hold the request for an injected delay, then call [`after_delay`].
    Delay(Later),
    /// Ask somebody about it, then call [`after_answer`].
    Ask(Question),
    /// Wait, then call [`retry()`].
    Retry(Later),
    /// Answer with the response head just made and this body.
    Reply(Bytes),
    /// Close the client's connection, which is not HTTP.
    Close,
}

/// Where an attempt goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The endpoint's address.
    pub address: Address,
    /// Its cluster; `None` when the client's own destination is used.
    pub cluster: Option<ClusterId>,
    /// Its live state; `None` when the client's own destination is used: the worker knows those.
    pub host: Option<Arc<HostState>>,
    /// How long the connection may take to be made.
    pub connect_timeout: Duration,
    /// How the system finds out that the endpoint is gone.
    pub keepalive: Option<Keepalive>,
    /// What is said on a connection before anything else, TLS included: whose it is (PROXY protocol). Only requests of the same
    /// client's connection share one.
    pub preface: Option<Arc<[u8]>>,
    /// A CONNECT, or a connection that is not HTTP: the connection is the answer.
    pub tunnel: bool,
    /// What an HTTP/2 connection to it keeps to; `None` where HTTP/1.1 is spoken, or nothing of ours.
    pub http2: Option<Http2Options>,
    /// How the connection is protected; `None` for clear text.
    pub tls: Option<Arc<ClientTls>>,
}

impl Target {
    /// What is spoken to the endpoint.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self.http2 {
            None => Protocol::Http1,
            Some(_) => Protocol::Http2,
        }
    }
}

/// Finds out who asks before a rule is found, where rules look at that (Istio clears Envoy's route behind `jwt_authn`). Yields how a
/// request is refused whose token is no good.
pub fn who_asks(
    context: &Context<'_>,
    virtual_host: &VirtualHost,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Option<Verdict> {
    match virtual_host.by_claims {
        true => authentication::check(context, record, response),
        false => None,
    }
}

/// A request's head is complete: decide what becomes of it.
pub fn begin(context: &Context<'_>, record: &mut Record, response: &mut ResponseHead) -> Verdict {
    let host = match arrive(context, record) {
        Ok(host) => host,
        Err(NotRouted::Refused(refused)) => return refuse(&refused, record, response),
        Err(NotRouted::UnknownHost) => return unknown_host(context, record, response),
    };
    let virtual_host = context.view.snapshot.virtual_host(host);
    if let Some(refused) = who_asks(context, virtual_host, record, response) {
        return refused;
    }
    let claims = record.token.as_ref().map(|token| &token.claims);
    let found = route::find(
        virtual_host,
        &record.request,
        scheme(&record.request),
        claims,
    );
    let Some(position) = found else {
        record.route = RouteDecision::NoRule { virtual_host: host };
        return chain::stay(context, record, response)
            .unwrap_or_else(|| reply::no_route(record, response));
    };
    record.route = RouteDecision::Rule {
        virtual_host: host,
        rule: position as u32,
        destination: None,
    };
    let rule = &virtual_host.rules[position];
    let is_forwarded = matches!(&*rule.action, Action::Forward(_));
    if !is_forwarded && let Some(refused) = chain::stay(context, record, response) {
        return refused;
    }
    match &*rule.action {
        Action::Respond(direct) => {
            reply::direct(direct.status, record, response);
            let peer = context.peer;
            header_ops::apply_to_response(
                &direct.response,
                response,
                &operations::format_context(peer, record, &rule.name, ""),
            );
            Verdict::Reply(direct.body.clone())
        }
        Action::Redirect(to) => {
            let request = &record.request;
            let location = redirect::location(to, &rule.condition, request, scheme(request));
            reply::direct(to.status, record, response);
            response.headers.set(Known::Location, &location);
            let peer = context.peer;
            header_ops::apply_to_response(
                &to.response,
                response,
                &operations::format_context(peer, record, &rule.name, ""),
            );
            Verdict::Reply(Bytes::new())
        }
        // Before faults and limits: the response operations of the destination concern their answers too.
        Action::Forward(forward) => match plan::draw(rule, forward, record) {
            Some(plan) => chain::begin(context, &plan, record, response),
            None => reply::no_route(record, response),
        },
    }
}

/// Why no rule is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRouted {
    /// The request is refused.
    Refused(Refused),
    /// No virtual host answers for it.
    UnknownHost,
}

/// What happens to a head before rules look at it: refusals, its path made normal, fields that nobody may send removed, and
/// the virtual host selected.
///
/// # Errors
/// Why no rule looks at it.
pub fn arrive(context: &Context<'_>, record: &mut Record) -> Result<VirtualHostId, NotRouted> {
    let snapshot = &context.view.snapshot;
    if let Some(refused) = refusal(context, record) {
        return Err(NotRouted::Refused(refused));
    }
    let normalization = snapshot.settings.path_normalization;
    if path::normalize(&mut record.request.path, normalization).is_err() {
        return Err(NotRouted::Refused(BAD_PATH));
    }
    forwarded_for::of_gateway(context, record);
    head::sanitize(context.tls.is_some(), record);
    metadata::take_from_request(context, record);
    forwarded_client_cert::apply(
        context.peer.listener,
        context.tls.and_then(|tls| tls.peer.as_ref()),
        snapshot,
        context.said,
        &mut record.request.headers,
    );
    trace::begin(context, record);
    let host = match select(context, record, snapshot) {
        Ok(host) => host,
        Err(Selected::UnknownHost | Selected::NoPort | Selected::VirtualHost(..)) => {
            return Err(NotRouted::UnknownHost);
        }
    };
    // Before anything looks at the request: rules, limits and retries see gRPC.
    if snapshot.virtual_host(host).grpc_web {
        record.grpc_web = GrpcWeb::of_request(&mut record.request);
    }
    Ok(host)
}

/// The path cannot be normalised (`policy::path`).
const BAD_PATH: Refused = Refused {
    status: 400,
    details: path::REFUSED_DETAILS,
    explain: "the path cannot be normalised",
    limit: None,
};

/// What the connection manager refuses before routing (reference: order of checks).
fn refusal(context: &Context<'_>, record: &Record) -> Option<Refused> {
    let request = &record.request;
    if request.method == Method::CONNECT {
        return context.peer.listener.is_for_others().then_some(Refused {
            status: 404,
            details: "connect_not_allowed",
            explain: "an application is no proxy, and a gateway is none: CONNECT ends here",
            limit: None,
        });
    }
    if request.path.first() != Some(&b'/') {
        return Some(Refused {
            status: 404,
            details: "absolute_path_rejected",
            explain: "the request target has no absolute path",
            limit: None,
        });
    }
    // Istio's sidecars allow one protocol to upgrade to.
    let foreign = context
        .upgrade
        .is_some_and(|token| !token.eq_ignore_ascii_case("websocket"));
    foreign.then_some(Refused {
        status: 403,
        details: "upgrade_failed",
        explain: "only `websocket` can be upgraded to",
        limit: None,
    })
}

fn select(
    context: &Context<'_>,
    record: &Record,
    snapshot: &Snapshot,
) -> Result<VirtualHostId, Selected> {
    match context.peer.listener {
        ListenerKind::Inbound(_) => {
            let at = snapshot.inbound_ports.position(context.peer);
            let host = at.and_then(|at| snapshot.inbound.get(at)).copied();
            host.ok_or(Selected::UnknownHost)
        }
        ListenerKind::Gateway(port) => {
            let server_name = context.tls.and_then(|tls| tls.sni.as_deref());
            let listener = snapshot.gateways.find(port, context.peer.local.ip());
            match listener.and_then(|listener| listener.server(server_name)) {
                Some(GatewayServer::Http(hosts)) => {
                    authority::select_in(hosts, &record.request.authority)
                        .ok_or(Selected::UnknownHost)
                }
                Some(GatewayServer::Tcp(_)) | None => Err(Selected::UnknownHost),
            }
        }
        ListenerKind::Outbound => {
            let to = context.peer.original;
            let port = to.map(|to| to.port()).filter(|port| *port > 0);
            // At a Unix socket there is no port, and it knows what it imports.
            let of_socket = to
                .filter(|to| to.port() == 0)
                .and_then(|to| snapshot.own_sockets.hosts(to.ip()));
            let hosts = of_socket.unwrap_or(&snapshot.hosts);
            match authority::select(hosts, &record.request.authority, port) {
                Selected::VirtualHost(id, _) => Ok(id),
                unknown @ (Selected::UnknownHost | Selected::NoPort) => Err(unknown),
            }
        }
    }
}

/// No service has this host: the egress policy decides (reference: unknown destinations).
fn unknown_host(
    context: &Context<'_>,
    record: &mut Record,
    response: &mut ResponseHead,
) -> Verdict {
    record.route = RouteDecision::UnknownHost;
    record.timeouts = forward::timeouts(context.peer, None, &record.request);
    if let Some(refused) = chain::stay(context, record, response) {
        return refused;
    }
    if context.peer.listener.is_for_others() {
        return reply::no_route(record, response);
    }
    match &context.view.snapshot.settings.unknown_hosts {
        UnknownHosts::AllowAny => {
            let cluster = &DestinationCluster::Passthrough;
            endpoint::attempt(context, cluster, record, response)
        }
        UnknownHosts::RegistryOnly => reply::blocked(record, response),
        UnknownHosts::EgressProxy(cluster) => endpoint::attempt(context, cluster, record, response),
    }
}

/// The cluster of a target.
#[must_use]
pub fn cluster_of<'s>(target: &Target, snapshot: &'s Snapshot) -> Option<&'s Cluster> {
    target.cluster.map(|id| snapshot.cluster(id))
}

/// The head of the response arrived: make it what the client is to see.
pub fn on_response_head(
    context: &Context<'_>,
    service_time: Option<Duration>,
    record: &mut Record,
    response: &mut ResponseHead,
    date: &[u8; 29],
) {
    metadata::on_response(context, record, response);
    head::decorate_response(service_time, record, response, date);
    hashing::set_cookies(context, record, response);
    operations::apply_to_response(context, record, response);
    head::tell_checked(record, response);
    rate_limit::tell(context, record, response);
}
