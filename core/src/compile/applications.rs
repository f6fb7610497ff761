//! What of the application is behind inbound listeners: which of its ports connections are for, and where those are.
//!
//! A listener that the command line gives an application leads to it. One that is for whatever the kernel brings leads by the port
//! that a connection was to go to: to what the Sidecar's `ingress` says of the port, or, where that names none, to the ports of
//! services that the workload is an endpoint of, and from every other port to where the connection was to go (Istio's virtual
//! inbound listener and `InboundPassthroughCluster`).

use core::net::Ipv4Addr;
use std::collections::{BTreeMap, BTreeSet};

use super::labels::is_subset;
use super::scope::Scope;
use super::services::{Port, RegistryService, Services, Source, port_number};
use super::{Inbound, Input};
use crate::config::address::{self, Host};
use crate::config::kubernetes::TargetPort;
use crate::config::sidecar::{CaptureMode, IngressListener};
use crate::snapshot::{Address, PortOfApplication, PortsOfApplication};

/// One port of the application, or all that have no name, behind one listener.
#[derive(Clone, Debug)]
pub(super) struct Application<'a> {
    /// The position of the listener.
    listener: usize,
    /// The port, as its clients and policies call it; `None` for all that no other is for.
    pub(super) port: Option<u16>,
    /// The Sidecar's listener for it, and its position there.
    pub(super) ingress: Option<(usize, &'a IngressListener)>,
    /// Where it is.
    pub(super) at: Place,
}

/// Where a port of the application is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// There.
    Address(Address),
    /// At the address that a connection was to go to, on this port, or on the one that it was to go to.
    Original(Option<u16>),
}

impl Application<'_> {
    /// The port of the application; 0 for all that no other is for.
    #[must_use]
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or_default()
    }
}

/// All ports behind these listeners: one for each of them, in order, then those that are told apart by where a connection was to
/// go. `more`: ports of which something holds that does not hold for others.
#[must_use]
pub(super) fn applications<'a>(
    inbound: &[Inbound],
    input: &Input<'a>,
    scope: &Scope<'a>,
    services: &Services<'a>,
    more: impl Iterator<Item = u16>,
) -> Vec<Application<'a>> {
    let ingress = scope.sidecar.map(|sidecar| sidecar.ingress.as_slice());
    let ingress = ingress.unwrap_or_default();
    let mut all = Vec::with_capacity(inbound.len());
    for (listener, one) in inbound.iter().enumerate() {
        let port = (!one.is_virtual()).then(|| one.application.port());
        let mut of_sidecar = ingress.iter().enumerate();
        all.push(Application {
            listener,
            port,
            ingress: of_sidecar.find(|(_, of)| port.is_some() && of.application_port() == port),
            at: match port {
                Some(_) => Place::Address(Address::Socket(one.application)),
                None => Place::Original(None),
            },
        });
    }
    let named = match ingress.is_empty() {
        true => of_services(input, services),
        false => BTreeSet::new(),
    };
    let more: Vec<u16> = more.collect();
    let virtual_ones = inbound
        .iter()
        .enumerate()
        .filter(|(_, one)| one.is_virtual());
    for (listener, _) in virtual_ones {
        let mut known = BTreeSet::new();
        for (at, of) in ingress.iter().enumerate() {
            let port = of.port.as_ref().and_then(|port| port_number(port.number));
            let is_opened = of.capture_mode == CaptureMode::None;
            let is_there = !is_opened || of.has_endpoint_of_its_own();
            let Some(port) = port.filter(|port| is_there && known.insert(*port)) else {
                continue;
            };
            all.push(Application {
                listener,
                port: Some(port),
                ingress: Some((at, of)),
                at: match place(&of.default_endpoint) {
                    // Who came by himself may have come by any address.
                    Place::Original(Some(port)) if is_opened => {
                        Place::Address(Address::Socket((Ipv4Addr::LOCALHOST, port).into()))
                    }
                    place => place,
                },
            });
        }
        let others = named.iter().chain(&more);
        for port in others.filter(|port| known.insert(**port)) {
            all.push(Application {
                listener,
                port: Some(*port),
                ingress: None,
                at: Place::Original(None),
            });
        }
    }
    all
}

