//! The messages of the workload API (`istio.workload`): what a mesh with ambient on tells of its services and of what runs. Their
//! numbers are those of the interface and never change; what nobody here reads is left out.

use std::collections::BTreeMap;

pub use prost::Message;

/// What has an address: a workload, or a service.
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    /// Which of them.
    #[prost(oneof = "Kind", tags = "1, 2")]
    pub kind: Option<Kind>,
}

/// One of the things that have an address.
#[derive(Clone, PartialEq, prost::Oneof)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken out at once, and most are of the larger one"
)]
pub enum Kind {
    /// Something that runs.
    #[prost(message, tag = "1")]
    Workload(Workload),
    /// What is asked for by a name.
    #[prost(message, tag = "2")]
    Service(Service),
}

/// A service. It travels as `namespace/hostname`.
#[derive(Clone, PartialEq, Message)]
pub struct Service {
    /// Of the Kubernetes Service, or of the ServiceEntry.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// Its full name.
    #[prost(string, tag = "3")]
    pub hostname: String,
    /// Virtual addresses; none where it is headless.
    #[prost(message, repeated, tag = "4")]
    pub addresses: Vec<NetworkAddress>,
    /// Its ports.
    #[prost(message, repeated, tag = "5")]
    pub ports: Vec<Port>,
    /// Names that its servers may have beside their identities.
    #[prost(string, repeated, tag = "6")]
    pub subject_alt_names: Vec<String>,
    /// Which endpoints are preferred.
    #[prost(message, optional, tag = "8")]
    pub load_balancing: Option<LoadBalancing>,
    /// Which families of addresses it has.
    #[prost(enumeration = "Families", tag = "9")]
    pub ip_families: i32,
    /// Who sees it.
    #[prost(enumeration = "Visibility", tag = "14")]
    pub visibility: i32,
}

/// Families of addresses of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Families {
    /// As its addresses are.
    Automatic = 0,
    /// IPv4 alone.
    V4 = 1,
    /// IPv6 alone.
    V6 = 2,
    /// Both.
    Dual = 3,
}

/// Who sees a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Visibility {
    /// Everybody.
    Public = 0,
    /// Its own namespace.
    Namespace = 1,
}

/// Which endpoints of a service are preferred.
#[derive(Clone, PartialEq, Message)]
pub struct LoadBalancing {
    /// What an endpoint is to have in common with its client, first things first.
    #[prost(enumeration = "Scope", repeated, tag = "1")]
    pub routing_preference: Vec<i32>,
    /// What becomes of the others.
    #[prost(enumeration = "Mode", tag = "2")]
    pub mode: i32,
    /// Whether endpoints that are not ready count.
    #[prost(enumeration = "HealthPolicy", tag = "3")]
    pub health_policy: i32,
}

/// What an endpoint may have in common with its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Scope {
    /// Nothing.
    Unspecified = 0,
    /// The region.
    Region = 1,
    /// The zone.
    Zone = 2,
    /// The part of a zone.
    Subzone = 3,
    /// The node.
    Node = 4,
    /// The cluster.
    Cluster = 5,
    /// The network.
    Network = 6,
}

/// What becomes of endpoints that are not preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Mode {
    /// They count alike.
    Unspecified = 0,
    /// They are not used.
    Strict = 1,
    /// They are used when the others cannot.
    Failover = 2,
    /// There are no endpoints: connections go where clients wanted to go.
    Passthrough = 3,
}

/// Whether endpoints that are not ready count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum HealthPolicy {
    /// They do not.
    OnlyHealthy = 0,
    /// They do.
    AllowAll = 1,
}

