//! Rules for services, and services for endpoints, that are not among the files.
//!
//! Owns what is said first of all: whoever keeps rules and leaves services, or their endpoints, to the cluster gets a 503
//! for every request, and no line of the files is wrong. One destination that leads nowhere is the business of the lint.

use std::collections::BTreeSet;

use super::code::Code;
use super::finding::Finding;
use super::kubernetes::{EndpointSlice, Reach, Service};
use super::meta::Meta;
use super::names;
use super::resources::Resources;
use super::service_entry::ServiceEntry;
use super::virtual_service::VirtualService;

/// Part of the message, because a run writes no help beside its findings.
const REMEDY: &str = "add what `kubectl get svc,endpointslice,pod -o yaml` prints";

/// What is missing: all services, or the endpoints of some. For what was loaded without errors.
#[must_use]
pub fn unserved(resources: &Resources) -> Option<Finding> {
    if !resources.have_services() {
        let mut rules = resources.virtual_services.iter();
        let rule = rules.find(|rule| has_destination(rule))?;
        let message = format!(
            "there are VirtualServices and no Service or ServiceEntry: whatever they route ends in a 503; {REMEDY}"
        );
        return Some(Finding::about(
            Code::NoServices,
            "VirtualService",
            &rule.meta,
            "",
            message,
            "",
        ));
    }
    let known = Known::new(resources);
    let lacks = |service: &&Service| needs_endpoints(service) && !known.has_endpoints(service);
    let services = resources.services.iter().filter(lacks);
    let lacks =
        |entry: &&ServiceEntry| entry.workload_selector.is_some() && !known.has_workloads(entry);
    let entries = resources.service_entries.iter().filter(lacks);
    let waiting: Vec<(&str, &Meta)> = services
        .map(|service| ("Service", &service.meta))
        .chain(entries.map(|entry| ("ServiceEntry", &entry.meta)))
        .collect();
    let (kind, first) = *waiting.first()?;
    let message = if known.slices.is_empty() && resources.pods.is_empty() {
        match waiting.len() {
            1 => format!(
                "the service has no endpoints: there is no EndpointSlice or Pod; requests to it end in a 503; {REMEDY}"
            ),
            all => format!(
                "{all} services have no endpoints: there is no EndpointSlice or Pod; requests to them end in a 503; {REMEDY}"
            ),
        }
    } else {
        format!(
            "no EndpointSlice, Pod or WorkloadEntry is there for {}: requests end in a 503; {REMEDY}",
            named(&waiting)
        )
    };
    Some(Finding::about(
        Code::NoEndpoints,
        kind,
        first,
        "",
        message,
        "",
    ))
}

fn has_destination(rule: &VirtualService) -> bool {
    rule.http.iter().any(|http| !http.route.is_empty())
        || !rule.tls.is_empty()
        || !rule.tcp.is_empty()
}

/// Not one that is another name for somebody else.
const fn needs_endpoints(service: &Service) -> bool {
    match service.reach {
        Reach::ClusterIp(_) | Reach::Headless => true,
        Reach::ExternalName(_) => false,
    }
}

/// The first few by name.
fn named(services: &[(&str, &Meta)]) -> String {
    /// Nobody reads more.
    const SHOWN: usize = 3;
    let name = |(_, meta): &(&str, &Meta)| format!("`{}/{}`", meta.namespace, meta.name);
    let shown: Vec<String> = services.iter().take(SHOWN).map(name).collect();
    let shown = shown.join(", ");
    match services.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Who may be an endpoint.
struct Known<'a> {
    /// Namespaces and names of services with EndpointSlices.
    slices: BTreeSet<(&'a str, &'a str)>,
    /// Namespaces with Pods.
    pods: BTreeSet<&'a str>,
    resources: &'a Resources,
}

impl<'a> Known<'a> {
    fn new(resources: &'a Resources) -> Self {
        let slices = resources.slices().into_iter();
        let of_addresses = slices.filter(|slice| !slice.has_names);
        let pods = resources.pods.iter();
        Self {
            slices: of_addresses.map(EndpointSlice::service_name).collect(),
            pods: pods.map(|pod| pod.meta.namespace.as_str()).collect(),
            resources,
        }
    }

    /// Whether there is anybody whom a ServiceEntry may select; if it selects nobody of them, the lint tells.
    fn has_workloads(&self, entry: &ServiceEntry) -> bool {
        let namespace = &entry.meta.namespace;
        let mut workloads = self.resources.workload_entries.iter();
        self.pods.contains(namespace.as_str())
            || workloads.any(|workload| workload.meta.namespace == *namespace)
    }

