//! Which access logs a workload has: its Telemetry resources, the mesh's default providers, or the mesh's own log.
//!
//! Owns how the entries of `accessLogging` come together. A later entry goes before an earlier one, provider by provider; one
//! that names no provider speaks of those of the entry before. Of several resources, the narrowest that names providers says
//! which there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::telemetry::Applicable;
use crate::config::mesh::{FileAccessLog, MeshConfig, ProviderKind};
use crate::config::telemetry::{AccessLogging, Telemetry, WorkloadMode};
use crate::config::{Code, Finding};
use crate::snapshot::telemetry::{AccessLog, AccessLogs, Expression};

/// Compiles them.
pub(super) fn access_logs(
    telemetries: &Applicable<'_>,
    mesh: &MeshConfig,
    findings: &mut Vec<Finding>,
) -> AccessLogs {
    tell_others(telemetries, mesh, findings);
    let resources: Vec<&Telemetry> = telemetries
        .resources
        .iter()
        .copied()
        .filter(|telemetry| !telemetry.access_logging.is_empty())
        .collect();
    if resources.is_empty() && mesh.default_providers.access_logging.is_empty() {
        let logs: Box<[AccessLog]> = mesh.access_log.iter().map(|file| log(file, None)).collect();
        return AccessLogs {
            outbound: logs.clone(),
            inbound: logs,
        };
    }
    AccessLogs {
        outbound: of_side(&resources, mesh, WorkloadMode::is_for_client),
        inbound: of_side(&resources, mesh, WorkloadMode::is_for_server),
    }
}

fn log(file: &FileAccessLog, filter: Option<Arc<Expression>>) -> AccessLog {
    AccessLog {
        path: file.path.as_str().into(),
        format: Arc::clone(&file.format),
        filter,
        only: None,
    }
}

