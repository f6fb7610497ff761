//! What is spoken where applications connect to: the listeners of every port of every imported service (reference §4.4).
//!
//! A service that has addresses has a listener at each of them, one that has none is told from others of its port by what its
//! clients say: by host where that is HTTP, by server name where it is TLS. Of two that are neither, the older one is reached,
//! and a finding names the other.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::connection_rules::ConnectionRules;
use super::hosts::Hosts;
use super::rules;
use super::services::{Definition, Port, RegistryService, Source};
use crate::config::address::parse_block;
use crate::config::meta::Meta;
use crate::config::protocol::Protocol;
use crate::config::{Code, Finding};
use crate::peer::AddressRange;
use crate::snapshot::{
    Address, ChainRule, FilterChain, HostTable, HttpSpoken, Listener, Listeners, ListensAt, PodOf,
    VirtualHost, VirtualHostId,
};

/// A port of a service.
#[derive(Clone, Copy)]
pub(super) struct Served<'s, 'a> {
    pub(super) service: &'s RegistryService<'a>,
    pub(super) port: &'s Port<'a>,
    /// Which listener of the scope its clients use.
    pub(super) listener: usize,
}

/// What services without addresses have on one port.
#[derive(Default)]
struct Wildcard<'s, 'a> {
    of_http: bool,
    sniffed: bool,
    chains: Vec<FilterChain>,
    /// Who takes what nothing tells apart.
    taken: Option<Served<'s, 'a>>,
}

/// The listeners for what applications connect to. `table` is what HTTP is routed by; `own` are those that a Sidecar has at
/// addresses of its own, which go before all others.
pub(super) fn outbound(
    hosts: &mut Hosts<'_>,
    table: &HostTable,
    own: Vec<(u16, ListensAt, Listener)>,
    findings: &mut Vec<Finding>,
) -> Listeners {
    let services = hosts.targets.services;
    let mut all = Vec::new();
    for service in services.iter() {
        for port in service.ports.iter().filter(|port| port.is_stream()) {
            let listener = hosts.listener_of(service, port);
            all.extend(listener.map(|listener| Served {
                service,
                port,
                listener,
            }));
        }
    }
    // The oldest counts where two are in each other's way.
    all.sort_by_key(|served| served.created()); // stable: equally old ones stay in the order of their hosts
    let mut found = own;
    let mut wildcards: BTreeMap<u16, Wildcard<'_, '_>> = BTreeMap::new();
    for served in &all {
        let places = served.places(hosts);
        let wildcard = wildcards.entry(served.port.number).or_default();
        if served.port.protocol.is_http() {
            wildcard.of_http = true;
        } else if places.is_empty() && !served.service.is_headless {
            wildcard.add(*served, served.chains(true, table, hosts), findings);
        } else {
            let chains = served.chains(false, table, hosts);
            let at = |place| served.listener_at(place, served.http_spoken(), chains.clone());
            found.extend(places.into_iter().map(at));
        }
    }
    // HTTP is spoken at any address; where others are in the way, at those of its services.
    for served in all.iter().filter(|served| served.port.protocol.is_http()) {
        let wildcard = wildcards.get(&served.port.number);
        if wildcard.is_some_and(|wildcard| !wildcard.chains.is_empty()) {
            let places = served.places(hosts).into_iter();
            let at = |place| served.listener_at(place, HttpSpoken::Always, Vec::new());
            found.extend(places.map(at));
        }
    }
    found.extend(wildcards.into_iter().filter_map(Wildcard::listener));
    Listeners::new(found)
}

/// The listener of an application's port, whose connections have the rule of this virtual host. `said`: what somebody says that it
/// speaks.
#[must_use]
pub(super) fn inbound(said: Option<Protocol>, port: u16, virtual_host: VirtualHostId) -> Listener {
    let chain = FilterChain {
        mesh_only: false,
        server_names: Box::default(),
        destinations: Box::default(),
        rule: ChainRule {
            virtual_host,
            rule: 0,
        },
    };
    let name = format!("0.0.0.0_{port}").into();
    let http = said.map_or(HttpSpoken::Unsaid, http_spoken);
    Listener::new(name, http, vec![chain])
}

