//! Which services there are: Kubernetes Services and ServiceEntries, one for each host name (reference §3).
//!
//! Owns competition for a host name (what the Sidecar imports wins over what it does not; then a Kubernetes Service, then
//! ServiceEntries that are exported to the client by name, then the oldest), what ServiceEntries of one host and namespace add to each other, and which names are other names for a
//! service. Where the endpoints are is `endpoints`' business, who may use a service is `scope`'s.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Input;
use super::visibility;
use crate::config::kubernetes::{self, Reach, TrafficDistribution};
use crate::config::protocol::Protocol;
use crate::config::service_entry::{Location, Resolution, ServiceEntry, ServicePort};
use crate::config::{aliases, names};
use crate::snapshot::ServiceName;

/// A service that the client's namespace may see.
#[derive(Clone, Debug)]
pub(super) struct RegistryService<'a> {
    /// The full host name, in lower case; `*.suffix` for a wildcard.
    pub(super) host: String,
    /// The namespace of the resource that defines it.
    pub(super) namespace: &'a str,
    /// Virtual addresses it also answers under.
    pub(super) addresses: Vec<&'a str>,
    /// Those that it was given because it has none (`auto_addresses`).
    pub(super) allocated: Vec<IpAddr>,
    /// In the order written.
    pub(super) ports: Vec<Port<'a>>,
    /// Which endpoints clients are to prefer.
    pub(super) traffic_distribution: TrafficDistribution,
    /// Its pods have names of their own (`clusterIP: None`).
    pub(super) is_headless: bool,
    /// What defines it.
    pub(super) definition: Definition<'a>,
}

/// What defines a service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Definition<'a> {
    /// A Kubernetes Service.
    Kubernetes,
    /// The first ServiceEntry.
    Entry(&'a ServiceEntry),
}

impl RegistryService<'_> {
    /// What it is called in metrics.
    #[must_use]
    pub(super) fn called(&self) -> ServiceName {
        let host = self.host.as_str();
        ServiceName {
            name: match self.definition {
                Definition::Kubernetes => host.split('.').next().unwrap_or(host),
                Definition::Entry(_) => host,
            }
            .into(),
            namespace: self.namespace.into(),
            host: host.into(),
        }
    }
}

impl Definition<'_> {
    /// Whether it is not of the mesh.
    #[must_use]
    pub(super) fn is_external(self) -> bool {
        match self {
            Self::Kubernetes => false,
            Self::Entry(entry) => entry.location == Location::External,
        }
    }

    /// How endpoints are found, whatever other resources that add some say.
    #[must_use]
    pub(super) const fn resolution(self) -> Resolution {
        match self {
            Self::Kubernetes => Resolution::Static,
            Self::Entry(entry) => entry.resolution,
        }
    }
}

/// A port of a service.
#[derive(Clone, Debug)]
pub(super) struct Port<'a> {
    /// The number clients use.
    pub(super) number: u16,
    /// What is spoken.
    pub(super) protocol: Protocol,
    /// Where its endpoints come from, what defines it among them; several resources may add to one host.
    pub(super) sources: Vec<Source<'a>>,
}

impl Port<'_> {
    /// Whether requests for this port are routed here. A port without a declared protocol is HTTP when a request comes.
    #[must_use]
    pub(super) fn is_http(&self) -> bool {
        self.protocol.may_be_http()
    }

    /// Whether connections are made to it at all.
    #[must_use]
    pub(super) fn is_stream(&self) -> bool {
        self.protocol != Protocol::Udp
    }
}

/// A resource that gives a port endpoints.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// A port of a Kubernetes Service.
    Kubernetes(&'a kubernetes::Service, &'a kubernetes::Port),
    /// A port of a ServiceEntry.
    Entry(&'a ServiceEntry, &'a ServicePort),
}

impl<'a> Source<'a> {
    /// What it gives endpoints under; endpoints given as addresses go by the name of their port (EDS), names by its number
    /// (CDS). Clients that go where they like need none.
    fn gives_to(self, own: Self, resolution: Resolution) -> bool {
        match resolution {
            Resolution::Static => self.name() == own.name(),
            Resolution::None
            | Resolution::Dns
            | Resolution::DnsRoundRobin
            | Resolution::DynamicDns => self.number() == own.number(),
        }
    }

