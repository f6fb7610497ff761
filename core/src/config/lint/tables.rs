//! Who is who: services by host, DestinationRules by host, endpoints by service.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::aliases;
use crate::config::destination_rule::DestinationRule;
use crate::config::kubernetes::{EndpointSlice, Reach, Service};
use crate::config::mesh::MeshConfig;
use crate::config::meta::Meta;
use crate::config::names::{self, Visibility};
use crate::config::protocol::Protocol;
use crate::config::resources::Resources;
use crate::config::service_entry::{Resolution, ServiceEntry};

/// Labels of a workload.
pub(super) type Labels = BTreeMap<String, String>;

/// What is known about a host.
#[derive(Debug)]
pub(super) struct KnownHost<'a> {
    /// Where it is defined first.
    pub(super) meta: &'a Meta,
    /// The kind that defines it.
    pub(super) kind: &'static str,
    export_to: &'a [String],
    /// Its ports.
    pub(super) ports: BTreeMap<u32, Protocol>,
    /// Labels of its endpoints; `None` when nobody can tell from the files.
    pub(super) endpoints: Option<Vec<Labels>>,
    /// It has no endpoints of its own: clients name them (ServiceEntry `resolution: NONE`).
    pub(super) is_passed_through: bool,
}

impl KnownHost<'_> {
    /// Its port numbers, for people.
    pub(super) fn port_list(&self) -> String {
        let ports: Vec<String> = self.ports.keys().map(u32::to_string).collect();
        ports.join(", ")
    }
}

