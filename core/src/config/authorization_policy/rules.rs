//! Rules of a policy: sources, operations, and what Istio has against them.

use super::values::{
    check_condition, check_ips, check_paths, check_ports, check_service_accounts,
    check_trust_domains,
};
use super::{Operation, PolicyAction, Rule, Source, Values};
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::report::Report;

/// Tells rules that are null: one without conditions matches everything, which is to be written as `{}`.
pub(super) fn check_null(o: &mut Object<'_, '_>) {
    let rules = o.node().field("rules");
    let items = rules.map_or(&[][..], |rules| rules.value.items());
    for (at, _) in (0..).zip(items).filter(|(_, item)| item.is_null()) {
        let at: usize = at;
        o.report().raise_in(
            &format!("rules[{at}]"),
            Code::InvalidPolicy,
            "a rule without a value does not say what is meant",
            "write `{}` if it shall apply to every request, or remove it",
        );
    }
}

pub(super) fn decode(rule: &mut Object<'_, '_>, action: PolicyAction) -> Rule {
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
        let source = from.message("source", |o| source(o, action));
        required(from, "source", source)
    });
    let to = rule.messages("to", |to| {
        let operation = to.message("operation", operation);
        required(to, "operation", operation)
    });
    let is_custom = action == PolicyAction::Custom;
    let when = rule.messages("when", |when| check_condition(when, is_custom));
    let only_http_from = !from.is_empty() && to.is_empty() && !from.iter().any(is_seen_on_tcp);
    let only_http_to = !to.is_empty() && to.iter().all(|to| to.ports.is_empty());
    if action == PolicyAction::Deny && (only_http_from || only_http_to) {
        rule.report().raise(
            Code::DeniesTcp,
            "on TCP ports HTTP attributes are not seen, so this rule denies all traffic there",
            "name the ports it is for",
        );
    }
    Rule { from, to, when }
}

/// Whether a source has attributes that are seen on TCP too.
fn is_seen_on_tcp(source: &Source) -> bool {
    let Source {
        principals,
        request_principals: _,
        namespaces,
        service_accounts,
        trust_domains: _,
        ip_blocks,
        remote_ip_blocks,
    } = source;
    [
        principals,
        namespaces,
        service_accounts,
        ip_blocks,
        remote_ip_blocks,
    ]
    .iter()
    .any(|values| !values.is_empty())
}

fn required<T: Default>(o: &mut Object<'_, '_>, field: &'static str, part: Option<T>) -> T {
    if part.is_none() {
        let message = format!("an entry needs `{field}`");
        o.report().raise(Code::RequiredField, message, "");
    }
    part.unwrap_or_default()
}

/// Two fields that stand against each other, each checked by `check`.
fn values(
    o: &mut Object<'_, '_>,
    [any, none]: [&'static str; 2],
    check: fn(&[String], &mut Report),
) -> Values {
    let mut list = |field| {
        let list = o.strings(field);
        o.report().each(field, &list, |report, value| {
            if value.is_empty() {
                let message = "an empty value matches nothing";
                report.raise(Code::InvalidPolicy, message, "remove it");
            }
        });
        o.report().field(field, |report| check(&list, report));
        list
    };
    Values {
        any: list(any),
        none: list(none),
    }
}

fn unchecked(_: &[String], _: &mut Report) {}

fn names_nothing(o: &mut Object<'_, '_>) {
    let message = "this names nothing";
    o.report()
        .raise(Code::InvalidPolicy, message, "remove it, or name something");
}

fn source(o: &mut Object<'_, '_>, action: PolicyAction) -> Source {
    let read = Source {
        principals: values(o, ["principals", "notPrincipals"], unchecked),
        request_principals: values(o, ["requestPrincipals", "notRequestPrincipals"], unchecked),
        namespaces: values(o, ["namespaces", "notNamespaces"], unchecked),
        service_accounts: values(
            o,
            ["serviceAccounts", "notServiceAccounts"],
            check_service_accounts,
        ),
        trust_domains: values(o, ["trustDomains", "notTrustDomains"], check_trust_domains),
        ip_blocks: values(o, ["ipBlocks", "notIpBlocks"], check_ips),
        remote_ip_blocks: values(o, ["remoteIpBlocks", "notRemoteIpBlocks"], check_ips),
    };
    if read == Source::default() {
        names_nothing(o);
    }
    let names_account = !read.service_accounts.is_empty();
    if names_account && !(read.principals.is_empty() && read.namespaces.is_empty()) {
        let message = "`serviceAccounts` can not stand beside `principals` or `namespaces`";
        o.report()
            .raise(Code::InvalidPolicy, message, "keep one of them");
    }
    if action == PolicyAction::Custom {
        for (fields, values) in [
            (["principals", "notPrincipals"], &read.principals),
            (
                ["requestPrincipals", "notRequestPrincipals"],
                &read.request_principals,
            ),
            (["namespaces", "notNamespaces"], &read.namespaces),
            (
                ["serviceAccounts", "notServiceAccounts"],
                &read.service_accounts,
            ),
            (["trustDomains", "notTrustDomains"], &read.trust_domains),
        ] {
            let lists = [&values.any, &values.none];
            for (field, _) in (fields.iter().zip(lists)).filter(|(_, list)| !list.is_empty()) {
                let message = format!("`{field}` can not be used with action `CUSTOM`");
                o.report().raise_in(field, Code::InvalidPolicy, message, "");
            }
        }
    }
    read
}

fn operation(o: &mut Object<'_, '_>) -> Operation {
    let read = Operation {
        hosts: values(o, ["hosts", "notHosts"], unchecked),
        ports: values(o, ["ports", "notPorts"], check_ports),
        methods: values(o, ["methods", "notMethods"], unchecked),
        paths: values(o, ["paths", "notPaths"], check_paths),
    };
    if read == Operation::default() {
        names_nothing(o);
    }
    read
}
