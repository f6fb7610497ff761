//! ServiceEntry: services that no platform registers (Istio `networking/v1` ServiceEntry), field for field.

mod decode;
mod validate;

pub(super) use decode::decode_port;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::decode::object;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;
use super::traffic_distribution::{self, TrafficDistribution};
use super::workload_entry::Workload;

/// A ServiceEntry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Who it is.
    pub meta: Meta,
    /// Host names; wildcards where the resolution allows them.
    pub hosts: Vec<String>,
    /// Virtual IP addresses or CIDR blocks.
    pub addresses: Vec<String>,
    /// The ports of the service.
    pub ports: Vec<ServicePort>,
    /// Inside or outside the mesh.
    pub location: Location,
    /// How endpoints are found.
    pub resolution: Resolution,
    /// Endpoints written into the entry.
    pub endpoints: Vec<Workload>,
    /// `workloadSelector.labels`: endpoints are the WorkloadEntries and Pods of the same namespace with these labels.
    pub workload_selector: Option<BTreeMap<String, String>>,
    /// Who sees it; empty is everybody.
    pub export_to: Vec<String>,
    /// Names the server's certificate may have.
    pub subject_alt_names: Vec<String>,
    /// By annotation: which endpoints clients are to prefer.
    pub traffic_distribution: TrafficDistribution,
    /// By `status.addresses`: what the mesh's controller has given to which of the hosts, in lower case.
    pub assigned: Vec<(String, IpAddr)>,
}

impl ServiceEntry {
    /// The fields that keep ports of another ServiceEntry of the same host and namespace apart from those of this one
    /// (Istio since 1.22). Where there is none, the ports add up.
    #[must_use]
    pub fn differs_in(&self, other: &Self) -> Vec<&'static str> {
        let lists = |entry: &Self| entry.export_to.iter().cloned().collect::<BTreeSet<_>>();
        let differs = [
            ("spec.resolution", self.resolution != other.resolution),
            ("metadata.labels", self.meta.labels != other.meta.labels),
            (
                "spec.workloadSelector",
                self.workload_selector != other.workload_selector,
            ),
            ("spec.exportTo", lists(self) != lists(other)),
        ];
        let differs = differs.into_iter().filter(|(_, differs)| *differs);
        differs.map(|(field, _)| field).collect()
    }
}

/// A port of a ServiceEntry, of a Sidecar listener or of a Gateway server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// The port clients use; 0 where it was left out.
    pub number: u32,
    /// Its name, unique in the resource.
    pub name: String,
    /// The protocol as written, empty to sniff; [`super::protocol::Protocol::parse`] reads it.
    pub protocol: String,
    /// The port of the endpoints, when it is another.
    pub target_port: Option<u32>,
}

/// `location`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// `MESH_EXTERNAL`.
    #[default]
    External,
    /// `MESH_INTERNAL`.
    Internal,
}

/// `resolution`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// `NONE`: connect to the address the application dialled.
    #[default]
    None,
    /// `STATIC`: the endpoints, which have IP addresses or sockets.
    Static,
    /// `DNS`: every address of every endpoint's name, or of the hosts where there are no endpoints.
    Dns,
    /// `DNS_ROUND_ROBIN`: the first address of the latest answer.
    DnsRoundRobin,
    /// `DYNAMIC_DNS`: look the request's host up.
    DynamicDns,
}

impl Resolution {
    /// Istio's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Static => "STATIC",
            Self::Dns => "DNS",
            Self::DnsRoundRobin => "DNS_ROUND_ROBIN",
            Self::DynamicDns => "DYNAMIC_DNS",
        }
    }

    /// Whether endpoints may be names that are looked up.
    #[must_use]
    pub const fn is_by_name(self) -> bool {
        match self {
            Self::Dns | Self::DnsRoundRobin => true,
            Self::None | Self::Static | Self::DynamicDns => false,
        }
    }
}

/// Reads and checks the `spec` of a ServiceEntry, and what its `status` says of addresses.
pub(super) fn read(
    report: &mut Report,
    meta: Meta,
    spec: &Node,
    status: Option<&Node>,
) -> ServiceEntry {
    let traffic_distribution = traffic_distribution::of_annotation(report, &meta);
    report.field("spec", |report| {
        let read = object(report, spec, |o| decode::decode(meta, o));
        validate::validate(&read, report);
        ServiceEntry {
            traffic_distribution,
            assigned: status.map(assigned).unwrap_or_default(),
            ..read
        }
    })
}

/// Nobody writes a status by hand: what is no address of a host there is left out, as by Istio.
fn assigned(status: &Node) -> Vec<(String, IpAddr)> {
    let addresses = status.field("addresses");
    let addresses = addresses.map_or(&[][..], |entry| entry.value.items());
    let one = |address: &Node| {
        let text = |name| address.field(name)?.value.text();
        Some((
            text("host")?.to_ascii_lowercase(),
            text("value")?.parse().ok()?,
        ))
    };
    addresses.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests;
