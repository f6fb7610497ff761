//! Where a service port listens: endpoints from ServiceEntries, WorkloadEntries, Pods and EndpointSlices (reference §3).
//!
//! Owns the order in which a target port is decided and what an endpoint's labels and weight are. Which labels
//! make a subset is `destination_rules`' business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::Input;
use super::labels::{Labels, is_subset};
use super::locality::{self, Locality, Nodes};
use super::services::{Port, RegistryService, Source, port_number};
use crate::config::address::{Host, classify, parse_ip};
use crate::config::kubernetes::{self, EndpointSlice, Pod, Reach, TargetPort};
use crate::config::service_entry::{Resolution, ServiceEntry, ServicePort};
use crate::config::workload_entry::{Workload, WorkloadEntry};
use crate::peer::Identity;
use crate::snapshot::Address;

/// An endpoint of a service port, whatever its subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: Address,
    pub(super) labels: Labels,
    /// At least 1.
    pub(super) weight: u32,
    /// `region/zone/subzone`, or empty.
    pub(super) locality: Box<str>,
    /// What its live state is filed under where its address may change while it stays the same endpoint (Envoy's
    /// logical host): the name and the port.
    pub(super) logical: Option<Box<str>>,
    /// The host name of its pod in a headless service, or empty.
    pub(super) hostname: Box<str>,
    /// What runs there, as far as somebody says.
    pub(super) identity: Identity,
    /// Its service account, in the namespace of its identity; empty where nobody says.
    pub(super) service_account: Box<str>,
    /// It has a sidecar that takes TLS of the mesh.
    pub(super) has_mesh_tls: bool,
}

/// The label by which a pod says that it has a sidecar.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// The service account of pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

impl Candidate {
    /// An endpoint of which nothing is known but where it listens.
    #[must_use]
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            labels: Labels::new(),
            weight: 1,
            locality: Box::default(),
            logical: None,
            hostname: Box::default(),
            identity: Identity::default(),
            service_account: Box::default(),
            has_mesh_tls: false,
        }
    }

    /// The same, which runs this.
    fn called(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// The same, which is this pod.
    fn of_pod(self, pod: &Pod) -> Self {
        let account = match pod.service_account.as_str() {
            "" => DEFAULT_ACCOUNT,
            account => account,
        };
        Self {
            identity: identity(pod),
            service_account: account.into(),
            has_mesh_tls: says_mesh_tls(&pod.meta.labels) == Some(true),
            ..self
        }
    }

    /// The same, as one endpoint whatever its name resolves to.
    fn into_logical(self) -> Self {
        let logical = match &self.address {
            Address::Name(..) => Some(self.address.to_string().into()),
            Address::Socket(_) | Address::Local(..) | Address::Unix(_) => None,
        };
        Self { logical, ..self }
    }

    /// An endpoint that is somewhere; its labels say so, too.
    fn at(
        address: Address,
        labels: &Labels,
        locality: &Locality,
        node: &str,
        network: &str,
    ) -> Self {
        Self {
            labels: locality::augment(labels, locality, node, network),
            locality: locality.text(),
            ..Self::new(address)
        }
    }
}

/// What answers on a service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Upstream {
    /// These endpoints, each address once.
    Endpoints(Vec<Candidate>),
    /// Where the client wanted to go (`resolution: NONE`, `DYNAMIC_DNS`).
    OriginalDestination,
}

/// Workloads, filed by what they are looked up by.
#[derive(Debug, Default)]
pub(super) struct Workloads<'a> {
    /// WorkloadEntries by namespace.
    entries: BTreeMap<&'a str, Vec<&'a WorkloadEntry>>,
    /// Pods by namespace and name.
    pods: BTreeMap<(&'a str, &'a str), &'a Pod>,
    /// Where nodes are.
    nodes: Nodes<'a>,
    /// EndpointSlices by namespace and service.
    slices: BTreeMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
}

impl<'a> Workloads<'a> {
    /// Files all workloads of the configuration.
    #[must_use]
    pub(super) fn new(input: &Input<'a>) -> Self {
        let mut workloads = Self::default();
        for entry in input.workload_entries() {
            let namespace = entry.meta.namespace.as_str();
            workloads.entries.entry(namespace).or_default().push(entry);
        }
        for pod in input.pods() {
            let key = (pod.meta.namespace.as_str(), pod.meta.name.as_str());
            workloads.pods.entry(key).or_insert(pod);
        }
        for node in input.nodes() {
            if let Some(locality) = Locality::of_node(&node.meta.labels) {
                workloads.nodes.entry(&node.meta.name).or_insert(locality);
            }
        }
        for slice in input.endpoint_slices() {
            let service = slice.service_name();
            workloads.slices.entry(service).or_default().push(slice);
        }
        workloads
    }

