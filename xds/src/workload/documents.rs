//! A service of the workload API, with what runs behind it, as the ServiceEntries that would say the same.
//!
//! Owns what becomes of each field. What a ServiceEntry cannot say is named in [`Trouble`]s; whether its values are any good is found by
//! whoever reads it, as of one that somebody has written.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::messages::{
    AppProtocol, Families, Health, HealthPolicy, LoadBalancing, Mode, Port, Scope, Service, Tunnel,
    Visibility, Workload,
};
use crate::kinds::Kind;

/// The account of an identity that names none.
const DEFAULT: &str = "default";

/// How far endpoints prefer each other, as Kubernetes says it.
const DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";

/// Where the client is, and who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Its network; empty is that of the mesh.
    pub network: String,
    /// The trust domain of its mesh; empty is the one that workloads do not name.
    pub trust_domain: String,
}

/// Something that no document says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Workloads are endpoints of a service that nobody has told of.
    NoService(String),
    /// Workloads of a service are of another network, to which only a gateway leads.
    ElsewhereOnly(String),
    /// Workloads of a service are to be reached through tunnels of HTTP.
    Tunnel(String),
    /// A service wants nothing but endpoints that are like their client.
    Strict(String),
    /// A workload of a service has neither an address nor a name.
    NoAddress(String),
}

impl Trouble {
    /// What it is about, `namespace/hostname`.
    #[must_use]
    pub fn service(&self) -> &str {
        match self {
            Self::NoService(service)
            | Self::ElsewhereOnly(service)
            | Self::Tunnel(service)
            | Self::Strict(service)
            | Self::NoAddress(service) => service,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService(service) => write!(
                f,
                "workloads are endpoints of `{service}`, and there is no such service: nobody is sent to them by it"
            ),
            Self::ElsewhereOnly(service) => write!(
                f,
                "workloads of `{service}` are of another network, and gateways between networks are not used: they are left out"
            ),
            Self::Tunnel(service) => write!(
                f,
                "workloads of `{service}` take tunnels of HTTP (HBONE), which is not spoken: they are reached without one"
            ),
            Self::Strict(service) => write!(
                f,
                "`{service}` is to be served by endpoints near its client alone, and is served by all"
            ),
            Self::NoAddress(service) => write!(
                f,
                "a workload of `{service}` has neither an address nor a name: it is left out"
            ),
        }
    }
}

/// The kind of object that comes of it.
#[must_use]
pub fn kind() -> &'static Kind {
    Kind::named("networking.istio.io/v1", "ServiceEntry")
        .expect("it is one of the kinds that travel")
}

/// The ServiceEntries of a service, by their names: one, or one for each set of endpoints that not all ports have.
pub(super) fn documents<'a>(
    key: &str,
    service: &Service,
    workloads: impl Iterator<Item = &'a Workload>,
    around: &Around,
    troubles: &mut Vec<Trouble>,
) -> Vec<(String, Value)> {
    let lb = service.load_balancing.clone().unwrap_or_default();
    let is_passed = lb.mode() == Mode::Passthrough;
    if lb.mode() == Mode::Strict {
        troubles.push(Trouble::Strict(key.to_owned()));
    }
    let mut endpoints = Vec::new();
    for workload in workloads.filter(|_| !is_passed) {
        let is_ready =
            workload.status() == Health::Healthy || lb.health_policy() == HealthPolicy::AllowAll;
        if is_ready && let Some(endpoint) = Endpoint::new(key, service, workload, around, troubles)
        {
            endpoints.push(endpoint);
        }
    }
    let by_name = endpoints.iter().any(|endpoint| endpoint.is_name);
    let resolution = match (is_passed, by_name) {
        (true, _) => "NONE",
        (false, true) => "DNS",
        (false, false) => "STATIC",
    };
    // Ports with the same endpoints stand together, in the order of their numbers.
    let mut groups: Vec<(Vec<usize>, Vec<Port>)> = Vec::new();
    let mut ports: Vec<Port> = service.ports.clone();
    ports.sort_by_key(|port| port.service_port);
    ports.dedup_by_key(|port| port.service_port);
    ports.retain(|port| is_port(port.service_port));
    for port in ports {
        let serve = endpoints.iter().enumerate();
        let serve = serve.filter(|(_, endpoint)| endpoint.target(port).is_some());
        let serve: Vec<usize> = serve.map(|(at, _)| at).collect();
        match groups.iter_mut().find(|(of, _)| *of == serve) {
            Some((_, ports)) => ports.push(port),
            None => groups.push((serve, vec![port])),
        }
    }
    let names = sans(service, &endpoints);
    // Without endpoints the name itself would be looked up.
    groups.retain(|(serve, _)| !by_name || !serve.is_empty());
    let documents = groups.iter().enumerate().map(|(at, (serve, ports))| {
        // No name that somebody could have given to an object.
        let name = format!("{}~{}", service.hostname, at + 1);
        let endpoints = serve.iter().map(|at| endpoints[*at].written(ports)).collect();
        let spec = spec(service, ports, resolution, endpoints, &names);
        let document = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": name, "namespace": service.namespace, "annotations": annotations(&lb)},
            "spec": spec,
        });
        (name, document)
    });
    documents.collect()
}

