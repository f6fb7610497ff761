//! Hosts that several resources define: which of them holds, and what is not used of the others.
//!
//! The order is the compiler's, for clients that see both: a Kubernetes Service, then ServiceEntries that are exported to
//! namespaces by name, then the oldest. ServiceEntries of one namespace add up where they are alike (Istio since 1.22).

use std::collections::{BTreeMap, BTreeSet};

use super::{About, Lint, full_name};
use crate::config::code::Code;
use crate::config::meta::Meta;
use crate::config::names;
use crate::config::protocol::Protocol;
use crate::config::service_entry::{Resolution, ServiceEntry, ServicePort};

/// What holds for a host, for clients in some namespaces.
struct Holder<'a> {
    kind: &'static str,
    meta: &'a Meta,
    seen: ExportedTo<'a>,
    /// Where it is a ServiceEntry: it, and its ports with those of entries like it.
    entry: Option<(&'a ServiceEntry, BTreeMap<u32, &'a ServicePort>)>,
}

/// Where a resource is seen.
#[derive(Clone)]
enum ExportedTo<'a> {
    Everywhere,
    In(BTreeSet<&'a str>),
}

impl<'a> ExportedTo<'a> {
    fn new(export_to: &'a [String], default: &'a [String], owner: &'a str) -> Self {
        let list = if export_to.is_empty() {
            default
        } else {
            export_to
        };
        if list.is_empty() || list.iter().any(|to| to == "*") {
            return Self::Everywhere;
        }
        let list = list.iter().map(String::as_str).filter(|to| *to != "~");
        Self::In(list.map(|to| if to == "." { owner } else { to }).collect())
    }

    /// Whether some client sees both.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everywhere, Self::Everywhere) => true,
            (Self::Everywhere, Self::In(list)) | (Self::In(list), Self::Everywhere) => {
                !list.is_empty()
            }
            (Self::In(a), Self::In(b)) => !a.is_disjoint(b),
        }
    }
}

/// Tells what is not used of a ServiceEntry because others define its hosts.
pub(super) fn lint(lint: &mut Lint<'_>) {
    let (resources, mesh) = (lint.resources, lint.mesh);
    let default = mesh.default_service_export_to.as_slice();
    let mut holders: BTreeMap<String, Vec<Holder<'_>>> = BTreeMap::new();
    for service in resources.services.iter().filter(|s| !s.meta.rejected) {
        let (name, namespace) = (&service.meta.name, &service.meta.namespace);
        let host = names::service_host(name, namespace, &mesh.cluster_domain);
        holders.entry(host).or_default().push(Holder {
            kind: "Service",
            meta: &service.meta,
            seen: ExportedTo::new(&service.export_to, default, namespace),
            entry: None,
        });
    }
    for (entry, seen) in in_order(&resources.service_entries, default) {
        for (at, host) in entry.hosts.iter().enumerate() {
            let host = names::normalize(host).into_owned();
            let of_host = holders.entry(host.clone()).or_default();
            let Some(holder) = of_host.iter_mut().find(|h| h.seen.meets(&seen)) else {
                of_host.push(Holder {
                    kind: "ServiceEntry",
                    meta: &entry.meta,
                    seen: seen.clone(),
                    entry: Some((entry, ports(entry))),
                });
                continue;
            };
            against(lint, holder, entry, at, &host);
        }
    }
}

fn in_order<'a>(
    entries: &'a [ServiceEntry],
    default: &'a [String],
) -> Vec<(&'a ServiceEntry, ExportedTo<'a>)> {
    let seen = |entry: &'a ServiceEntry| {
        let seen = ExportedTo::new(&entry.export_to, default, &entry.meta.namespace);
        (entry, seen)
    };
    let usable = entries.iter().filter(|entry| !entry.meta.rejected);
    let mut entries: Vec<_> = usable.map(seen).collect();
    entries.sort_by_key(|(entry, seen)| {
        let meta = &entry.meta;
        let created = meta.created.as_deref().unwrap_or_default();
        let is_public = matches!(seen, ExportedTo::Everywhere);
        (is_public, created, &meta.name, &meta.namespace)
    });
    entries
}

fn ports(entry: &ServiceEntry) -> BTreeMap<u32, &ServicePort> {
    let ports = entry.ports.iter().rev();
    ports.map(|port| (port.number, port)).collect()
}

