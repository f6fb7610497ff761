//! PeerAuthentication (security.istio.io): which ports of a workload take clear text, and which TLS of the mesh only.
//!
//! Owns the fields and the rules of one resource. Which resource holds for a workload is decided in
//! `compile::peer_authentication`.

use std::collections::BTreeMap;

use super::code::Code;
use super::decode::{Object, object};
use super::judged::selection;
use super::meta::Meta;
use super::node::Node;
use super::report::Report;

/// A PeerAuthentication.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerAuthentication {
    /// Who it is.
    pub meta: Meta,
    /// Labels of the workloads it holds for; empty is all of the namespace, and of the mesh in the root namespace.
    pub selector: BTreeMap<String, String>,
    /// `mtls.mode`.
    pub mode: PeerMode,
    /// `portLevelMtls`, by the workload's port.
    pub ports: BTreeMap<u16, PeerMode>,
}

/// `mode` of `mtls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerMode {
    /// As the next wider scope says.
    #[default]
    Unset,
    /// Clear text.
    Disable,
    /// Either.
    Permissive,
    /// TLS of the mesh.
    Strict,
}

const MODES: &[(&str, i32, PeerMode)] = &[
    ("UNSET", 0, PeerMode::Unset),
    ("DISABLE", 1, PeerMode::Disable),
    ("PERMISSIVE", 2, PeerMode::Permissive),
    ("STRICT", 3, PeerMode::Strict),
];

/// Reads and checks the `spec` of a PeerAuthentication.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> PeerAuthentication {
    report.field("spec", |report| object(report, spec, |o| decode(meta, o)))
}

fn decode(meta: Meta, o: &mut Object<'_, '_>) -> PeerAuthentication {
    let selector = selection::labels(o);
    let mode = o.message("mtls", mode_of).unwrap_or_default();
    let is_there = o
        .node()
        .field("portLevelMtls")
        .is_some_and(|entry| !entry.value.is_null());
    let ports: BTreeMap<u16, PeerMode> = o
        .map("portLevelMtls", |report, entry| {
            let port = entry.key.text.parse::<u16>().ok().filter(|port| *port > 0);
            if port.is_none() {
                let message = format!("port `{}` is not in the range 1..65535", entry.key.text);
                report.raise(Code::InvalidPort, message, "");
            }
            let mode = object(report, &entry.value, mode_of);
            port.map(|port| (port, mode))
        })
        .into_values()
        .collect();
    if is_there && ports.is_empty() {
        let message = "`portLevelMtls` is there and names no port";
        o.report().raise_in(
            "portLevelMtls",
            Code::InvalidPolicy,
            message,
            "remove it, or name a port",
        );
    }
    if !ports.is_empty() && selector.is_empty() {
        let message = "ports can only be named for the workloads of a selector";
        o.report().raise_in(
            "portLevelMtls",
            Code::InvalidPolicy,
            message,
            "add `selector`",
        );
    }
    PeerAuthentication {
        meta,
        selector,
        mode,
        ports,
    }
}

fn mode_of(o: &mut Object<'_, '_>) -> PeerMode {
    o.symbol("mode", MODES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::config::fixture::judged_document;

    #[test]
    fn what_is_said_of_a_policy() {
        let selected = "selector: {matchLabels: {a: b}}";
        for (spec, expected) in [
            ("{}", &[][..]),
            ("{mtls: {mode: PERMISSIVE}}", &[]),
            ("{mtls: {mode: BLAH}}", &["invalid-enum spec.mtls.mode"]),
            (
                "{portLevelMtls: {'80': {mode: DISABLE}}}",
                &["invalid-policy spec.portLevelMtls"],
            ),
            (
                &format!("{{{selected}, portLevelMtls: {{80: {{mode: UNSET}}}}}}"),
                &[],
            ),
            (
                &format!("{{{selected}, portLevelMtls: {{}}}}"),
                &["invalid-policy spec.portLevelMtls"],
            ),
            (
                &format!("{{{selected}, portLevelMtls: {{'0': {{}}, '80': {{}}}}}}"),
                &["invalid-port spec.portLevelMtls[\"0\"]"],
            ),
            (
                "{selector: {matchLabels: {a: 'b*'}}}",
                &["invalid-label spec.selector.matchLabels[\"a\"]"],
            ),
        ] {
            let yaml = format!(
                "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: case}}\nspec: {spec}\n"
            );
            assert_eq!(judged_document(&yaml), expected, "{spec}");
        }
    }
}
