//! Telemetry resources: which one holds where, and whether it selects anybody.

use std::collections::BTreeMap;

use super::{About, Lint, full_name};
use crate::config::code::Code;
use crate::config::telemetry::Telemetry;

/// Checks all Telemetry resources.
pub(super) fn lint(lint: &mut Lint<'_>) {
    several_for_all(lint);
    for telemetry in &lint.resources.telemetries {
        let (namespace, selector) = (&telemetry.meta.namespace, &telemetry.selector);
        if !telemetry.meta.rejected
            && !selector.is_empty()
            && lint.tables.selects_nobody(namespace, selector)
        {
            let message = format!("no workload of namespace `{namespace}` has these labels");
            lint.tell(
                about(telemetry),
                "spec.selector",
                Code::SelectsNothing,
                message,
                "",
            );
        }
    }
}

fn about(telemetry: &Telemetry) -> About<'_> {
    About {
        kind: "Telemetry",
        meta: &telemetry.meta,
    }
}

/// Only one Telemetry without selector holds for a namespace: the oldest.
fn several_for_all(lint: &mut Lint<'_>) {
    let mut all: BTreeMap<&str, Vec<&Telemetry>> = BTreeMap::new();
    for telemetry in &lint.resources.telemetries {
        if telemetry.selector.is_empty() && !telemetry.is_targeted && !telemetry.meta.rejected {
            let namespace = &telemetry.meta.namespace;
            all.entry(namespace).or_default().push(telemetry);
        }
    }
    for (_, mut telemetries) in all {
        telemetries.sort_by_key(|t| (t.meta.created.as_deref().unwrap_or_default(), &t.meta.name));
        let Some((first, others)) = telemetries.split_first() else {
            continue;
        };
        for telemetry in others {
            let name = full_name(&first.meta);
            let message = format!("Telemetry {name} holds for the namespace already");
            lint.tell(
                about(telemetry),
                "spec",
                Code::ShadowedTelemetry,
                message,
                "merge them, or give this one a selector",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check_named;

    #[test]
    fn what_does_not_hold_is_told() {
        let telemetry = |name: &str, namespace: &str, spec: &str| {
            format!(
                "apiVersion: telemetry.istio.io/v1alpha1\nkind: Telemetry\n\
                 metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
            )
        };
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\n---\n";
        let selects = |app: &str| format!("{{selector: {{matchLabels: {{app: {app}}}}}}}");
        for (documents, expected) in [
            (vec![telemetry("a", "default", "{}")], &[][..]),
            (
                vec![
                    telemetry("a", "default", "{}"),
                    telemetry("b", "other", "{}"),
                ],
                &[],
            ),
            (
                vec![
                    telemetry("b", "default", "{}"),
                    telemetry("a", "default", "{}"),
                ],
                &["shadowed-telemetry default/b spec"],
            ),
            (
                vec![pod.into(), telemetry("a", "default", &selects("a"))],
                &[],
            ),
            (
                vec![pod.into(), telemetry("a", "default", &selects("b"))],
                &["selects-nothing default/a spec.selector"],
            ),
        ] {
            check_named(&documents, expected);
        }
    }
}
