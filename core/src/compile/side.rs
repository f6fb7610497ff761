//! Whose rules are compiled: entries and VirtualServices that name gateways hold for those only.

use crate::config::names;

/// Whose rules are compiled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side<'a> {
    /// Those of sidecars.
    Mesh,
    /// Those of this Gateway, as `namespace/name`.
    Gateway(&'a str),
}

impl Side<'_> {
    /// Whether a list of gateways in a resource of `namespace` names it. `domain`: that of Kubernetes services.
    #[must_use]
    pub(super) fn is_among(self, gateways: &[String], namespace: &str, domain: &str) -> bool {
        gateways.iter().any(|name| match self {
            Self::Mesh => names::is_mesh_gateway(name),
            Self::Gateway(gateway) => names::is_gateway(name, namespace, domain, gateway),
        })
    }
}
