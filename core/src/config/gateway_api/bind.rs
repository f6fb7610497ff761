//! What Gateways, routes and grants of the API come to together.

use std::collections::BTreeSet;

use super::attach::Bound;
use super::class::Owner;
use super::listener::{ApiGateway, Certificate, Listener, ListenerTls};
use super::route::Route;
use super::rules::Rule;
use super::{GatewayApi, Pieces};
use crate::config::code::Code;
use crate::config::finding::Finding;
use crate::config::gateway::{ApiListener, Gateway, Server};
use crate::config::kubernetes::Service;
use crate::config::server_tls::{ServerTls, ServerTlsMode};
use crate::config::service_entry::ServicePort;
use crate::config::virtual_service::{
    ApiKind, Destination, HttpMatchRequest, HttpMirrorPolicy, HttpRoute, HttpRouteDestination,
    L4Match, RouteDestination, TcpRoute, TlsMatch, TlsRoute, VirtualService,
};

/// The label by which pods are known that carry a Gateway.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// Puts together what was read. `services` are those of Kubernetes.
pub(in crate::config) fn bind(pieces: &Pieces, services: &[Service]) -> (GatewayApi, Vec<Finding>) {
    let (mut all, mut findings) = (GatewayApi::default(), Vec::new());
    for gateway in pieces.gateways.iter().filter(|read| !read.meta.rejected) {
        // A class that was not read may be ours.
        if let Owner::Foreign(controller) = pieces.owner(&gateway.class) {
            let class = &gateway.class;
            let message =
                format!("GatewayClass `{class}` is for `{controller}`: it is not carried");
            let (path, help) = ("spec.gatewayClassName", "use a class of Istio's");
            let code = Code::GatewayNotSelected;
            findings.push(Finding::about(
                code,
                Gateway::OF_API,
                &gateway.meta,
                path,
                message,
                help,
            ));
            continue;
        }
        let mut taken = BTreeSet::new();
        for listener in &gateway.listeners {
            if taken.insert((
                listener.port,
                listener.protocol.as_str(),
                &listener.hostname,
            )) {
                let made = carried(pieces, gateway, listener, &mut findings);
                all.gateways.extend(made);
            } else {
                let message = "another listener has the same port, protocol and hostname: left out";
                let help = "give it a port or hostname of its own";
                let code = Code::GatewayConflict;
                findings.push(about_listener(gateway, listener, code, message, help));
            }
        }
    }
    for route in &pieces.routes {
        if route.meta.rejected {
            all.statuses.push(pieces.rejected(route));
        } else {
            routed(pieces, route, services, &mut all, &mut findings);
        }
    }
    (all, findings)
}

fn about_listener(
    gateway: &ApiGateway,
    listener: &Listener,
    code: Code,
    message: impl Into<String>,
    help: &str,
) -> Finding {
    let path = format!("spec.listeners[{}]", listener.at);
    Finding::about(code, Gateway::OF_API, &gateway.meta, &path, message, help)
}

/// The Gateway of a listener.
fn carried(
    pieces: &Pieces,
    gateway: &ApiGateway,
    listener: &Listener,
    findings: &mut Vec<Finding>,
) -> Option<Gateway> {
    let tls = match &listener.tls {
        None => None,
        Some(ListenerTls::Passthrough) => Some(ServerTls::default()),
        Some(ListenerTls::Terminate(mode, certificates)) => {
            let own = ("Gateway", gateway.meta.namespace.as_str());
            let is_granted = |c: &&Certificate| {
                pieces.is_granted(own, ("Secret", c.namespace.as_str(), c.name.as_str()))
            };
            if let Some(Certificate { namespace, name }) =
                certificates.iter().find(|c| !is_granted(c))
            {
                let message = format!(
                    "no ReferenceGrant of `{namespace}` lets the Gateway name Secret `{name}`: the listener is left out"
                );
                let help = "add a ReferenceGrant to the namespace of the secret";
                let code = Code::NotGranted;
                findings.push(about_listener(gateway, listener, code, message, help));
                return None;
            }
            Some(terminated(*mode, certificates))
        }
    };
    Some(Gateway {
        meta: gateway.meta.clone(),
        selector: [(GATEWAY_NAME.to_owned(), gateway.meta.name.clone())].into(),
        listener: Some(ApiListener {
            name: listener.name.clone(),
            at: listener.at,
        }),
        servers: vec![Server {
            name: listener.name.clone(),
            port: Some(ServicePort {
                number: listener.port,
                name: listener.name.clone(),
                protocol: listener.protocol.as_str().to_owned(),
                target_port: None,
            }),
            hosts: vec![listener.hostname.clone()],
            tls,
            ..Server::default()
        }],
    })
}

fn terminated(mode: ServerTlsMode, certificates: &[Certificate]) -> ServerTls {
    let secret = |c: &Certificate| format!("kubernetes-gateway://{}/{}", c.namespace, c.name);
    let mut names: Vec<String> = certificates.iter().map(secret).collect();
    let is_mesh = mode == ServerTlsMode::IstioMutual;
    ServerTls {
        mode,
        credential_name: match (names.len(), is_mesh) {
            (1, false) => names.remove(0),
            _ => String::new(),
        },
        credential_names: if is_mesh { Vec::new() } else { names },
        ..ServerTls::default()
    }
}

