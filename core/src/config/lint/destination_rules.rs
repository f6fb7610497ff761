//! DestinationRules against each other and the services they are about.

use std::collections::BTreeSet;

use super::{About, Lint, destinations, full_name};
use crate::config::code::Code;
use crate::config::destination_rule::{
    DestinationRule, LoadBalancerPolicy, LoadBalancerSettings, SimpleLb, TrafficPolicy,
};
use crate::config::names;

/// What Envoy takes for a `maxEjectionPercent` of 0 or none.
const DEFAULT_EJECTION_PERCENT: i32 = 10;

/// Checks all DestinationRules.
pub(super) fn lint(lint: &mut Lint<'_>) {
    let rules = lint.tables.rules().clone();
    for (host, rules) in &rules {
        for rule in rules.iter().filter(|rule| !rule.meta.rejected) {
            let known = destinations::check_host(lint, about(rule), "spec", &rule.host, host);
            if known {
                endpoints(lint, host, rule);
                port_settings(lint, host, rule);
            }
            super::tell_alias(lint, about(rule), "spec.host".into(), host);
            selector(lint, rule);
            passthrough(lint, host, rule);
            ejection_annotations(lint, rule);
            balancer_annotations(lint, rule);
        }
        hidden(lint, host, rules);
        merged(lint, rules);
    }
}

pub(super) fn about(rule: &DestinationRule) -> About<'_> {
    About {
        kind: "DestinationRule",
        meta: &rule.meta,
    }
}

/// Where clients name the endpoints, none of them is ever ejected.
fn passthrough(lint: &mut Lint<'_>, host: &str, rule: &DestinationRule) {
    let passes = |balancer: Option<&LoadBalancerSettings>| {
        balancer.and_then(|balancer| balancer.policy.as_ref())
            == Some(&LoadBalancerPolicy::Simple(SimpleLb::Passthrough))
    };
    let is_service = lint
        .tables
        .host(host)
        .is_some_and(|known| known.is_passed_through);
    let mut found = Vec::new();
    for (path, policy) in policies(rule) {
        let of_all = passes(policy.load_balancer.as_ref());
        if policy.outlier_detection.is_some() && (is_service || of_all) {
            found.push((path.clone(), of_all));
        }
        for (at, port) in policy.port_level_settings.iter().enumerate() {
            let of_port = passes(port.load_balancer.as_ref());
            if port.outlier_detection.is_some() && (is_service || of_port) {
                found.push((format!("{path}.portLevelSettings[{at}]"), of_port));
            }
        }
    }
    for (path, by_rule) in found {
        let why = if by_rule {
            "`simple: PASSTHROUGH`"
        } else {
            "a service that has `resolution: NONE`"
        };
        let message = format!("`outlierDetection` is not in effect with {why}");
        let help = "the proxy behaves as if it were not there";
        let path = format!("{path}.outlierDetection");
        lint.tell(about(rule), path, Code::NotInEffect, message, help);
    }
}

/// Annotations that add to `outlierDetection` need one to add to.
fn ejection_annotations(lint: &mut Lint<'_>, rule: &DestinationRule) {
    let of_ports = |policy: &TrafficPolicy| {
        let mut ports = policy.port_level_settings.iter();
        ports.any(|port| port.outlier_detection.is_some())
    };
    let is_on = policies(rule)
        .iter()
        .any(|(_, policy)| policy.outlier_detection.is_some() || of_ports(policy));
    if rule.extensions.needs_outlier_detection() && !is_on {
        let message = "annotations say how endpoints are ejected, and nothing turns ejection on";
        let help = "set `outlierDetection: {}` in a traffic policy";
        let path = "metadata.annotations";
        lint.tell(about(rule), path, Code::NeverEjects, message, help);
    }
}

