//! AuthorizationPolicies to rules: which hold for the workload, what they are called, and what their values mean.
//!
//! Owns Istio's translation (`pilot/pkg/security/authz`): what makes a rule useless where it allows is left out where it
//! refuses, so that every doubt refuses. A policy with errors refuses everything in its place.

mod attributes;
mod external;
mod identities;

use std::sync::Arc;

use super::Input;
use super::applications::Application;
use super::clusters::Clusters;
use super::resources::ResourceTable;
use crate::config::authorization_policy::{AuthorizationPolicy, PolicyAction, Rule};
use crate::config::{Finding, names};
use crate::snapshot::{
    AccessRule, AccessRuleId, AccessRuleName, AccessRules, Authorization, Origin, RuleSet,
};
use attributes::{Doubt, Traffic, Translation};

/// What the resource is called.
const KIND: &str = "AuthorizationPolicy";

/// Compiles the policies that hold for the workload.
pub(super) fn authorization(
    input: &Input<'_>,
    inbound: &[Application<'_>],
    clusters: &Clusters,
    resources: &mut ResourceTable,
    findings: &mut Vec<Finding>,
) -> Authorization {
    let holding = holding(input);
    let mut names = Vec::new();
    let mut numbered = Vec::new();
    for policy in &holding {
        let is_broken = policy.meta.rejected;
        let count = if is_broken { 1 } else { policy.rules.len() };
        for at in 0..count {
            // A configuration with 2^32 rules does not fit into memory.
            let id = AccessRuleId(u32::try_from(names.len()).unwrap_or(u32::MAX));
            names.push(name(policy, at, resources));
            let rule = (!is_broken).then(|| &policy.rules[at]);
            numbered.push((*policy, rule, id));
        }
    }
    let (external, unasked) = external::checks(&numbered, &names, input, clusters, findings);
    let sets = |traffic| {
        let translation = Translation { input, traffic };
        rules(&holding, &numbered, &names, &unasked, &translation)
    };
    Authorization {
        http: sets(Traffic::Http),
        tcp: sets(Traffic::Tcp),
        external,
        ports: inbound.iter().map(Application::port).collect(),
        names: names.into(),
    }
}

/// The policies that hold for the workload and that this proxy decides, broken ones included: of the root namespace and of
/// its own, if their labels are among its.
fn holding<'a>(input: &Input<'a>) -> Vec<&'a AuthorizationPolicy> {
    let (workload, root) = (input.workload, &input.mesh.root_namespace);
    let holds = |policy: &&AuthorizationPolicy| {
        let namespace = &policy.meta.namespace;
        let keeps_out = !policy.meta.rejected || is_kept_closed(policy);
        (namespace == root || *namespace == workload.namespace)
            && !policy.is_targeted
            && names::selects(&policy.selector, &workload.labels)
            && keeps_out
    };
    let all = input.resources.authorization_policies.iter();
    all.filter(holds).collect()
}

/// Whether a policy with errors refuses everything: one that would refuse nothing does not.
fn is_kept_closed(policy: &AuthorizationPolicy) -> bool {
    policy.action != PolicyAction::Audit && !policy.dry_run
}

fn name(policy: &AuthorizationPolicy, at: usize, resources: &mut ResourceTable) -> AccessRuleName {
    let meta = &policy.meta;
    let is_broken = meta.rejected;
    let path = match is_broken {
        true => "spec".to_owned(),
        false => format!("spec.rules[{at}]"),
    };
    let text = format!("ns[{}]-policy[{}]-rule[{at}]", meta.namespace, meta.name);
    AccessRuleName {
        // As Envoy does, so that details are one word.
        text: Arc::from(text.replace(char::is_whitespace, "_")),
        origin: Origin {
            resource: resources.id_of(KIND, meta),
            line: meta.locate(&path).line,
            path: path.into(),
        },
        is_broken,
    }
}

type Numbered<'a> = (&'a AuthorizationPolicy, Option<&'a Rule>, AccessRuleId);

fn rules(
    holding: &[&AuthorizationPolicy],
    numbered: &[Numbered<'_>],
    names: &[AccessRuleName],
    unasked: &[AccessRule],
    translation: &Translation<'_>,
) -> AccessRules {
    let set = |action: PolicyAction, dry_run: bool| {
        let mut list: Vec<AccessRule> = numbered
            .iter()
            .filter_map(|(policy, rule, id)| match rule {
                None => (action == PolicyAction::Deny && !dry_run).then(|| everything(*id)),
                Some(rule) if policy.action == action && policy.dry_run == dry_run => {
                    translation.rule(policy, rule, *id)
                }
                Some(_) => None,
            })
            .collect();
        // Whom nobody can be asked about may not pass; over HTTP nobody is asked about connections.
        if action == PolicyAction::Deny && !dry_run {
            match translation.traffic {
                Traffic::Http => list.extend_from_slice(unasked),
                Traffic::Tcp => list.extend(numbered.iter().filter_map(|(policy, rule, id)| {
                    let rule = rule.filter(|_| policy.action == PolicyAction::Custom)?;
                    if external::is_asked_about_connections(&policy.provider, translation.input) {
                        return None;
                    }
                    translation.rule(policy, rule, *id)
                })),
            }
        }
        list.sort_by_key(|rule| &names[rule.id.0 as usize].text);
        RuleSet::new(list)
    };
    let some = |dry_run: bool| {
        let mut sound = holding.iter().filter(|policy| !policy.meta.rejected);
        let is_there =
            sound.any(|policy| policy.action == PolicyAction::Allow && policy.dry_run == dry_run);
        is_there.then(|| set(PolicyAction::Allow, dry_run))
    };
    AccessRules {
        audit: set(PolicyAction::Audit, false),
        deny: set(PolicyAction::Deny, false),
        allow: some(false),
        tried_deny: set(PolicyAction::Deny, true),
        tried_allow: some(true),
    }
}

/// What stands in the place of a policy with errors.
fn everything(id: AccessRuleId) -> AccessRule {
    AccessRule {
        id,
        from: Box::default(),
        to: Box::default(),
        when: Box::default(),
    }
}

impl Translation<'_> {
    /// A rule; `None` where a doubt makes one that allows useless.
    fn rule(
        &self,
        policy: &AuthorizationPolicy,
        rule: &Rule,
        id: AccessRuleId,
    ) -> Option<AccessRule> {
        let doubt = match policy.action {
            PolicyAction::Allow => Doubt::Refuses,
            PolicyAction::Deny | PolicyAction::Audit | PolicyAction::Custom => Doubt::IsLeftOut,
        };
        let namespace = &policy.meta.namespace;
        let from = rule
            .from
            .iter()
            .map(|from| self.source(from, namespace, doubt));
        let to = rule.to.iter().map(|to| self.operation(to, doubt));
        let when = rule
            .when
            .iter()
            .map(|when| self.condition(when, namespace, doubt));
        Some(AccessRule {
            id,
            from: from.collect::<Option<_>>()?,
            to: to.collect::<Option<_>>()?,
            when: when.collect::<Option<Vec<_>>>()?.concat().into(),
        })
    }
}

#[cfg(test)]
mod tests;
