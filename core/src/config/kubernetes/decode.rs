//! Reading Kubernetes Service, EndpointSlice and Pod. Fields that do not concern the proxy are passed over in silence;
//! what Kubernetes would refuse is told only where it would mislead the proxy.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    EndpointSlice, Pod, PodRef, Port, Reach, Service, SliceEndpoint, SlicePort, TargetPort,
    TrafficDistribution,
};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::{Object, part};
use crate::config::meta::Meta;
use crate::config::node::Node;
use crate::config::report::Report;
use crate::config::{address, names, scalar, traffic_distribution};

/// The annotation by which a Service says who sees it.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// The label by which an EndpointSlice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Reads a Service from its whole document.
pub(in crate::config) fn read_service(report: &mut Report, meta: Meta, document: &Node) -> Service {
    let annotation = meta.annotations.get(EXPORT_TO);
    let export_to: Vec<String> = annotation
        .map(|list| {
            list.split(",")
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    report.field("metadata", |report| {
        report.field("annotations", |report| {
            report.key(EXPORT_TO, |report| {
                for (at, why) in names::check_export_to(&export_to, &meta.namespace, true) {
                    let message = format!("`{}` {why}", export_to[at]);
                    report.raise(Code::InvalidExportTo, message, "");
                }
            });
        });
    });
    let annotated = traffic_distribution::of_annotation(report, &meta);
    part(report, document, |o| {
        let spec = o.read("spec", |report, spec| {
            part(report, spec, |spec| {
                (service_spec(spec), traffic_distribution(spec))
            })
        });
        let (service, written) = spec.unwrap_or_default();
        Service {
            meta,
            export_to,
            traffic_distribution: written.unwrap_or(annotated),
            ..service
        }
    })
}

fn traffic_distribution(spec: &mut Object<'_, '_>) -> Option<TrafficDistribution> {
    let text = spec.optional_string("trafficDistribution")?;
    spec.report().field("trafficDistribution", |report| {
        traffic_distribution::of_field(report, &text)
    })
}

fn service_spec(spec: &mut Object<'_, '_>) -> Service {
    let kind = spec.string("type");
    let cluster_ip = spec.string("clusterIP");
    let mut addresses = spec.strings("clusterIPs");
    if addresses.is_empty() && !cluster_ip.is_empty() {
        addresses.push(cluster_ip.clone());
    }
    let external_name = spec.string("externalName");
    let reach = if kind == "ExternalName" {
        if let Err(why) = names::check_fqdn(&external_name)
            && address::parse_ip(&external_name).is_none()
        {
            let message = format!("`{external_name}` {why}");
            spec.report()
                .raise_in("externalName", Code::InvalidHost, message, "");
        }
        Reach::ExternalName(external_name)
    } else if cluster_ip == "None" {
        Reach::Headless
    } else {
        Reach::ClusterIp(addresses)
    };
    let ports = spec.list("ports", |report, port| {
        Some(part(report, port, service_port))
    });
    check_ports(spec.report(), &ports);
    Service {
        reach,
        ports,
        selector: spec.string_map("selector"),
        ..Service::default()
    }
}

fn service_port(port: &mut Object<'_, '_>) -> Port {
    let protocol = port.string("protocol");
    Port {
        name: port.string("name"),
        number: number(port, "port"),
        target: port.read("targetPort", target_port).unwrap_or_default(),
        is_tcp: matches!(protocol.as_str(), "" | "TCP"),
        app_protocol: port.optional_string("appProtocol"),
    }
}

/// A required port number; what is out of range is told and read as 0.
fn number(o: &mut Object<'_, '_>, field: &'static str) -> u16 {
    let number: u32 = o.integer(field);
    o.report()
        .field(field, |report| checks::port(number, report));
    u16::try_from(number).unwrap_or_default()
}

fn target_port(report: &mut Report, node: &Node) -> TargetPort {
    let text = node.text().unwrap_or_default();
    if text.bytes().any(|b| !b.is_ascii_digit()) && !text.is_empty() {
        return TargetPort::Name(text.to_owned());
    }
    let number = scalar::integer::<u32>(report, node).unwrap_or_default();
    if number == 0 {
        return TargetPort::Same;
    }
    checks::port(number, report);
    TargetPort::Number(u16::try_from(number).unwrap_or_default())
}

fn check_ports(report: &mut Report, ports: &[Port]) {
    let mut names = BTreeSet::new();
    report.each("ports", ports, |report, port| {
        if !names.insert(port.name.as_str()) {
            let message = format!("port name `{}` stands twice", port.name);
            report.raise(Code::DuplicatePort, message, "give each port its own name");
        }
    });
}

/// Reads an EndpointSlice from its whole document.
pub(in crate::config) fn read_endpoint_slice(
    report: &mut Report,
    meta: Meta,
    document: &Node,
) -> EndpointSlice {
    let service = meta.labels.get(SERVICE_NAME).cloned().unwrap_or_default();
    if service.is_empty() {
        report.raise(
            Code::SliceWithoutService,
            format!("without the label `{SERVICE_NAME}` these endpoints belong to no service"),
            "add the label",
        );
    }
    part(report, document, |o| {
        let has_names = o.string("addressType") == "FQDN";
        if has_names {
            let message = "an EndpointSlice of names is not used, as in Istio";
            let help =
                "use a ServiceEntry with `resolution: DNS`, or a Service of type ExternalName";
            o.report()
                .raise_in("addressType", Code::SliceOfNames, message, help);
        }
        EndpointSlice {
            meta,
            service,
            has_names,
            ports: o.list("ports", |report, port| Some(part(report, port, slice_port))),
            endpoints: o.list("endpoints", |report, endpoint| {
                Some(part(report, endpoint, |endpoint| {
                    slice_endpoint(endpoint, has_names)
                }))
            }),
        }
    })
}

pub(super) fn slice_port(port: &mut Object<'_, '_>) -> SlicePort {
    let number: u32 = port.integer("port");
    if number > 0 {
        port.report()
            .field("port", |report| checks::port(number, report));
    }
    SlicePort {
        name: port.string("name"),
        number: u16::try_from(number).unwrap_or_default(),
    }
}

fn slice_endpoint(endpoint: &mut Object<'_, '_>, has_names: bool) -> SliceEndpoint {
    let ready = endpoint.read("conditions", |report, conditions| {
        part(report, conditions, |c| c.optional_boolean("ready"))
    });
    let pod = pod_behind(endpoint);
    let addresses = endpoint.strings("addresses");
    if !has_names {
        endpoint.report().each("addresses", &addresses, check_ip);
    }
    SliceEndpoint {
        addresses,
        is_ready: ready.flatten().unwrap_or(true),
        zone: endpoint.string("zone"),
        node: endpoint.string("nodeName"),
        hostname: endpoint.string("hostname"),
        pod,
    }
}

/// Whoever is known by another address than an IP address would be lost.
pub(super) fn check_ip(report: &mut Report, address: &String) {
    if address::parse_ip(address).is_none() {
        let message = format!("`{address}` is no IP address");
        report.raise(Code::InvalidAddress, message, "");
    }
}

/// `targetRef`, where it names a Pod.
pub(super) fn pod_behind(endpoint: &mut Object<'_, '_>) -> Option<PodRef> {
    let pod = endpoint.read("targetRef", |report, target| {
        part(report, target, |target| {
            let is_pod = target.string("kind") == "Pod";
            let pod = PodRef {
                namespace: target.string("namespace"),
                name: target.string("name"),
            };
            is_pod.then_some(pod)
        })
    });
    pod.flatten()
}

/// Reads a Pod from its whole document.
pub(in crate::config) fn read_pod(report: &mut Report, meta: Meta, document: &Node) -> Pod {
    part(report, document, |o| {
        let spec = o.read("spec", |report, spec| part(report, spec, pod_spec));
        let status = o.read("status", |report, status| part(report, status, pod_status));
        let (addresses, is_ready) = status.unwrap_or_else(|| (Vec::new(), true));
        Pod {
            meta,
            addresses,
            is_ready,
            ..spec.unwrap_or_default()
        }
    })
}

/// What the `spec` says.
fn pod_spec(spec: &mut Object<'_, '_>) -> Pod {
    let mut ports = BTreeMap::new();
    let containers = spec.list("containers", |report, container| {
        Some(part(report, container, |container| {
            container.list("ports", |report, port| {
                Some(part(report, port, |port| {
                    (port.string("name"), number(port, "containerPort"))
                }))
            })
        }))
    });
    for (name, port) in containers.into_iter().flatten() {
        if !name.is_empty() {
            // Kubernetes takes the first of two ports of the same name.
            ports.entry(name).or_insert(port);
        }
    }
    Pod {
        ports,
        node: spec.string("nodeName"),
        service_account: spec.string("serviceAccountName"),
        hostname: spec.string("hostname"),
        subdomain: spec.string("subdomain"),
        ..Pod::default()
    }
}

fn pod_status(status: &mut Object<'_, '_>) -> (Vec<String>, bool) {
    let ips = status.list("podIPs", |report, ip| {
        Some(part(report, ip, |ip| ip.string("ip")))
    });
    let single = status.string("podIP");
    let conditions = status.list("conditions", |report, condition| {
        Some(part(report, condition, |c| {
            (c.string("type"), c.string("status"))
        }))
    });
    let ready = conditions.iter().find(|(kind, _)| kind == "Ready");
    let mut addresses: Vec<String> = ips.into_iter().filter(|ip| !ip.is_empty()).collect();
    if addresses.is_empty() && !single.is_empty() {
        addresses.push(single);
    }
    (addresses, ready.is_none_or(|(_, status)| status == "True"))
}
