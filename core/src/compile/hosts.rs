//! Virtual hosts and the names they answer to, for the outbound listener (reference §2.1, §2.2).
//!
//! Every HTTP port of every imported service has one, with the rules of the VirtualService that holds for it or with
//! the default route. A port that is not HTTP has one without rules: whoever names it is taken to it, as through a TCP
//! listener. A VirtualService host that is no service has one on port 80 only.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use super::actions::Targets;
use super::api_routes;
use super::delegation::expand;
use super::destination_rules::wildcards_over;
use super::resilience;
use super::resources::ResourceTable;
use super::rules::{self, Prepared, Rules};
use super::scope::Scope;
use super::services::{Port, RegistryService, Services};
use super::virtual_services::{ByHost, Candidate};
use crate::config::names;
use crate::config::protocol::Protocol;
use crate::config::sidecar::Sidecar;
use crate::snapshot::{HostEntry, HostTable, PodOf, PortEntry, VirtualHost, VirtualHostId};

/// The port on which a VirtualService host answers that is no service.
const HTTP_PORT: u16 = 80;

/// A port of a host, with the rules of its virtual host.
struct HostPort {
    number: u16,
    protocol: Protocol,
    rules: Rules,
}

impl HostPort {
    /// The port of a host that only a VirtualService names.
    const fn http(rules: Rules) -> Self {
        Self {
            number: HTTP_PORT,
            protocol: Protocol::Http,
            rules,
        }
    }
}

/// The virtual hosts of a snapshot while it is made.
pub(super) struct Hosts<'a> {
    pub(super) targets: Targets<'a>,
    scope: &'a Scope<'a>,
    pub(super) candidates: &'a [Candidate<'a>],
    /// For each listener of the scope, the candidates it imports.
    pub(super) by_listener: &'a [ByHost],
    /// The routes of each candidate, delegates in place, once somebody asked.
    routes: BTreeMap<usize, Vec<Prepared<'a>>>,
    /// The rules of each candidate and port; `None` where nothing of it concerns the port.
    rules: BTreeMap<(usize, u16), Option<Rules>>,
    pub(super) virtual_hosts: Vec<VirtualHost>,
    pub(super) resources: ResourceTable,
    names: Vec<(Box<str>, u32)>,
    entries: Vec<HostEntry>,
    /// The listener that everything is for, if it is for one.
    only: Option<usize>,
}