/// The logs of one side. Names of providers are the same in any case of letters.
fn of_side(
    resources: &[&Telemetry],
    mesh: &MeshConfig,
    is_for: fn(WorkloadMode) -> bool,
) -> Box<[AccessLog]> {
    let lower = |names: &[String]| -> Vec<String> {
        names.iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    let defaults = lower(&mesh.default_providers.access_logging);
    if resources.is_empty() {
        return files(defaults.into_iter().map(|name| (name, None)), mesh);
    }
    let in_scope = in_scope(resources, &defaults, is_for);
    let mut inherited = defaults;
    let mut on: BTreeMap<String, Option<Arc<Expression>>> = BTreeMap::new();
    let entries = resources.iter().flat_map(|r| &r.access_logging);
    for entry in entries {
        let names_some = !entry.providers.is_empty();
        if names_some {
            inherited = lower(&entry.providers);
        }
        if !is_for(entry.mode) {
            continue;
        }
        for provider in inherited.iter().filter(|name| in_scope.contains(*name)) {
            if entry.disabled == Some(true) {
                on.remove(provider);
            } else {
                let before = on.remove(provider).flatten().filter(|_| !names_some);
                on.insert(provider.clone(), entry.filter.clone().or(before));
            }
        }
    }
    files(on, mesh)
}

/// The providers that may log at all: those of the narrowest resource that names some.
fn in_scope(
    resources: &[&Telemetry],
    defaults: &[String],
    is_for: fn(WorkloadMode) -> bool,
) -> BTreeSet<String> {
    let named = |telemetry: &&Telemetry| -> BTreeSet<String> {
        let entries = telemetry.access_logging.iter();
        let of_side = entries.filter(|entry: &&AccessLogging| is_for(entry.mode));
        let names = of_side.flat_map(|entry| &entry.providers);
        names.map(|name| name.to_ascii_lowercase()).collect()
    };
    let mut narrowest_first = resources.iter().rev().map(named);
    narrowest_first
        .find(|names| !names.is_empty())
        .unwrap_or_else(|| defaults.iter().cloned().collect())
}

/// Tells providers that are no files: nothing is logged there.
fn tell_others(telemetries: &Applicable<'_>, mesh: &MeshConfig, findings: &mut Vec<Finding>) {
    for entry in telemetries.entries("accessLogging", |t| &t.access_logging) {
        for (at, name) in entry.entry.providers.iter().enumerate() {
            match mesh.provider(name).map(|provider| &provider.kind) {
                None | Some(ProviderKind::FileAccessLog(_)) => {}
                Some(
                    ProviderKind::Prometheus
                    | ProviderKind::Traces(_)
                    | ProviderKind::Authorizer(_)
                    | ProviderKind::Other(_),
                ) => {
                    let message = format!("nothing is logged to provider `{name}`");
                    let path = format!("providers[{at}]");
                    let help = "access logs go to providers with `envoyFileAccessLog`";
                    findings.push(entry.finding(&path, Code::NotInEffect, message, help));
                }
            }
        }
    }
}

/// The providers that are files.
fn files(
    on: impl IntoIterator<Item = (String, Option<Arc<Expression>>)>,
    mesh: &MeshConfig,
) -> Box<[AccessLog]> {
    on.into_iter()
        .filter_map(|(name, filter)| match &mesh.provider(&name)?.kind {
            ProviderKind::FileAccessLog(file) => Some(log(file, filter)),
            ProviderKind::Prometheus
            | ProviderKind::Traces(_)
            | ProviderKind::Authorizer(_)
            | ProviderKind::Other(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::cluster::Registry;
    use crate::compile::{Answers, Workload, compile};
    use crate::config::{Source, load, load_mesh};
    use crate::snapshot::telemetry::AccessLog;

    const MESH: &str = "
accessLogFile: /mesh
extensionProviders:
- {name: a, envoyFileAccessLog: {path: /a}}
- {name: b, envoyFileAccessLog: {path: /b}}
";

    /// The paths of the logs of both sides, with `?` where there is a filter.
    fn logs(defaults: &str, resources: &[(&str, &str)]) -> (String, String) {
        let mesh = format!("{MESH}defaultProviders: {{accessLogging: [{defaults}]}}\n");
        let source = |bytes| Source {
            name: "a.yaml",
            bytes,
        };
        let (mesh, said) = load_mesh(source(mesh.as_bytes()));
        assert!(said.is_empty(), "{said:?}");
        let document = |(scope, entries): &(&str, &str)| {
            let (namespace, selector) = match *scope {
                "mesh" => ("istio-system", ""),
                "workload" => ("default", "selector: {matchLabels: {app: a}}, "),
                namespace => (namespace, ""),
            };
            format!(
                "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\n\
                 metadata: {{name: {scope}, namespace: {namespace}}}\n\
                 spec: {{{selector}accessLogging: [{entries}]}}\n---\n"
            )
        };
        let text: String = resources.iter().map(document).collect();
        let loaded = load(&[source(text.as_bytes())], "default");
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        let workload = Workload {
            namespace: "default".into(),
            labels: [("app".to_owned(), "a".to_owned())].into(),
            ..Workload::default()
        };
        let (answers, mut registry) = (Answers::new(), Registry::default());
        let compiled = compile(
            &loaded.resources,
            &workload,
            &mesh,
            &[],
            &answers,
            &mut registry,
            0,
        );
        let shown = |logs: &[AccessLog]| {
            let shown = logs.iter().map(|log| {
                let filter = if log.filter.is_some() { "?" } else { "" };
                format!("{}{filter}", log.path)
            });
            shown.collect::<Vec<_>>().join(" ")
        };
        let logs = &compiled.snapshot.access_logs;
        (shown(logs.of(false)), shown(logs.of(true)))
    }

    #[test]
    fn resources_come_before_defaults_and_these_before_the_mesh() {
        const FILTER: &str = "filter: {expression: response.code >= 400}";
        let on_a = format!("{{providers: [{{name: a}}], {FILTER}}}");
        let both = "{providers: [{name: A}, {name: b}]}";
        for (defaults, resources, outbound, inbound) in [
            ("", &[][..], "/mesh", "/mesh"),
            ("b", &[], "/b", "/b"),
            ("", &[("mesh", "{}")], "", ""),
            ("b", &[("mesh", "{}")], "/b", "/b"),
            ("b", &[("default", "{disabled: true}")], "", ""),
            ("b", &[("mesh", &*on_a)], "/a?", "/a?"),
            ("", &[("mesh", both)], "/a /b", "/a /b"),
            ("", &[("mesh", both), ("default", &on_a)], "/a?", "/a?"),
            (
                "",
                &[("mesh", both), ("workload", "{disabled: true}")],
                "",
                "",
            ),
            (
                "",
                &[
                    ("mesh", both),
                    ("default", "{match: {mode: SERVER}, disabled: true}"),
                ],
                "/a /b",
                "",
            ),
            (
                "",
                &[("mesh", &on_a), ("default", "{match: {mode: CLIENT}}")],
                "/a?",
                "/a?",
            ),
            (
                "",
                &[(
                    "mesh",
                    "{providers: [{name: envoy}], match: {mode: CLIENT}}",
                )],
                "/dev/stdout",
                "",
            ),
            ("", &[("elsewhere", both)], "/mesh", "/mesh"),
        ] {
            let found = logs(defaults, resources);
            let expected = (outbound.to_owned(), inbound.to_owned());
            assert_eq!(found, expected, "{defaults} {resources:?}");
        }
    }
}