/// Which ports are told apart behind listeners for whatever the kernel brings.
#[must_use]
pub(super) fn by_port(inbound: &[Inbound], all: &[Application<'_>]) -> PortsOfApplication {
    let listeners = inbound.iter().enumerate();
    let listeners = listeners.filter(|(_, one)| one.is_virtual());
    let named = all.iter().enumerate().skip(inbound.len());
    let named = named.map(|(position, one)| PortOfApplication {
        listener: one.listener,
        port: one.port(),
        position,
    });
    PortsOfApplication::new(listeners.map(|(at, _)| at).collect(), named.collect())
}

/// Where a `defaultEndpoint` is. `0.0.0.0` and `::` stand for the workload's own address, which is the one that a connection was to
/// go to; nothing is the same address and port.
fn place(endpoint: &str) -> Place {
    if let Host::Unix(path) = address::classify(endpoint) {
        return Place::Address(Address::Unix(path.into()));
    }
    let Ok((host, port)) = address::split_host_port(endpoint) else {
        return Place::Original(None);
    };
    match address::parse_ip(host) {
        Some(ip) if ip.is_unspecified() => Place::Original(Some(port)),
        Some(ip) => Place::Address(Address::Socket((ip, port).into())),
        None => Place::Address(Address::Socket(([127, 0, 0, 1], port).into())),
    }
}

/// The ports of the application that services have.
fn of_services(input: &Input<'_>, services: &Services<'_>) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    for service in services.iter() {
        for port in service.ports.iter().filter(|port| port.is_stream()) {
            for source in &port.sources {
                found.extend(target(input, service, port, source));
            }
        }
    }
    found
}

/// The port with which the workload answers as an endpoint of a service, by one of the resources that define the service.
fn target(
    input: &Input<'_>,
    service: &RegistryService<'_>,
    port: &Port<'_>,
    source: &Source<'_>,
) -> Option<u16> {
    let workload = input.workload;
    let selects = |selector: &BTreeMap<String, String>| {
        service.namespace == workload.namespace
            && !selector.is_empty()
            && is_subset(selector, &workload.labels)
    };
    match source {
        Source::Kubernetes(of, written) if selects(&of.selector) => match &written.target {
            TargetPort::Same => Some(port.number),
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => {
                let mut pods = input.resources.pods.iter();
                pods.find_map(|pod| {
                    let is_like = pod.meta.namespace == workload.namespace
                        && is_subset(&of.selector, &pod.meta.labels);
                    pod.ports.get(name).copied().filter(|_| is_like)
                })
            }
        },
        Source::Entry(entry, written) if entry.workload_selector.as_ref().is_some_and(selects) => {
            port_number(written.target_port.unwrap_or(written.number))
        }
        Source::Kubernetes(..) | Source::Entry(..) => None,
    }
}

/// Whether the workload answers on a port of a service with this port of the application.
#[must_use]
pub(super) fn serves(
    input: &Input<'_>,
    service: &RegistryService<'_>,
    port: &Port<'_>,
    application: u16,
) -> bool {
    port.sources.iter().any(|source| {
        let known = target(input, service, port, source);
        known == Some(application) || known.is_none() && is_only(input, service, source)
    })
}

/// Whether a port of the application whose name nobody knows must be this one, because the service has no other.
fn is_only(input: &Input<'_>, service: &RegistryService<'_>, source: &Source<'_>) -> bool {
    let Source::Kubernetes(of, written) = source else {
        return false;
    };
    matches!(written.target, TargetPort::Name(_))
        && of.ports.len() == 1
        && service.namespace == input.workload.namespace
        && !of.selector.is_empty()
        && is_subset(&of.selector, &input.workload.labels)
}
