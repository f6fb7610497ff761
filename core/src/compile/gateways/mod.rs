//! Gateways that a workload carries: their servers, sorted into ports, and what conflicts.
//!
//! Istio's rules (`pilot/pkg/model/gateway.go`, `networking/core/gateway.go`): a Gateway is for workloads that have the labels of its
//! selector, whatever its namespace; servers of one port are put together where their protocols go together, and the older Gateway
//! counts where they do not. Of what a server does, `routes` settles HTTP and connections, `tls` how TLS is taken off.

mod routes;
mod tls;

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hosts::Hosts;
use super::labels::is_subset;
use super::virtual_services::{Candidate, visible};
use super::{Input, in_order};
use crate::config::address::{UNIX_PREFIX, parse_ip};
use crate::config::gateway::{Gateway, Server};
use crate::config::names;
use crate::config::protocol::Protocol;
use crate::config::server_tls::ServerTlsMode;
use crate::config::{Code, Finding};
use crate::snapshot::{
    FilterChain, GatewayListener, GatewayListeners, GatewayServer, HostTable, HttpSpoken, Listener,
    MutualTls, NamedServer, ServerTls, SocketPlace,
};

/// One server of a Gateway that the workload carries.
#[derive(Clone, Copy, Debug)]
struct Served<'a> {
    gateway: &'a Gateway,
    /// Its position in the Gateway.
    at: usize,
    server: &'a Server,
    port: u16,
    protocol: Protocol,
}

/// Where servers are that go together: a port, and where it is listened on where a server says so itself.
type At = (u16, Option<SocketPlace>);

/// Servers of Gateways whose requests are routed by one table (a route configuration of Envoy's).
#[derive(Clone, Debug)]
pub(super) struct RoutedServers {
    pub(super) port: u16,
    /// `http.80`, `http.80.BIND`, or `https.443.PORT-NAME.GATEWAY.NAMESPACE`.
    pub(super) configuration: String,
    /// `namespace/name` of each.
    pub(super) gateways: Vec<String>,
    /// The names of their ports.
    pub(super) port_names: Vec<String>,
    pub(super) table: Arc<HostTable>,
}

impl RoutedServers {
    fn new(servers: &[Served<'_>], table: Arc<HostTable>) -> Option<Self> {
        let first = servers.first()?;
        let port_name = |of: &Served<'_>| {
            let port = of.server.port.as_ref();
            port.map(|port| port.name.clone()).unwrap_or_default()
        };
        let gateway = |of: &Served<'_>| {
            let meta = &of.gateway.meta;
            format!("{}/{}", meta.namespace, meta.name)
        };
        let meta = &first.gateway.meta;
        Some(Self {
            port: first.port,
            configuration: match first.takes_tls_off() {
                false if first.server.bind.is_empty() => format!("http.{}", first.port),
                false => format!("http.{}.{}", first.port, first.server.bind),
                true => format!(
                    "https.{}.{}.{}.{}",
                    first.port,
                    port_name(first),
                    meta.name,
                    meta.namespace
                ),
            },
            gateways: servers.iter().map(gateway).collect(),
            port_names: servers.iter().map(port_name).collect(),
            table,
        })
    }
}

/// A host of a server: the namespaces that may bind to it, and the host in lower case.
struct ServerHost<'a> {
    /// `None` for all.
    namespace: Option<&'a str>,
    host: String,
}

impl<'a> Served<'a> {
    /// `namespace/name` of the Gateway, as what is bound names it: `namespace/name~listener` of a listener of the Gateway API.
    fn name(&self) -> String {
        let meta = &self.gateway.meta;
        match &self.gateway.listener {
            None => format!("{}/{}", meta.namespace, meta.name),
            Some(listener) => format!("{}/{}~{}", meta.namespace, meta.name, listener.name),
        }
    }

    /// Where it is listened on, where it says so itself.
    fn place(&self) -> Option<SocketPlace> {
        let bind = self.server.bind.as_str();
        if let Some(path) = bind.strip_prefix(UNIX_PREFIX) {
            return Some(SocketPlace::Unix(path.into()));
        }
        // All addresses are those of the command line.
        let ip = parse_ip(bind).filter(|ip| !ip.is_unspecified())?;
        Some(SocketPlace::Address(SocketAddr::new(ip, self.port)))
    }

