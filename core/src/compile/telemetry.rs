//! Which Telemetry resources hold for a workload, and in which order.
//!
//! Owns Istio's choice: at most one for the mesh, one for the namespace and one that selects the workload, and of several
//! the oldest. What a section comes to is the business of whoever compiles it: entries of a later scope go before those
//! of an earlier one, field by field.

use super::Input;
use crate::config::mesh::MeshConfig;
use crate::config::names;
use crate::config::telemetry::Telemetry;
use crate::config::{Code, Finding};

/// The resources that hold for a workload, the widest scope first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Applicable<'a> {
    /// Of the root namespace, of the workload's namespace, and of the workload itself.
    pub(super) resources: Vec<&'a Telemetry>,
}

impl<'a> Applicable<'a> {
    /// The entries of a section in the order in which they apply, each with its resource and its path there.
    pub(super) fn entries<T: 'a>(
        &self,
        section: &'a str,
        of: impl Fn(&'a Telemetry) -> &'a [T],
    ) -> Vec<Entry<'a, T>> {
        let of_resource = |telemetry: &&'a Telemetry| {
            let telemetry: &'a Telemetry = telemetry;
            let entries = of(telemetry).iter().enumerate();
            entries.map(move |(at, entry)| Entry {
                telemetry,
                section,
                at,
                entry,
            })
        };
        self.resources.iter().flat_map(of_resource).collect()
    }
}

/// One entry of a section of a resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a, T> {
    telemetry: &'a Telemetry,
    section: &'a str,
    at: usize,
    /// What it says.
    pub(super) entry: &'a T,
}

impl<T> Entry<'_, T> {
    /// A finding about a field of it, such as `providers[0]`.
    pub(super) fn finding(&self, field: &str, code: Code, message: String, help: &str) -> Finding {
        let path = format!("spec.{}[{}].{field}", self.section, self.at);
        Finding::about(
            code,
            "Telemetry",
            &self.telemetry.meta,
            &path,
            message,
            help,
        )
    }

    /// A finding for each provider that the mesh does not have.
    fn unknown_providers(
        &self,
        providers: &[String],
        mesh: &MeshConfig,
        findings: &mut Vec<Finding>,
    ) {
        for (at, name) in providers.iter().enumerate() {
            if mesh.provider(name).is_none() {
                let message = format!("no extension provider is called `{name}`");
                let help =
                    "add it to `extensionProviders` of the mesh configuration (`--mesh-config`)";
                let path = format!("providers[{at}]");
                findings.push(self.finding(&path, Code::UnknownProvider, message, help));
            }
        }
    }
}

/// Chooses. What is wrong with the resources that were chosen is told in `findings`.
pub(super) fn applicable<'a>(input: &Input<'a>, findings: &mut Vec<Finding>) -> Applicable<'a> {
    let all: Vec<&Telemetry> = super::in_order(&input.resources.telemetries, |t| &t.meta)
        .into_iter()
        .filter(|telemetry| !telemetry.is_targeted)
        .collect();
    let (root, namespace) = (&input.mesh.root_namespace, &input.workload.namespace);
    let of_namespace = |namespace: &str| {
        let mut all = all.iter().copied();
        all.find(|t| t.meta.namespace == namespace && t.selector.is_empty())
    };
    let mut selecting = all.iter().copied().filter(|t| {
        t.meta.namespace == *namespace
            && !t.selector.is_empty()
            && names::selects(&t.selector, &input.workload.labels)
    });
    let mut resources = Vec::new();
    resources.extend(of_namespace(root));
    if namespace != root {
        resources.extend(of_namespace(namespace));
    }
    let first = selecting.next();
    resources.extend(first);
    for other in selecting {
        let message =
            "another Telemetry resource selects this workload, and is older or comes first by name";
        findings.push(Finding::about(
            Code::ShadowedTelemetry,
            "Telemetry",
            &other.meta,
            "spec.selector",
            message,
            "merge them",
        ));
    }
    let applicable = Applicable { resources };
    tell_unknown_providers(&applicable, input.mesh, findings);
    applicable
}

