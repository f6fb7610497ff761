//! Who is on a connection, and what connections and requests are called: plain values that the machines above pass around
//! and nobody here acts on.

mod identity;
mod said;
mod spiffe;
mod tls;
mod told;

pub use identity::Identity;
pub use said::Said;
pub use spiffe::{SpiffeId, is_trust_domain};
pub use tls::{PeerCertificate, TlsFacts, TlsFault, TlsFaultKind, TlsVersion};
pub use told::{AddressRange, ToldClients};

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What arrived on this connection is judged as coming from the application or as going to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerKind {
    /// From the application to the mesh: routed by authority.
    Outbound,
    /// From the mesh to the application: the position of the listener in [`crate::snapshot::Snapshot::inbound`].
    Inbound(usize),
    /// From anywhere to the hosts of Gateways: the port of their servers, whatever port it is that is listened on.
    Gateway(u16),
}

impl ListenerKind {
    /// Whether what arrives there goes to the application: the other side of the mesh's connections.
    #[must_use]
    pub const fn is_inbound(self) -> bool {
        matches!(self, Self::Inbound(_))
    }

    /// Whether its clients are of other machines, who have to hear elsewhere that we end.
    #[must_use]
    pub const fn is_for_others(self) -> bool {
        matches!(self, Self::Inbound(_) | Self::Gateway(_))
    }
}

/// Who connected, and to which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The client's address.
    pub remote: SocketAddr,
    /// Our address on this connection.
    pub local: SocketAddr,
    /// Where the client wanted to go, where the kernel brought the connection here (interception).
    pub original: Option<SocketAddr>,
    /// Which kind of listener accepted it.
    pub listener: ListenerKind,
}

impl Peer {
    /// Where the client wanted to go: here, unless it was brought here.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.original.unwrap_or(self.local)
    }
}

slotmap::new_key_type! {
    /// Names a client's connection. Unique within a worker as long as 2^32 others have not had its place.
    pub struct ClientId;

    /// Names a connection to an endpoint, from the moment it is asked for.
    pub struct UpstreamId;

    /// Names one request under way.
    pub struct ExchangeId;
}

/// Names a connection of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConnId {
    /// To a client.
    Client(ClientId),
    /// To an endpoint.
    Upstream(UpstreamId),
}

impl From<ClientId> for ConnId {
    fn from(id: ClientId) -> Self {
        Self::Client(id)
    }
}

impl From<UpstreamId> for ConnId {
    fn from(id: UpstreamId) -> Self {
        Self::Upstream(id)
    }
}