    /// Where a field of the server stands. In the Gateway API it stands in a listener, under another name.
    fn path(&self, field: &str) -> String {
        let Some(listener) = &self.gateway.listener else {
            return format!("spec.servers[{}]{field}", self.at);
        };
        let field = match field {
            ".port.number" => ".port",
            ".port.protocol" => ".protocol",
            ".hosts" => ".hostname",
            ".tls.credentialName" | ".tls.credentialNames[1]" => ".tls.certificateRefs",
            other => other,
        };
        format!("spec.listeners[{}]{field}", listener.at)
    }

    fn tell(&self, code: Code, field: &str, message: String, help: &str) -> Finding {
        let (kind, meta) = (self.gateway.kind(), &self.gateway.meta);
        Finding::about(code, kind, meta, &self.path(field), message, help)
    }

    fn hosts(&self) -> impl Iterator<Item = ServerHost<'a>> {
        let own = self.gateway.meta.namespace.as_str();
        self.server.hosts.iter().map(move |text| {
            let (namespace, host) = match text.split_once('/') {
                None | Some(("*", _)) => (None, text.as_str()),
                Some((".", _)) => (Some(own), text.as_str()),
                Some((namespace, _)) => (Some(namespace), text.as_str()),
            };
            let host = host.split_once('/').map_or(host, |(_, host)| host);
            ServerHost {
                namespace,
                host: names::normalize(host).into_owned(),
            }
        })
    }

    /// The hosts that a VirtualService and the server have in common: of two that cover each other the narrower one.
    fn common(&self, candidate: &Candidate<'_>) -> BTreeSet<String> {
        let namespace = candidate.resource.meta.namespace.as_str();
        let mut common = BTreeSet::new();
        for of_server in self.hosts() {
            if of_server.namespace.is_some_and(|only| only != namespace) {
                continue;
            }
            for host in &candidate.hosts {
                if names::covers(&of_server.host, host) {
                    common.insert(host.clone());
                } else if names::covers(host, &of_server.host) {
                    common.insert(of_server.host.clone());
                }
            }
        }
        common
    }

    fn takes_tls_off(&self) -> bool {
        let tls = self.server.tls.as_ref().filter(|_| self.protocol.is_tls());
        tls.is_some_and(|tls| !is_passed(tls.mode))
    }

    /// Whether TLS passes it by the cluster that a sidecar asks for, of services with its hosts.
    fn passes_by_cluster(&self) -> bool {
        let tls = self.server.tls.as_ref();
        tls.is_some_and(|tls| tls.mode == ServerTlsMode::AutoPassthrough)
    }

    /// Whether requests are routed that come to it.
    fn is_http(&self) -> bool {
        self.protocol.is_http() || self.protocol == Protocol::Https && self.takes_tls_off()
    }
}

const fn is_passed(mode: ServerTlsMode) -> bool {
    matches!(
        mode,
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough
    )
}

/// What the workload listens for as a gateway, and by what requests are routed there.
pub(super) fn listeners(
    hosts: &mut Hosts<'_>,
    findings: &mut Vec<Finding>,
) -> (GatewayListeners, Vec<RoutedServers>) {
    let input = hosts.targets.input;
    if !input.workload.carries.is_gateway() {
        return (GatewayListeners::default(), Vec::new());
    }
    let ports = by_port(input, findings);
    let written = &input.resources.virtual_services;
    let of_api = &input.resources.gateway_api;
    let rules = in_order(written.iter().chain(&of_api.routes), |rule| &rule.meta);
    let candidates = visible(input, rules, |resource| {
        resource.gateways.iter().any(|g| !names::is_mesh_gateway(g))
    });
    routes::tell_unbound(&ports, &candidates, input, findings);
    let (mut listeners, mut routed) = (Vec::new(), Vec::new());
    for ((port, bind), servers) in ports {
        let routing = &mut routes::Routing {
            hosts: &mut *hosts,
            candidates: &candidates,
            port,
            bind,
        };
        let listener = match servers.first() {
            Some(first) if first.protocol.is_tls() => {
                in_tls(&servers, routing, &mut routed, findings)
            }
            Some(_) => in_clear_text(&servers, routing, &mut routed),
            None => continue,
        };
        listeners.push(listener);
    }
    (GatewayListeners::new(listeners), routed)
}