fn spec(
    service: &Service,
    ports: &[Port],
    resolution: &str,
    endpoints: Vec<Value>,
    names: &[String],
) -> Value {
    let ports: Vec<Value> = ports.iter().map(|port| written_port(*port)).collect();
    let mut spec = json!({
        "hosts": [service.hostname], "location": "MESH_INTERNAL", "resolution": resolution, "ports": ports,
    });
    let addresses: Vec<String> = service
        .addresses
        .iter()
        .filter_map(|address| {
            let ip = ip(&address.address)?;
            // Names that are looked up go with single addresses alone.
            let block = address.length.filter(|_| resolution != "DNS");
            Some(block.map_or_else(|| ip.to_string(), |length| format!("{ip}/{length}")))
        })
        .collect();
    let visibility = match service.visibility() {
        Visibility::Public => Vec::new(),
        Visibility::Namespace => vec!["."],
    };
    put(&mut spec, "addresses", addresses.into());
    put(&mut spec, "endpoints", endpoints.into());
    put(&mut spec, "subjectAltNames", names.into());
    put(&mut spec, "exportTo", visibility.into());
    spec
}

/// Only what says something is written.
fn put(spec: &mut Value, field: &str, list: Value) {
    if list.as_array().is_some_and(|list| !list.is_empty()) {
        spec[field] = list;
    }
}

fn is_port(number: u32) -> bool {
    u16::try_from(number).is_ok_and(|number| number > 0)
}

/// The name of a port, which is the same wherever it stands.
fn port_name(port: Port) -> String {
    format!("port-{}", port.service_port)
}

fn written_port(port: Port) -> Value {
    let protocol = match port.app_protocol() {
        // It is found out.
        AppProtocol::Unknown => "",
        AppProtocol::Http11 => "HTTP",
        AppProtocol::Http2 => "HTTP2",
        AppProtocol::Grpc => "GRPC",
        AppProtocol::Tcp => "TCP",
        AppProtocol::Tls => "TLS",
    };
    let mut written = json!({"number": port.service_port, "name": port_name(port)});
    if !protocol.is_empty() {
        written["protocol"] = protocol.into();
    }
    if is_port(port.target_port) && port.target_port != port.service_port {
        written["targetPort"] = port.target_port.into();
    }
    written
}

/// How endpoints are to be preferred, as far as an annotation says it.
fn annotations(lb: &LoadBalancing) -> Map<String, Value> {
    let prefers = |scope| lb.routing_preference().any(|preferred| preferred == scope);
    let distribution = match lb.mode() {
        Mode::Failover if prefers(Scope::Node) => Some("PreferSameNode"),
        Mode::Failover if prefers(Scope::Region) || prefers(Scope::Zone) => Some("PreferSameZone"),
        Mode::Failover | Mode::Strict | Mode::Unspecified | Mode::Passthrough => None,
    };
    let entry = distribution.map(|text| (DISTRIBUTION.to_owned(), text.into()));
    entry.into_iter().collect()
}