impl<'a> Hosts<'a> {
    pub(super) fn new(
        targets: Targets<'a>,
        scope: &'a Scope<'a>,
        candidates: &'a [Candidate<'a>],
        by_listener: &'a [ByHost],
        resources: ResourceTable,
    ) -> Self {
        Self {
            targets,
            scope,
            candidates,
            by_listener,
            routes: BTreeMap::new(),
            rules: BTreeMap::new(),
            virtual_hosts: Vec::new(),
            resources,
            names: Vec::new(),
            entries: Vec::new(),
            only: None,
        }
    }

    /// The same for clients of one listener of the scope, whatever port they ask for.
    pub(super) fn of_listener(&mut self, listener: usize) -> HostTable {
        self.only = Some(listener);
        let table = self.outbound();
        self.only = None;
        table
    }

    /// The listener of the scope that clients of a port use.
    fn listener_for(&self, port: u16) -> Option<usize> {
        self.only.or_else(|| self.scope.listener_for(port))
    }

    /// The Sidecar that holds.
    pub(super) const fn sidecar(&self) -> Option<&'a Sidecar> {
        self.scope.sidecar
    }

    /// Adds everything the outbound listener answers for, and yields the table of names.
    pub(super) fn outbound(&mut self) -> HostTable {
        let mut own_names = Vec::new();
        self.add_services(&mut own_names);
        self.add_rule_hosts(&mut own_names);
        // A name of its own comes before the short name of somebody else.
        let input = self.targets.input;
        let (client, domain) = (&input.workload.namespace, &input.mesh.cluster_domain);
        for (host, entry) in &own_names {
            for alias in names::aliases(host, client, domain).into_iter().skip(1) {
                self.names.push((alias.into(), *entry));
            }
        }
        self.add_pods(&own_names);
        HostTable::new(
            core::mem::take(&mut self.names),
            core::mem::take(&mut self.entries),
        )
    }

    fn add_services(&mut self, own: &mut Vec<(String, u32)>) {
        let mut addresses: Vec<(&str, u32)> = Vec::new();
        for service in self.targets.services.iter() {
            let mut ports = Vec::new();
            for port in service.ports.iter().filter(|port| port.is_stream()) {
                let Some(listener) = self.listener_of(service, port) else {
                    continue;
                };
                let by_listener = &self.by_listener[listener];
                let found = by_listener.find(&service.host).filter(|_| port.is_http());
                let rules = found.and_then(|candidate| self.rules_of(candidate, port.number));
                let rules = rules.unwrap_or_else(|| {
                    let clusters = self.targets.clusters;
                    rules::default_rules(
                        clusters.find(port.number, "", &service.host),
                        port.is_http().then(resilience::outbound_default),
                    )
                });
                ports.push(HostPort {
                    number: port.number,
                    protocol: port.protocol,
                    rules,
                });
            }
            if let Some(entry) = self.add_entry(&service.host, ports) {
                own.push((service.host.clone(), entry));
                addresses.extend(service.addresses.iter().map(|address| (*address, entry)));
                let allocated = service.allocated.iter();
                self.names
                    .extend(allocated.map(|ip| (ip.to_string().into(), entry)));
            }
        }
        self.add_aliases(own);
        for (address, entry) in addresses {
            // One spelling of an IPv6 address, the one that clients use (RFC 5952).
            let parsed = address.parse::<IpAddr>();
            let name = parsed.map_or_else(|_| address.to_ascii_lowercase(), |ip| ip.to_string());
            self.names.push((name.into(), entry));
        }
    }

    /// The listener of the scope that clients of a service's port use; `None` where the service is not known there.
    pub(super) fn listener_of(
        &self,
        service: &RegistryService<'_>,
        port: &Port<'_>,
    ) -> Option<usize> {
        let listener = self.listener_for(port.number)?;
        self.imports(listener, service).then_some(listener)
    }

    /// Whether a listener of the scope knows a service.
    pub(super) fn imports(&self, listener: usize, service: &RegistryService<'_>) -> bool {
        self.scope.listeners[listener].imports(service.namespace, &service.host)
    }

    /// Other names for services lead to what the services lead to; whoever imports a service has them, too (Istio).
    fn add_aliases(&mut self, own: &mut Vec<(String, u32)>) {
        let entries: BTreeMap<&str, u32> =
            own.iter().map(|(host, e)| (host.as_str(), *e)).collect();
        let mut found = Vec::new();
        for (alias, host) in self.targets.services.aliases() {
            found.extend(entries.get(host).map(|entry| (alias.to_owned(), *entry)));
        }
        let names = found
            .iter()
            .map(|(alias, entry)| (alias.as_str().into(), *entry));
        self.names.extend(names);
        own.extend(found);
    }

    fn add_rule_hosts(&mut self, own: &mut Vec<(String, u32)>) {
        let Some(listener) = self.listener_for(HTTP_PORT) else {
            return;
        };
        let by_listener = self.by_listener;
        let entries: BTreeMap<String, u32> = own.iter().cloned().collect();
        for (host, candidate) in by_listener[listener].iter() {
            let is_alias = self.targets.services.canonical(host) != host;
            if is_alias || entries.contains_key(host) || self.is_served(host, listener) {
                continue;
            }
            if let Some(rules) = self.rules_of(candidate, HTTP_PORT)
                && let Some(entry) = self.add_entry(host, vec![HostPort::http(rules)])
            {
                let wildcard = wildcards_over(host).find_map(|name| entries.get(&name));
                if let Some(wildcard) = wildcard {
                    self.add_ports(entry, *wildcard);
                }
                own.push((host.to_owned(), entry));
            }
        }
    }

    /// Whether the host of a rule is a service. A wildcard is none of its own beside any service that it covers or lies
    /// under, even where rules of more specific hosts hold for that service (Istio).
    fn is_served(&self, host: &str, listener: usize) -> bool {
        let (services, listener) = (self.targets.services, &self.scope.listeners[listener]);
        let imports =
            |service: &RegistryService<'_>| listener.imports(service.namespace, &service.host);
        let is_wildcard = names::is_wildcard(host);
        let overlaps = |service: &RegistryService<'_>| {
            let mut ports = service.ports.iter();
            ports.any(|port| port.number == HTTP_PORT) && names::overlaps(host, &service.host)
        };
        services.find(host).is_some_and(imports)
            || is_wildcard && services.iter().any(|of| overlaps(of) && imports(of))
    }

    /// Pods of headless services have the rules of their service: those we know by name, and all others under a wildcard,
    /// as in Istio. Who defines such names otherwise was there before.
    fn add_pods(&mut self, own: &[(String, u32)]) {
        let Targets {
            input,
            services,
            clusters,
            ..
        } = self.targets;
        let taken: BTreeSet<Box<str>> = self.names.iter().map(|(name, _)| name.clone()).collect();
        let headless = |host: &str| services.find(host).is_some_and(|s| s.is_headless);
        for (host, entry) in own.iter().filter(|(host, _)| headless(host)) {
            if taken.contains(&*format!("*.{host}")) {
                continue;
            }
            let endpoints = clusters
                .of_host(host)
                .flat_map(|cluster| &*cluster.endpoints);
            let mut hostnames: BTreeSet<&str> = endpoints.map(|e| &*e.hostname).collect();
            hostnames.remove("");
            let (client, domain) = (&input.workload.namespace, &input.mesh.cluster_domain);
            let aliases = names::aliases(host, client, domain);
            for hostname in hostnames.into_iter().map(Some).chain([None]) {
                let pod = PodOf {
                    service: host.as_str().into(),
                    hostname: hostname.map(Box::from),
                };
                let entry = self.entry_of_pod(*entry, &pod);
                let names = aliases.iter().map(|alias| {
                    let name = format!("{}.{alias}", hostname.unwrap_or("*"));
                    (name.into(), entry)
                });
                self.names.extend(names);
            }
        }
    }

    /// An entry like that of a service, for one of its pods.
    fn entry_of_pod(&mut self, service: u32, pod: &PodOf) -> u32 {
        let mut entry = self.entries[service as usize].clone();
        for port in &mut entry.ports {
            let of_service = &self.virtual_hosts[port.virtual_host.0 as usize];
            let of_pod = VirtualHost {
                pod: Some(Box::new(pod.clone())),
                ..of_service.clone()
            };
            port.virtual_host = self.push_virtual_host(of_pod);
        }
        self.push_entry(entry)
    }

    /// On ports that a host does not have itself, the wildcard service over it answers.
    fn add_ports(&mut self, host: u32, wildcard: u32) {
        let mut ports = self.entries[host as usize].ports.to_vec();
        ports.extend(&self.entries[wildcard as usize].ports);
        ports.sort_by_key(|port| port.port); // stable: its own come first
        ports.dedup_by_key(|port| port.port);
        self.entries[host as usize].ports = ports.into();
    }

    fn rules_of(&mut self, candidate: usize, port: u16) -> Option<Rules> {
        if let Some(known) = self.rules.get(&(candidate, port)) {
            return known.clone();
        }
        let routes = self.routes.entry(candidate).or_insert_with(|| {
            let routes = match self.candidates[candidate].resource.api {
                None => expand(self.candidates[candidate].resource, self.targets.input),
                Some(_) => api_routes::of_host(self.candidates, candidate, self.targets.input),
            };
            routes.into_iter().map(Prepared::new).collect()
        });
        let rules = rules::compile(routes, self.targets, port, &mut self.resources);
        self.rules.insert((candidate, port), rules.clone());
        rules
    }

    /// Files a host with its ports; `None` when it has none.
    fn add_entry(&mut self, host: &str, mut ports: Vec<HostPort>) -> Option<u32> {
        ports.sort_by_key(|port| port.number);
        ports.dedup_by_key(|port| port.number);
        let ports: Box<[PortEntry]> = ports
            .into_iter()
            .map(|port| PortEntry {
                port: port.number,
                is_http: port.protocol.may_be_http(),
                virtual_host: {
                    let name = format!("{host}:{}", port.number);
                    self.add_virtual_host(name, port.protocol, port.rules)
                },
            })
            .collect();
        if ports.is_empty() {
            return None;
        }
        let entry = self.push_entry(HostEntry { ports });
        self.names.push((host.into(), entry));
        Some(entry)
    }

    fn push_entry(&mut self, entry: HostEntry) -> u32 {
        // As for virtual hosts below.
        let at = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(entry);
        at
    }

    /// Files a virtual host.
    pub(super) fn add_virtual_host(
        &mut self,
        name: String,
        protocol: Protocol,
        rules: Rules,
    ) -> VirtualHostId {
        let mut conditions = rules.list.iter().map(|rule| &rule.condition);
        self.push_virtual_host(VirtualHost {
            name: name.into(),
            by_claims: conditions.any(|condition| !condition.claims.is_empty()),
            rules: rules.list,
            index: rules.index,
            limits: None,
            grpc_web: protocol == Protocol::GrpcWeb,
            pod: None,
        })
    }

    pub(super) fn push_virtual_host(&mut self, virtual_host: VirtualHost) -> VirtualHostId {
        // A snapshot with 2^32 virtual hosts does not fit into memory.
        let id = VirtualHostId(u32::try_from(self.virtual_hosts.len()).unwrap_or(u32::MAX));
        self.virtual_hosts.push(virtual_host);
        id
    }
}