/// Annotations that say how endpoints are picked, against the fields that say it.
fn balancer_annotations(lint: &mut Lint<'_>, rule: &DestinationRule) {
    let mut unused = |name: &str, path: &str, message: &str, help: &str| {
        let path = if path.is_empty() {
            format!("metadata.annotations[\"outrigger.dev/{name}\"]")
        } else {
            path.to_owned()
        };
        lint.tell(about(rule), path, Code::ExtensionUnused, message, help);
    };
    let balancers = balancers(rule);
    if rule.extensions.hash_balance_factor.is_some()
        && !balancers.iter().any(|(_, policy)| is_hash(policy))
    {
        let message = "loads are bounded for consistent hashing only, and the rule has none";
        unused(
            "hash-balance-factor",
            "",
            message,
            "set `loadBalancer.consistentHash`",
        );
    }
    if rule.extensions.load_balancer.is_some() {
        for (path, policy) in balancers {
            let field = match policy {
                LoadBalancerPolicy::ConsistentHash(_) => "consistentHash",
                LoadBalancerPolicy::Simple(
                    SimpleLb::Random | SimpleLb::Passthrough | SimpleLb::RoundRobin,
                ) => "simple",
                LoadBalancerPolicy::Simple(
                    SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest,
                ) => continue,
            };
            let message =
                format!("`{field}` holds here, not the annotation `outrigger.dev/load-balancer`");
            let help = "the annotation stands in for `simple: LEAST_REQUEST` only";
            unused("load-balancer", &format!("{path}.{field}"), &message, help);
        }
    }
}

const fn is_hash(policy: &LoadBalancerPolicy) -> bool {
    matches!(policy, LoadBalancerPolicy::ConsistentHash(_))
}

/// Every way to pick endpoints that a rule names, with the field path of its block.
fn balancers(rule: &DestinationRule) -> Vec<(String, &LoadBalancerPolicy)> {
    let mut all = Vec::new();
    for (path, policy) in policies(rule) {
        all.extend(named(&path, policy.load_balancer.as_ref()));
        for (at, port) in policy.port_level_settings.iter().enumerate() {
            let path = format!("{path}.portLevelSettings[{at}]");
            all.extend(named(&path, port.load_balancer.as_ref()));
        }
    }
    all
}

fn named<'r>(
    path: &str,
    balancer: Option<&'r LoadBalancerSettings>,
) -> Option<(String, &'r LoadBalancerPolicy)> {
    let policy = balancer?.policy.as_ref()?;
    Some((format!("{path}.loadBalancer"), policy))
}

/// Every traffic policy of a rule with its field path.
pub(super) fn policies(rule: &DestinationRule) -> Vec<(String, &TrafficPolicy)> {
    let top = rule
        .traffic_policy
        .iter()
        .map(|p| ("spec.trafficPolicy".to_owned(), p));
    let subsets = rule.subsets.iter().enumerate().filter_map(|(at, subset)| {
        let policy = subset.traffic_policy.as_ref()?;
        Some((format!("spec.subsets[{at}].trafficPolicy"), policy))
    });
    top.chain(subsets).collect()
}

fn endpoints(lint: &mut Lint<'_>, host: &str, rule: &DestinationRule) {
    let Some(labels) = lint
        .tables
        .host(host)
        .and_then(|known| known.endpoints.clone())
    else {
        return;
    };
    if labels.is_empty() {
        return;
    }
    for (at, subset) in rule.subsets.iter().enumerate() {
        if !labels.iter().any(|of| names::selects(&subset.labels, of)) {
            let message = format!(
                "no endpoint of `{host}` has the labels of subset `{}`",
                subset.name
            );
            let help = "requests to this subset end in 503 UH";
            lint.tell(
                about(rule),
                format!("spec.subsets[{at}].labels"),
                Code::EmptySubset,
                message,
                help,
            );
        }
    }
    for (path, policy) in policies(rule) {
        let Some(detection) = &policy.outlier_detection else {
            continue;
        };
        let percent = match detection.max_ejection_percent {
            0 => DEFAULT_EJECTION_PERCENT,
            percent => percent,
        };
        let count = i32::try_from(labels.len()).unwrap_or(i32::MAX);
        // One ejected endpoint of `count` is already more than allowed.
        if 100 > percent.saturating_mul(count) && !rule.extensions.always_eject_one_host {
            let message = format!(
                "`{host}` has {count} endpoint{}, so at most {percent} % of them is none: nothing is ever ejected",
                if count == 1 { "" } else { "s" }
            );
            let path = format!("{path}.outlierDetection");
            let help = "raise `maxEjectionPercent`";
            lint.tell(about(rule), path, Code::NeverEjects, message, help);
        }
    }
}

