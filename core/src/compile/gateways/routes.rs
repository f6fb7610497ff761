//! Where servers of a Gateway lead: the rules of all VirtualServices that are bound to it and have a host in common with a server
//! (Istio `buildGatewayHTTPRouteConfig`, `buildGatewayNetworkFiltersFrom…`).
//!
//! Unlike in sidecars, rules of several VirtualServices for one host are put together: in their order, those that hold for
//! everything behind all others.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;

use super::{At, Served};
use crate::compile::Input;
use crate::compile::actions::Targets;
use crate::compile::api_routes;
use crate::compile::clusters::Clusters;
use crate::compile::conditions::is_catch_all;
use crate::compile::connection_rules::ConnectionRules;
use crate::compile::delegation::expand;
use crate::compile::hosts::Hosts;
use crate::compile::request_authentication;
use crate::compile::rules::{self, Prepared, Rules};
use crate::compile::side::Side;
use crate::compile::virtual_services::Candidate;
use crate::config::header_name::is_claim;
use crate::config::names;
use crate::config::protocol::Protocol;
use crate::config::virtual_service::VirtualService;
use crate::config::{Code, Finding};
use crate::snapshot::{
    Action, ChainRule, Cluster, ClusterId, Condition, DestinationCluster, FilterChain, HeaderOps,
    HostEntry, HostTable, Origin, PortEntry, Redirect, RedirectPath, RedirectPort, Rule,
    SocketPlace, TextMatch,
};

/// What the servers of one port are routed by.
pub(super) struct Routing<'r, 'a> {
    pub(super) hosts: &'r mut Hosts<'a>,
    /// VirtualServices that name gateways, in their order.
    pub(super) candidates: &'r [Candidate<'a>],
    pub(super) port: u16,
    pub(super) bind: Option<SocketPlace>,
}

/// A host while its rules are put together.
struct Building {
    rules: Vec<Rule>,
    /// Where it is written that plain requests are sent to HTTPS.
    redirect: Option<Rule>,
    protocol: Protocol,
}

