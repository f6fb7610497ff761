//! Who may come in: what an inbound listener demands beneath HTTP, for whom the client is taken, and which policies are asked.
//!
//! Owns no decision. What became of the request stands in the words of the record that was played.

use outrigger_core::peer::TlsFacts;
use outrigger_core::snapshot::{AccessRules, ExternalCheck, MutualTls, RuleSet, Snapshot};
use serde::Serialize;

use super::{Explanation, Place};
use crate::play::Circumstances;

/// Who may come in by an inbound listener.
#[derive(Clone, Debug, Serialize)]
pub struct AccessTold {
    /// What clients speak, in Istio's word: `DISABLE`, `PERMISSIVE` or `STRICT`.
    pub mode: &'static str,
    /// The PeerAuthentication that says so; `None` for the default.
    pub origin: Option<Place>,
    /// The workload has no identity, so that PERMISSIVE comes to `DISABLE` for it.
    #[serde(skip)]
    pub is_nameless: bool,
    /// For whom the client is taken: its SPIFFE ID; `None` for somebody without.
    pub client: Option<String>,
    /// The rules that are asked, in the order in which they are: those that one of another action decides before are not.
    pub policies: Vec<PolicyTold>,
    /// What became of it, in the words of a request's story: whom was asked, tokens, access.
    pub decided: Vec<Decided>,
}

/// A line of a request's story.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    /// `asked`, `token`, `access`, `dry run`, `audit`.
    pub what: String,
    /// What it says.
    pub words: String,
}

/// A rule of a policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyTold {
    /// `CUSTOM`, `DENY`, `ALLOW`, `AUDIT`; `DENY (dry run)`, `ALLOW (dry run)`.
    pub action: &'static str,
    /// As details name it, `ns[shop]-policy[cart]-rule[0]`; `none` where policies allow and none has a rule.
    pub rule: String,
    /// Where it stands.
    pub origin: Option<Place>,
}

/// What holds for a listener and a client; `None` for what the application sends.
pub(super) fn access(snapshot: &Snapshot, circumstances: &Circumstances) -> Option<AccessTold> {
    let external = &snapshot.authorization.external;
    let policies = policies(external, &snapshot.authorization.http, snapshot);
    beneath(policies, snapshot, circumstances)
}

/// The same for connections that are not HTTP, about which nobody else is asked.
pub(super) fn of_connections(
    snapshot: &Snapshot,
    circumstances: &Circumstances,
) -> Option<AccessTold> {
    let policies = policies(&[], &snapshot.authorization.tcp, snapshot);
    beneath(policies, snapshot, circumstances)
}

fn beneath(
    policies: Vec<PolicyTold>,
    snapshot: &Snapshot,
    circumstances: &Circumstances,
) -> Option<AccessTold> {
    let at = snapshot.inbound_ports.position(&circumstances.peer)?;
    let tls = snapshot.inbound_tls.get(at)?;
    let origin = snapshot.inbound_tls_origins.get(at)?.as_ref();
    let is_known = tls.mode != MutualTls::Disable;
    Some(AccessTold {
        mode: match tls.mode {
            MutualTls::Disable => "DISABLE",
            MutualTls::Permissive => "PERMISSIVE",
            MutualTls::Strict => "STRICT",
            MutualTls::ByName => "by name",
        },
        origin: origin.and_then(|origin| Place::new(origin, snapshot)),
        is_nameless: snapshot.settings.spiffe_id.is_none(),
        client: circumstances
            .tls
            .as_deref()
            .filter(|_| is_known)
            .and_then(principal),
        policies,
        decided: Vec::new(),
    })
}

fn principal(tls: &TlsFacts) -> Option<String> {
    let principal = tls.peer.as_ref()?.principal()?;
    Some(format!("spiffe://{principal}"))
}

/// In the order in which they are asked (Istio): CUSTOM, then DENY, then ALLOW. AUDIT and dry runs decide nothing.
fn policies(
    external: &[ExternalCheck],
    rules: &AccessRules,
    snapshot: &Snapshot,
) -> Vec<PolicyTold> {
    let mut told = Vec::new();
    let mut add = |action, set: &RuleSet| {
        told.extend(set.rules.iter().map(|rule| {
            let name = snapshot.authorization.name(rule.id);
            PolicyTold {
                action,
                rule: name.text.to_string(),
                origin: Place::new(&name.origin, snapshot),
            }
        }));
    };
    for check in external {
        add("CUSTOM", &check.rules);
    }
    add("AUDIT", &rules.audit);
    add("DENY", &rules.deny);
    if let Some(allow) = &rules.allow {
        add("ALLOW", allow);
    }
    add("DENY (dry run)", &rules.tried_deny);
    if let Some(allow) = &rules.tried_allow {
        add("ALLOW (dry run)", allow);
    }
    if rules.allow.as_ref().is_some_and(|set| set.rules.is_empty()) {
        told.push(PolicyTold {
            action: "ALLOW",
            rule: "none".to_owned(),
            origin: None,
        });
    }
    told
}

/// Whether the client is cut off before it can ask anything, and that it is so.
pub(super) fn is_cut_off(told: &mut Explanation) -> bool {
    let Some(access) = &told.access else {
        return false;
    };
    let is_cut_off = access.mode == "STRICT" && access.client.is_none();
    if is_cut_off {
        told.problems.push(
            "the listener takes TLS of the mesh alone (STRICT), and a client in clear text is cut off without an answer; \
             `as` with `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT` asks as one with a certificate"
                .to_owned(),
        );
    }
    is_cut_off
}

/// Names of the lines of a story that tell of access.
const LINES: [&str; 5] = ["asked", "token", "access", "dry run", "audit"];

/// Takes what decided out of the story of the first case.
pub(super) fn add_decided(told: &mut Explanation) {
    if let Some(story) = told.outcomes.first().map(|first| first.story.clone()) {
        add_decided_of(told, &story);
    }
}

/// Takes what decided out of a story.
pub(super) fn add_decided_of(told: &mut Explanation, story: &str) {
    let Some(access) = &mut told.access else {
        return;
    };
    let lines = story.lines().map(str::trim);
    let decided = lines.filter_map(|line| {
        let mut names = LINES.iter();
        let (name, words) = names.find_map(|name| Some((name, line.strip_prefix(name)?)))?;
        let words = words.strip_prefix(' ')?.trim_start();
        Some(Decided {
            what: (*name).to_owned(),
            words: words.to_owned(),
        })
    });
    access.decided = decided.collect();
}
