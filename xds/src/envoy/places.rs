//! Where things are (`envoy.config.core.v3`).

use prost::Message;

/// Where something is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Locality {
    /// Such as `eu`.
    #[prost(string, tag = "1")]
    pub region: String,
    /// Such as `eu-west-1a`.
    #[prost(string, tag = "2")]
    pub zone: String,
    /// Such as a rack.
    #[prost(string, tag = "3")]
    pub sub_zone: String,
}

/// Where something listens: one of the two.
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    /// At an IP address.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
    /// At a path.
    #[prost(message, optional, tag = "2")]
    pub pipe: Option<Pipe>,
}

/// An IP address and a port of TCP.
#[derive(Clone, PartialEq, Message)]
pub struct SocketAddress {
    /// The address, without brackets.
    #[prost(string, tag = "2")]
    pub address: String,
    /// The port.
    #[prost(uint32, tag = "3")]
    pub port_value: u32,
}

/// A Unix socket.
#[derive(Clone, PartialEq, Message)]
pub struct Pipe {
    /// Its path.
    #[prost(string, tag = "1")]
    pub path: String,
}