pub(super) const fn http_spoken(protocol: Protocol) -> HttpSpoken {
    if protocol.is_http() {
        HttpSpoken::Always
    } else if protocol.may_be_http() {
        HttpSpoken::Perhaps
    } else {
        HttpSpoken::Never
    }
}

impl<'s, 'a> Wildcard<'s, 'a> {
    fn add(
        &mut self,
        served: Served<'s, 'a>,
        chains: Vec<FilterChain>,
        findings: &mut Vec<Finding>,
    ) {
        self.sniffed |= served.port.protocol.may_be_http();
        let takes_all =
            |chain: &FilterChain| chain.server_names.is_empty() && chain.destinations.is_empty();
        if chains.iter().any(takes_all) {
            match self.taken {
                // What speaks HTTP there is told apart by its host.
                Some(first) if !served.port.protocol.may_be_http() => {
                    findings.extend(conflict(first, served));
                }
                Some(_) => {}
                None => self.taken = Some(served),
            }
        }
        self.chains.extend(chains);
    }

    /// `None` where nothing is spoken that is not at addresses.
    fn listener((port, of): (u16, Self)) -> Option<(u16, ListensAt, Listener)> {
        let http = match (of.of_http || of.sniffed, of.chains.is_empty()) {
            (true, true) => HttpSpoken::Always,
            (true, false) => HttpSpoken::Perhaps,
            (false, false) => HttpSpoken::Never,
            (false, true) => return None,
        };
        let listener = Listener::new(format!("0.0.0.0_{port}").into(), http, of.chains);
        Some((port, ListensAt::Anywhere, listener))
    }
}

/// Two services of which nothing tells the connections apart.
fn conflict(first: Served<'_, '_>, second: Served<'_, '_>) -> Option<Finding> {
    let (kind, meta) = second.defined_by()?;
    let message = format!(
        "connections to port {} go to `{}`, never to `{}`: neither has an address that would tell them apart",
        second.port.number, first.service.host, second.service.host
    );
    let help = "give the service an address (`addresses`, `clusterIP`; `outrigger run --dns` gives it one) or another port";
    Some(Finding::about(
        Code::TcpConflict,
        kind,
        meta,
        "spec.ports",
        message,
        help,
    ))
}

