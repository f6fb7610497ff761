//! What a workload's sidecar knows: the Sidecar that holds for it and what that imports (reference §1.4).
//!
//! Without a Sidecar everything visible is known. What is not known here produces no configuration: calls to it are
//! calls to an unknown host.

use std::collections::BTreeSet;

use super::Input;
use super::labels::is_subset;
use super::services::port_number;
use crate::config::names;
use crate::config::sidecar::{EgressHost, EgressNamespace, OutboundTrafficPolicy, Sidecar};

/// What one outbound listener of a sidecar knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listener<'a> {
    /// The only port it is for; `None` is every port without a listener of its own.
    port: Option<u16>,
    /// Patterns of what it knows; `None` is everything visible.
    hosts: Option<Vec<EgressHost<'a>>>,
    client: &'a str,
}

impl Listener<'_> {
    /// Whether it knows a service of this namespace and host.
    #[must_use]
    pub(super) fn imports(&self, namespace: &str, host: &str) -> bool {
        self.any(namespace, |pattern| names::covers(pattern, host))
    }

    /// Whether it knows a VirtualService of this namespace for this host, which may be a wildcard.
    #[must_use]
    pub(super) fn imports_rule(&self, namespace: &str, host: &str) -> bool {
        self.any(namespace, |pattern| names::overlaps(pattern, host))
    }

    fn any(&self, namespace: &str, matches: impl Fn(&str) -> bool) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let hits = |excludes: bool| {
            hosts.iter().any(|host| {
                let is_there = match host.namespace {
                    EgressNamespace::Any => true,
                    EgressNamespace::Own => namespace == self.client,
                    EgressNamespace::None => false,
                    EgressNamespace::Named(name) => namespace == name,
                };
                host.excludes == excludes && is_there && matches(host.host)
            })
        };
        hits(false) && !hits(true)
    }
}

/// What a sidecar knows.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    pub(super) listeners: Vec<Listener<'a>>,
    /// The Sidecar that holds for it.
    pub(super) sidecar: Option<&'a Sidecar>,
    /// What happens to unknown hosts, where the Sidecar says.
    pub(super) outbound_traffic_policy: Option<&'a OutboundTrafficPolicy>,
    /// Hosts that imported VirtualServices send requests to; they need no import of their own.
    implicit: BTreeSet<String>,
}

impl<'a> Scope<'a> {
    /// The scope of the workload.
    #[must_use]
    pub(super) fn new(input: &Input<'a>) -> Self {
        // A gateway has no Sidecar (Istio): it knows everything that its namespace sees.
        let sidecar = (!input.workload.carries.is_gateway()).then(|| select(input));
        let sidecar = sidecar.flatten();
        let client = input.workload.namespace.as_str();
        let everything = Listener {
            port: None,
            hosts: None,
            client,
        };
        let listeners = match sidecar {
            Some(sidecar) if !sidecar.egress.is_empty() => sidecar
                .egress
                .iter()
                .map(|egress| Listener {
                    // That of a Unix socket is for no port.
                    port: egress
                        .port
                        .as_ref()
                        .map(|port| port_number(port.number).unwrap_or_default()),
                    hosts: Some(
                        egress
                            .hosts
                            .iter()
                            .filter_map(|h| EgressHost::parse(h))
                            .collect(),
                    ),
                    client,
                })
                .collect(),
            Some(_) | None => vec![everything],
        };
        Self {
            listeners,
            sidecar,
            outbound_traffic_policy: sidecar.and_then(|s| s.outbound_traffic_policy.as_ref()),
            implicit: BTreeSet::new(),
        }
    }

    /// The position of the listener that a port's requests come to.
    #[must_use]
    pub(super) fn listener_for(&self, port: u16) -> Option<usize> {
        let at = |wanted| self.listeners.iter().position(|l| l.port == wanted);
        at(Some(port)).or_else(|| at(None))
    }

    /// Whether everything visible is known anyway.
    #[must_use]
    pub(super) fn has_everything(&self) -> bool {
        self.listeners
            .iter()
            .all(|listener| listener.hosts.is_none())
    }

    /// Makes the destinations of an imported VirtualService known.
    pub(super) fn add_destination(&mut self, host: String) {
        self.implicit.insert(host);
    }

    /// Whether any listener knows a service under its own name.
    #[must_use]
    pub(super) fn imports(&self, namespace: &str, host: &str) -> bool {
        let mut listeners = self.listeners.iter();
        listeners.any(|listener| listener.imports(namespace, host))
    }

    /// Whether requests may be sent to a service, under its own name or by a rule.
    #[must_use]
    pub(super) fn reaches(&self, namespace: &str, host: &str) -> bool {
        self.imports(namespace, host) || self.implicit.contains(host)
    }
}

/// The Sidecar of the workload: one that selects it, else its namespace's, else the root namespace's; the oldest of each.
fn select<'a>(input: &Input<'a>) -> Option<&'a Sidecar> {
    let client = input.workload.namespace.as_str();
    let sidecars = input.sidecars();
    let of = |namespace: &str, selects: &dyn Fn(&Sidecar) -> bool| {
        let mut all = sidecars.iter().copied();
        all.find(|resource| resource.meta.namespace == namespace && selects(resource))
    };
    let selects_us = |sidecar: &Sidecar| {
        let selector = sidecar.workload_selector.as_ref();
        selector.is_some_and(|labels| is_subset(labels, &input.workload.labels))
    };
    let is_default = |sidecar: &Sidecar| sidecar.workload_selector.is_none();
    of(client, &selects_us)
        .or_else(|| of(client, &is_default))
        .or_else(|| of(&input.mesh.root_namespace, &is_default))
}
