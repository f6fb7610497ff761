//! PeerAuthentication: which ports take mTLS.

use super::selection;
use crate::config::code::Code;
use crate::config::decode::{Object, object};

const MODES: &[(&str, i32, ())] = &[
    ("UNSET", 0, ()),
    ("DISABLE", 1, ()),
    ("PERMISSIVE", 2, ()),
    ("STRICT", 3, ()),
];

/// Judges the `spec`.
pub(super) fn judge(o: &mut Object<'_, '_>) {
    let labels = selection::labels(o);
    o.message("mtls", mutual_tls);
    let is_there = o
        .node()
        .field("portLevelMtls")
        .is_some_and(|entry| !entry.value.is_null());
    let ports = o.map("portLevelMtls", |report, entry| {
        let port = entry.key.text.parse::<u16>();
        if !matches!(port, Ok(1..)) {
            let message = format!("port `{}` is not in the range 1..65535", entry.key.text);
            report.raise(Code::InvalidPort, message, "");
        }
        object(report, &entry.value, mutual_tls);
        Some(())
    });
    if is_there && ports.is_empty() {
        let message = "`portLevelMtls` is there and empty";
        o.report().raise_in(
            "portLevelMtls",
            Code::InvalidPolicy,
            message,
            "remove it, or name a port",
        );
    }
    if !ports.is_empty() && labels.is_empty() {
        let message = "ports can only be named for the workloads of a selector";
        o.report().raise_in(
            "portLevelMtls",
            Code::InvalidPolicy,
            message,
            "add `selector`",
        );
    }
}

fn mutual_tls(o: &mut Object<'_, '_>) {
    o.symbol("mode", MODES);
}
