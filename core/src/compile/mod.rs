//! Resources to snapshot: everything that can be settled before a request comes.
//!
//! Names are resolved, competing resources are put in order, delegates stand in place, policies are merged, endpoints
//! are sorted into subsets. Nothing here judges the user's files (`config` does) and nothing decides about a request
//! (`policy` does). The parts, in the order they run: `services`, `scope`, `virtual_services`, `clusters` (with
//! `endpoints` and `destination_rules`), `hosts` (with `delegation`, `rules`, `conditions`, `actions`), `filter_chains` (with
//! `connection_rules`, `own_sockets`), `gateways`, `rate_limits`.

mod access_logs;
mod actions;
mod alike;
mod api_routes;
mod applications;
mod authorization;
mod auto_addresses;
mod carried;
mod clear_text;
mod client_tls;
mod clusters;
mod conditions;
mod connection_pool;
mod connection_rules;
mod delegation;
mod destination_rules;
mod endpoints;
mod filter_chains;
mod gateways;
mod hashing;
mod header_ops;
mod hosts;
mod identity_demands;
mod inbound;
mod labels;
mod locality;
mod locality_setting;
mod membership;
mod metrics;
mod missing_secrets;
mod names;
mod outlier;
mod own_sockets;
mod peer_authentication;
mod peers;
mod placement;
mod pod_annotations;
mod policy_origins;
mod rate_limits;
mod request_authentication;
mod resilience;
mod resources;
mod retries;
mod rules;
mod scope;
mod service_names;
mod services;
mod side;
mod telemetry;
mod tracing;
pub mod traffic_policy;
mod upstream_protocol;
mod virtual_services;
mod visibility;

pub use alike::reduced;
pub use carried::{Carried, CarriedPorts};
pub use identity_demands::identity_demands;
pub use labels::is_subset;
pub use missing_secrets::missing_secrets;
pub use names::{Answers, JwksAnswers, NameAnswers, Uses};
pub use tracing::{CollectorFlag, TraceFlags};
pub use visibility::is_visible;

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cluster::Registry;
use crate::config::destination_rule::DestinationRule;
use crate::config::envoy_filter::EnvoyFilter;
use crate::config::kubernetes::{EndpointSlice, Node, Pod, Service};
use crate::config::mesh::MeshConfig;
use crate::config::meta::Meta;
use crate::config::protocol::Protocol;
use crate::config::service_entry::ServiceEntry;
use crate::config::sidecar::{OutboundMode, Sidecar};
use crate::config::virtual_service::{Destination, VirtualService};
use crate::config::workload_entry::WorkloadEntry;
use crate::config::{Finding, Resources};
use crate::config::{Source, load};
use crate::peer::Identity;
use crate::snapshot::{OwnMetadata, Settings, Snapshot, UnknownHosts};

/// The workload that a sidecar stands beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Who it is in the mesh (a SPIFFE ID); `None` where it has no certificate that says so, and cannot speak TLS of the mesh.
    pub spiffe_id: Option<Box<str>>,
    /// How its requests are traced, as far as the command line says.
    pub trace: TraceFlags,
    /// What of Gateways it carries. A recording holds it apart.
    #[serde(skip)]
    pub carries: Box<Carried>,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            namespace: "default".into(),
            labels: BTreeMap::new(),
            spiffe_id: None,
            trace: TraceFlags::default(),
            carries: Box::default(),
        }
    }
}

impl Workload {
    /// What it is called.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::of("", &self.namespace, &self.labels)
    }
}

/// A listener for what goes to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the application listens; with port 0 it is where the kernel brought a connection from, port by port.
    pub application: SocketAddr,
}

impl Inbound {
    /// Whether it is for whatever the kernel brings, and for nothing else (Istio's virtual inbound listener).
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        self.application.port() == 0
    }
}

