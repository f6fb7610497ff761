//! Where the settings of a cluster stand, and what each of them took the place of.
//!
//! Owns no precedence: `traffic_policy` has chosen, and here is looked up whose block it took. So what is told of
//! inheritance is what was inherited.

use core::ptr;

use super::destination_rules::{DestinationRules, Merged};
use super::resources::ResourceTable;
use super::services::{Port, RegistryService, Source};
use super::traffic_policy::{Effective, places};
use crate::config::destination_rule::{DestinationRule, Subset};
use crate::config::meta::Meta;
use crate::snapshot::{BlockOrigin, ClusterOrigin, Origin};

const KIND: &str = "DestinationRule";

/// The origins of a cluster: of a port of a service, and of a subset if it is one.
pub(super) fn of(
    port: &Port<'_>,
    rule: Option<&Merged<'_>>,
    subset: Option<&Subset>,
    policy: &Effective<'_>,
    resources: &mut ResourceTable,
) -> ClusterOrigin {
    let mut origin = ClusterOrigin {
        service: port
            .sources
            .first()
            .map(|source| of_port(*source, resources)),
        ..ClusterOrigin::default()
    };
    let Some(merged) = rule else { return origin };
    let mut found = Vec::new();
    if let Some(subset) = subset
        && let Some((rule, path)) = place_of_subset(merged, subset)
    {
        origin.subset = Some(at(KIND, &rule.meta, &path, resources));
        for (below, blocks) in places(subset.traffic_policy.as_ref(), port.number) {
            found.push((rule, format!("{path}.trafficPolicy{below}"), blocks));
        }
    }
    let top = merged.traffic_policy;
    if let Some(rule) = merged.rules.iter().find(|rule| is_of(rule, merged)) {
        for (below, blocks) in places(top, port.number) {
            found.push((*rule, format!("spec.trafficPolicy{below}"), blocks));
        }
    }
    let blocks = BLOCKS.iter();
    let blocks =
        blocks.filter_map(|(name, address)| block(name, *address, &found, policy, resources));
    origin.blocks = blocks.collect();
    origin
}

/// The rules of other namespaces that are kept away from a service.
pub(super) fn passed_over(
    service: &RegistryService<'_>,
    rules: &DestinationRules<'_>,
    resources: &mut ResourceTable,
) -> Box<[Origin]> {
    let passed_over = rules.passed_over(&service.host, service.namespace);
    passed_over
        .into_iter()
        .map(|rule| at(KIND, &rule.meta, "spec", resources))
        .collect()
}

fn is_of(rule: &DestinationRule, merged: &Merged<'_>) -> bool {
    let (own, top) = (rule.traffic_policy.as_ref(), merged.traffic_policy);
    own.zip(top).is_some_and(|(own, top)| ptr::eq(own, top))
}

/// A block by its address, which is that of what a file says. Blocks of different kinds are never compared.
type Address = fn(&Effective<'_>) -> Option<*const ()>;

const BLOCKS: [(&str, Address); 7] = [
    ("loadBalancer", |e| e.load_balancer.map(address)),
    ("connectionPool", |e| e.connection_pool.map(address)),
    ("outlierDetection", |e| e.outlier_detection.map(address)),
    ("tls", |e| e.tls.map(address)),
    ("tunnel", |e| e.tunnel.map(address)),
    ("proxyProtocol", |e| e.proxy_protocol.map(address)),
    ("retryBudget", |e| e.retry_budget.map(address)),
];

const fn address<T>(block: &T) -> *const () {
    ptr::from_ref(block).cast()
}

type Found<'a> = (&'a DestinationRule, String, Effective<'a>);

fn block(
    name: &'static str,
    address: Address,
    found: &[Found<'_>],
    policy: &Effective<'_>,
    resources: &mut ResourceTable,
) -> Option<BlockOrigin> {
    let chosen = address(policy);
    let mut set = found
        .iter()
        .filter(|(_, _, blocks)| address(blocks).is_some());
    let mut whole = |(rule, path, _): &Found<'_>, name: &str| {
        let path = format!("{path}.{name}");
        at(KIND, &rule.meta, path.trim_end_matches('.'), resources)
    };
    let (origin, is_set) = match chosen {
        Some(_) => {
            let chosen = set.find(|(_, _, blocks)| address(blocks) == chosen)?;
            (whole(chosen, name), true)
        }
        None => {
            // Only the settings of a port take away what they do not have.
            set.clone().next()?;
            let by = found.iter().find(|(_, path, _)| path.ends_with(']'))?;
            (whole(by, ""), false)
        }
    };
    let overrides = set.map(|place| whole(place, name)).collect();
    Some(BlockOrigin {
        name,
        origin,
        is_set,
        overrides,
    })
}

fn place_of_subset<'a>(
    merged: &Merged<'a>,
    subset: &Subset,
) -> Option<(&'a DestinationRule, String)> {
    let mut rules = merged.rules.iter();
    rules.find_map(|rule| {
        let mut all = rule.subsets.iter();
        let at = all.position(|other| ptr::eq(other, subset))?;
        Some((*rule, format!("spec.subsets[{at}]")))
    })
}

fn of_port(source: Source<'_>, resources: &mut ResourceTable) -> Origin {
    match source {
        Source::Kubernetes(service, port) => {
            let all = service.ports.iter();
            let path = path_of_port(all.map(ptr::from_ref), port);
            at("Service", &service.meta, &path, resources)
        }
        Source::Entry(entry, port) => {
            let all = entry.ports.iter();
            let path = path_of_port(all.map(ptr::from_ref), port);
            at("ServiceEntry", &entry.meta, &path, resources)
        }
    }
}

fn path_of_port<T>(mut all: impl Iterator<Item = *const T>, port: &T) -> String {
    let place = all.position(|other| ptr::eq(other, port));
    place.map_or_else(|| "spec".to_owned(), |at| format!("spec.ports[{at}]"))
}

/// A place in a resource.
pub(super) fn at(
    kind: &'static str,
    meta: &Meta,
    path: &str,
    resources: &mut ResourceTable,
) -> Origin {
    Origin {
        resource: resources.id_of(kind, meta),
        path: path.into(),
        line: meta.locate(path).line,
    }
}
