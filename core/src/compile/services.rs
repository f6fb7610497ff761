//! Which services there are: Kubernetes Services and ServiceEntries, one for each host name (reference §3).
//!
//! Owns competition for a host name (a Kubernetes Service wins, then the oldest ServiceEntry) and what answers on which
//! port, and which names are other names for a service. Where the endpoints are is `endpoints`' business, who may use a service is `scope`'s.

use std::collections::BTreeMap;

use super::Input;
use crate::config::kubernetes::{self, Reach, TrafficDistribution};
use crate::config::protocol::Protocol;
use crate::config::service_entry::{ServiceEntry, ServicePort};
use crate::config::{aliases, names};

/// A service that the client's namespace may see.
#[derive(Clone, Debug)]
pub(super) struct Service<'a> {
    /// The full host name, in lower case; `*.suffix` for a wildcard.
    pub(super) host: String,
    /// The namespace of the resource that defines it.
    pub(super) namespace: &'a str,
    /// Virtual addresses it also answers under.
    pub(super) addresses: Vec<&'a str>,
    /// In the order written.
    pub(super) ports: Vec<Port<'a>>,
    /// Which endpoints clients are to prefer.
    pub(super) traffic_distribution: TrafficDistribution,
    /// Its pods have names of their own (`clusterIP: None`).
    pub(super) is_headless: bool,
    /// A Kubernetes Service defines it.
    is_kubernetes: bool,
}

/// A port of a service.
#[derive(Clone, Debug)]
pub(super) struct Port<'a> {
    /// The number clients use.
    pub(super) number: u16,
    /// What is spoken.
    pub(super) protocol: Protocol,
    /// Where its endpoints come from; several resources may add to one host.
    pub(super) sources: Vec<Source<'a>>,
}

impl Port<'_> {
    /// Whether requests for this port are routed here. A port without a declared protocol is HTTP when a request comes.
    #[must_use]
    pub(super) fn is_http(&self) -> bool {
        self.protocol.is_http() || self.protocol == Protocol::Sniff
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

/// All services, by host name.
#[derive(Debug, Default)]
pub(super) struct Services<'a> {
    by_host: BTreeMap<String, Service<'a>>,
    /// Hosts of ExternalName services that are other names for a service, with that service's host.
    aliases: BTreeMap<String, String>,
}

impl<'a> Services<'a> {
    /// The services that the client's namespace may see.
    #[must_use]
    pub(super) fn new(input: &Input<'a>) -> Self {
        let mut services = Self::default();
        let domain = &input.mesh.cluster_domain;
        let mut of_kubernetes = input.services();
        of_kubernetes
            .retain(|resource| input.sees_service(&resource.export_to, &resource.meta.namespace));
        for resource in &of_kubernetes {
            services.add(kubernetes_service(resource, domain));
        }
        for resource in input.service_entries() {
            if input.sees_service(&resource.export_to, &resource.meta.namespace) {
                for host in &resource.hosts {
                    let host = names::normalize(host).into_owned();
                    services.add(entry_service(resource, host));
                }
            }
        }
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
    pub(super) fn find(&self, host: &str) -> Option<&Service<'a>> {
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

    /// All services, by host name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Service<'a>> {
        self.by_host.values()
    }

    /// Resources come in order of precedence. A later one of the same namespace adds endpoints to ports that are there,
    /// and, among ServiceEntries, ports that are not.
    fn add(&mut self, service: Service<'a>) {
        let Some(first) = self.by_host.get_mut(&service.host) else {
            self.by_host.insert(service.host.clone(), service);
            return;
        };
        if first.namespace != service.namespace {
            return;
        }
        for port in service.ports {
            match first.ports.iter_mut().find(|p| p.number == port.number) {
                Some(known) => known.sources.extend(port.sources),
                None if !first.is_kubernetes => first.ports.push(port),
                None => {}
            }
        }
    }
}

/// A number as a port; `None` for zero and numbers that no port has.
#[must_use]
pub(super) fn port_number(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port > 0)
}

fn kubernetes_service<'a>(resource: &'a kubernetes::Service, cluster_domain: &str) -> Service<'a> {
    let (name, namespace) = (&resource.meta.name, &resource.meta.namespace);
    let ports = resource.ports.iter().map(|port| Port {
        number: port.number,
        protocol: port.protocol(),
        sources: vec![Source::Kubernetes(resource, port)],
    });
    Service {
        host: names::service_host(&name.to_ascii_lowercase(), namespace, cluster_domain),
        namespace,
        addresses: match &resource.reach {
            Reach::ClusterIp(addresses) => addresses.iter().map(String::as_str).collect(),
            Reach::Headless | Reach::ExternalName(_) => Vec::new(),
        },
        ports: ports.collect(),
        traffic_distribution: resource.traffic_distribution,
        is_headless: resource.reach == Reach::Headless,
        is_kubernetes: true,
    }
}

fn entry_service(resource: &ServiceEntry, host: String) -> Service<'_> {
    let ports = resource.ports.iter().filter_map(|port| {
        Some(Port {
            number: port_number(port.number)?,
            protocol: Protocol::parse(&port.protocol).unwrap_or_default(),
            sources: vec![Source::Entry(resource, port)],
        })
    });
    Service {
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
        ports: ports.collect(),
        traffic_distribution: resource.traffic_distribution,
        is_headless: false,
        is_kubernetes: false,
    }
}