/// The servers of the Gateways that select the workload, by port, as far as they go together; what does not is told.
fn by_port<'a>(input: &Input<'a>, findings: &mut Vec<Finding>) -> BTreeMap<At, Vec<Served<'a>>> {
    let mut ports: BTreeMap<At, Vec<Served<'a>>> = BTreeMap::new();
    let written = &input.resources.gateways;
    let of_api = &input.resources.gateway_api.gateways;
    let all = in_order(written.iter().chain(of_api), |gateway| &gateway.meta);
    // Those of the Gateway API stand where their pods do.
    let is_here = |gateway: &Gateway| {
        gateway.listener.is_none() || gateway.meta.namespace == input.workload.namespace
    };
    let selects = |gateway: &&&Gateway| {
        is_here(gateway) && is_subset(&gateway.selector, &input.workload.labels)
    };
    let selected: Vec<&Gateway> = all.iter().filter(selects).copied().collect();
    if selected.is_empty() {
        findings.extend(all.iter().map(|gateway| not_selected(gateway)));
    }
    for gateway in selected {
        for (at, server) in gateway.servers.iter().enumerate() {
            let Some(served) = served(gateway, at, server) else {
                continue;
            };
            let place = served.place();
            let is_unix = matches!(place, Some(SocketPlace::Unix(_)));
            if !is_unix && !input.workload.carries.has(served.port) {
                let message = format!("nothing is listened on for port {}", served.port);
                let help = "give it an address: `--gateway PORT=ADDR`";
                findings.push(served.tell(Code::GatewayPortClosed, ".port.number", message, help));
                continue;
            }
            tell_not_in_effect(&served, findings);
            let others = ports.entry((served.port, place)).or_default();
            match conflict(&served, others) {
                None => others.push(served),
                Some((field, why)) => {
                    let help = "give it another port, or hosts of its own";
                    findings.push(served.tell(Code::GatewayConflict, field, why, help));
                }
            }
        }
    }
    ports
}

/// Whether some server that the workload carries passes the TLS of sidecars on by the clusters that they ask for
/// (`AUTO_PASSTHROUGH`).
pub(super) fn pass_by_cluster(input: &Input<'_>) -> bool {
    let passes = |server: &Server| {
        let tls = server.tls.as_ref();
        tls.is_some_and(|tls| tls.mode == ServerTlsMode::AutoPassthrough)
    };
    let mut written = input.resources.gateways.iter();
    input.workload.carries.is_gateway()
        && written.any(|gateway| {
            !gateway.meta.rejected
                && is_subset(&gateway.selector, &input.workload.labels)
                && gateway.servers.iter().any(passes)
        })
}

fn not_selected(gateway: &Gateway) -> Finding {
    let (path, message) = match &gateway.listener {
        None => (
            "spec.selector",
            "the selector has labels that this workload has not, and no other Gateway selects it",
        ),
        Some(_) => (
            "metadata.name",
            "this workload has not its name as label `gateway.networking.k8s.io/gateway-name`, or stands in another namespace",
        ),
    };
    let help = "give it the labels with `--label`, as its pod has them";
    let code = Code::GatewayNotSelected;
    Finding::about(code, gateway.kind(), &gateway.meta, path, message, help)
}

fn served<'a>(gateway: &'a Gateway, at: usize, server: &'a Server) -> Option<Served<'a>> {
    let port = server.port.as_ref()?;
    let is_unix = server.bind.starts_with(UNIX_PREFIX);
    Some(Served {
        gateway,
        at,
        server,
        port: u16::try_from(port.number)
            .ok()
            .filter(|port| *port > 0 || is_unix)?,
        protocol: Protocol::parse(&port.protocol)?,
    })
}

/// What of a server changes nothing.
fn tell_not_in_effect(served: &Served<'_>, findings: &mut Vec<Finding>) {
    if !served.server.default_endpoint.is_empty() {
        let message = "`defaultEndpoint` is not in effect in a Gateway";
        findings.push(served.tell(Code::NotInEffect, ".defaultEndpoint", message.into(), ""));
    }
}