    /// Whether something in the files is meant to be behind the service. A slice without endpoints is how a cluster says
    /// that there are none, and of a selector that no Pod of the namespace has the lint tells.
    fn has_endpoints(&self, service: &Service) -> bool {
        let (namespace, name) = (service.meta.namespace.as_str(), service.meta.name.as_str());
        let selector = &service.selector;
        let has_selector = !selector.is_empty();
        let mut workloads = self.resources.workload_entries.iter();
        let mut entries = self.resources.service_entries.iter();
        let prefix = format!("{name}.{namespace}.svc");
        self.slices.contains(&(namespace, name))
            || has_selector && self.pods.contains(namespace)
            || has_selector
                && workloads.any(|entry| {
                    entry.meta.namespace == namespace && names::selects(selector, &entry.labels())
                })
            // A ServiceEntry of the host gives it endpoints.
            || entries.any(|entry| {
                entry.meta.namespace == namespace
                    && entry.hosts.iter().any(|host| host.starts_with(&prefix))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    #[test]
    fn what_is_missing_is_told() {
        const RULE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n\
            spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}\n---\n";
        const ANSWER: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\n\
            spec: {hosts: [b], http: [{directResponse: {status: 200}}]}\n---\n";
        const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n\
            spec: {selector: {app: a}, ports: [{name: http, port: 80}]}\n---\n";
        const OTHER: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: b}\n\
            spec: {selector: {app: b}, ports: [{name: http, port: 80}]}\n---\n";
        const ALIAS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: c}\n\
            spec: {type: ExternalName, externalName: example.com, ports: [{name: http, port: 80}]}\n---\n";
        const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\n\
            status: {podIP: 10.0.0.1}\n---\n";
        const ENTRY: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\n\
            spec: {hosts: [e.example], ports: [{number: 80, name: http}], resolution: DNS}\n---\n";
        const BARE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: bare}\n\
            spec: {ports: [{name: http, port: 80}]}\n---\n";
        const FAR: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: far}\n\
            spec: {selector: {app: a}, ports: [{name: http, port: 80}]}\n---\n";
        const SLICE: &str = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
            metadata: {name: bare-x, labels: {kubernetes.io/service-name: bare}}\n---\n";
        const NAMES: &str = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: FQDN\n\
            metadata: {name: bare-y, labels: {kubernetes.io/service-name: bare}}\n---\n";
        const GIVEN: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: g}\n\
            spec: {hosts: [bare.default.svc.cluster.local], ports: [{number: 80, name: http}], resolution: DNS}\n---\n";
        const WORKLOAD: &str = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w}\n\
            spec: {address: 10.0.0.1, labels: {app: a}}\n---\n";
        const SELECTS: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s}\n\
            spec: {hosts: [s.example], ports: [{number: 80, name: http}], resolution: STATIC,\
            workloadSelector: {labels: {app: b}}}\n---\n";
        const POD_FAR: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: far}\n\
            status: {podIP: 10.0.0.1}\n---\n";
        let none: Option<(Code, &str)> = None;
        for (files, expected) in [
            (&[][..], none),
            (&[ANSWER], none),
            (&[RULE], Some((Code::NoServices, "no Service or"))),
            (&[ANSWER, RULE], Some((Code::NoServices, "503"))),
            (&[RULE, ENTRY], none),
            (
                &[RULE, SERVICE],
                Some((Code::NoEndpoints, "the service has")),
            ),
            (
                &[SERVICE, OTHER, ALIAS],
                Some((Code::NoEndpoints, "2 services")),
            ),
            (&[ALIAS], none),
            (&[RULE, SERVICE, POD], none),
            (&[SERVICE, OTHER, POD], none),
            (
                &[SERVICE, BARE, FAR, POD],
                Some((Code::NoEndpoints, "`default/bare`, `far/a`:")),
            ),
            (&[BARE, SLICE], none),
            (&[BARE, NAMES], Some((Code::NoEndpoints, "the service has"))),
            (&[BARE, GIVEN], none),
            (&[SERVICE, WORKLOAD], none),
            (&[SELECTS, WORKLOAD], none),
            (
                &[SELECTS, POD_FAR],
                Some((Code::NoEndpoints, "`default/s`")),
            ),
            (
                &[RULE, OTHER, WORKLOAD],
                Some((Code::NoEndpoints, "the service has")),
            ),
        ] {
            let text = files.concat();
            let source = Source {
                name: "a.yaml",
                bytes: text.as_bytes(),
            };
            let found = unserved(&load(&[source], "default").resources);
            assert_eq!(
                found.as_ref().map(|f| f.code),
                expected.map(|(code, _)| code),
                "{text}"
            );
            if let (Some(found), Some((_, words))) = (found, expected) {
                assert!(found.message.contains(words), "{found}");
                assert!(
                    found.line > 0 && found.message.contains("kubectl"),
                    "{found}"
                );
            }
        }
    }
}