/// Names that servers may have: those that the service says, and identities that no account stands for.
fn sans(service: &Service, endpoints: &[Endpoint<'_>]) -> Vec<String> {
    let mut names = service.subject_alt_names.clone();
    names.extend(
        endpoints
            .iter()
            .filter_map(|endpoint| endpoint.foreign.clone()),
    );
    names.sort();
    names.dedup();
    names
}

/// An address of 4 or 16 bytes.
pub(super) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(bytes.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// A workload as an endpoint of a service.
struct Endpoint<'a> {
    workload: &'a Workload,
    address: String,
    is_name: bool,
    /// Its own ports, by those of the service.
    ports: BTreeMap<u32, u32>,
    /// Its identity, where that is not one of the service's namespace and mesh.
    foreign: Option<String>,
}

impl<'a> Endpoint<'a> {
    fn new(
        key: &str,
        service: &Service,
        workload: &'a Workload,
        around: &Around,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Self> {
        // One that can take nothing.
        if workload
            .capacity
            .is_some_and(|capacity| capacity.value == 0)
        {
            return None;
        }
        let is_here = workload.network.is_empty() || workload.network == around.network;
        if !is_here && workload.network_gateway.is_some() {
            troubles.push(Trouble::ElsewhereOnly(key.to_owned()));
            return None;
        }
        let addresses = workload.addresses.iter().filter_map(|bytes| ip(bytes));
        let mut fits = addresses.filter(|ip| match service.ip_families() {
            Families::V4 => ip.is_ipv4(),
            Families::V6 => ip.is_ipv6(),
            Families::Automatic | Families::Dual => true,
        });
        // One for a workload: what has two addresses takes no more than what has one.
        let (address, is_name) = match fits.next() {
            Some(ip) => (ip.to_string(), false),
            None if !workload.hostname.is_empty() => (workload.hostname.clone(), true),
            None => {
                troubles.push(Trouble::NoAddress(key.to_owned()));
                return None;
            }
        };
        if workload.tunnel_protocol() == Tunnel::Hbone {
            troubles.push(Trouble::Tunnel(key.to_owned()));
        }
        let own = workload.services.get(key).into_iter();
        let own = own.flat_map(|list| &list.ports);
        Some(Self {
            workload,
            address,
            is_name,
            ports: own
                .map(|port| (port.service_port, port.target_port))
                .collect(),
            foreign: foreign(service, workload, around),
        })
    }

    /// Where it listens for a port of the service; `None`: it does not.
    fn target(&self, port: Port) -> Option<u32> {
        let own = self.ports.get(&port.service_port).copied();
        Some(own.unwrap_or(port.target_port)).filter(|target| is_port(*target))
    }

    fn written(&self, ports: &[Port]) -> Value {
        let workload = self.workload;
        let own = ports.iter().filter_map(|port| {
            let target = self.target(*port)?;
            (target != port.target_port).then(|| (port_name(*port), target.into()))
        });
        let own: Map<String, Value> = own.collect();
        let mut written = json!({"address": self.address, "labels": labels(workload)});
        if !own.is_empty() {
            written["ports"] = own.into();
        }
        if self.foreign.is_none() {
            let account = match workload.service_account.as_str() {
                "" => DEFAULT,
                account => account,
            };
            written["serviceAccount"] = account.into();
        }
        let locality = locality(workload);
        if !locality.is_empty() {
            written["locality"] = locality.into();
        }
        if !workload.network.is_empty() {
            written["network"] = workload.network.as_str().into();
        }
        if let Some(capacity) = workload.capacity {
            written["weight"] = capacity.value.into();
        }
        written
    }
}

/// The identity of a workload that a ServiceEntry of its service cannot name by an account alone.
fn foreign(service: &Service, workload: &Workload, around: &Around) -> Option<String> {
    let or = |text: &'_ str, other: &'_ str| match text {
        "" => other.to_owned(),
        text => text.to_owned(),
    };
    let domain = or(&workload.trust_domain, &around.trust_domain);
    let namespace = or(&workload.namespace, &service.namespace);
    let account = or(&workload.service_account, DEFAULT);
    let is_ours = domain == around.trust_domain && namespace == service.namespace;
    (!is_ours).then(|| format!("spiffe://{domain}/ns/{namespace}/sa/{account}"))
}

/// What subsets and metrics know it by.
fn labels(workload: &Workload) -> Map<String, Value> {
    let takes_tls = workload.tunnel_protocol() == Tunnel::Istio;
    let is_tunnel = workload.tunnel_protocol() == Tunnel::Hbone;
    let labels = [
        (
            "service.istio.io/canonical-name",
            workload.canonical_name.as_str(),
        ),
        (
            "service.istio.io/canonical-revision",
            &workload.canonical_revision,
        ),
        ("kubernetes.io/hostname", &workload.node),
        ("topology.istio.io/cluster", &workload.cluster_id),
        (
            "security.istio.io/tlsMode",
            if takes_tls { "istio" } else { "disabled" },
        ),
        (
            "networking.istio.io/tunnel",
            if is_tunnel { "http" } else { "" },
        ),
    ];
    let said = labels.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(label, value)| (label.to_owned(), value.into()))
        .collect()
}

/// `region/zone/subzone`, as far as it is known.
fn locality(workload: &Workload) -> String {
    let of = workload.locality.clone().unwrap_or_default();
    let parts = [of.region, of.zone, of.subzone];
    let known = parts.iter().rposition(|part| !part.is_empty());
    known.map_or_else(String::new, |last| parts[..=last].join("/"))
}
