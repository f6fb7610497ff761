//! TLS and TCP routes, as written: rules for connections rather than requests.

use std::collections::BTreeMap;

use super::destination::Destination;

/// One entry of `spec.tls`: connections passed through by server name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsRoute {
    /// Alternatives; at least one.
    pub matches: Vec<TlsMatch>,
    /// Weighted destinations.
    pub route: Vec<RouteDestination>,
}

/// One entry of `tls[].match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsMatch {
    /// Server names, each covered by a host of the VirtualService.
    pub sni_hosts: Vec<String>,
    /// The conditions that TCP has too.
    pub connection: L4Match,
}

/// One entry of `spec.tcp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpRoute {
    /// Alternatives; empty matches everything.
    pub matches: Vec<L4Match>,
    /// Weighted destinations.
    pub route: Vec<RouteDestination>,
}

/// Conditions on a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct L4Match {
    /// IP addresses or CIDR blocks the client dialled.
    pub destination_subnets: Vec<String>,
    /// The service port; zero is any.
    pub port: u32,
    /// In the schema, and ignored by Istio.
    pub source_subnet: String,
    /// Labels that the client workload must have.
    pub source_labels: BTreeMap<String, String>,
    /// Replaces the VirtualService's list for this entry; empty keeps it.
    pub gateways: Vec<String>,
    /// The namespace the client must be in; empty is any.
    pub source_namespace: String,
}

/// One destination of a TLS or TCP route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteDestination {
    /// Where to.
    pub destination: Destination,
    /// Share among the entries; ignored when there is one.
    pub weight: i32,
}