fn port_settings(lint: &mut Lint<'_>, host: &str, rule: &DestinationRule) {
    if names::is_wildcard(host) {
        return;
    }
    for (path, policy) in policies(rule) {
        for (at, settings) in policy.port_level_settings.iter().enumerate() {
            let Some(known) = lint.tables.host(host) else {
                return;
            };
            let Some(port) = settings.port.filter(|port| !known.ports.contains_key(port)) else {
                continue;
            };
            let help = format!("its ports are {}", known.port_list());
            let path = format!("{path}.portLevelSettings[{at}].port.number");
            let message = format!("`{host}` has no port {port}");
            lint.tell(about(rule), path, Code::UnknownPort, message, help);
        }
    }
}

fn selector(lint: &mut Lint<'_>, rule: &DestinationRule) {
    let Some(selector) = &rule.workload_selector else {
        return;
    };
    let namespace = &rule.meta.namespace;
    if lint
        .tables
        .selects_nobody(namespace, &selector.match_labels)
    {
        let message = format!("no workload of namespace `{namespace}` has these labels");
        lint.tell(
            about(rule),
            "spec.workloadSelector",
            Code::SelectsNothing,
            message,
            "",
        );
    }
}

/// The client's namespace comes before the service's: a rule there hides the owner's rule as a whole.
fn hidden(lint: &mut Lint<'_>, host: &str, rules: &[&DestinationRule]) {
    let Some(owner) = lint
        .tables
        .host(host)
        .map(|known| known.meta.namespace.clone())
    else {
        return;
    };
    for rule in rules {
        if rule.meta.namespace == owner || rule.meta.rejected || rule.workload_selector.is_some() {
            continue;
        }
        let own: BTreeSet<&str> = rule.subsets.iter().map(|s| s.name.as_str()).collect();
        for other in rules.iter().filter(|other| other.meta.namespace == owner) {
            let lost: Vec<&str> = other
                .subsets
                .iter()
                .map(|subset| subset.name.as_str())
                .filter(|name| !own.contains(name))
                .collect();
            let theirs = full_name(&other.meta);
            let namespace = &rule.meta.namespace;
            let (code, message) = if lost.is_empty() {
                (
                    Code::HidesRule,
                    format!(
                        "for clients in `{namespace}` this hides DestinationRule {theirs} of the same host"
                    ),
                )
            } else {
                (
                    Code::HidesSubsets,
                    format!(
                        "for clients in `{namespace}` this hides DestinationRule {theirs} and its subsets {}",
                        lost.join(", ")
                    ),
                )
            };
            lint.tell(
                about(rule),
                "spec.host",
                code,
                message,
                "repeat here what clients need of it",
            );
        }
    }
}

/// Rules of one namespace for one host are merged: the first of two subsets of a name counts, and the first policy.
fn merged(lint: &mut Lint<'_>, rules: &[&DestinationRule]) {
    let age = |rule: &DestinationRule| {
        let meta = &rule.meta;
        (meta.created.clone().unwrap_or_default(), meta.name.clone())
    };
    for rule in rules.iter().filter(|rule| !rule.meta.rejected) {
        let older = rules.iter().filter(|other| {
            other.meta.namespace == rule.meta.namespace
                && other.workload_selector == rule.workload_selector
                && other.export_to == rule.export_to
                && age(other) < age(rule)
        });
        for older in older {
            let name = full_name(&older.meta);
            for (at, subset) in rule.subsets.iter().enumerate() {
                if older.subsets.iter().any(|other| other.name == subset.name) {
                    let message = format!(
                        "subset `{}` of DestinationRule {name} is used instead",
                        subset.name
                    );
                    let path = format!("spec.subsets[{at}]");
                    lint.tell(
                        about(rule),
                        path,
                        Code::ShadowedSubset,
                        message,
                        "merge the rules",
                    );
                }
            }
            if rule.traffic_policy.is_some() && older.traffic_policy.is_some() {
                let message = format!("the policy of DestinationRule {name} is used instead");
                lint.tell(
                    about(rule),
                    "spec.trafficPolicy",
                    Code::ShadowedPolicy,
                    message,
                    "merge the rules",
                );
            }
        }
    }
}
