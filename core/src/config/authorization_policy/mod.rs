//! AuthorizationPolicy (security.istio.io): who may call what.
//!
//! Owns the resource field for field, and Istio's rules for what may stand in it. Which policies hold for a workload, and
//! what their values mean, is settled in `compile::authorization`.

mod rules;
mod values;

use std::collections::BTreeMap;

use super::code::Code;
use super::decode::{Object, object};
use super::judged::{DRY_RUN, selection};
use super::meta::Meta;
use super::node::Node;
use super::report::Report;

/// An AuthorizationPolicy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthorizationPolicy {
    /// Who it is.
    pub meta: Meta,
    /// Labels of the workloads it holds for; empty is all of the namespace, and of the mesh in the root namespace.
    pub selector: BTreeMap<String, String>,
    /// It is attached to gateways, waypoints or services, so no sidecar applies it.
    pub is_targeted: bool,
    /// What happens to requests that it matches.
    pub action: PolicyAction,
    /// It only tells what it would do (annotation `istio.io/dry-run`).
    pub dry_run: bool,
    /// It matches what one of these matches.
    pub rules: Vec<Rule>,
    /// Who is asked, for action `CUSTOM`.
    pub provider: String,
}

/// What happens to requests that a policy matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyAction {
    /// They may pass; what no such policy matches may not, once there is one.
    #[default]
    Allow,
    /// They are refused.
    Deny,
    /// They are counted.
    Audit,
    /// Somebody else is asked.
    Custom,
}

const ACTIONS: &[(&str, i32, PolicyAction)] = &[
    ("ALLOW", 0, PolicyAction::Allow),
    ("DENY", 1, PolicyAction::Deny),
    ("AUDIT", 2, PolicyAction::Audit),
    ("CUSTOM", 3, PolicyAction::Custom),
];

/// One rule: what one of its sources sends, one of its operations names, and all conditions hold for. An empty list asks
/// for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Who asks.
    pub from: Vec<Source>,
    /// What for.
    pub to: Vec<Operation>,
    /// What else must hold.
    pub when: Vec<Condition>,
}

/// Values of which one must match, and others of which none may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// One of these must match; empty is no condition.
    pub any: Vec<String>,
    /// None of these may match.
    pub none: Vec<String>,
}

impl Values {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.any.is_empty() && self.none.is_empty()
    }
}

/// Who asks. All fields must hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// SPIFFE IDs without their scheme.
    pub principals: Values,
    /// Issuer and subject of a token, with a slash between them.
    pub request_principals: Values,
    /// Namespaces of the clients' identities.
    pub namespaces: Values,
    /// `account` of the policy's namespace, or `namespace/account`.
    pub service_accounts: Values,
    /// Trust domains of the clients' identities.
    pub trust_domains: Values,
    /// Addresses on the other end of the connection.
    pub ip_blocks: Values,
    /// Addresses that the request came from at first, by `x-forwarded-for`.
    pub remote_ip_blocks: Values,
}

/// What for. All fields must hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// The authority.
    pub hosts: Values,
    /// The port that the application serves.
    pub ports: Values,
    /// Methods.
    pub methods: Values,
    /// Paths, normalised and without a query.
    pub paths: Values,
}

/// An attribute and what it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Its name, such as `request.headers[x-user]`.
    pub key: String,
    /// What it must and must not be.
    pub values: Values,
}

/// Reads and checks the `spec` of an AuthorizationPolicy.
pub(super) fn read(report: &mut Report, meta: Meta, spec: &Node) -> AuthorizationPolicy {
    report.field("spec", |report| {
        let read = object(report, spec, |o| decode(meta, o));
        if read.is_targeted {
            report.raise(
                Code::NotInEffect,
                "what is attached to a gateway, a waypoint or a service is not for sidecars",
                "select workloads by `selector.matchLabels`",
            );
        }
        read
    })
}

fn decode(meta: Meta, o: &mut Object<'_, '_>) -> AuthorizationPolicy {
    let selector = selection::judge(o);
    let is_present = |name| o.node().field(name).is_some_and(|e| !e.value.is_null());
    let is_targeted = is_present("targetRef") || is_present("targetRefs");
    let action = o.symbol("action", ACTIONS).unwrap_or_default();
    let dry_run = dry_run(o, action, &meta);
    rules::check_null(o);
    let has_rules = o
        .node()
        .field("rules")
        .is_some_and(|rules| !rules.value.is_null());
    let rules = o.messages("rules", |rule| rules::decode(rule, action));
    if !has_rules && matches!(action, PolicyAction::Deny | PolicyAction::Custom) {
        o.report().raise(
            Code::PolicyWithoutRules,
            "without rules this policy never applies",
            "add an empty rule `{}` if it shall apply to every request",
        );
    }
    AuthorizationPolicy {
        meta,
        selector,
        is_targeted,
        action,
        dry_run,
        rules,
        provider: provider(o, action, has_rules),
    }
}

fn provider(o: &mut Object<'_, '_>, action: PolicyAction, has_rules: bool) -> String {
    let provider = o.message("provider", |provider| provider.string("name"));
    let is_custom = action == PolicyAction::Custom;
    match &provider {
        None if is_custom && has_rules => {
            let message = "action `CUSTOM` needs a provider";
            o.report()
                .raise_in("provider", Code::RequiredField, message, "");
        }
        Some(_) if !is_custom => {
            let message = "only action `CUSTOM` has a provider";
            o.report()
                .raise_in("provider", Code::InvalidPolicy, message, "remove it");
        }
        Some(name) if name.is_empty() => {
            let message = "action `CUSTOM` needs the name of a provider";
            o.report()
                .raise_in("provider", Code::RequiredField, message, "");
        }
        None | Some(_) => {}
    }
    provider.unwrap_or_default()
}

/// Whether the policy is tried without effect. The annotation takes what Go takes for a boolean.
fn dry_run(o: &mut Object<'_, '_>, action: PolicyAction, meta: &Meta) -> bool {
    let Some(value) = meta.annotations.get(DRY_RUN) else {
        return false;
    };
    if !matches!(action, PolicyAction::Allow | PolicyAction::Deny) {
        let message = format!("annotation `{DRY_RUN}` works with actions `ALLOW` and `DENY` only");
        o.report().raise(Code::InvalidAnnotation, message, "");
        return false;
    }
    match value.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        other => {
            let message = format!("annotation `{DRY_RUN}` is `{other}`, which is not a boolean");
            o.report().raise(Code::InvalidAnnotation, message, "");
            false
        }
    }
}

#[cfg(test)]
mod tests;
