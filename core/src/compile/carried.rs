//! What of Gateways a workload carries: the ports that are listened on for them, and whom it believes before it.

use serde::{Deserialize, Serialize};

/// What of Gateways a workload carries; by default nothing, as a sidecar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The ports.
    pub ports: CarriedPorts,
    /// How many proxies before it are believed; `None` leaves it to the mesh (`gatewayTopology.numTrustedProxies`).
    pub trusted_hops: Option<u32>,
}

/// Ports of Gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CarriedPorts {
    /// None: it is a sidecar.
    #[default]
    Nothing,
    /// All that Gateways name which select it.
    Every,
    /// These.
    These(Vec<u16>),
}

impl Carried {
    /// Whether it is a gateway.
    #[must_use]
    pub fn is_gateway(&self) -> bool {
        self.ports != CarriedPorts::Nothing
    }

    /// Whether a port is listened on.
    #[must_use]
    pub fn has(&self, port: u16) -> bool {
        match &self.ports {
            CarriedPorts::Nothing => false,
            CarriedPorts::Every => true,
            CarriedPorts::These(ports) => ports.contains(&port),
        }
    }
}