/// What keeps a server from the port of these others.
fn conflict(served: &Served<'_>, others: &[Served<'_>]) -> Option<(&'static str, String)> {
    let first = others.first()?;
    let port = served.port;
    let (own, theirs) = (served.protocol, first.protocol);
    let goes_together = own.is_http() && theirs.is_http() || own.is_tls() && theirs.is_tls();
    if !goes_together {
        let (own, theirs) = (own.as_str(), theirs.as_str());
        let by = first.name();
        let why = format!(
            "port {port} is {theirs} by Gateway {by}, and {own} does not go with that: left out"
        );
        return Some((".port.protocol", why));
    }
    if !own.is_tls() {
        return None;
    }
    // Of servers in TLS the name tells which is meant.
    let taken = |host: &ServerHost<'_>| {
        let of = others.iter().find(|other| {
            let mut theirs = other.hosts();
            theirs.any(|theirs| theirs.host == host.host)
        });
        of.map(|other| (host.host.clone(), other.name()))
    };
    let (host, by) = served.hosts().find_map(|host| taken(&host))?;
    let why = format!("host `{host}` has a server on port {port} by Gateway {by}: left out");
    Some((".hosts", why))
}

/// One port in clear text: HTTP of all its servers, or connections to the first.
fn in_clear_text(
    servers: &[Served<'_>],
    routing: &mut routes::Routing<'_, '_>,
    routed: &mut Vec<RoutedServers>,
) -> GatewayListener {
    let server = match servers {
        [first, ..] if !first.protocol.is_http() => GatewayServer::Tcp(routing.tcp(first)),
        all => {
            let table = Arc::new(routing.http(all));
            routed.extend(RoutedServers::new(all, Arc::clone(&table)));
            GatewayServer::Http(table)
        }
    };
    GatewayListener {
        port: routing.port,
        bind: routing.bind.clone(),
        tls: None,
        servers: Box::new([server]),
        passed: Listener::default(),
    }
}

/// One port in TLS.
fn in_tls(
    servers: &[Served<'_>],
    routing: &mut routes::Routing<'_, '_>,
    routed: &mut Vec<RoutedServers>,
    findings: &mut Vec<Finding>,
) -> GatewayListener {
    let input = routing.hosts.targets.input;
    let (mut named, mut behind) = (Vec::new(), Vec::new());
    let mut chains: Vec<FilterChain> = Vec::new();
    for served in servers {
        let termination = match served.takes_tls_off() {
            false => {
                chains.extend(routing.passed(served));
                behind.push(GatewayServer::Tcp(None));
                None
            }
            true => {
                let Some(termination) = tls::termination(served, input, findings) else {
                    continue;
                };
                behind.push(match served.is_http() {
                    true => {
                        let one = core::slice::from_ref(served);
                        let table = Arc::new(routing.http(one));
                        routed.extend(RoutedServers::new(one, Arc::clone(&table)));
                        GatewayServer::Http(table)
                    }
                    false => GatewayServer::Tcp(routing.tcp(served)),
                });
                Some(termination)
            }
        };
        let names = match served.passes_by_cluster() {
            false => served.hosts().map(|host| host.host.into()).collect(),
            true => routes::passed_clusters(served, routing.hosts.targets.clusters)
                .map(|(cluster, _)| cluster.name.clone())
                .collect(),
        };
        named.push(NamedServer { names, termination });
    }
    let name = match &routing.bind {
        None => format!("0.0.0.0_{}", routing.port).into(),
        Some(SocketPlace::Address(at)) => format!("{}_{}", at.ip(), at.port()).into(),
        Some(unix @ SocketPlace::Unix(_)) => unix.to_string().into(),
    };
    GatewayListener {
        port: routing.port,
        bind: routing.bind.clone(),
        tls: Some(Arc::new(ServerTls {
            mode: MutualTls::ByName,
            parameters: input.mesh.tls_defaults.clone(),
            trust_domains: input.mesh.trust_domains().map(Into::into).collect(),
            port: routing.port,
            servers: named.into(),
        })),
        servers: behind.into(),
        passed: Listener::new(name, HttpSpoken::Never, chains),
    }
}

#[cfg(test)]
mod tests;
