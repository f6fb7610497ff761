//! Kubernetes Gateway API: Gateways, routes and grants become what their equals in Istio are read to (as istiod does it).
//!
//! Owns what of the API is understood, and that what is not is told: a field that only adds something is left out, one that would
//! change who gets where refuses its rule. Each listener becomes a Gateway of its own, so that routes can name it; a route becomes a
//! VirtualService for each way in which it is bound: to listeners, or to a service of the mesh. Both are kept apart from what users
//! wrote in Istio's words, and know where in the API they stand.

mod attach;
mod backends;
mod bind;
mod class;
mod filters;
mod grants;
mod headers;
mod listener;
mod namespaces;
mod route;
mod rules;
mod status;

use std::sync::Arc;

use super::code::Code;
use super::decode::{Object, object, part};
use super::gateway::Gateway;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;
use super::virtual_service::{ApiKind, VirtualService};

pub(super) use bind::bind;
pub use status::{Reason, RouteStatus};

/// The API group of Gateways and their routes, and the one of what is still tried.
const GROUPS: [&str; 2] = ["gateway.networking.k8s.io/", "gateway.networking.x-k8s.io/"];

/// What is read of the API, and what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gateway,
    GatewayClass,
    Route(ApiKind),
    ReferenceGrant,
    /// Kubernetes' own: listeners select namespaces by their labels.
    Namespace,
}

impl Kind {
    /// What a document of this kind is called, which says `kind`: Gateways as `kubectl` tells them from Istio's.
    pub(super) fn name(self, kind: &str) -> &str {
        match self {
            Self::Gateway => Gateway::OF_API,
            Self::GatewayClass | Self::Route(_) | Self::ReferenceGrant | Self::Namespace => kind,
        }
    }
}

/// What a document is to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Read(Kind),
    /// It is of the API, and nothing is made of it.
    NotRead,
    Foreign,
}

/// What a document of this version and kind is.
pub(super) fn known(api_version: &str, kind: &str) -> Known {
    if (api_version, kind) == ("v1", "Namespace") {
        return Known::Read(Kind::Namespace);
    }
    if !GROUPS.iter().any(|group| api_version.starts_with(group)) {
        return Known::Foreign;
    }
    Known::Read(match kind {
        "Gateway" => Kind::Gateway,
        "GatewayClass" => Kind::GatewayClass,
        "HTTPRoute" => Kind::Route(ApiKind::Http),
        "GRPCRoute" => Kind::Route(ApiKind::Grpc),
        "TLSRoute" => Kind::Route(ApiKind::Tls),
        "TCPRoute" => Kind::Route(ApiKind::Tcp),
        "ReferenceGrant" => Kind::ReferenceGrant,
        _ => return Known::NotRead,
    })
}

/// What was read before all of it is known.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    gateways: Vec<listener::ApiGateway>,
    classes: Vec<class::Class>,
    routes: Vec<route::Route>,
    grants: Vec<grants::Grant>,
    namespaces: namespaces::Namespaces,
}

/// What they come to together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayApi {
    /// One for each listener.
    pub gateways: Vec<Gateway>,
    /// One for each route and way in which it is bound.
    pub routes: Vec<VirtualService>,
    /// What became of each route, in the order in which they were read.
    pub statuses: Vec<RouteStatus>,
}

impl Pieces {
    /// Reads one document.
    pub(super) fn read(
        &mut self,
        kind: Kind,
        report: &mut Report,
        mut meta: Meta,
        document: &Arc<Node>,
    ) {
        if kind == Kind::Namespace {
            return self.namespaces.add(meta);
        }
        let nothing = Node::default();
        let spec = document.entry("spec").map(|entry| &entry.value);
        let spec = spec.unwrap_or(&nothing);
        report.field("spec", |report| match kind {
            Kind::Gateway => {
                let listeners = object(report, spec, |spec| listener::read(spec, &meta));
                meta.rejected = report.has_errors();
                self.gateways
                    .push(listener::ApiGateway { meta, ..listeners });
            }
            Kind::GatewayClass => {
                self.classes
                    .push(part(report, spec, |spec| class::read(spec, meta)));
            }
            Kind::Route(kind) => {
                let read = object(report, spec, |spec| route::read(kind, spec, &meta));
                meta.rejected = report.has_errors();
                self.routes.push(route::Route { meta, ..read });
            }
            Kind::ReferenceGrant => {
                let read = object(report, spec, |spec| grants::read(spec, &meta));
                self.grants.extend(read);
            }
            Kind::Namespace => {}
        });
    }
}

/// Tells of a field that changes nothing here, when it is there; whether it is.
fn not_in_effect(object: &mut Object<'_, '_>, name: &'static str, message: &str) -> bool {
    let is_there = object.take(name).is_some();
    if is_there {
        object
            .report()
            .raise_in(name, Code::NotInEffect, message, "");
    }
    is_there
}

#[cfg(test)]
mod tests;
