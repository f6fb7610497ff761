//! AuthorizationPolicy: who may call what.

mod conditions;

use super::DRY_RUN;
use super::selection;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::meta::Meta;
use conditions::{
    check_condition, check_ips, check_paths, check_ports, check_service_accounts,
    check_trust_domains,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Action {
    #[default]
    Allow,
    Deny,
    Audit,
    Custom,
}

const ACTIONS: &[(&str, i32, Action)] = &[
    ("ALLOW", 0, Action::Allow),
    ("DENY", 1, Action::Deny),
    ("AUDIT", 2, Action::Audit),
    ("CUSTOM", 3, Action::Custom),
];

/// Judges the `spec`.
pub(super) fn judge(o: &mut Object<'_, '_>, meta: &Meta) {
    selection::judge(o);
    let action = o.symbol("action", ACTIONS).unwrap_or_default();
    check_dry_run(o, action, meta);
    let has_rules = o
        .node()
        .field("rules")
        .is_some_and(|rules| !rules.value.is_null());
    o.messages("rules", |rule| judge_rule(rule, action));
    if !has_rules && matches!(action, Action::Deny | Action::Custom) {
        o.report().raise(
            Code::PolicyWithoutRules,
            "without rules this policy never applies",
            "add an empty rule `{}` if it shall apply to every request",
        );
    }
    let provider = o.message("provider", |provider| provider.string("name"));
    match provider {
        None if action != Action::Custom => {}
        Some(_) if action != Action::Custom => {
            let message = "only action `CUSTOM` has a provider";
            o.report()
                .raise_in("provider", Code::InvalidPolicy, message, "remove it");
        }
        None => {
            if has_rules {
                o.report().raise_in(
                    "provider",
                    Code::RequiredField,
                    "action `CUSTOM` needs a provider",
                    "",
                );
            }
        }
        Some(name) => {
            if name.is_empty() {
                let message = "action `CUSTOM` needs the name of a provider";
                o.report()
                    .raise_in("provider", Code::RequiredField, message, "");
            }
        }
    }
}

fn check_dry_run(o: &mut Object<'_, '_>, action: Action, meta: &Meta) {
    let Some(value) = meta.annotations.get(DRY_RUN) else {
        return;
    };
    let message = if !matches!(action, Action::Allow | Action::Deny) {
        format!("annotation `{DRY_RUN}` works with actions `ALLOW` and `DENY` only")
    } else if !matches!(
        value.as_str(),
        "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False"
    ) {
        format!("annotation `{DRY_RUN}` is `{value}`, which is not a boolean")
    } else {
        return;
    };
    o.report().raise(Code::InvalidAnnotation, message, "");
}

fn judge_rule(rule: &mut Object<'_, '_>, action: Action) {
    for field in ["from", "to"] {
        let is_empty = rule
            .node()
            .field(field)
            .is_some_and(|entry| !entry.value.is_null() && entry.value.items().is_empty());
        if is_empty {
            let message = format!("`{field}` is there and empty, so it is not clear what is meant");
            rule.report().raise_in(
                field,
                Code::InvalidPolicy,
                message,
                "remove it, or name something",
            );
        }
    }
    let from = rule.messages("from", |from| {
        let source = from.message("source", |source| judge_source(source, action));
        required(from, "source", source)
    });
    let to = rule.messages("to", |to| {
        let operation = to.message("operation", judge_operation);
        required(to, "operation", operation)
    });
    rule.messages("when", |when| {
        check_condition(when, action == Action::Custom);
    });
    let only_http_from = !from.is_empty() && to.is_empty() && !from.contains(&true);
    let only_http_to = !to.is_empty() && !to.contains(&true);
    if action == Action::Deny && (only_http_from || only_http_to) {
        rule.report().raise(
            Code::DeniesTcp,
            "on TCP ports HTTP attributes are not seen, so this rule denies all traffic there",
            "name the ports it is for",
        );
    }
}

/// Whether the part has attributes that are seen on TCP too.
fn required(o: &mut Object<'_, '_>, field: &'static str, part: Option<bool>) -> bool {
    if part.is_none() {
        let message = format!("an entry needs `{field}`");
        o.report().raise(Code::RequiredField, message, "");
    }
    part.unwrap_or_default()
}

/// Lists of one source or operation, each with its field name.
type Lists = Vec<(&'static str, Vec<String>)>;

/// Reads the lists, and checks that there is one and that none has an empty entry.
fn lists(o: &mut Object<'_, '_>, fields: &[&'static str]) -> Lists {
    let lists: Lists = fields
        .iter()
        .map(|field| (*field, o.strings(field)))
        .collect();
    if lists.iter().all(|(_, list)| list.is_empty()) {
        o.report().raise(
            Code::InvalidPolicy,
            "this names nothing",
            "remove it, or name something",
        );
    }
    for (field, list) in &lists {
        o.report().each(field, list, |report, value| {
            if value.is_empty() {
                report.raise(
                    Code::InvalidPolicy,
                    "an empty value matches nothing",
                    "remove it",
                );
            }
        });
    }
    lists
}

fn judge_source(o: &mut Object<'_, '_>, action: Action) -> bool {
    let lists = lists(
        o,
        &[
            "principals",
            "notPrincipals",
            "requestPrincipals",
            "notRequestPrincipals",
            "namespaces",
            "notNamespaces",
            "serviceAccounts",
            "notServiceAccounts",
            "trustDomains",
            "notTrustDomains",
            "ipBlocks",
            "notIpBlocks",
            "remoteIpBlocks",
            "notRemoteIpBlocks",
        ],
    );
    let has = |names: &[&str]| {
        lists
            .iter()
            .any(|(f, list)| names.contains(f) && !list.is_empty())
    };
    let names_account = has(&["serviceAccounts", "notServiceAccounts"]);
    if names_account && has(&["principals", "notPrincipals", "namespaces", "notNamespaces"]) {
        let message = "`serviceAccounts` can not stand beside `principals` or `namespaces`";
        o.report()
            .raise(Code::InvalidPolicy, message, "keep one of them");
    }
    for (field, list) in &lists {
        o.report().field(field, |report| match *field {
            "ipBlocks" | "notIpBlocks" | "remoteIpBlocks" | "notRemoteIpBlocks" => {
                check_ips(list, report);
            }
            "serviceAccounts" | "notServiceAccounts" => check_service_accounts(list, report),
            "trustDomains" | "notTrustDomains" => check_trust_domains(list, report),
            _ => {}
        });
        let is_address = field.ends_with("pBlocks");
        if action == Action::Custom && !is_address && !list.is_empty() {
            let message = format!("`{field}` can not be used with action `CUSTOM`");
            o.report().raise_in(field, Code::InvalidPolicy, message, "");
        }
    }
    lists.iter().any(|(field, list)| {
        !list.is_empty()
            && !field.to_ascii_lowercase().contains("request")
            && !field.to_ascii_lowercase().contains("trust")
    })
}

fn judge_operation(o: &mut Object<'_, '_>) -> bool {
    let fields = [
        "hosts",
        "notHosts",
        "ports",
        "notPorts",
        "methods",
        "notMethods",
        "paths",
        "notPaths",
    ];
    let lists = lists(o, &fields);
    for (field, list) in &lists {
        o.report().field(field, |report| match *field {
            "ports" | "notPorts" => check_ports(list, report),
            "paths" | "notPaths" => check_paths(list, report),
            _ => {}
        });
    }
    lists
        .iter()
        .any(|(field, list)| matches!(*field, "ports" | "notPorts") && !list.is_empty())
}
