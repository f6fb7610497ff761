//! Gateway: what a gateway listens for. A sidecar does not use it, and people keep it beside their VirtualServices.

mod decode;
mod validate;

use std::collections::BTreeMap;

use super::decode::object;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;
use super::server_tls::ServerTls;
use super::service_entry::ServicePort;

/// A Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Who it is.
    pub meta: Meta,
    /// The workloads that carry it.
    pub selector: BTreeMap<String, String>,
    /// What it listens on.
    pub servers: Vec<Server>,
    /// The listener of the Gateway API that it was read from; `None` where it was written.
    pub listener: Option<ApiListener>,
}

impl Gateway {
    /// The kind of Gateways of the Gateway API, as `kubectl` tells them from Istio's.
    pub const OF_API: &str = "Gateway.gateway.networking.k8s.io";

    /// The kind of the resource that it was read from.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.listener {
            None => "Gateway",
            Some(_) => Self::OF_API,
        }
    }
}

/// One listener of a Gateway of the Gateway API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiListener {
    /// Its name.
    pub name: String,
    /// Its position in `listeners`.
    pub at: usize,
}

/// One listener of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its name in logs.
    pub name: String,
    /// The port; required.
    pub port: Option<ServicePort>,
    /// The address or socket it binds, empty for any.
    pub bind: String,
    /// `host` or `namespace/host` patterns.
    pub hosts: Vec<String>,
    /// TLS, required for HTTPS and TLS ports.
    pub tls: Option<ServerTls>,
    /// Only for Gateways inside a Sidecar, deprecated.
    pub default_endpoint: String,
}

/// Reads and checks the `spec` of a Gateway.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> Gateway {
    report.field("spec", |report| {
        let read = object(report, spec, |o| decode::decode(meta, o));
        validate::validate(&read, report);
        read
    })
}

#[cfg(test)]
mod tests;
