//! Endpoints, the older form of EndpointSlices: each subset is read as a slice of the Service of that name, as Kubernetes
//! mirrors it. Where a Service has slices as well, those hold (`Resources::slices`).

use super::decode::{check_ip, pod_behind, slice_port};
use super::{EndpointSlice, SliceEndpoint};
use crate::config::decode::{Object, part};
use crate::config::meta::Meta;
use crate::config::node::Node;
use crate::config::report::Report;

/// Reads Endpoints from their whole document: a slice for each subset, or an empty one where there is none.
pub(in crate::config) fn read_endpoints(
    report: &mut Report,
    meta: &Meta,
    document: &Node,
) -> Vec<EndpointSlice> {
    let mut slices = part(report, document, |o| {
        o.list("subsets", |report, each| Some(part(report, each, subset)))
    });
    if slices.is_empty() {
        slices.push(EndpointSlice::default());
    }
    let of_service = |slice| EndpointSlice {
        meta: meta.clone(),
        service: meta.name.clone(),
        ..slice
    };
    slices.into_iter().map(of_service).collect()
}

fn subset(subset: &mut Object<'_, '_>) -> EndpointSlice {
    let mut endpoints = Vec::new();
    for (field, is_ready) in [("addresses", true), ("notReadyAddresses", false)] {
        endpoints.extend(subset.list(field, |report, each| {
            Some(part(report, each, |each| endpoint(each, is_ready)))
        }));
    }
    EndpointSlice {
        ports: subset.list("ports", |report, port| Some(part(report, port, slice_port))),
        endpoints,
        ..EndpointSlice::default()
    }
}

fn endpoint(endpoint: &mut Object<'_, '_>, is_ready: bool) -> SliceEndpoint {
    let ip = endpoint.string("ip");
    endpoint
        .report()
        .field("ip", |report| check_ip(report, &ip));
    SliceEndpoint {
        addresses: vec![ip],
        is_ready,
        zone: String::new(),
        node: endpoint.string("nodeName"),
        hostname: endpoint.string("hostname"),
        pod: pod_behind(endpoint),
    }
}