/// What came of compiling.
#[derive(Debug)]
pub struct Compiled {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What could not be put to work although nothing is wrong with the resources themselves.
    pub findings: Vec<Finding>,
    /// The names that endpoints are at, in lower case, whether there was an answer for them or not.
    pub names: BTreeMap<Box<str>, Uses>,
}

/// Compiles resources for one workload. Rejected resources are left out. `answers` is what names resolve to; `previous` is
/// the revision of the snapshot before, 0 if there was none; endpoints that are still there keep their state in `registry`.
#[must_use]
pub fn compile(
    resources: &Resources,
    workload: &Workload,
    mesh: &MeshConfig,
    inbound: &[Inbound],
    answers: &Answers,
    registry: &mut Registry,
    previous: u64,
) -> Compiled {
    let input = Input {
        resources,
        workload,
        mesh,
    };
    let mut scope = scope::Scope::new(&input);
    let imports = |namespace: &str, host: &str| scope.imports(namespace, host);
    let imports: &services::Imports<'_> = &imports;
    let imports = (!scope.has_everything()).then_some(imports);
    let mut services = services::Services::new(&input, imports);
    auto_addresses::allocate(&mut services, mesh, registry);
    let candidates = virtual_services::candidates(&input);
    let by_listener: Vec<_> = scope
        .listeners
        .iter()
        .map(|listener| virtual_services::ByHost::new(&candidates, listener))
        .collect();
    hosts::import_destinations(&mut scope, &candidates, &by_listener, &input, &services);
    let workloads = endpoints::Workloads::new(&input);
    let source = peers::source(&input, &services, &workloads);
    let peer_policies = peer_authentication::PeerPolicies::new(&input);
    let around = clusters::Surroundings {
        input: &input,
        workloads: &workloads,
        source: &source,
        peers: &peer_policies,
        passes: gateways::pass_by_cluster(&input),
    };
    let mut lookup = names::Lookup::new(&answers.names);
    let mut resources_of = resources::ResourceTable::default();
    let mut making = clusters::Making {
        lookup: &mut lookup,
        registry: &mut *registry,
        resources: &mut resources_of,
    };
    let own_policies = peer_policies.of(&workload.namespace, &workload.labels);
    let applications = applications::applications(
        inbound,
        &input,
        &scope,
        &services,
        own_policies.named_ports(),
    );
    let clusters = clusters::Clusters::new(&around, &services, &scope, &applications, &mut making);
    let targets = actions::Targets {
        input: &input,
        services: &services,
        clusters: &clusters,
        side: side::Side::Mesh,
    };
    let mut hosts = hosts::Hosts::new(targets, &scope, &candidates, &by_listener, resources_of);
    let table = hosts.outbound();
    let mut findings = Vec::new();
    let mut own = own_sockets::Own::new(&mut hosts, &table, &mut findings);
    let own_listeners = core::mem::take(&mut own.listeners);
    let outbound = filter_chains::outbound(&mut hosts, &table, own_listeners, &mut findings);
    let names = service_names::service_names(&hosts);
    let inbound_tls =
        peer_authentication::listeners(&input, &peer_policies, &applications, &mut findings);
    let inbound_ports = applications::by_port(inbound, &applications);
    let mut inbound_listeners = Vec::with_capacity(applications.len());
    let inbound: Vec<_> = applications
        .iter()
        .enumerate()
        .map(|(at, application)| {
            let rules = rules::default_rules(
                clusters.by_name(inbound::cluster_name(&applications, at)),
                Some(resilience::inbound_default()),
            );
            let port = application.port();
            let name = format!("inbound|http|{port}");
            let said = inbound::said_protocol(&input, &services, application);
            let protocol = said.unwrap_or(Protocol::Sniff);
            let virtual_host = hosts.add_virtual_host(name, protocol, rules);
            inbound_listeners.push(filter_chains::inbound(said, port, virtual_host));
            (virtual_host, port)
        })
        .collect();
    let (gateways, routed) = gateways::listeners(&mut hosts, &mut findings);
    let settings = settings(targets, &scope);
    let (mut virtual_hosts, mut resources) = (hosts.virtual_hosts, hosts.resources);
    let limits = rate_limits::attach(
        (&input, &clusters),
        rate_limits::Places {
            table: &table,
            sockets: &own.hosts,
            inbound: &inbound,
            gateways: &routed,
        },
        &mut virtual_hosts,
        &mut resources,
        registry,
    );
    findings.extend(limits.findings);
    for candidate in &candidates {
        delegation::tell_too_large(candidate.resource, &input, &mut findings);
    }
    for rule in input.destination_rules() {
        locality_setting::tell_unknown_places(rule, &source, &mut findings);
    }
    findings.extend(clear_text::unknowable(&input, &peer_policies));
    pod_annotations::tell(&input, &mut findings);
    let telemetries = telemetry::applicable(&input, &mut findings);
    let access_logs = access_logs::access_logs(&telemetries, mesh, &mut findings);
    let metrics = metrics::metrics(&telemetries, mesh, &mut findings);
    let tracing = tracing::tracing(&input, &telemetries, &clusters, &mut findings);
    let inbound_tls_origins =
        peer_authentication::origins(workload, &peer_policies, &applications, &mut resources);
    let request_authentication = request_authentication::request_authentication(
        &input,
        &answers.keys,
        &mut resources,
        registry,
    );
    let authorization = authorization::authorization(
        &input,
        &applications,
        &clusters,
        &mut resources,
        &mut findings,
    );
    registry.sweep();
    Compiled {
        snapshot: Snapshot {
            revision: previous + 1,
            hosts: table.into(),
            virtual_hosts: virtual_hosts.into(),
            resources: resources.list.into(),
            inbound: inbound.into_iter().map(|(id, _)| id).collect(),
            inbound_listeners: inbound_listeners.into(),
            inbound_ports: Arc::new(inbound_ports),
            listeners: Arc::new(outbound),
            own_sockets: Arc::new(own.sockets()),
            names: Arc::new(names),
            inbound_tls,
            inbound_tls_origins,
            gateways: Arc::new(gateways),
            settings,
            clusters: Arc::new(clusters.list.into()),
            rate_limits: limits.list.into(),
            global_rate_limits: limits.global.into(),
            unknown_host_limits: limits.unknown_hosts.into(),
            unknown_host_limits_at_gateways: limits.unknown_at_gateways.into(),
            access_logs: Arc::new(access_logs),
            metrics: Arc::new(metrics),
            request_authentication,
            authorization: Arc::new(authorization),
            tracing,
            peer_metadata: OwnMetadata::of(&workload.identity()).map(Arc::new),
        },
        findings,
        names: lookup.asked,
    }
}

