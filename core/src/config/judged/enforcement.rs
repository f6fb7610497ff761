//! Which policies keep somebody out, so that running without them lets in whom their author meant to refuse.
//!
//! Owns that question only; what is done about such a policy is decided by whoever runs it
//! ([`crate::config::Finding::blocks`]).

use crate::config::kinds::JudgedKind;
use crate::config::node::Node;

/// Whether a resource refuses anything, as far as its author's words go: an unreadable one does.
pub(in crate::config) fn keeps_out(kind: JudgedKind, document: &Node) -> bool {
    let spec = document.field("spec").map(|entry| &entry.value);
    match kind {
        JudgedKind::RequestAuthentication => spec
            .and_then(|spec| spec.field("jwtRules"))
            .is_some_and(|rules| !rules.value.items().is_empty()),
        JudgedKind::ProxyConfig
        | JudgedKind::TrafficExtension
        | JudgedKind::WasmPlugin
        | JudgedKind::WorkloadGroup => false,
    }
}