impl<'a> Routing<'_, 'a> {
    /// The hosts that requests to these servers have.
    pub(super) fn http(&mut self, servers: &[Served<'_>]) -> HostTable {
        let mut building: BTreeMap<String, Building> = BTreeMap::new();
        for served in servers {
            let name = served.name();
            let redirect = self.redirect(served);
            let new = || Building {
                rules: Vec::new(),
                redirect: None,
                protocol: served.protocol,
            };
            if served.gateway.listener.is_some() {
                self.listener(served, servers, &mut building);
                continue;
            }
            for candidate in bound(self.candidates, &name, self.hosts.targets.input) {
                let common = served.common(candidate);
                if common.is_empty() {
                    continue;
                }
                let Some(rules) = self.rules(candidate, &name) else {
                    continue;
                };
                for host in common {
                    let of = building.entry(host).or_insert_with(new);
                    of.rules.extend(rules.list.iter().cloned());
                    of.redirect = of.redirect.take().or_else(|| redirect.clone());
                }
            }
            // A host that is only there to be sent to HTTPS has no VirtualService.
            for host in served.hosts().filter(|_| redirect.is_some()) {
                let of = building.entry(host.host).or_insert_with(new);
                of.redirect = of.redirect.take().or_else(|| redirect.clone());
            }
        }
        self.table(building)
    }

    /// The hosts of a listener of the Gateway API: the routes for each, put together. Who is for a more particular listener of the
    /// port gets nothing of this one, even where that has no routes (listener isolation).
    fn listener(
        &mut self,
        served: &Served<'_>,
        servers: &[Served<'_>],
        building: &mut BTreeMap<String, Building>,
    ) {
        let name = served.name();
        let input = self.hosts.targets.input;
        let own: Vec<String> = served.hosts().map(|host| host.host).collect();
        let is_nearer = |host: &str| {
            let mut others = servers.iter().flat_map(Served::hosts);
            others.any(|other| {
                let covers = |own: &String| *own != other.host && names::covers(own, &other.host);
                own.iter().any(covers) && names::covers(&other.host, host)
            })
        };
        let mut of_hosts: BTreeMap<String, Vec<&VirtualService>> = BTreeMap::new();
        for candidate in bound(self.candidates, &name, input) {
            for host in served.common(candidate) {
                if !is_nearer(&host) {
                    of_hosts.entry(host).or_default().push(candidate.resource);
                }
            }
        }
        for host in own {
            of_hosts.entry(host).or_default();
        }
        let targets = Targets {
            side: Side::Gateway(&name),
            ..self.hosts.targets
        };
        for (host, routes) in of_hosts {
            let routes = api_routes::merged(routes, input).into_iter();
            let routes: Vec<_> = routes.map(Prepared::new).collect();
            let resources = &mut self.hosts.resources;
            let rules = rules::compile(&routes, targets, self.port, resources);
            let of = building.entry(host).or_insert_with(|| Building {
                rules: Vec::new(),
                redirect: None,
                protocol: served.protocol,
            });
            of.rules
                .extend(rules.iter().flat_map(|rules| rules.list.iter().cloned()));
        }
    }

    fn table(&mut self, building: BTreeMap<String, Building>) -> HostTable {
        let (mut known, mut entries) = (Vec::new(), Vec::new());
        for (host, of) in building {
            let mut list: Vec<Rule> = of.redirect.into_iter().collect();
            let (last, first): (Vec<_>, Vec<_>) = of
                .rules
                .into_iter()
                .partition(|rule| is_catch_all(&rule.condition));
            list.extend(first.into_iter().chain(last));
            let name = format!("{host}:{}", self.port);
            let virtual_host = self.hosts.add_virtual_host(name, of.protocol, list.into());
            // As many as there are hosts, which fit into memory.
            known.push((host.into(), entries.len() as u32));
            entries.push(HostEntry {
                ports: Box::new([PortEntry {
                    port: self.port,
                    virtual_host,
                    is_http: true,
                }]),
            });
        }
        HostTable::new(known, entries)
    }

    /// The rules of one VirtualService for one Gateway.
    fn rules(&mut self, candidate: &Candidate<'a>, gateway: &str) -> Option<Rules> {
        let targets = Targets {
            side: Side::Gateway(gateway),
            ..self.hosts.targets
        };
        let routes = expand(candidate.resource, targets.input);
        let routes: Vec<_> = routes.into_iter().map(Prepared::new).collect();
        rules::compile(&routes, targets, self.port, &mut self.hosts.resources)
    }

    /// What sends plain requests to HTTPS, where a server says so.
    fn redirect(&mut self, served: &Served<'_>) -> Option<Rule> {
        let tls = served.server.tls.as_ref()?;
        if !tls.https_redirect || !served.protocol.is_http() {
            return None;
        }
        let path = served.path(".tls.httpsRedirect");
        let meta = &served.gateway.meta;
        Some(Rule {
            name: "https-redirect".into(),
            origin: Some(Origin {
                resource: self.hosts.resources.id_of("Gateway", meta),
                path: path.as_str().into(),
                line: meta.locate(&path).line,
            }),
            fields: Arc::default(),
            // Somebody before us who is believed may have taken TLS off.
            condition: Condition {
                scheme: Some(TextMatch::Exact("http".into())),
                ..Condition::default()
            },
            action: Arc::new(Action::Redirect(Redirect {
                status: StatusCode::MOVED_PERMANENTLY,
                scheme: Some("https".into()),
                authority: None,
                path: RedirectPath::Keep,
                port: RedirectPort::Keep,
                response: HeaderOps::default(),
            })),
        })
    }

    /// The rule for connections to a server: the first of the first VirtualService that has one.
    pub(super) fn tcp(&mut self, served: &Served<'_>) -> Option<ChainRule> {
        let name = served.name();
        let targets = Targets {
            side: Side::Gateway(&name),
            ..self.hosts.targets
        };
        let bound = bound(self.candidates, &name, targets.input);
        let fitting = bound.filter(|candidate| !served.common(candidate).is_empty());
        let fitting: Vec<_> = fitting.map(|candidate| candidate.resource).collect();
        let rule = fitting.into_iter().find_map(|resource| {
            let resources = &mut self.hosts.resources;
            let written = ConnectionRules::of_tcp(resource, targets, self.port, resources);
            written.list.into_iter().next()
        })?;
        let name = format!("{}:{}", served.server.hosts.join(","), self.port);
        let rules = vec![rule.rule].into();
        let virtual_host = self.hosts.add_virtual_host(name, served.protocol, rules);
        Some(ChainRule {
            virtual_host,
            rule: 0,
        })
    }

    /// A chain for each cluster that may be asked for (Istio `builtAutoPassthroughFilterChains`).
    fn by_cluster(&mut self, served: &Served<'_>) -> Vec<FilterChain> {
        let clusters = self.hosts.targets.clusters;
        let mut chains = Vec::new();
        for (cluster, id) in passed_clusters(served, clusters) {
            let rules = rules::default_rules(DestinationCluster::Known(id), None);
            let name = cluster.name.to_string();
            let virtual_host = self.hosts.add_virtual_host(name, Protocol::Tls, rules);
            chains.push(FilterChain {
                server_names: Box::new([cluster.name.clone()]),
                destinations: Box::default(),
                mesh_only: true,
                rule: ChainRule {
                    virtual_host,
                    rule: 0,
                },
            });
        }
        chains
    }

    /// Where connections to a server go whose TLS it does not take off.
    pub(super) fn passed(&mut self, served: &Served<'_>) -> Vec<FilterChain> {
        if served.passes_by_cluster() {
            return self.by_cluster(served);
        }
        let name = served.name();
        let targets = Targets {
            side: Side::Gateway(&name),
            ..self.hosts.targets
        };
        let mut chains = Vec::new();
        let bound: Vec<_> = bound(self.candidates, &name, targets.input).collect();
        for candidate in bound {
            if served.common(candidate).is_empty() {
                continue;
            }
            let (resource, resources) = (candidate.resource, &mut self.hosts.resources);
            let written = ConnectionRules::of_tls(resource, targets, self.port, resources).list;
            let rules: Vec<Rule> = written.iter().map(|rule| rule.rule.clone()).collect();
            let host = format!("{}:{}", candidate.hosts.join(","), self.port);
            let virtual_host = self
                .hosts
                .add_virtual_host(host, Protocol::Tls, rules.into());
            for (rule, at) in written.into_iter().zip(0..) {
                chains.push(FilterChain {
                    server_names: rule.server_names,
                    destinations: rule.destinations,
                    mesh_only: false,
                    rule: ChainRule {
                        virtual_host,
                        rule: at,
                    },
                });
            }
        }
        chains
    }
}

/// What the clients of a server with `AUTO_PASSTHROUGH` may ask for: the clusters of the services of the mesh that have its hosts.
pub(super) fn passed_clusters<'c>(
    served: &Served<'_>,
    clusters: &'c Clusters,
) -> impl Iterator<Item = (&'c Cluster, ClusterId)> {
    let hosts: Vec<_> = served.hosts().collect();
    clusters.passed(move |host| hosts.iter().any(|of| names::covers(&of.host, host)))
}