    fn name(self) -> &'a str {
        match self {
            Self::Kubernetes(_, port) => &port.name,
            Self::Entry(_, port) => &port.name,
        }
    }

    /// When the resource was made, as far as it says.
    pub(super) fn created(self) -> Option<&'a str> {
        match self {
            Self::Kubernetes(service, _) => service.meta.created.as_deref(),
            Self::Entry(entry, _) => entry.meta.created.as_deref(),
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Kubernetes(_, port) => u32::from(port.number),
            Self::Entry(_, port) => port.number,
        }
    }
}

/// Whether a service of a namespace and host is imported.
pub(super) type Imports<'f> = dyn Fn(&str, &str) -> bool + 'f;

/// All services, by host name.
#[derive(Debug, Default)]
pub(super) struct Services<'a> {
    by_host: BTreeMap<String, RegistryService<'a>>,
    /// Hosts of ExternalName services that are other names for a service, with that service's host.
    aliases: BTreeMap<String, String>,
}

impl<'a> Services<'a> {
    /// The services that the client's namespace may see. Of those that want one host, who is imported (by namespace and host; `None`
    /// imports all) comes first, whatever else is there; who is not is known all the same, because a rule may lead there (Istio).
    #[must_use]
    pub(super) fn new(input: &Input<'a>, imports: Option<&Imports<'_>>) -> Self {
        let mut services = Self::default();
        let domain = &input.mesh.cluster_domain;
        let mut of_kubernetes = input.services();
        of_kubernetes
            .retain(|resource| input.sees_service(&resource.export_to, &resource.meta.namespace));
        let entries = visible_entries(input);
        let mut given = BTreeMap::new();
        let imports_all = imports.is_none();
        let imports = |service: &RegistryService<'_>| {
            imports.is_none_or(|imports| imports(service.namespace, &service.host))
        };
        for is_imported in [true, false] {
            if !is_imported && imports_all {
                break;
            }
            let all = of_kubernetes.iter();
            let all = all.map(|resource| kubernetes_service(resource, domain));
            for service in all.filter(|service| imports(service) == is_imported) {
                services
                    .by_host
                    .entry(service.host.clone())
                    .or_insert(service);
            }
            let all = entries.iter().flat_map(|resource| {
                let hosts = resource.hosts.iter().map(|host| names::normalize(host));
                hosts.map(|host| entry_service(resource, host.into_owned()))
            });
            for service in all.filter(|service| imports(service) == is_imported) {
                services.add(service, &mut given);
            }
        }
        services.share(&given);
        services.aliases = aliases::resolve(of_kubernetes.into_iter(), domain, |host| {
            services.by_host.contains_key(host)
        });
        for alias in services.aliases.keys() {
            services.by_host.remove(alias);
        }
        services
    }

    /// The service of a host.
    #[must_use]
    pub(super) fn find(&self, host: &str) -> Option<&RegistryService<'a>> {
        self.by_host.get(host)
    }

    /// The host by which a service is known that may be named by another one.
    #[must_use]
    pub(super) fn canonical<'h>(&'h self, host: &'h str) -> &'h str {
        self.aliases.get(host).map_or(host, String::as_str)
    }

    /// Other names for services, with the service's own.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        let aliases = self.aliases.iter();
        aliases.map(|(alias, host)| (alias.as_str(), host.as_str()))
    }

    /// All services, by host name, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut RegistryService<'a>> {
        self.by_host.values_mut()
    }

    /// All services, by host name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RegistryService<'a>> {
        self.by_host.values()
    }

    /// ServiceEntries come in order of precedence. Of those that come to a host that is there, those of its namespace alone
    /// count (Istio): all of them give it endpoints, and those that are like the one before add their ports.
    fn add(&mut self, service: RegistryService<'a>, given: &mut BTreeMap<String, Vec<Source<'a>>>) {
        let first = match self.by_host.entry(service.host.clone()) {
            Entry::Vacant(vacant) => vacant.insert(RegistryService {
                ports: Vec::new(),
                ..service.clone()
            }),
            Entry::Occupied(first) => first.into_mut(),
        };
        if first.namespace != service.namespace {
            return;
        }
        let sources = service.ports.iter().flat_map(|port| &port.sources);
        given.entry(service.host).or_default().extend(sources);
        let is_like = match (first.definition, service.definition) {
            (Definition::Entry(first), Definition::Entry(entry)) => {
                first.differs_in(entry).is_empty()
            }
            (Definition::Kubernetes, _) | (_, Definition::Kubernetes) => false,
        };
        for port in service.ports.into_iter().filter(|_| is_like) {
            if !first.ports.iter().any(|p| p.number == port.number) {
                first.ports.push(port);
            }
        }
    }

    /// Lets every port have the endpoints that ServiceEntries give to its host.
    fn share(&mut self, given: &BTreeMap<String, Vec<Source<'a>>>) {
        for service in self.by_host.values_mut() {
            let all = given.get(&service.host).into_iter().flatten();
            let resolution = service.definition.resolution();
            for port in &mut service.ports {
                let Some(own) = port.sources.first().copied() else {
                    continue;
                };
                let others = all.clone().filter(|s| s.gives_to(own, resolution));
                port.sources
                    .retain(|own| matches!(own, Source::Kubernetes(..)));
                port.sources.extend(others);
            }
        }
    }
}