/// Loads and compiles one text, for a workload without labels in the namespace `default` of a mesh with default
/// settings, where no name has an answer. For simulations and tests; a program reads files and has settings of its own.
#[must_use]
pub fn from_yaml(text: &str) -> Compiled {
    let source = Source {
        name: "config.yaml",
        bytes: text.as_bytes(),
    };
    let workload = Workload::default();
    let loaded = load(&[source], &workload.namespace);
    let mesh = MeshConfig::default();
    let registry = &mut Registry::default();
    let compiled = compile(
        &loaded.resources,
        &workload,
        &mesh,
        &[],
        &Answers::new(),
        registry,
        0,
    );
    let mut findings = loaded.findings;
    findings.extend(compiled.findings);
    Compiled {
        findings,
        ..compiled
    }
}

fn settings(targets: actions::Targets<'_>, scope: &scope::Scope<'_>) -> Settings {
    let mesh = targets.input.mesh;
    let policy = scope
        .outbound_traffic_policy
        .or(mesh.outbound_traffic_policy.as_ref());
    let unknown_hosts = match policy {
        None => UnknownHosts::AllowAny,
        Some(policy) => match (&policy.egress_proxy, policy.mode) {
            (Some(proxy), _) => {
                let destination = Destination {
                    host: proxy.host.clone(),
                    subset: proxy.subset.clone(),
                    port: proxy.port,
                };
                let namespace = &targets.input.workload.namespace;
                UnknownHosts::EgressProxy(targets.cluster(&destination, namespace, 80))
            }
            (None, OutboundMode::AllowAny) => UnknownHosts::AllowAny,
            (None, OutboundMode::RegistryOnly) => UnknownHosts::RegistryOnly,
        },
    };
    Settings {
        path_normalization: mesh.path_normalization,
        unknown_hosts,
        connect_timeout: mesh.connect_timeout,
        keepalive: connection_pool::keepalive(None, mesh),
        protocol_detection_timeout: mesh.protocol_detection_timeout,
        spiffe_id: targets.input.workload.spiffe_id.clone(),
        client_certs: mesh.default_config.client_certs,
        trusted_hops: (targets.input.workload.carries.trusted_hops)
            .unwrap_or(mesh.default_config.topology.trusted_proxies),
        proxy_protocol: mesh.default_config.topology.proxy_protocol,
    }
}