/// The VirtualServices of a route: one for all listeners that it is bound to, and one for each host of the mesh.
fn routed(
    pieces: &Pieces,
    route: &Route,
    services: &[Service],
    all: &mut GatewayApi,
    findings: &mut Vec<Finding>,
) {
    let attached = pieces.attach(route, services, findings);
    let mut of_backends = Vec::new();
    let of_rule = |rule| Sending::new(pieces, (route, rule), services, &mut of_backends);
    let sendings: Vec<Sending<'_>> = route.rules.iter().map(of_rule).collect();
    let status = pieces.status(route, &attached, &of_backends);
    all.statuses.push(status);
    let taken = attached.into_iter().filter_map(|(_, found)| found.ok());
    let bound: Vec<Bound> = taken.flatten().collect();
    // Nobody sends where a route leads that nobody took.
    if bound.is_empty() {
        return;
    }
    findings.extend(of_backends);
    let made = &mut all.routes;
    let listeners: Vec<String> = bound
        .iter()
        .filter_map(|to| match to {
            Bound::Listener(name) => Some(name.clone()),
            Bound::Host { .. } => None,
        })
        .collect();
    // Without gateways it would be one for sidecars.
    if !listeners.is_empty() {
        let hosts = match route.hostnames.is_empty() {
            true => vec!["*".to_owned()],
            false => route.hostnames.clone(),
        };
        made.push(VirtualService {
            gateways: listeners,
            export_to: vec!["*".to_owned()],
            ..virtual_service(route, &sendings, hosts, None)
        });
    }
    for to in bound {
        if let Bound::Host { host, only, port } = to {
            made.push(VirtualService {
                export_to: vec![only.unwrap_or_else(|| "*".to_owned())],
                ..virtual_service(route, &sendings, vec![host], port)
            });
        }
    }
}

/// A rule with the places that it sends to.
struct Sending<'r> {
    rule: &'r Rule,
    destinations: Vec<HttpRouteDestination>,
    mirrors: Vec<HttpMirrorPolicy>,
}

impl<'r> Sending<'r> {
    fn new(
        pieces: &Pieces,
        (route, rule): (&Route, &'r Rule),
        services: &[Service],
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut resolve = |backend| -> Destination {
            pieces.destination((route.kind, &route.meta), backend, services, findings)
        };
        let destinations = rule.backends.iter().map(|backend| HttpRouteDestination {
            destination: resolve(backend),
            weight: backend.weight,
            headers: backend.headers.clone().filter(|of| *of != <_>::default()),
        });
        let destinations = destinations.collect();
        let mirrors = rule.filters.mirrors.iter();
        let mirrors = mirrors.map(|(backend, share)| HttpMirrorPolicy {
            destination: resolve(backend),
            percentage: Some(*share),
        });
        Self {
            rule,
            destinations,
            mirrors: mirrors.collect(),
        }
    }

    /// Its destinations as those of connections.
    fn connections(&self) -> Vec<RouteDestination> {
        let destinations = self.destinations.iter();
        destinations
            .map(|to| RouteDestination {
                destination: to.destination.clone(),
                weight: to.weight,
            })
            .collect()
    }
}

fn virtual_service(
    route: &Route,
    sendings: &[Sending<'_>],
    hosts: Vec<String>,
    port: Option<u32>,
) -> VirtualService {
    let mut made = VirtualService {
        meta: route.meta.clone(),
        api: Some(route.kind),
        ..VirtualService::default()
    };
    let connection = L4Match {
        port: port.unwrap_or_default(),
        ..L4Match::default()
    };
    for sending in sendings {
        match route.kind {
            ApiKind::Http | ApiKind::Grpc => {
                let routes = sending.rule.routes(&sending.destinations, &sending.mirrors);
                made.http.extend(routes.map(|route| on_port(route, port)));
            }
            // Where TLS is taken off it is a connection like any other.
            ApiKind::Tls | ApiKind::Tcp => {
                let to = sending.connections();
                if route.kind == ApiKind::Tls {
                    made.tls.push(TlsRoute {
                        matches: vec![TlsMatch {
                            sni_hosts: match route.hostnames.is_empty() {
                                true => hosts.clone(),
                                false => route.hostnames.clone(),
                            },
                            connection: connection.clone(),
                        }],
                        route: to.clone(),
                    });
                }
                made.tcp.push(TcpRoute {
                    matches: vec![connection.clone()],
                    route: to,
                });
            }
        }
    }
    made.hosts = hosts;
    made
}

/// The same for one port alone.
fn on_port(mut route: HttpRoute, port: Option<u32>) -> HttpRoute {
    if let Some(port) = port {
        if route.matches.is_empty() {
            route.matches.push(HttpMatchRequest::default());
        }
        for entry in &mut route.matches {
            entry.port = port;
        }
    }
    route
}
