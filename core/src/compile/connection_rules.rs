//! The rules of a VirtualService for connections that are not HTTP (`tcp`, `tls`), for one service port, in order (reference
//! §1.1).
//!
//! The twin of `rules`. What a rule does is the same as for requests, so that all that balances, limits and tells of them
//! holds for connections; whom it is for is said by a filter chain beside it.

use std::sync::Arc;

use super::actions::Targets;
use super::labels::is_subset;
use super::resources::ResourceTable;
use crate::config::address::parse_block;
use crate::config::names;
use crate::config::virtual_service::{L4Match, RouteDestination, VirtualService};
use crate::peer::AddressRange;
use crate::snapshot::{Action, Condition, Destination, Forward, HeaderOps, Origin, Rule};

/// A rule, and the connections that it is for.
#[derive(Clone, Debug)]
pub(super) struct ConnectionRule {
    pub(super) rule: Rule,
    /// In lower case; none of `tcp`.
    pub(super) server_names: Box<[Box<str>]>,
    pub(super) destinations: Box<[AddressRange]>,
}

/// The rules for connections of one VirtualService and port.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionRules {
    pub(super) list: Vec<ConnectionRule>,
}

impl ConnectionRules {
    /// The `tls` rules of a VirtualService.
    #[must_use]
    pub(super) fn of_tls(
        service: &VirtualService,
        targets: Targets<'_>,
        port: u16,
        resources: &mut ResourceTable,
    ) -> Self {
        let mut rules = Self::default();
        for (at, route) in service.tls.iter().enumerate() {
            let action = action(&route.route, service, targets, port);
            for (entry_at, entry) in route.matches.iter().enumerate() {
                if !concerns(&entry.connection, &service.meta.namespace, targets, port) {
                    continue;
                }
                let names = entry.sni_hosts.iter();
                let path = match service.api {
                    Some(_) => format!("spec.rules[{at}]"),
                    None => format!("spec.tls[{at}].match[{entry_at}]"),
                };
                rules.list.push(ConnectionRule {
                    rule: rule(&path, &action, service, resources),
                    server_names: names
                        .map(|name| names::normalize(name).into_owned().into())
                        .collect(),
                    destinations: ranges(&entry.connection),
                });
            }
        }
        rules
    }

    /// The `tcp` rules of a VirtualService. Nothing follows one that is for every connection.
    #[must_use]
    pub(super) fn of_tcp(
        service: &VirtualService,
        targets: Targets<'_>,
        port: u16,
        resources: &mut ResourceTable,
    ) -> Self {
        let mut rules = Self::default();
        for (at, route) in service.tcp.iter().enumerate() {
            let action = action(&route.route, service, targets, port);
            let everything = L4Match::default();
            let path = match service.api {
                Some(_) => format!("spec.rules[{at}]"),
                None => format!("spec.tcp[{at}]"),
            };
            let entries: Vec<(String, &L4Match)> = match &*route.matches {
                [] => vec![(path, &everything)],
                some => some
                    .iter()
                    .enumerate()
                    .map(|(entry_at, entry)| match service.api {
                        Some(_) => (path.clone(), entry),
                        None => (format!("{path}.match[{entry_at}]"), entry),
                    })
                    .collect(),
            };
            for (path, entry) in entries {
                if !concerns(entry, &service.meta.namespace, targets, port) {
                    continue;
                }
                rules.list.push(ConnectionRule {
                    rule: rule(&path, &action, service, resources),
                    server_names: Box::default(),
                    destinations: ranges(entry),
                });
                if entry.destination_subnets.is_empty() {
                    return rules;
                }
            }
        }
        rules
    }
}

/// Whether an entry may hold for connections of this workload to this service port. Gateways of the entry itself take the
/// place of the client's labels and namespace.
fn concerns(entry: &L4Match, namespace: &str, targets: Targets<'_>, port: u16) -> bool {
    if entry.port != 0 && entry.port != u32::from(port) {
        return false;
    }
    if !entry.gateways.is_empty() {
        return targets.side.is_among(
            &entry.gateways,
            namespace,
            &targets.input.mesh.cluster_domain,
        );
    }
    let workload = targets.input.workload;
    is_subset(&entry.source_labels, &workload.labels)
        && (entry.source_namespace.is_empty() || entry.source_namespace == workload.namespace)
}

/// The blocks of addresses that a client may have connected to; what is none was refused before.
fn ranges(entry: &L4Match) -> Box<[AddressRange]> {
    let blocks = entry.destination_subnets.iter();
    let blocks = blocks.filter_map(|block| parse_block(block).ok());
    blocks
        .filter_map(|block| AddressRange::new(block.address, block.bits))
        .collect()
}

fn rule(
    path: &str,
    action: &Arc<Action>,
    service: &VirtualService,
    resources: &mut ResourceTable,
) -> Rule {
    let meta = &service.meta;
    Rule {
        name: "default".into(),
        origin: Some(Origin {
            resource: resources.id_of(service.kind(), meta),
            path: path.into(),
            line: meta.locate(path).line,
        }),
        fields: Arc::default(),
        condition: Condition::default(),
        action: Arc::clone(action),
    }
}

/// One destination takes all, whatever its weight.
fn action(
    route: &[RouteDestination],
    service: &VirtualService,
    targets: Targets<'_>,
    port: u16,
) -> Arc<Action> {
    let is_single = route.len() == 1;
    let destinations = route.iter().filter_map(|to| {
        let written = u32::try_from(to.weight).ok().filter(|weight| *weight > 0);
        let namespace = &service.meta.namespace;
        Some(Destination {
            weight: if is_single { 1 } else { written? },
            cluster: targets.cluster(&to.destination, namespace, port),
            request: HeaderOps::default(),
            response: HeaderOps::default(),
        })
    });
    let destinations: Box<[Destination]> = destinations.collect();
    let total: u64 = destinations.iter().map(|d| u64::from(d.weight)).sum();
    Arc::new(Action::Forward(Forward {
        destinations,
        total_weight: total.max(1),
        ..Forward::default()
    }))
}
