//! Who is on a connection: plain values that the machines above pass around and nobody here acts on.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What arrived on this connection is judged as coming from the application or as going to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerKind {
    /// From the application to the mesh: routed by authority.
    Outbound,
    /// From the mesh to the application: the position of the listener in [`crate::snapshot::Snapshot::inbound`].
    Inbound(usize),
}

/// Who connected, and to which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The client's address.
    pub remote: SocketAddr,
    /// Our address on this connection.
    pub local: SocketAddr,
    /// Which kind of listener accepted it.
    pub listener: ListenerKind,
}

/// Names a request that waits for a connection. Unique within a worker for all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WaiterId(pub u64);

/// Names a connection to an endpoint while it is kept idle. Unique within a worker for all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);
