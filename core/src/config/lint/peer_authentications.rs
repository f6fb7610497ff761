//! PeerAuthentication resources: which one holds where, and whether it holds for anybody.

use std::collections::BTreeMap;

use super::{About, Lint, full_name};
use crate::config::code::Code;
use crate::config::peer_authentication::PeerAuthentication;

/// Checks all PeerAuthentication resources.
pub(super) fn lint(lint: &mut Lint<'_>) {
    several_for_all(lint);
    for policy in &lint.resources.peer_authentications {
        let (namespace, selector) = (&policy.meta.namespace, &policy.selector);
        if policy.meta.rejected || selector.is_empty() {
            continue;
        }
        let (code, message, help) = if *namespace == lint.mesh.root_namespace {
            let message =
                format!("`{namespace}` is the root namespace, where a selector has no effect");
            let help =
                "remove `selector` to mean the whole mesh, or move it to the workloads' namespace";
            (Code::PeerAuthenticationUnused, message, help)
        } else if lint.tables.selects_nobody(namespace, selector) {
            let message = format!("no workload of namespace `{namespace}` has these labels");
            (Code::SelectsNothing, message, "")
        } else {
            continue;
        };
        lint.tell(about(policy), "spec.selector", code, message, help);
    }
}

fn about(policy: &PeerAuthentication) -> About<'_> {
    About {
        kind: "PeerAuthentication",
        meta: &policy.meta,
    }
}

/// Only one without selector holds for a namespace: the oldest.
fn several_for_all(lint: &mut Lint<'_>) {
    let mut all: BTreeMap<&str, Vec<&PeerAuthentication>> = BTreeMap::new();
    for policy in &lint.resources.peer_authentications {
        if policy.selector.is_empty() && !policy.meta.rejected {
            let namespace = &policy.meta.namespace;
            all.entry(namespace).or_default().push(policy);
        }
    }
    for (_, mut policies) in all {
        policies.sort_by_key(|p| (p.meta.created.as_deref(), &p.meta.name));
        let Some((first, others)) = policies.split_first() else {
            continue;
        };
        for policy in others {
            let name = full_name(&first.meta);
            let message = format!("PeerAuthentication {name} holds for the namespace already");
            let help = "remove one of them, or give this one a selector";
            let code = Code::ShadowedPeerAuthentication;
            lint.tell(about(policy), "spec", code, message, help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_named;

    #[test]
    fn what_does_not_hold_is_told() {
        let policy = |name: &str, namespace: &str, spec: &str| {
            format!(
                "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                 metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
            )
        };
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\n---\n";
        let selects = |app: &str| format!("{{selector: {{matchLabels: {{app: {app}}}}}}}");
        for (documents, expected) in [
            (
                vec![policy("a", "default", "{}"), policy("b", "other", "{}")],
                &[][..],
            ),
            (
                vec![policy("b", "default", "{}"), policy("a", "default", "{}")],
                &["shadowed-peer-authentication default/b spec"],
            ),
            (vec![pod.into(), policy("a", "default", &selects("a"))], &[]),
            (
                vec![pod.into(), policy("a", "default", &selects("b"))],
                &["selects-nothing default/a spec.selector"],
            ),
            (
                vec![policy("a", "istio-system", &selects("a"))],
                &["peer-authentication-unused istio-system/a spec.selector"],
            ),
        ] {
            check_named(&documents, expected);
        }
    }
}
