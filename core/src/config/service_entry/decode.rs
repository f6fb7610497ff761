//! Reading a ServiceEntry.

use super::{Location, Resolution, ServiceEntry, ServicePort};
use crate::config::decode::Object;
use crate::config::meta::Meta;
use crate::config::traffic_distribution::TrafficDistribution;
use crate::config::workload_entry;

const LOCATIONS: &[(&str, i32, Location)] = &[
    ("MESH_EXTERNAL", 0, Location::External),
    ("MESH_INTERNAL", 1, Location::Internal),
];

const RESOLUTIONS: &[(&str, i32, Resolution)] = &[
    ("NONE", 0, Resolution::None),
    ("STATIC", 1, Resolution::Static),
    ("DNS", 2, Resolution::Dns),
    ("DNS_ROUND_ROBIN", 3, Resolution::DnsRoundRobin),
    ("DYNAMIC_DNS", 4, Resolution::DynamicDns),
];

/// Reads the `spec`.
pub(in crate::config) fn decode(meta: Meta, spec: &mut Object<'_, '_>) -> ServiceEntry {
    ServiceEntry {
        meta,
        hosts: spec.strings("hosts"),
        addresses: spec.strings("addresses"),
        ports: spec.messages("ports", decode_port),
        location: spec.symbol("location", LOCATIONS).unwrap_or_default(),
        resolution: spec.symbol("resolution", RESOLUTIONS).unwrap_or_default(),
        endpoints: spec.messages("endpoints", workload_entry::decode),
        workload_selector: spec
            .message("workloadSelector", |selector| selector.string_map("labels")),
        export_to: spec.strings("exportTo"),
        subject_alt_names: spec.strings("subjectAltNames"),
        traffic_distribution: TrafficDistribution::Any, // an annotation
        assigned: Vec::new(),                           // the status
    }
}

/// Reads a port of a ServiceEntry, a Sidecar listener or a Gateway server.
pub(in crate::config) fn decode_port(port: &mut Object<'_, '_>) -> ServicePort {
    ServicePort {
        number: port.integer("number"),
        name: port.string("name"),
        protocol: port.string("protocol"),
        target_port: port.optional_integer("targetPort"),
    }
}