/// The VirtualServices that are bound to a Gateway.
fn bound<'c, 'a>(
    candidates: &'c [Candidate<'a>],
    gateway: &'c str,
    input: &'c Input<'a>,
) -> impl Iterator<Item = &'c Candidate<'a>> {
    candidates.iter().filter(move |candidate| {
        let own = candidate.resource.meta.namespace.as_str();
        let domain = &input.mesh.cluster_domain;
        Side::Gateway(gateway).is_among(&candidate.resource.gateways, own, domain)
    })
}

/// Tells of entries that match claims of tokens where none are checked.
fn tell_claims(candidate: &Candidate<'_>, input: &Input<'_>, findings: &mut Vec<Finding>) {
    if request_authentication::checks_tokens(input) {
        return;
    }
    for (at, route) in candidate.resource.http.iter().enumerate() {
        for (entry_at, entry) in route.matches.iter().enumerate() {
            let mut names = entry.headers.keys().chain(entry.without_headers.keys());
            if names.any(|name| is_claim(name)) {
                findings.push(Finding::about(
                    Code::NotInEffect,
                    "VirtualService",
                    &candidate.resource.meta,
                    &format!("spec.http[{at}].match[{entry_at}].headers"),
                    "no RequestAuthentication selects this gateway, so that nobody has claims",
                    "add one with the issuer of the tokens",
                ));
            }
        }
    }
}

/// Tells of VirtualServices that are bound to a Gateway of which no server has a host in common with them, and of servers that
/// have no VirtualService.
pub(super) fn tell_unbound(
    ports: &BTreeMap<At, Vec<Served<'_>>>,
    candidates: &[Candidate<'_>],
    input: &Input<'_>,
    findings: &mut Vec<Finding>,
) {
    let servers: Vec<&Served<'_>> = ports.values().flatten().collect();
    for candidate in candidates {
        tell_claims(candidate, input, findings);
    }
    let is_bound = |served: &Served<'_>, candidate: &Candidate<'_>| {
        let own = candidate.resource.meta.namespace.as_str();
        let domain = &input.mesh.cluster_domain;
        Side::Gateway(&served.name()).is_among(&candidate.resource.gateways, own, domain)
    };
    // Whom routes of the Gateway API bind to was told when they were read.
    for candidate in candidates.iter().filter(|of| of.resource.api.is_none()) {
        let mut of = servers.iter().filter(|served| is_bound(served, candidate));
        let mut has_common = None;
        for served in &mut of {
            *has_common.get_or_insert(false) |= !served.common(candidate).is_empty();
        }
        if has_common == Some(false) {
            findings.push(Finding::about(
                Code::GatewayHostMismatch,
                "VirtualService",
                &candidate.resource.meta,
                "spec.hosts",
                "no server of the gateways that it is bound to has one of its hosts, or lets its namespace bind to it",
                "add the host to a server, as `namespace/host` or `host`",
            ));
        }
    }
    for served in servers {
        let serves = |candidate: &Candidate<'_>| {
            is_bound(served, candidate) && !served.common(candidate).is_empty()
        };
        let redirects = (served.server.tls.as_ref()).is_some_and(|tls| tls.https_redirect);
        let needs_rules = !redirects && !served.passes_by_cluster();
        if needs_rules && !candidates.iter().any(serves) {
            let (message, help) = match served.gateway.listener {
                None => (
                    "no VirtualService is bound to it: nobody gets through",
                    "name the Gateway in `gateways` of a VirtualService with one of its hosts",
                ),
                Some(_) => (
                    "no route is bound to it: nobody gets through",
                    "name the Gateway in `parentRefs` of a route with one of its hosts",
                ),
            };
            findings.push(served.tell(Code::GatewayWithoutRoutes, ".hosts", message.into(), help));
        }
    }
}