/// The ServiceEntries that the client sees, in Istio's order of precedence: those exported to its namespace by name come
/// before those for everybody.
fn visible_entries<'a>(input: &Input<'a>) -> Vec<&'a ServiceEntry> {
    let default = &input.mesh.default_service_export_to;
    let client = input.workload.namespace.as_str();
    let mut seen: Vec<_> = input
        .service_entries()
        .into_iter()
        .filter_map(|entry| {
            let owner = entry.meta.namespace.as_str();
            let reach = visibility::reach(&entry.export_to, default, owner, client)?;
            Some((reach == visibility::Reach::Public, entry))
        })
        .collect();
    seen.sort_by_key(|(is_public, _)| *is_public); // stable: the order inside a class stays
    seen.into_iter().map(|(_, entry)| entry).collect()
}

/// A number as a port; `None` for zero and numbers that no port has.
#[must_use]
pub(super) fn port_number(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port > 0)
}

fn kubernetes_service<'a>(
    resource: &'a kubernetes::Service,
    cluster_domain: &str,
) -> RegistryService<'a> {
    let (name, namespace) = (&resource.meta.name, &resource.meta.namespace);
    let ports = resource.ports.iter().map(|port| Port {
        number: port.number,
        protocol: port.protocol(),
        sources: vec![Source::Kubernetes(resource, port)],
    });
    RegistryService {
        host: names::service_host(&name.to_ascii_lowercase(), namespace, cluster_domain),
        namespace,
        addresses: match &resource.reach {
            Reach::ClusterIp(addresses) => addresses.iter().map(String::as_str).collect(),
            Reach::Headless | Reach::ExternalName(_) => Vec::new(),
        },
        allocated: Vec::new(),
        ports: ports.collect(),
        traffic_distribution: resource.traffic_distribution,
        is_headless: resource.reach == Reach::Headless,
        definition: Definition::Kubernetes,
    }
}

fn entry_service(resource: &ServiceEntry, host: String) -> RegistryService<'_> {
    let ports = resource.ports.iter().filter_map(|port| {
        Some(Port {
            number: port_number(port.number)?,
            protocol: Protocol::parse(&port.protocol).unwrap_or_default(),
            sources: vec![Source::Entry(resource, port)],
        })
    });
    RegistryService {
        host,
        namespace: &resource.meta.namespace,
        // A block of addresses is no authority anybody writes.
        addresses: resource
            .addresses
            .iter()
            .map(|address| match address.split_once('/') {
                Some((ip, "32" | "128")) => ip,
                Some(_) | None => address,
            })
            .filter(|address| !address.contains('/'))
            .collect(),
        allocated: Vec::new(),
        ports: ports.collect(),
        traffic_distribution: resource.traffic_distribution,
        is_headless: false,
        definition: Definition::Entry(resource),
    }
}