    /// What answers on a port of a service, with names as they are written.
    #[must_use]
    pub(super) fn upstream(&self, service: &RegistryService<'_>, port: &Port<'_>) -> Upstream {
        let resolution = service.definition.resolution();
        match resolution {
            Resolution::None | Resolution::DynamicDns => return Upstream::OriginalDestination,
            Resolution::Static | Resolution::Dns | Resolution::DnsRoundRobin => {}
        }
        let mut found = Vec::new();
        for source in &port.sources {
            match source {
                Source::Kubernetes(service, port) => self.of_kubernetes(service, port, &mut found),
                Source::Entry(entry, port) => {
                    let by_name = resolution.is_by_name() && entry.resolution.is_by_name();
                    self.of_entry(entry, port, &service.host, by_name, &mut found);
                }
            }
        }
        if resolution == Resolution::DnsRoundRobin {
            found = found.into_iter().map(Candidate::into_logical).collect();
        }
        let mut seen = BTreeSet::new();
        found.retain(|candidate| seen.insert(candidate.address.clone()));
        Upstream::Endpoints(found)
    }

    fn of_entry(
        &self,
        entry: &ServiceEntry,
        port: &ServicePort,
        host: &str,
        by_name: bool,
        found: &mut Vec<Candidate>,
    ) {
        let Some(target) = port_number(port.target_port.unwrap_or(port.number)) else {
            return;
        };
        for workload in &entry.endpoints {
            let port = target_port(workload, &port.name, target);
            let named = Identity::of("", &entry.meta.namespace, &workload.labels);
            let candidate = candidate(workload, &workload.labels, port, by_name);
            found.extend(candidate.map(|c| c.called(named)));
        }
        if let Some(selector) = &entry.workload_selector {
            let namespace = entry.meta.namespace.as_str();
            for entry in self.entries_of(namespace) {
                let labels = entry.labels();
                if is_subset(selector, &labels) {
                    let port = target_port(&entry.workload, &port.name, target);
                    found.extend(of_entry(entry, &labels, port, by_name));
                }
            }
            for pod in self.pods_of(namespace) {
                if pod.is_ready && is_subset(selector, &pod.meta.labels) {
                    found.extend(self.of_pod(pod, target));
                }
            }
        } else if entry.endpoints.is_empty() && by_name {
            found.push(Candidate::new(Address::Name(host.into(), target)));
        }
    }

    fn of_kubernetes(
        &self,
        service: &kubernetes::Service,
        port: &kubernetes::Port,
        found: &mut Vec<Candidate>,
    ) {
        if let Reach::ExternalName(name) = &service.reach {
            let address = Address::Name(name.as_str().into(), port.number);
            found.push(Candidate::new(address));
            return;
        }
        let namespace = service.meta.namespace.as_str();
        let slices = self.slices.get(&(namespace, service.meta.name.as_str()));
        for slice in slices.into_iter().flatten() {
            self.of_slice(service, slice, port, found);
        }
        if service.selector.is_empty() {
            return;
        }
        if slices.is_none() {
            for pod in self.pods_of(namespace) {
                if pod.is_ready && is_subset(&service.selector, &pod.meta.labels) {
                    let target = match &port.target {
                        TargetPort::Same => Some(port.number),
                        TargetPort::Number(number) => Some(*number),
                        TargetPort::Name(name) => pod.ports.get(name).copied(),
                    };
                    let hostname = hostname(service, "", Some(pod));
                    let here = target
                        .into_iter()
                        .flat_map(|target| self.of_pod(pod, target));
                    found.extend(here.map(|candidate| Candidate {
                        hostname: hostname.clone(),
                        ..candidate
                    }));
                }
            }
        }
        for entry in self.entries_of(namespace) {
            let labels = entry.labels();
            if is_subset(&service.selector, &labels) {
                let target = match &port.target {
                    TargetPort::Number(number) => *number,
                    TargetPort::Same | TargetPort::Name(_) => port.number,
                };
                let target = target_port(&entry.workload, &port.name, target);
                found.extend(of_entry(entry, &labels, target, false));
            }
        }
    }