fn against<'a>(
    lint: &mut Lint<'_>,
    holder: &mut Holder<'a>,
    entry: &'a ServiceEntry,
    at: usize,
    host: &str,
) {
    let (kind, name) = (holder.kind, full_name(holder.meta));
    let path = format!("spec.hosts[{at}]");
    let (first, known) = match &mut holder.entry {
        Some((first, known)) if first.meta.namespace == entry.meta.namespace => (*first, known),
        Some(_) | None => {
            let message = format!("{kind} {name} defines `{host}` too and is used instead");
            return lint.tell(about(entry), path, Code::ShadowedHost, message, "");
        }
    };
    let differs = first.differs_in(entry);
    if differs.is_empty() {
        mixed_ports(lint, first, known, entry, host);
        for port in &entry.ports {
            known.entry(port.number).or_insert(port);
        }
    } else {
        let missing: Vec<String> = entry
            .ports
            .iter()
            .filter(|port| !known.contains_key(&port.number))
            .map(|port| port.number.to_string())
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "`{host}` has no port {} by this entry: ServiceEntry {name} defines it too, with other {}",
                missing.join(", "),
                differs.join(", "),
            );
            let help = "write these fields alike in both, or all ports into one of them";
            lint.tell(about(entry), path, Code::EntriesDiffer, message, help);
        }
    }
    shared_ports(lint, first, known, entry, host);
}

/// Ports that are there already: the holder says how its endpoints are found, and what is spoken.
fn shared_ports(
    lint: &mut Lint<'_>,
    first: &ServiceEntry,
    known: &BTreeMap<u32, &ServicePort>,
    entry: &ServiceEntry,
    host: &str,
) {
    let holder = full_name(&first.meta);
    let (used, written) = (first.resolution, entry.resolution);
    let shared = |port: &ServicePort| {
        let theirs = known.get(&port.number).copied();
        theirs.filter(|theirs| !core::ptr::eq(*theirs, port))
    };
    if used != written && entry.ports.iter().any(|port| shared(port).is_some()) {
        let (used, written) = (used.as_str(), written.as_str());
        let message = format!(
            "endpoints of `{host}` are found by `{used}`, as ServiceEntry {holder} says, and not by `{written}`"
        );
        let help = "write the same resolution in both";
        let path = "spec.resolution";
        lint.tell(about(entry), path, Code::EntriesDiffer, message, help);
    }
    let is_by_port_name = used == Resolution::Static && has_endpoints(entry);
    for (at, port) in entry.ports.iter().enumerate() {
        let Some(theirs) = shared(port) else {
            continue;
        };
        let number = port.number;
        let protocol = |port: &ServicePort| Protocol::parse(&port.protocol).unwrap_or_default();
        if protocol(theirs) != protocol(port) {
            let theirs = protocol(theirs).as_str();
            let message = format!(
                "port {number} of `{host}` is {theirs}, as ServiceEntry {holder} says, and not this"
            );
            let path = format!("spec.ports[{at}].protocol");
            let help = "write the same protocol in both";
            lint.tell(about(entry), path, Code::EntriesDiffer, message, help);
        }
        if is_by_port_name && theirs.name != port.name {
            let message = format!(
                "endpoints for port {number} of `{host}` are not used: ServiceEntry {holder} calls it `{}`",
                theirs.name
            );
            let path = format!("spec.ports[{at}].name");
            let help = "give the port the same name in both";
            lint.tell(about(entry), path, Code::EntriesDiffer, message, help);
        }
    }
}

/// Ports that add up: endpoints that are addresses go by the port's name, so two ports of one name have the same.
fn mixed_ports(
    lint: &mut Lint<'_>,
    first: &ServiceEntry,
    known: &BTreeMap<u32, &ServicePort>,
    entry: &ServiceEntry,
    host: &str,
) {
    if entry.resolution != Resolution::Static || !has_endpoints(entry) && !has_endpoints(first) {
        return;
    }
    for (at, port) in entry.ports.iter().enumerate() {
        let mut known = known.values();
        let Some(other) = known.find(|p| p.name == port.name && p.number != port.number) else {
            continue;
        };
        let message = format!(
            "ports {} and {} of `{host}` have one name, so each has the endpoints of both",
            other.number, port.number
        );
        let help = format!(
            "give it another name than the port of ServiceEntry {} has",
            full_name(&first.meta)
        );
        let path = format!("spec.ports[{at}].name");
        lint.tell(about(entry), path, Code::EntriesDiffer, message, help);
    }
}

fn has_endpoints(entry: &ServiceEntry) -> bool {
    !entry.endpoints.is_empty() || entry.workload_selector.is_some()
}

fn about(entry: &ServiceEntry) -> About<'_> {
    About {
        kind: "ServiceEntry",
        meta: &entry.meta,
    }
}