fn tell_unknown_providers(of: &Applicable<'_>, mesh: &MeshConfig, findings: &mut Vec<Finding>) {
    for entry in of.entries("tracing", |t| &t.tracing) {
        entry.unknown_providers(&entry.entry.providers, mesh, findings);
    }
    for entry in of.entries("metrics", |t| &t.metrics) {
        entry.unknown_providers(&entry.entry.providers, mesh, findings);
    }
    for entry in of.entries("accessLogging", |t| &t.access_logging) {
        entry.unknown_providers(&entry.entry.providers, mesh, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::Workload;
    use crate::config::{Source, load};

    fn telemetry(name: &str, namespace: &str, created: u32, spec: &str) -> String {
        format!(
            "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\n\
             metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '20{created}-01-01T00:00:00Z'}}\n\
             spec: {spec}\n---\n"
        )
    }

    /// The names of what holds, and the codes and paths of what is said, for a workload with the label `app: a`.
    fn chosen(text: &str, namespace: &str) -> (Vec<String>, Vec<String>) {
        let source = Source {
            name: "a.yaml",
            bytes: text.as_bytes(),
        };
        let resources = load(&[source], "default").resources;
        let workload = Workload {
            namespace: namespace.into(),
            labels: [("app".to_owned(), "a".to_owned())].into(),
            ..Workload::default()
        };
        let input = Input {
            resources: &resources,
            workload: &workload,
            mesh: &MeshConfig::default(),
        };
        let mut findings = Vec::new();
        let chosen = applicable(&input, &mut findings);
        let names = chosen.resources.iter().map(|t| t.meta.name.clone());
        let said = findings.iter().map(|f| format!("{} {}", f.code, f.path));
        (names.collect(), said.collect())
    }

    #[test]
    fn one_of_each_scope_holds_the_oldest_first() {
        const MINE: &str = "{selector: {matchLabels: {app: a}}}";
        const OTHERS: &str = "{selector: {matchLabels: {app: b}}}";
        const TARGETED: &str = "{targetRef: {group: '', kind: Service, name: a}}";
        let all = [
            telemetry("selects", "shop", 20, MINE),
            telemetry("selects-later", "shop", 21, MINE),
            telemetry("selects-others", "shop", 10, OTHERS),
            telemetry("later", "shop", 22, "{}"),
            telemetry("namespace", "shop", 21, "{}"),
            telemetry("targeted", "shop", 10, TARGETED),
            telemetry("mesh", "istio-system", 25, "{}"),
            telemetry("mesh-selects", "istio-system", 10, MINE),
            telemetry("elsewhere", "other", 10, "{}"),
        ]
        .concat();
        for (namespace, expected, said) in [
            (
                "shop",
                &["mesh", "namespace", "selects"][..],
                &["shadowed-telemetry spec.selector"][..],
            ),
            ("other", &["mesh", "elsewhere"], &[]),
            ("empty", &["mesh"], &[]),
            ("istio-system", &["mesh", "mesh-selects"], &[]),
        ] {
            let (names, findings) = chosen(&all, namespace);
            assert_eq!(names, expected, "{namespace}");
            assert_eq!(findings, said, "{namespace}");
        }
    }

    #[test]
    fn providers_that_the_mesh_does_not_have_are_told() {
        let spec = "{tracing: [{providers: [{name: jaeger}]}], metrics: [{providers: [{name: Prometheus}]}],\
                    accessLogging: [{}, {providers: [{name: envoy}, {name: file}]}]}";
        let text = telemetry("t", "default", 20, spec);
        let (_, said) = chosen(&text, "default");
        let expected = [
            "unknown-provider spec.tracing[0].providers[0]",
            "unknown-provider spec.accessLogging[1].providers[1]",
        ];
        assert_eq!(said, expected);
    }
}
