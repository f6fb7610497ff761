//! The types of messages that objects consist of, by their kinds. Numbers and names are those of <https://github.com/istio/api>.

mod destination_rule;
mod envoy_filter;
mod mesh;
mod providers;
mod proxy_config;
mod security;
mod telemetry;
mod virtual_service;
mod workloads;

use super::table::Message;
use crate::kinds::Kind;

/// What is before the name of any message.
const PREFIX: &str = "type.googleapis.com/";

/// What a message of this type consists of, where an object of that kind is one.
pub(super) fn of(kind: &Kind, type_url: &str) -> Option<&'static Message> {
    let (package, message) = match (kind.group, kind.kind) {
        ("networking.istio.io", "ProxyConfig") => (
            "istio.networking.v1beta1",
            &proxy_config::PROXY_CONFIG_RESOURCE,
        ),
        ("networking.istio.io", kind) => (
            "istio.networking.v1alpha3",
            match kind {
                "DestinationRule" => &destination_rule::DESTINATION_RULE,
                "EnvoyFilter" => &envoy_filter::ENVOY_FILTER,
                "Gateway" => &workloads::GATEWAY,
                "ServiceEntry" => &workloads::SERVICE_ENTRY,
                "Sidecar" => &workloads::SIDECAR,
                "VirtualService" => &virtual_service::VIRTUAL_SERVICE,
                "WorkloadEntry" => &workloads::WORKLOAD_ENTRY,
                "WorkloadGroup" => &workloads::WORKLOAD_GROUP,
                _ => return None,
            },
        ),
        ("security.istio.io", kind) => (
            "istio.security.v1beta1",
            match kind {
                "AuthorizationPolicy" => &security::AUTHORIZATION_POLICY,
                "PeerAuthentication" => &security::PEER_AUTHENTICATION,
                "RequestAuthentication" => &security::REQUEST_AUTHENTICATION,
                _ => return None,
            },
        ),
        ("telemetry.istio.io", "Telemetry") => ("istio.telemetry.v1alpha1", &telemetry::TELEMETRY),
        ("", "MeshConfig") => ("istio.mesh.v1alpha1", &mesh::MESH_CONFIG),
        _ => return None,
    };
    let rest = type_url.strip_prefix(PREFIX)?.strip_prefix(package)?;
    (rest.strip_prefix('.') == Some(kind.kind)).then_some(message)
}