/// Everything, by the names others use for it.
#[derive(Debug)]
pub(super) struct Tables<'a> {
    mesh: &'a MeshConfig,
    hosts: BTreeMap<String, KnownHost<'a>>,
    /// Hosts that are other names for services, with the service's own.
    aliases: BTreeMap<String, String>,
    /// DestinationRules by full host, in the order read.
    rules: BTreeMap<String, Vec<&'a DestinationRule>>,
    workloads: Workloads<'a>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(resources: &'a Resources, mesh: &'a MeshConfig) -> Self {
        let workloads = Workloads::new(resources);
        let mut hosts = BTreeMap::new();
        for service in &resources.services {
            let (name, namespace) = (&service.meta.name, &service.meta.namespace);
            let host = names::service_host(name, namespace, &mesh.cluster_domain);
            hosts
                .entry(host)
                .or_insert_with(|| of_service(service, &workloads));
        }
        for entry in &resources.service_entries {
            for host in &entry.hosts {
                let host = names::normalize(host).into_owned();
                let known = hosts
                    .entry(host)
                    .or_insert_with(|| of_entry(entry, &workloads));
                // Several entries may add up to one host.
                known.ports.extend(entry_ports(entry));
            }
        }
        let usable = resources.services.iter().filter(|s| !s.meta.rejected);
        let aliases = aliases::resolve(usable, &mesh.cluster_domain, |host| {
            hosts.contains_key(host)
        });
        let mut rules: BTreeMap<String, Vec<&DestinationRule>> = BTreeMap::new();
        for rule in &resources.destination_rules {
            let host = names::resolve(&rule.host, &rule.meta.namespace, &mesh.cluster_domain);
            rules.entry(host).or_default().push(rule);
        }
        Self {
            mesh,
            hosts,
            aliases,
            rules,
            workloads,
        }
    }

    /// Whether enough is known to call a host unknown: a Service of the cluster, or any service of the same namespace,
    /// for a host of the cluster; some service outside for another host. Services are often kept apart from Istio's
    /// resources.
    pub(super) fn can_miss(&self, host: &str) -> bool {
        let namespace = |host: &str| {
            let split = names::split_service_host(host, &self.mesh.cluster_domain);
            split.map(|(_, namespace)| namespace.to_owned())
        };
        let wanted = namespace(host);
        self.hosts
            .iter()
            .any(|(known, entry)| match (&wanted, namespace(known)) {
                (None, of_known) => of_known.is_none(),
                (Some(_), None) => false,
                (Some(wanted), Some(of_known)) => entry.kind == "Service" || *wanted == of_known,
            })
    }

    /// The service that a full host is another name for.
    pub(super) fn alias(&self, host: &str) -> Option<&str> {
        self.aliases.get(host).map(String::as_str)
    }

    /// The hosts that are known, patterns among them.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// The service of a full host name: by exact name, which may be an alias, else by the longest wildcard over it.
    pub(super) fn host(&self, host: &str) -> Option<&KnownHost<'a>> {
        let host = self.alias(host).unwrap_or(host);
        self.hosts.get(host).or_else(|| {
            let wildcards =
                patterns(&self.hosts).filter(|(pattern, _)| names::covers(pattern, host));
            wildcards
                .max_by_key(|(pattern, _)| pattern.len())
                .map(|(_, known)| known)
        })
    }

    /// The wildcard that alone covers a host. A service by another name than its own it is not.
    pub(super) fn wildcard_over(&self, host: &str) -> Option<&str> {
        let wildcards = patterns(&self.hosts)
            .map(|(pattern, _)| pattern)
            .filter(|pattern| !self.is_exact(host) && names::covers(pattern, host));
        wildcards.max_by_key(|pattern| pattern.len())
    }

    /// Whether workloads of a namespace see the host.
    pub(super) fn is_visible(&self, known: &KnownHost<'_>, client: &str) -> bool {
        let list = if known.export_to.is_empty() {
            &self.mesh.default_service_export_to
        } else {
            known.export_to
        };
        names::visibility(list, &known.meta.namespace, client) != Visibility::Hidden
    }

    /// Whether a service has the host, or one that the pattern covers.
    pub(super) fn any_under(&self, pattern: &str) -> bool {
        if names::is_wildcard(pattern) {
            self.hosts.keys().any(|host| names::covers(pattern, host))
        } else {
            self.is_exact(pattern)
        }
    }

    fn is_exact(&self, host: &str) -> bool {
        self.hosts.contains_key(host) || self.alias(host).is_some()
    }

    /// Full names of services called `name` in `namespace`, if there is one.
    pub(super) fn service(&self, name: &str, namespace: &str) -> Option<String> {
        let host = names::service_host(name, namespace, &self.mesh.cluster_domain);
        self.hosts.contains_key(&host).then_some(host)
    }

    /// A Kubernetes service called `name` of another namespace: its host, and that namespace.
    pub(super) fn service_elsewhere(&self, name: &str, namespace: &str) -> Option<(&str, &str)> {
        let prefix = format!("{name}.");
        let later = self.hosts.range(prefix.clone()..);
        let mut called = later.take_while(|(host, _)| host.starts_with(&prefix));
        called.find_map(|(host, _)| {
            let (_, other) = names::split_service_host(host, &self.mesh.cluster_domain)?;
            (other != namespace).then_some((host.as_str(), other))
        })
    }

    /// The DestinationRules over a full host name.
    pub(super) fn rules_over(&self, host: &str) -> impl Iterator<Item = &'a DestinationRule> {
        let exact = self.rules.get(host).into_iter();
        let wildcards = patterns(&self.rules)
            .filter(move |(pattern, _)| *pattern != host && names::covers(pattern, host))
            .map(|(_, rules)| rules);
        exact.chain(wildcards).flatten().copied()
    }

    /// Whether a Deployment or its like makes pods in a namespace that a selector means.
    pub(super) fn has_template(&self, namespace: &str, selector: &Labels) -> bool {
        self.workloads.has_template(namespace, selector)
    }

    /// Whether the namespace has workloads, none of which a selector means.
    pub(super) fn selects_nobody(&self, namespace: &str, selector: &Labels) -> bool {
        let all = self.workloads.labels_in(namespace);
        let is_nobody =
            |all: Vec<Labels>| !all.iter().any(|labels| names::selects(selector, labels));
        all.is_some_and(is_nobody) && !self.has_template(namespace, selector)
    }

    /// All DestinationRules by their full hosts.
    pub(super) const fn rules(&self) -> &BTreeMap<String, Vec<&'a DestinationRule>> {
        &self.rules
    }
}

/// The entries of a table whose host is a wildcard: they sort before every name.
fn patterns<T>(table: &BTreeMap<String, T>) -> impl Iterator<Item = (&str, &T)> {
    table
        .range("*".to_owned().."+".to_owned())
        .map(|(host, entry)| (host.as_str(), entry))
}

fn of_service<'a>(service: &'a Service, workloads: &Workloads<'_>) -> KnownHost<'a> {
    KnownHost {
        meta: &service.meta,
        kind: "Service",
        export_to: &service.export_to,
        ports: service
            .ports
            .iter()
            .map(|port| (u32::from(port.number), port.protocol()))
            .collect(),
        endpoints: service_endpoints(service, workloads),
        is_passed_through: false,
    }
}

/// From the slices of the service; without slices from the pods of its selector.
fn service_endpoints(service: &Service, workloads: &Workloads<'_>) -> Option<Vec<Labels>> {
    if matches!(service.reach, Reach::ExternalName(_)) {
        return None;
    }
    let (name, namespace) = (service.meta.name.as_str(), service.meta.namespace.as_str());
    if let Some(slices) = workloads.slices.get(&(namespace, name)) {
        return Some(slice_endpoints(slices, workloads));
    }
    let pods = workloads
        .pods
        .get(namespace)
        .filter(|_| !service.selector.is_empty())?;
    if workloads.has_template(namespace, &service.selector) {
        return None;
    }
    let selected = pods
        .values()
        .filter(|labels| names::selects(&service.selector, labels))
        .map(|labels| (*labels).clone());
    Some(selected.collect())
}

