//! Routes of the Gateway API that are meant for calls inside the mesh: Istio's sidecars follow them, this proxy does not.

use super::node::Node;

/// The API group of Gateways and their routes.
const GROUP: &str = "gateway.networking.k8s.io/";

/// Whether a document is a route for the clients of a service. One for gateways is no matter of a sidecar's.
pub(super) fn routes_a_service(api_version: &str, document: &Node) -> bool {
    let parents = document.find("spec.parentRefs");
    let parents = parents.map(Node::items).unwrap_or_default();
    let mut kinds = parents
        .iter()
        .filter_map(|parent| parent.entry("kind")?.value.text());
    api_version.starts_with(GROUP)
        && kinds.any(|kind| matches!(kind, "Service" | "ServiceEntry" | "Hostname"))
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    #[test]
    fn routes_for_the_mesh_are_told_from_those_for_gateways() {
        for (api, spec, code) in [
            (
                "gateway.networking.k8s.io/v1",
                "parentRefs: [{kind: Service, name: a}]",
                "kind-not-read",
            ),
            (
                "gateway.networking.k8s.io/v1",
                "parentRefs: [{name: a}, {group: networking.istio.io, kind: ServiceEntry, name: a}]",
                "kind-not-read",
            ),
            (
                "gateway.networking.k8s.io/v1",
                "parentRefs: [{name: a}]",
                "kind-ignored",
            ),
            (
                "gateway.networking.k8s.io/v1",
                "parentRefs: {}",
                "kind-ignored",
            ),
            (
                "example.com/v1",
                "parentRefs: [{kind: Service, name: a}]",
                "kind-ignored",
            ),
        ] {
            let text = format!("apiVersion: {api}\nkind: HTTPRoute\nspec: {{{spec}}}\n");
            let bytes = text.as_bytes();
            let findings = load(&[Source { name: "a", bytes }], "default").findings;
            let found: Vec<_> = findings.iter().map(|f| f.code.as_str()).collect();
            assert_eq!(found, [code], "{text}");
        }
    }
}