    fn of_slice(
        &self,
        service: &kubernetes::Service,
        slice: &EndpointSlice,
        port: &kubernetes::Port,
        found: &mut Vec<Candidate>,
    ) {
        let mut ports = slice.ports.iter();
        let Some(target) = ports.find(|p| p.name == port.name) else {
            return;
        };
        if slice.has_names {
            return;
        }
        let number = if target.number == 0 {
            port.number
        } else {
            target.number
        };
        for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.is_ready) {
            let pod = endpoint.pod.as_ref().and_then(|pod| {
                let namespace = match pod.namespace.as_str() {
                    "" => service.meta.namespace.as_str(),
                    other => other,
                };
                self.pods.get(&(namespace, pod.name.as_str()))
            });
            let pod = pod.copied();
            let hostname = hostname(service, &endpoint.hostname, pod);
            let none = Labels::new();
            let labels = pod.map_or(&none, |pod| &pod.meta.labels);
            let node = match pod.map_or("", |pod| &pod.node) {
                "" => endpoint.node.as_str(),
                node => node,
            };
            // Where the node is not known, at least its zone is.
            let locality = self.locality(labels, node).unwrap_or_else(|| Locality {
                zone: endpoint.zone.clone(),
                ..Locality::default()
            });
            let addresses = endpoint.addresses.iter().filter_map(|text| parse_ip(text));
            found.extend(addresses.map(|ip| {
                let here = Candidate {
                    hostname: hostname.clone(),
                    ..Candidate::at(socket(ip, number), labels, &locality, node, "")
                };
                match pod {
                    Some(pod) => here.of_pod(pod),
                    None => here,
                }
            }));
        }
    }

    fn of_pod<'p>(&self, pod: &'p Pod, port: u16) -> impl Iterator<Item = Candidate> + use<'p> {
        let labels = &pod.meta.labels;
        let locality = self.locality(labels, &pod.node).unwrap_or_default();
        let addresses = pod.addresses.iter().filter_map(|text| parse_ip(text));
        addresses.map(move |ip| {
            let address = socket(ip, port);
            Candidate::at(address, labels, &locality, &pod.node, "").of_pod(pod)
        })
    }

    /// Where a pod with these labels is: by a label of its own, by its node, or by what newer clusters copy from the node.
    fn locality(&self, labels: &Labels, node: &str) -> Option<Locality> {
        Locality::of_labels(labels)
            .or_else(|| self.nodes.get(node).cloned())
            .or_else(|| Locality::of_node(labels))
    }

    fn entries_of(&self, namespace: &str) -> &[&'a WorkloadEntry] {
        self.entries.get(namespace).map_or(&[], Vec::as_slice)
    }

    fn pods_of(&self, namespace: &'a str) -> impl Iterator<Item = &&'a Pod> {
        self.pods
            .range((namespace, "")..)
            .take_while(move |((ns, _), _)| *ns == namespace)
            .map(|(_, pod)| pod)
    }
}

/// The name by which DNS knows an endpoint of a headless service: its own, else its pod's; empty where it has none.
fn hostname(service: &kubernetes::Service, written: &str, pod: Option<&Pod>) -> Box<str> {
    if service.reach != Reach::Headless {
        return Box::default();
    }
    let of_pod = pod.filter(|pod| pod.subdomain == service.meta.name);
    let of_pod = of_pod.map_or("", |pod| pod.hostname.as_str());
    let hostname = if written.is_empty() { of_pod } else { written };
    hostname.to_ascii_lowercase().into()
}

/// The port of a workload for the named service port: its own of that name, else the service's target port.
fn target_port(workload: &Workload, name: &str, target: u16) -> u16 {
    let own = workload.ports.get(name).copied();
    own.and_then(port_number).unwrap_or(target)
}

fn identity(pod: &Pod) -> Identity {
    Identity::of_pod(&pod.meta.name, &pod.meta.namespace, &pod.meta.labels)
}

/// A WorkloadEntry on its own as an endpoint; see [`candidate`].
fn of_entry(entry: &WorkloadEntry, labels: &Labels, port: u16, by_name: bool) -> Option<Candidate> {
    let named = Identity::of(&entry.meta.name, &entry.meta.namespace, labels);
    candidate(&entry.workload, labels, port, by_name).map(|candidate| candidate.called(named))
}

/// A workload as an endpoint; `None` when its address is no address, or a name where names are not looked up.
fn candidate(workload: &Workload, labels: &Labels, port: u16, by_name: bool) -> Option<Candidate> {
    let address = match classify(&workload.address) {
        Host::Unix(path) => Address::Unix(path.into()),
        Host::Ip(ip) => socket(ip, port),
        Host::Name(name) if by_name && !name.is_empty() => Address::Name(name.into(), port),
        Host::Name(_) => return None,
    };
    let locality = if workload.locality.is_empty() {
        Locality::of_labels(labels).unwrap_or_default()
    } else {
        Locality::parse(&workload.locality)
    };
    let has_account = !workload.service_account.is_empty();
    Some(Candidate {
        weight: workload.weight.max(1),
        service_account: workload.service_account.as_str().into(),
        has_mesh_tls: says_mesh_tls(labels).unwrap_or(has_account),
        ..Candidate::at(address, labels, &locality, "", &workload.network)
    })
}

/// What labels say about a sidecar that takes TLS of the mesh.
fn says_mesh_tls(labels: &Labels) -> Option<bool> {
    labels.get(TLS_MODE).map(|mode| mode == "istio")
}

fn socket(ip: IpAddr, port: u16) -> Address {
    Address::Socket(SocketAddr::new(ip, port))
}
