//! Which DestinationRule holds for a service (reference §2.14): lookup by namespace and specificity, merging of several.
//!
//! The first namespace with any rule for the host wins entirely, so a client's own rule without subsets hides the
//! service owner's subsets. What the policy of one port and subset is stands in `traffic_policy`.

use std::collections::BTreeMap;

use super::Input;
use super::labels::is_subset;
use super::visibility::is_visible;
use crate::config::destination_rule::{DestinationRule, Extensions, Subset, TrafficPolicy};
use crate::config::names;

/// Several rules for one host as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Merged<'a> {
    /// The first one given.
    pub(super) traffic_policy: Option<&'a TrafficPolicy>,
    /// Of the first one that has annotations of ours.
    pub(super) extensions: Option<&'a Extensions>,
    /// Of all rules; the first of a name.
    pub(super) subsets: Vec<&'a Subset>,
    /// All of them, in order.
    pub(super) rules: Vec<&'a DestinationRule>,
}

impl<'a> Merged<'a> {
    /// The subset of this name.
    #[must_use]
    pub(super) fn subset(&self, name: &str) -> Option<&'a Subset> {
        self.subsets.iter().copied().find(|s| s.name == name)
    }

    fn add(&mut self, rule: &'a DestinationRule) {
        self.rules.push(rule);
        self.traffic_policy = self.traffic_policy.or(rule.traffic_policy.as_ref());
        let extensions = Some(&rule.extensions).filter(|e| **e != Extensions::default());
        self.extensions = self.extensions.or(extensions);
        for subset in &rule.subsets {
            if self.subset(&subset.name).is_none() {
                self.subsets.push(subset);
            }
        }
    }
}

/// Rules that may be merged: same host, same namespace, same audience.
#[derive(Clone, Debug)]
struct Group<'a> {
    /// The rule that came first; the others have its `exportTo` and `workloadSelector`.
    first: &'a DestinationRule,
    merged: Merged<'a>,
}

impl Group<'_> {
    fn has_selector(&self) -> bool {
        self.first.workload_selector.is_some()
    }
}

/// Rules of one namespace that may hold for this client, by host.
type ByHost<'a> = BTreeMap<String, Vec<Group<'a>>>;

/// All DestinationRules as one client sees them.
#[derive(Debug)]
pub(super) struct DestinationRules<'a> {
    by_namespace: BTreeMap<&'a str, ByHost<'a>>,
    client: &'a str,
    root: &'a str,
}

impl<'a> DestinationRules<'a> {
    /// Files the rules that may hold for the client. Rules come oldest first.
    #[must_use]
    pub(super) fn new(input: &Input<'a>) -> Self {
        let mut rules = Self {
            by_namespace: BTreeMap::new(),
            client: &input.workload.namespace,
            root: &input.mesh.root_namespace,
        };
        let default = &input.mesh.default_destination_rule_export_to;
        for rule in input.destination_rules() {
            let namespace = rule.meta.namespace.as_str();
            let is_seen = namespace == rules.client
                || is_visible(&rule.export_to, default, namespace, rules.client);
            let is_selected = rule.workload_selector.as_ref().is_none_or(|selector| {
                namespace == rules.client
                    && is_subset(&selector.match_labels, &input.workload.labels)
            });
            if is_seen && is_selected {
                let domain = &input.mesh.cluster_domain;
                let host = names::resolve(&rule.host, namespace, domain);
                let hosts = rules.by_namespace.entry(namespace).or_default();
                add(hosts.entry(host).or_default(), rule);
            }
        }
        rules
    }

    /// The rule that holds for a host whose service is of `namespace`.
    #[must_use]
    pub(super) fn find(&self, host: &str, namespace: &str) -> Option<&Merged<'a>> {
        self.found(host, namespace).into_iter().flatten().next()
    }

    /// The rules for that host that hold for it in no way, because a namespace before theirs has some.
    pub(super) fn passed_over(&self, host: &str, namespace: &str) -> Vec<&'a DestinationRule> {
        let others = self.found(host, namespace).into_iter().flatten().skip(1);
        others
            .flat_map(|merged| merged.rules.iter().copied())
            .collect()
    }

    /// What each namespace that is asked has, the first one first.
    fn found(&self, host: &str, namespace: &str) -> [Option<&Merged<'a>>; 3] {
        let asked = [self.client, namespace, self.root];
        core::array::from_fn(|at| {
            let is_new = !asked[..at].contains(&asked[at]);
            let namespace = is_new.then(|| self.by_namespace.get(asked[at]))?;
            find_in(namespace?, host)
        })
    }
}

fn add<'a>(groups: &mut Vec<Group<'a>>, rule: &'a DestinationRule) {
    let same_audience = |group: &&mut Group<'a>| {
        let first = group.first;
        same_set(&first.export_to, &rule.export_to)
            && first.workload_selector == rule.workload_selector
    };
    match groups.iter_mut().find(same_audience) {
        Some(group) => group.merged.add(rule),
        None => {
            let mut merged = Merged::default();
            merged.add(rule);
            groups.push(Group {
                first: rule,
                merged,
            });
        }
    }
}

fn same_set(a: &[String], b: &[String]) -> bool {
    a.iter().all(|x| b.contains(x)) && b.iter().all(|x| a.contains(x))
}

/// The most specific rule of a namespace: the exact host, else the longest wildcard; one that selects this workload
/// before one for all.
fn find_in<'m, 'a>(hosts: &'m ByHost<'a>, host: &str) -> Option<&'m Merged<'a>> {
    let groups = hosts
        .get(host)
        .or_else(|| wildcards_over(host).find_map(|wildcard| hosts.get(wildcard.as_str())))?;
    groups
        .iter()
        .find(|group| group.has_selector())
        .or_else(|| groups.first())
        .map(|group| &group.merged)
}

/// The wildcards that cover a host, longest first: `*.b.c`, `*.c` and `*` for `a.b.c`.
pub(super) fn wildcards_over(host: &str) -> impl Iterator<Item = String> {
    let inner = host.strip_prefix('*').unwrap_or(host);
    let dots = inner.match_indices('.').map(|(at, _)| at);
    dots.filter(|at| *at > 0)
        .map(move |at| format!("*{}", &inner[at..]))
        .chain((host != "*").then(|| "*".to_owned()))
}

#[cfg(test)]
mod tests;
