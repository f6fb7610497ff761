//! Sidecar: what a workload's proxy listens on and which services it knows (Istio `networking/v1` Sidecar).

mod decode;
pub(super) mod outbound;
mod validate;

pub use outbound::{OutboundMode, OutboundTrafficPolicy};

use std::collections::BTreeMap;

use super::address::UNIX_PREFIX;
use super::decode::object;
use super::destination_rule::ConnectionPoolSettings;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;
use super::server_tls::ServerTls;
use super::service_entry::ServicePort;

/// A Sidecar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sidecar {
    /// Who it is.
    pub meta: Meta,
    /// `workloadSelector.labels`; absent holds for the whole namespace.
    pub workload_selector: Option<BTreeMap<String, String>>,
    /// Inbound listeners; empty derives them from services.
    pub ingress: Vec<IngressListener>,
    /// Outbound listeners and what they may reach; empty reaches everything visible.
    pub egress: Vec<EgressListener>,
    /// Limits towards the application, instead of those of the service's DestinationRule.
    pub inbound_connection_pool: Option<ConnectionPoolSettings>,
    /// What happens to unknown hosts; absent is the mesh setting.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
}

/// `captureMode` of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptureMode {
    /// `DEFAULT`.
    #[default]
    Default,
    /// `IPTABLES`.
    IpTables,
    /// `NONE`: the application connects to the listener by itself.
    None,
}

/// One `ingress` listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngressListener {
    /// The port it listens on; required.
    pub port: Option<ServicePort>,
    /// The address it binds, empty for the workload's own.
    pub bind: String,
    /// How traffic gets to it.
    pub capture_mode: CaptureMode,
    /// Where the application listens: `127.0.0.1:P`, `[::1]:P`, `0.0.0.0:P` or `unix://…`; empty for the same port.
    pub default_endpoint: String,
    /// TLS that the sidecar terminates.
    pub tls: Option<ServerTls>,
    /// Overrides `inbound_connection_pool` for this port.
    pub connection_pool: Option<ConnectionPoolSettings>,
}

impl IngressListener {
    /// The port the application listens on; `None` for a socket path or what is malformed.
    #[must_use]
    pub fn application_port(&self) -> Option<u16> {
        if self.default_endpoint.is_empty() {
            return u16::try_from(self.port.as_ref()?.number).ok();
        }
        let (_, port) = self.default_endpoint.rsplit_once(':')?;
        port.parse().ok()
    }
}

impl IngressListener {
    /// Whether the application is somewhere else than where the listener is.
    #[must_use]
    pub fn has_endpoint_of_its_own(&self) -> bool {
        let is_unix = self.default_endpoint.starts_with(UNIX_PREFIX);
        let own = self.port.as_ref().map(|port| port.number);
        is_unix
            || !self.default_endpoint.is_empty() && self.application_port().map(u32::from) != own
    }
}

/// One `egress` listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressListener {
    /// The port it listens on; absent for the listener that catches all ports.
    pub port: Option<ServicePort>,
    /// The address it binds, empty for any.
    pub bind: String,
    /// How traffic gets to it.
    pub capture_mode: CaptureMode,
    /// `namespace/host` patterns of what it may reach; see [`EgressHost::parse`].
    pub hosts: Vec<String>,
}

/// One entry of `egress[].hosts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EgressHost<'a> {
    /// The entry takes hosts away instead of adding them (`~namespace/host`).
    pub excludes: bool,
    /// Which namespaces.
    pub namespace: EgressNamespace<'a>,
    /// A full name, `*` or `*.suffix`.
    pub host: &'a str,
}

/// The namespace part of an egress host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressNamespace<'a> {
    /// `*`: any.
    Any,
    /// `.`: the workload's own.
    Own,
    /// `~`: none, so the entry imports nothing.
    None,
    /// This one.
    Named(&'a str),
}

impl<'a> EgressHost<'a> {
    /// Reads an entry; `None` without a slash. Names are not judged here.
    #[must_use]
    pub fn parse(entry: &'a str) -> Option<Self> {
        let (namespace, host) = entry.split_once('/')?;
        let (excludes, namespace) = match namespace.strip_prefix('~') {
            Some(rest) if !rest.is_empty() => (true, rest),
            Some(_) | None => (false, namespace),
        };
        let namespace = match namespace {
            "*" => EgressNamespace::Any,
            "." => EgressNamespace::Own,
            "~" => EgressNamespace::None,
            name => EgressNamespace::Named(name),
        };
        Some(Self {
            excludes,
            namespace,
            host,
        })
    }
}

/// Reads and checks the `spec` of a Sidecar.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> Sidecar {
    report.field("spec", |report| {
        let read = object(report, spec, |o| decode::decode(meta, o));
        validate::validate(&read, report);
        read
    })
}

#[cfg(test)]
mod tests;