/// Makes every destination of the VirtualServices that a sidecar imports known to it.
pub(super) fn import_destinations(
    scope: &mut Scope<'_>,
    candidates: &[Candidate<'_>],
    by_listener: &[ByHost],
    input: &Input<'_>,
    services: &Services<'_>,
) {
    if scope.has_everything() {
        return;
    }
    let imported: BTreeSet<usize> = by_listener
        .iter()
        .flat_map(|by_host| by_host.iter().map(|(_, candidate)| candidate))
        .collect();
    let mut import = |host: &str, namespace: &str| {
        let host = names::resolve(host, namespace, &input.mesh.cluster_domain);
        scope.add_destination(services.canonical(&host).to_owned());
    };
    for candidate in imported {
        let resource = candidates[candidate].resource;
        let expanded = match resource.api {
            None => expand(resource, input),
            Some(_) => api_routes::of_host(candidates, candidate, input),
        };
        for expanded in expanded {
            let namespace = &expanded.resource.meta.namespace;
            for destination in &expanded.route.route {
                import(&destination.destination.host, namespace);
            }
        }
        let tls = resource.tls.iter().flat_map(|route| &route.route);
        let tcp = resource.tcp.iter().flat_map(|route| &route.route);
        for destination in tls.chain(tcp) {
            import(&destination.destination.host, &resource.meta.namespace);
        }
    }
}
