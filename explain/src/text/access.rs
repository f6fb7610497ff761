//! The part of an explanation that tells who may come in.

use std::fmt::{self, Write as _};

use super::{BOLD, QUIET, line, place};
use crate::explanation::{AccessTold, PolicyTold};

/// Rules that are shown.
const MOST_POLICIES: usize = 16;

/// What the listener demands, who the client is, who is asked, and what came of it.
pub(super) fn write(out: &mut String, access: &AccessTold) -> fmt::Result {
    let demands = match access.mode {
        "STRICT" => "TLS of the mesh, with a certificate of the mesh",
        "PERMISSIVE" => "clear text, or TLS of the mesh",
        _ if access.origin.is_none() => "clear text, as the workload has no identity",
        _ if access.is_nameless => {
            "clear text, which is what PERMISSIVE comes to as well for a workload without an identity (`--as` gives it one)"
        }
        _ => "clear text",
    };
    let default = || format!("{QUIET}(default){QUIET:#}");
    let origin = access.origin.as_ref().map_or_else(default, place);
    let listener = format!("{}: {demands}  {origin}", access.mode);
    line(out, "listener", &listener)?;
    let client = match &access.client {
        Some(id) => format!("{id}, by its certificate"),
        None => "nobody: in clear text nobody has an identity".to_owned(),
    };
    line(out, "client", &client)?;
    for (at, policy) in access.policies.iter().take(MOST_POLICIES).enumerate() {
        let name = if at == 0 { "policies" } else { "" };
        line(out, name, &told(at + 1, policy))?;
    }
    if let more @ 1.. = access.policies.len().saturating_sub(MOST_POLICIES) {
        line(out, "", &format!("… and {more} more"))?;
    }
    for decided in &access.decided {
        line(
            out,
            &decided.what,
            &format!("{BOLD}{}{BOLD:#}", decided.words),
        )?;
    }
    writeln!(out)
}

fn told(number: usize, policy: &PolicyTold) -> String {
    let PolicyTold {
        action,
        rule,
        origin,
    } = policy;
    let origin = origin.as_ref().map(place).unwrap_or_default();
    let text = format!("{number}. {action:<6} {rule}  {origin}");
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explanation::Place;

    #[test]
    fn what_comes_to_clear_text_says_why() {
        let written = || {
            Some(Place {
                resource: "PeerAuthentication a/b".into(),
                path: "spec.mtls.mode".into(),
                file: "rules.yaml".into(),
                line: 7,
            })
        };
        for (origin, is_nameless, want) in [
            (None, true, "as the workload has no identity"),
            (
                written(),
                true,
                "what PERMISSIVE comes to as well for a workload without an identity",
            ),
            (written(), false, ": clear text  "),
        ] {
            let access = AccessTold {
                mode: "DISABLE",
                origin,
                is_nameless,
                client: None,
                policies: Vec::new(),
                decided: Vec::new(),
            };
            let mut text = String::new();
            write(&mut text, &access).expect("a text takes all");
            assert!(text.contains(want), "`{want}` is not in\n{text}");
        }
    }
}
