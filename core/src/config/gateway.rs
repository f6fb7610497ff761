//! Gateway: read and judged, because people keep it beside their VirtualServices; a sidecar does not use it.

use std::collections::BTreeMap;

use super::meta::Meta;
use super::service_entry::ServicePort;

/// One Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Who it is.
    pub meta: Meta,
    /// The workloads that carry it.
    pub selector: BTreeMap<String, String>,
    /// What it listens on.
    pub servers: Vec<Server>,
}

/// One listener of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its name in logs.
    pub name: String,
    /// The port.
    pub port: ServicePort,
    /// The address or socket it binds, empty for any.
    pub bind: String,
    /// `host` or `namespace/host` patterns.
    pub hosts: Vec<String>,
}
