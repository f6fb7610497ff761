//! Services and ServiceEntries by themselves: names of ports, protocols, endpoints that are not there. Competition for a host
//! is `same_host`'s business.

use std::collections::BTreeSet;

use super::{About, Lint};
use crate::config::code::Code;
use crate::config::kubernetes::{Reach, Service};
use crate::config::names;
use crate::config::protocol::{self, Protocol};
use crate::config::service_entry::ServiceEntry;

/// Checks all services.
pub(super) fn lint(lint: &mut Lint<'_>) {
    for service in &lint.resources.services {
        if !service.meta.rejected {
            // Ports of an alias say nothing; those of the service it stands for do.
            if !is_alias(lint, service) {
                port_names(lint, service);
            }
            service_workloads(lint, service);
        }
    }
    older_endpoints(lint);
    for entry in &lint.resources.service_entries {
        if !entry.meta.rejected {
            entry_workloads(lint, entry);
        }
    }
}

fn is_alias(lint: &Lint<'_>, service: &Service) -> bool {
    let (name, namespace) = (&service.meta.name, &service.meta.namespace);
    let host = names::service_host(name, namespace, &lint.mesh.cluster_domain);
    lint.tables.alias(&host).is_some()
}

fn port_names(lint: &mut Lint<'_>, service: &Service) {
    let about = About {
        kind: "Service",
        meta: &service.meta,
    };
    for (at, port) in service.ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        let by_name = protocol::from_port_name(&port.name);
        match &port.app_protocol {
            Some(written) => match protocol::from_app_protocol(written) {
                None => {
                    let message = format!(
                        "`{written}` is not a protocol this proxy knows, so the port does not say its protocol; its name is \
                         not asked beside it"
                    );
                    lint.tell(
                        about,
                        format!("{path}.appProtocol"),
                        Code::PortProtocol,
                        message,
                        "",
                    );
                }
                Some(used) if by_name.is_some_and(|by_name| by_name != used) => {
                    let message = format!(
                        "`{written}` is used, and not what the port's name `{}` says",
                        port.name
                    );
                    lint.tell(
                        about,
                        format!("{path}.appProtocol"),
                        Code::PortProtocol,
                        message,
                        "",
                    );
                }
                Some(_) => {}
            },
            None if port.protocol() == Protocol::Sniff => {
                let message = match port.name.as_str() {
                    "" => format!("port {} does not say its protocol", port.number),
                    name => format!(
                        "port {} does not say its protocol: `{name}` does not begin with one",
                        port.number
                    ),
                };
                let help = "name it `http-…`, `grpc-…`, `tcp-…` or the like, or set `appProtocol`";
                lint.tell(about, path, Code::PortProtocol, message, help);
            }
            None => {}
        }
    }
}

fn service_workloads(lint: &mut Lint<'_>, service: &Service) {
    let namespace = &service.meta.namespace;
    let pods = lint
        .resources
        .pods
        .iter()
        .filter(|pod| pod.meta.namespace == *namespace);
    let mut pods = pods.map(|pod| &pod.meta.labels).peekable();
    if service.selector.is_empty()
        || matches!(service.reach, Reach::ExternalName(_))
        || pods.peek().is_none()
        || pods.any(|labels| names::selects(&service.selector, labels))
        || lint.tables.has_template(namespace, &service.selector)
    {
        return;
    }
    let about = About {
        kind: "Service",
        meta: &service.meta,
    };
    let message = format!("no pod of namespace `{namespace}` has these labels");
    lint.tell(about, "spec.selector", Code::SelectsNothing, message, "");
}

/// Endpoints beside EndpointSlices say the same again, or what has changed since.
fn older_endpoints(lint: &mut Lint<'_>) {
    let resources = lint.resources;
    let sliced = resources.sliced_services();
    let mut told = BTreeSet::new();
    for endpoints in &resources.endpoints {
        let service = endpoints.service_name();
        if !sliced.contains(&service) || !told.insert(service) {
            continue;
        }
        let about = About {
            kind: "Endpoints",
            meta: &endpoints.meta,
        };
        let message = "EndpointSlices of this Service are used, and not these Endpoints";
        lint.tell(about, "", Code::EndpointsNotUsed, message, "");
    }
}

fn entry_workloads(lint: &mut Lint<'_>, entry: &ServiceEntry) {
    let namespace = &entry.meta.namespace;
    let Some(selector) = &entry.workload_selector else {
        return;
    };
    if lint.tables.selects_nobody(namespace, selector) {
        let about = About {
            kind: "ServiceEntry",
            meta: &entry.meta,
        };
        let message =
            format!("no WorkloadEntry or Pod of namespace `{namespace}` has these labels");
        lint.tell(
            about,
            "spec.workloadSelector",
            Code::SelectsNothing,
            message,
            "",
        );
    }
}
