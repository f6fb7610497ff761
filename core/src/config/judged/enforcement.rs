//! Which policies keep somebody out, so that running without them lets in whom their author meant to refuse.
//!
//! Owns that question only; what is done about such a policy is decided by whoever runs it
//! ([`crate::config::Finding::blocks`]).

use super::DRY_RUN;
use crate::config::kinds::JudgedKind;
use crate::config::node::Node;

/// Whether a resource refuses anything, as far as its author's words go: an unreadable one does.
pub(in crate::config) fn keeps_out(kind: JudgedKind, document: &Node) -> bool {
    let spec = document.field("spec").map(|entry| &entry.value);
    match kind {
        // Without rules it allows nothing, so an empty one refuses everything.
        JudgedKind::AuthorizationPolicy => {
            let action = spec.and_then(|spec| text(spec, "action"));
            !is_tried(document) && !matches!(action, Some("AUDIT" | "2"))
        }
        JudgedKind::PeerAuthentication => spec.is_some_and(|spec| {
            let ports = spec.field("portLevelMtls");
            let ports = ports.map_or(&[][..], |ports| ports.value.entries());
            let all = spec.field("mtls").into_iter().chain(ports);
            all.into_iter()
                .any(|mtls| matches!(text(&mtls.value, "mode"), Some("STRICT" | "3")))
        }),
        JudgedKind::RequestAuthentication => spec
            .and_then(|spec| spec.field("jwtRules"))
            .is_some_and(|rules| !rules.value.items().is_empty()),
        JudgedKind::ProxyConfig
        | JudgedKind::TrafficExtension
        | JudgedKind::WasmPlugin
        | JudgedKind::WorkloadGroup => false,
    }
}

/// An AuthorizationPolicy with this annotation is tried and refuses nothing.
fn is_tried(document: &Node) -> bool {
    document
        .field("metadata")
        .and_then(|metadata| metadata.value.field("annotations"))
        .and_then(|annotations| text(&annotations.value, DRY_RUN))
        == Some("true")
}

fn text<'a>(node: &'a Node, field: &str) -> Option<&'a str> {
    node.field(field).and_then(|entry| entry.value.text())
}