impl<'a> Served<'_, 'a> {
    pub(super) fn created(&self) -> Option<&'a str> {
        self.port
            .sources
            .first()
            .and_then(|source| source.created())
    }

    fn defined_by(&self) -> Option<(&'static str, &'a Meta)> {
        Some(match self.port.sources.first()? {
            Source::Kubernetes(service, _) => ("Service", &service.meta),
            Source::Entry(entry, _) => ("ServiceEntry", &entry.meta),
        })
    }

    const fn http_spoken(&self) -> HttpSpoken {
        http_spoken(self.port.protocol)
    }

    /// The addresses of the service, or those of its pods where they are connected to; none where it has none.
    fn places(&self, hosts: &Hosts<'_>) -> Vec<ListensAt> {
        if self.service.is_headless {
            let clusters = hosts.targets.clusters.of_host(&self.service.host);
            let of_port = clusters.filter(|c| c.port == self.port.number && c.subset.is_empty());
            let endpoints = of_port.flat_map(|cluster| &*cluster.endpoints);
            let at = endpoints.filter_map(|endpoint| match &endpoint.address {
                Address::Socket(address) | Address::Local(address, _) => {
                    Some(ListensAt::Address(address.ip()))
                }
                Address::Name(..) | Address::Unix(_) => None,
            });
            return at.collect();
        }
        let written: Vec<&str> = match self.service.definition {
            Definition::Kubernetes => self.service.addresses.clone(),
            Definition::Entry(entry) => entry.addresses.iter().map(String::as_str).collect(),
        };
        let blocks = written
            .into_iter()
            .filter_map(|text| parse_block(text).ok());
        let at = blocks.filter_map(|block| match block.is_single() {
            true => Some(ListensAt::Address(block.address)),
            false => AddressRange::new(block.address, block.bits).map(ListensAt::Block),
        });
        // Nobody connects to what stands for no address.
        at.filter(|at| *at != ListensAt::Address(IpAddr::from([0, 0, 0, 0])))
            .chain(
                self.service
                    .allocated
                    .iter()
                    .copied()
                    .map(ListensAt::Address),
            )
            .collect()
    }

    fn listener_at(
        &self,
        place: ListensAt,
        http: HttpSpoken,
        chains: Vec<FilterChain>,
    ) -> (u16, ListensAt, Listener) {
        let port = self.port.number;
        let address = match place {
            ListensAt::Address(address) => address,
            ListensAt::Block(block) => block.base(),
            ListensAt::Anywhere => IpAddr::from([0, 0, 0, 0]),
        };
        let listener = Listener::new(format!("{address}_{port}").into(), http, chains);
        (port, place, listener)
    }

    /// Its chains: those of the VirtualService that holds for it, and what takes the rest. `is_shared`: other services are at
    /// the same place.
    pub(super) fn chains(
        &self,
        is_shared: bool,
        table: &HostTable,
        hosts: &mut Hosts<'_>,
    ) -> Vec<FilterChain> {
        let (targets, number) = (hosts.targets, self.port.number);
        let is_tls = self.port.protocol.is_tls();
        let found = hosts.by_listener[self.listener].find(&self.service.host);
        let resource = found.map(|candidate| hosts.candidates[candidate].resource);
        let written = resource.map_or_else(ConnectionRules::default, |resource| {
            let resources = &mut hosts.resources;
            match is_tls {
                true => ConnectionRules::of_tls(resource, targets, number, resources),
                false => ConnectionRules::of_tcp(resource, targets, number, resources),
            }
        });
        let takes_all = |rule: &super::connection_rules::ConnectionRule| {
            rule.server_names.is_empty() && rule.destinations.is_empty()
        };
        let needs_default = match is_tls {
            true => written.list.is_empty(),
            false => !written.list.iter().any(takes_all),
        };
        let mut chains = Vec::new();
        if !written.list.is_empty() {
            let all: Vec<_> = written.list.iter().map(|rule| rule.rule.clone()).collect();
            let name = format!("{}:{number}", self.service.host);
            let virtual_host = hosts.add_virtual_host(name, self.port.protocol, all.into());
            for (rule, at) in written.list.into_iter().zip(0..) {
                chains.push(FilterChain {
                    mesh_only: false,
                    server_names: rule.server_names,
                    destinations: rule.destinations,
                    rule: ChainRule {
                        virtual_host,
                        rule: at,
                    },
                });
            }
        }
        if needs_default {
            let by_name = is_tls && is_shared;
            let name: Option<Box<str>> = by_name.then(|| self.service.host.as_str().into());
            chains.push(FilterChain {
                mesh_only: false,
                server_names: name.into_iter().collect(),
                destinations: Box::default(),
                rule: ChainRule {
                    virtual_host: self.default_host(table, hosts),
                    rule: 0,
                },
            });
        }
        chains
    }

    /// A virtual host whose only rule sends all to the service, or to the pod of it that was connected to. The one that is
    /// there for who names the port in HTTP will do where that has no other rules.
    fn default_host(&self, table: &HostTable, hosts: &mut Hosts<'_>) -> VirtualHostId {
        let (host, port) = (&self.service.host, self.port.number);
        let of_http = table.find(host.as_bytes()).and_then(|entry| entry.at(port));
        if let Some(entry) = of_http.filter(|entry| !entry.is_http && !self.service.is_headless) {
            return entry.virtual_host;
        }
        let cluster = hosts.targets.clusters.find(port, "", host);
        let rules = rules::default_rules(cluster, None);
        hosts.push_virtual_host(VirtualHost {
            name: format!("{host}:{port}").into(),
            rules: rules.list,
            index: None,
            limits: None,
            grpc_web: false,
            by_claims: false,
            pod: self.service.is_headless.then(|| {
                Box::new(PodOf {
                    service: host.as_str().into(),
                    hostname: None,
                })
            }),
        })
    }
}