/// What all parts of the compiler read.
#[derive(Clone, Copy, Debug)]
struct Input<'a> {
    resources: &'a Resources,
    workload: &'a Workload,
    mesh: &'a MeshConfig,
}

impl<'a> Input<'a> {
    fn virtual_services(&self) -> Vec<&'a VirtualService> {
        in_order(&self.resources.virtual_services, |r| &r.meta)
    }

    fn destination_rules(&self) -> Vec<&'a DestinationRule> {
        in_order(&self.resources.destination_rules, |r| &r.meta)
    }

    fn envoy_filters(&self) -> Vec<&'a EnvoyFilter> {
        in_order(&self.resources.envoy_filters, |r| &r.meta)
    }

    fn service_entries(&self) -> Vec<&'a ServiceEntry> {
        in_order(&self.resources.service_entries, |r| &r.meta)
    }

    fn workload_entries(&self) -> Vec<&'a WorkloadEntry> {
        in_order(&self.resources.workload_entries, |r| &r.meta)
    }

    fn sidecars(&self) -> Vec<&'a Sidecar> {
        in_order(&self.resources.sidecars, |r| &r.meta)
    }

    fn services(&self) -> Vec<&'a Service> {
        in_order(&self.resources.services, |r| &r.meta)
    }

    fn endpoint_slices(&self) -> Vec<&'a EndpointSlice> {
        in_order(self.resources.slices(), |r| &r.meta)
    }

    fn pods(&self) -> Vec<&'a Pod> {
        in_order(&self.resources.pods, |r| &r.meta)
    }

    fn nodes(&self) -> Vec<&'a Node> {
        in_order(&self.resources.nodes, |r| &r.meta)
    }

    /// Whether the client's namespace sees a service that is exported to these namespaces.
    fn sees_service(&self, export_to: &[String], owner: &str) -> bool {
        let default = &self.mesh.default_service_export_to;
        is_visible(export_to, default, owner, &self.workload.namespace)
    }
}

/// The resources that may be put to work, in Istio's order of precedence: the oldest first, then by name and namespace.
fn in_order<'a, T>(
    list: impl IntoIterator<Item = &'a T>,
    meta: impl Fn(&T) -> &Meta,
) -> Vec<&'a T> {
    let usable = list.into_iter().filter(|r| !meta(r).rejected);
    let mut usable: Vec<&T> = usable.collect();
    usable.sort_by(|a, b| {
        let (a, b) = (meta(a), meta(b));
        (&a.created, &a.name, &a.namespace).cmp(&(&b.created, &b.name, &b.namespace))
    });
    usable
}

#[cfg(test)]
mod tests;
