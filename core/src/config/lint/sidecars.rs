//! Sidecars: which one holds for a workload, and whether their hosts exist.

use std::collections::BTreeMap;

use super::{About, Lint, destinations, full_name};
use crate::config::code::Code;
use crate::config::names;
use crate::config::sidecar::{EgressHost, EgressNamespace, Sidecar};

/// Checks all Sidecars.
pub(super) fn lint(lint: &mut Lint<'_>) {
    several_defaults(lint);
    for sidecar in &lint.resources.sidecars {
        if !sidecar.meta.rejected {
            selector(lint, sidecar);
            egress_hosts(lint, sidecar);
        }
    }
}

fn about(sidecar: &Sidecar) -> About<'_> {
    About {
        kind: "Sidecar",
        meta: &sidecar.meta,
    }
}

/// Only one Sidecar without selector holds for a namespace: the oldest.
fn several_defaults(lint: &mut Lint<'_>) {
    let mut defaults: BTreeMap<&str, Vec<&Sidecar>> = BTreeMap::new();
    for sidecar in &lint.resources.sidecars {
        let selects_all = sidecar
            .workload_selector
            .as_ref()
            .is_none_or(BTreeMap::is_empty);
        if selects_all && !sidecar.meta.rejected {
            defaults
                .entry(&sidecar.meta.namespace)
                .or_default()
                .push(sidecar);
        }
    }
    for (_, mut sidecars) in defaults {
        sidecars.sort_by_key(|s| (s.meta.created.as_deref().unwrap_or_default(), &s.meta.name));
        let Some((first, others)) = sidecars.split_first() else {
            continue;
        };
        for sidecar in others {
            let message = format!(
                "Sidecar {} holds for the namespace already",
                full_name(&first.meta)
            );
            let help = "merge them, or give this one a workload selector";
            lint.tell(
                about(sidecar),
                "spec",
                Code::SeveralDefaultSidecars,
                message,
                help,
            );
        }
    }
}

fn selector(lint: &mut Lint<'_>, sidecar: &Sidecar) {
    let namespace = &sidecar.meta.namespace;
    let Some(selector) = &sidecar.workload_selector else {
        return;
    };
    if lint.tables.selects_nobody(namespace, selector) {
        let message = format!("no workload of namespace `{namespace}` has these labels");
        lint.tell(
            about(sidecar),
            "spec.workloadSelector",
            Code::SelectsNothing,
            message,
            "",
        );
    }
}

/// A host by name that no service has. Patterns are left alone: they may be meant for what is to come.
fn egress_hosts(lint: &mut Lint<'_>, sidecar: &Sidecar) {
    for (at, listener) in sidecar.egress.iter().enumerate() {
        for (host_at, entry) in listener.hosts.iter().enumerate() {
            let Some(host) = EgressHost::parse(entry) else {
                continue;
            };
            let is_named =
                !names::is_wildcard(host.host) && host.namespace != EgressNamespace::None;
            let name = names::normalize(host.host);
            if !is_named || lint.tables.host(&name).is_some() || !lint.tables.can_miss(&name) {
                continue;
            }
            let message = format!("no service has the host `{}`", host.host);
            let path = format!("spec.egress[{at}].hosts[{host_at}]");
            let help = "add a Service or ServiceEntry, or correct the name";
            let help = destinations::advice(lint, host.host, &name, help);
            lint.tell(about(sidecar), path, Code::UnknownHost, message, help);
        }
    }
}