/// Something that runs. It travels by its `uid`.
#[derive(Clone, PartialEq, Message)]
pub struct Workload {
    /// Its name, for people.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// Its addresses: 4 bytes each, or 16.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub addresses: Vec<Vec<u8>>,
    /// The network that its addresses are of; empty is that of the mesh.
    #[prost(string, tag = "4")]
    pub network: String,
    /// How it is to be reached.
    #[prost(enumeration = "Tunnel", tag = "5")]
    pub tunnel_protocol: i32,
    /// Of its identity; empty is that of the mesh.
    #[prost(string, tag = "6")]
    pub trust_domain: String,
    /// Of its identity; empty is `default`.
    #[prost(string, tag = "7")]
    pub service_account: String,
    /// The node that it runs on.
    #[prost(string, tag = "9")]
    pub node: String,
    /// What it is called in metrics.
    #[prost(string, tag = "10")]
    pub canonical_name: String,
    /// And which version of that.
    #[prost(string, tag = "11")]
    pub canonical_revision: String,
    /// Whether it is ready.
    #[prost(enumeration = "Health", tag = "17")]
    pub status: i32,
    /// Its cluster.
    #[prost(string, tag = "18")]
    pub cluster_id: String,
    /// The way to it from other networks.
    #[prost(message, optional, tag = "19")]
    pub network_gateway: Option<GatewayAddress>,
    /// Its name in the mesh.
    #[prost(string, tag = "20")]
    pub uid: String,
    /// A name to look up, where it has no address.
    #[prost(string, tag = "21")]
    pub hostname: String,
    /// The services that it is an endpoint of, by `namespace/hostname`, with its ports there.
    #[prost(btree_map = "string, message", tag = "22")]
    pub services: BTreeMap<String, PortList>,
    /// Where it is.
    #[prost(message, optional, tag = "24")]
    pub locality: Option<Locality>,
    /// How much it can take, compared with others; `None` is 1.
    #[prost(message, optional, tag = "27")]
    pub capacity: Option<UInt32Value>,
}

/// How a workload is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Tunnel {
    /// As it is.
    None = 0,
    /// Through a tunnel of HTTP (HBONE).
    Hbone = 1,
    /// With TLS of the mesh, as sidecars speak it.
    Istio = 2,
}

/// Whether a workload is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Health {
    /// It is.
    Healthy = 0,
    /// It is not.
    Unhealthy = 1,
}

/// Where a workload is.
#[derive(Clone, PartialEq, Message)]
pub struct Locality {
    /// Its region.
    #[prost(string, tag = "1")]
    pub region: String,
    /// Its zone.
    #[prost(string, tag = "2")]
    pub zone: String,
    /// Its part of the zone.
    #[prost(string, tag = "3")]
    pub subzone: String,
}

/// The ports of a workload in a service.
#[derive(Clone, PartialEq, Message)]
pub struct PortList {
    /// All of them.
    #[prost(message, repeated, tag = "1")]
    pub ports: Vec<Port>,
}

/// A port.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Port {
    /// What clients use.
    #[prost(uint32, tag = "1")]
    pub service_port: u32,
    /// What is listened on.
    #[prost(uint32, tag = "2")]
    pub target_port: u32,
    /// What is spoken.
    #[prost(enumeration = "AppProtocol", tag = "3")]
    pub app_protocol: i32,
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum AppProtocol {
    /// Nobody says.
    Unknown = 0,
    /// HTTP/1.1.
    Http11 = 1,
    /// HTTP/2.
    Http2 = 2,
    /// gRPC.
    Grpc = 3,
    /// Bytes.
    Tcp = 4,
    /// TLS.
    Tls = 5,
}

/// Where a gateway is; who it is nobody here reads.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct GatewayAddress {
    /// For tunnels of HTTP with TLS of the mesh.
    #[prost(uint32, tag = "3")]
    pub hbone_mtls_port: u32,
}

/// An address in a network.
#[derive(Clone, PartialEq, Message)]
pub struct NetworkAddress {
    /// The network; empty is that of the mesh.
    #[prost(string, tag = "1")]
    pub network: String,
    /// 4 bytes, or 16.
    #[prost(bytes = "vec", tag = "2")]
    pub address: Vec<u8>,
    /// How many bits of it count; `None` is all.
    #[prost(uint32, optional, tag = "3")]
    pub length: Option<u32>,
}

/// A number that may be missing (`google.protobuf.UInt32Value`).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct UInt32Value {
    /// The number.
    #[prost(uint32, tag = "1")]
    pub value: u32,
}