/// Each place once: an address and the ports of its slice.
fn slice_endpoints(slices: &[&EndpointSlice], workloads: &Workloads<'_>) -> Vec<Labels> {
    let mut places = BTreeSet::new();
    let mut found = Vec::new();
    for slice in slices {
        let ports: Vec<u16> = slice.ports.iter().map(|port| port.number).collect();
        let pods = workloads.pods.get(slice.meta.namespace.as_str());
        for endpoint in &slice.endpoints {
            let pod = endpoint.pod.as_ref();
            let labels = pod.and_then(|pod| pods?.get(pod.name.as_str()).copied());
            for address in &endpoint.addresses {
                if places.insert((address, ports.clone())) {
                    found.push(labels.cloned().unwrap_or_default());
                }
            }
        }
    }
    found
}

fn entry_ports(entry: &ServiceEntry) -> impl Iterator<Item = (u32, Protocol)> {
    entry.ports.iter().map(|port| {
        let protocol = Protocol::parse(&port.protocol).unwrap_or_default();
        (port.number, protocol)
    })
}

fn of_entry<'a>(entry: &'a ServiceEntry, workloads: &Workloads<'_>) -> KnownHost<'a> {
    KnownHost {
        meta: &entry.meta,
        kind: "ServiceEntry",
        export_to: &entry.export_to,
        ports: entry_ports(entry).collect(),
        endpoints: entry_endpoints(entry, workloads),
        is_passed_through: match entry.resolution {
            Resolution::None | Resolution::DynamicDns => true,
            Resolution::Static | Resolution::Dns | Resolution::DnsRoundRobin => false,
        },
    }
}

/// `None` for what is found by looking names up, because a name may have any number of addresses.
fn entry_endpoints(entry: &ServiceEntry, workloads: &Workloads<'_>) -> Option<Vec<Labels>> {
    if entry.resolution != Resolution::Static {
        return None;
    }
    let Some(selector) = &entry.workload_selector else {
        return Some(entry.endpoints.iter().map(|e| e.labels.clone()).collect());
    };
    let namespace = entry.meta.namespace.as_str();
    let all = workloads.labels_in(namespace)?;
    if workloads.has_template(namespace, selector) {
        return None;
    }
    Some(
        all.into_iter()
            .filter(|labels| names::selects(selector, labels))
            .collect(),
    )
}

/// Workloads, filed by what they are looked up by.
#[derive(Debug, Default)]
struct Workloads<'a> {
    /// EndpointSlices by namespace and service.
    slices: BTreeMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
    /// Labels of pods by namespace and name.
    pods: BTreeMap<&'a str, BTreeMap<&'a str, &'a Labels>>,
    /// Labels of WorkloadEntries by namespace.
    entries: BTreeMap<&'a str, Vec<Labels>>,
    /// Labels of the pods to come, by namespace.
    templates: BTreeMap<&'a str, Vec<&'a Labels>>,
}

impl<'a> Workloads<'a> {
    fn new(resources: &'a Resources) -> Self {
        let mut workloads = Self::default();
        for slice in resources.slices() {
            let service = slice.service_name();
            workloads.slices.entry(service).or_default().push(slice);
        }
        for pod in &resources.pods {
            let of_namespace = workloads.pods.entry(&pod.meta.namespace).or_default();
            of_namespace
                .entry(&pod.meta.name)
                .or_insert(&pod.meta.labels);
        }
        for entry in &resources.workload_entries {
            let of_namespace = workloads.entries.entry(&entry.meta.namespace).or_default();
            of_namespace.push(entry.labels());
        }
        for template in &resources.pod_templates {
            let of_namespace = workloads.templates.entry(&template.namespace);
            of_namespace.or_default().push(&template.labels);
        }
        workloads
    }

    fn has_template(&self, namespace: &str, selector: &Labels) -> bool {
        let mut templates = self.templates.get(namespace).into_iter().flatten();
        templates.any(|labels| names::selects(selector, labels))
    }

    /// Labels of all WorkloadEntries and Pods of a namespace; `None` when there are none.
    fn labels_in(&self, namespace: &str) -> Option<Vec<Labels>> {
        let entries = self.entries.get(namespace).into_iter().flatten();
        let pods = self
            .pods
            .get(namespace)
            .into_iter()
            .flat_map(BTreeMap::values);
        let all: Vec<Labels> = entries.chain(pods.copied()).cloned().collect();
        (!all.is_empty()).then_some(all)
    }
}
