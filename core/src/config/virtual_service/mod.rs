//! VirtualService, field for field as Istio writes it (networking.istio.io).
//!
//! Plain data: strings that were not written are empty, numbers that were not written are zero, and an `Option` says
//! that presence matters. Reading is in `decode`, the rules in `validate`; what a route does is settled by `compile`.

mod api;
mod decode;
mod destination;
mod extensions;
mod http;
mod matching;
mod policy;
mod policy_decode;
mod reach;
mod stream;
mod validate;

pub use super::names::MESH_GATEWAY;
pub use api::{ApiKind, ApiRule, PathRank, Precedence};
pub use destination::Destination;
pub use extensions::{Extensions, RequestRate};
pub use http::{
    CorsPolicy, Delegate, DerivePort, HeaderOperations, Headers, HttpBody, HttpDirectResponse,
    HttpRedirect, HttpRewrite, HttpRoute, HttpRouteDestination, RedirectPort, RegexRewrite,
    UnmatchedPreflights,
};
pub use matching::{HttpMatchRequest, StringMatch};
pub use policy::{
    AbortError, FaultAbort, FaultDelay, FaultDelayKind, HttpFaultInjection, HttpMirrorPolicy,
    HttpRetry, Percent,
};
pub use stream::{L4Match, RouteDestination, TcpRoute, TlsMatch, TlsRoute};

use super::annotations::annotations;
use super::decode::object;
use super::meta::Meta;
use super::node::Node;
use super::pending;
use super::report::Report;

/// One VirtualService.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualService {
    /// Who it is.
    pub meta: Meta,
    /// FQDN, short name, `*.suffix` or IP address; empty only for a delegate.
    pub hosts: Vec<String>,
    /// As written; empty means `["mesh"]`, see [`Self::binds_to_mesh`].
    pub gateways: Vec<String>,
    /// Rules for HTTP ports, tried in this order.
    pub http: Vec<HttpRoute>,
    /// Rules for TLS ports that are passed through.
    pub tls: Vec<TlsRoute>,
    /// Rules for all other ports.
    pub tcp: Vec<TcpRoute>,
    /// Namespaces that see it: `.`, `*` or names; empty is the mesh default.
    pub export_to: Vec<String>,
    /// What its annotations add.
    pub extensions: Extensions,
    /// The kind of route of the Gateway API that it was read from; `None` where it was written.
    pub api: Option<ApiKind>,
}

impl VirtualService {
    /// The kind of the resource that it was read from.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.api.map_or("VirtualService", ApiKind::as_str)
    }

    /// Whether sidecars apply it: no gateways are named, or `mesh` is among them.
    #[must_use]
    pub fn binds_to_mesh(&self) -> bool {
        self.gateways.is_empty() || self.gateways.iter().any(|name| name == MESH_GATEWAY)
    }

    /// Whether it holds rules for other VirtualServices to delegate to, and nothing by itself.
    #[must_use]
    pub fn is_delegate(&self) -> bool {
        self.hosts.is_empty()
    }
}

/// Reads and checks the `spec` of a VirtualService.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> VirtualService {
    let extensions = annotations(report, &meta, extensions::read);
    report.field("spec", |report| {
        let service = object(report, spec, |spec| decode::decode(meta, extensions, spec));
        validate::validate(&service, report);
        reach::check(&service, report);
        pending::tell_virtual_service(spec, report);
        service
    })
}
