//! What stands beside resources in a folder and is none: charts, values, CI files, templates.
//!
//! Owns how such a thing is told from a resource with a fault, so that a folder can be judged as it is kept. A document
//! that was meant as a resource is never passed over: what is wrong with it is told elsewhere.

use super::code::Code;
use super::kinds;
use super::mark::Mark;
use super::node::{Node, Value};
use super::report::Report;

/// What resources have at their top.
const MARKS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

/// Whether nobody meant this document as a resource.
pub(super) fn is_bystander(document: &Node) -> bool {
    match &document.value {
        Value::Map(entries) => {
            let has = |key: &str| document.entry(key).is_some();
            if has("$patch") {
                // What a kustomization merges into others.
                return true;
            }
            match MARKS.iter().filter(|key| has(key)).count() {
                0 => true,
                // `apiVersion: v2` of a chart, `kind: DaemonSet` among values, `spec` of a pipeline; alone, it is the
                // beginning of a resource.
                1 => entries.len() > 1 && !names_a_group(document),
                _ => false,
            }
        }
        // Such as a JSON patch, or data.
        Value::Seq(items) => items
            .iter()
            .all(|item| item.is_null() || item.text().is_some() || is_bystander(item)),
        Value::Null | Value::Scalar(_) => false,
    }
}

/// Whether it names the API of a group, as resources do.
fn names_a_group(document: &Node) -> bool {
    let api_version = document.entry("apiVersion");
    let text = api_version.and_then(|entry| entry.value.text());
    text.is_some_and(|text| text.contains('/'))
}

/// Where a file has the mark of a template that is to be filled in (`{{ .Values.x }}`), outside quotes and comments.
pub(super) fn template_mark(bytes: &[u8]) -> Option<Mark> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().zip(1..);
    lines.find_map(|(line, number)| {
        let at = line.find("{{")?;
        let (before, inside) = (&line[..at], &line[at + 2..]);
        let after = inside.trim_start_matches('-');
        // An action may go on on later lines.
        let is_open = before.trim().is_empty() && inside.starts_with(['-', ' ']);
        let is_action = (after.contains("}}") || is_open)
            && after
                .trim_start()
                .starts_with(|c: char| c.is_ascii_alphabetic() || "./$\"(`".contains(c));
        if !is_action || before.contains(['"', '\'', '#']) {
            return None;
        }
        let column = u32::try_from(before.chars().count() + 1).ok()?;
        Some(Mark {
            line: number,
            column,
        })
    })
}

/// Whether a template has resources of Istio's at its outermost level, as far as its text tells.
pub(super) fn names_istio(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).lines().any(|line| {
        let line = line.strip_prefix("- ").unwrap_or(line);
        let value = |key: &str| line.strip_prefix(key).map(str::trim);
        value("apiVersion:").is_some_and(|version| version.contains("istio.io/"))
            || value("kind:").is_some_and(kinds::is_of_istio_alone)
    })
}

/// Where a JSON file is no JSON, if nothing in it looks like a resource: exports of databases, settings with comments.
pub(super) fn foreign_fault(file: &str, bytes: &[u8], report: &Report) -> Option<Mark> {
    let fault = report.first_in_file(is_unparsed)?;
    let names = |mark: &str| memchr::memmem::find(bytes, mark.as_bytes()).is_some();
    let is_resource = MARKS.iter().any(|mark| names(mark));
    (file.ends_with(".json") && !is_resource).then_some(fault)
}

/// Whether a file that has this finding was not understood as YAML, or only in part.
pub(super) const fn is_unparsed(code: Code) -> bool {
    matches!(
        code,
        Code::YamlSyntax
            | Code::YamlTab
            | Code::YamlDuplicateKey
            | Code::YamlKey
            | Code::YamlTag
            | Code::YamlMerge
            | Code::YamlAlias
    )
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    #[test]
    fn json_that_is_none_is_passed_over() {
        for (name, text, code) in [
            ("a.json", "{rating: 5}\n{rating: 4}\n", "passed-over"),
            ("a.json", "[[1, 2], [0.5, null]]", "passed-over"),
            ("a.json", "{\"kind\": \"Service\",, }", "yaml-syntax"),
            ("a.yaml", "{rating: 5}\n{rating: 4}\n", "yaml-syntax"),
        ] {
            let bytes = text.as_bytes();
            let findings = load(&[Source { name, bytes }], "default").findings;
            let found: Vec<_> = findings.iter().map(|f| f.code.as_str()).collect();
            assert_eq!(found, [code], "{name}: {text}");
        }
    }

    #[test]
    fn what_was_not_meant_as_a_resource_is_passed_over() {
        for (text, codes) in [
            // A chart, values, a compose file, a package, a pipeline, a patch, several of them.
            (
                "apiVersion: v2\nname: a\nversion: 0.1.0",
                &["passed-over"][..],
            ),
            ("replicas: 2\nimage: {tag: v1}", &["passed-over"]),
            ("kind: DaemonSet\nreplicas: 2", &["passed-over"]),
            ("services: {web: {image: web}}", &["passed-over"]),
            ("{\"name\": \"a\"}", &["passed-over"]),
            ("on: [push]\njobs: {}", &["passed-over"]),
            ("- {op: replace, path: /spec}", &["passed-over"]),
            ("a: 1\n---\nb: 2", &["passed-over"]),
            (
                "a: 1\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: a}",
                &["passed-over", "kind-ignored"],
            ),
            ("a: &x {b: 1}\nc: {<<: *x}", &["passed-over"]),
            (
                "nav: !!python/name:a.b\nb: [!reference [c]]",
                &["passed-over"],
            ),
            // Resources with a fault.
            ("kind: VirtualService", &["not-a-resource"]),
            ("apiVersion: v1", &["not-a-resource"]),
            (
                "apiVersion: networking.istio.io/v1\nname: a",
                &["not-a-resource"],
            ),
            ("kind: VirtualService\nspec: {}", &["not-a-resource"]),
            ("metadata: {name: a}\nspec: {}", &["not-a-resource"]),
            ("- {apiVersion: v1, kind: Service}", &["not-a-resource"]),
            (
                "apiVersion: v1\nkind: List\nitems: [{a: 1}]",
                &["not-a-resource"],
            ),
            ("words", &["not-a-resource"]),
            // Templates, in one line each.
            (
                "{{- if .Values.a }}\nkind: {{ .Values.kind }}\n{{- end }}\n---\nkind: VirtualService\nspec: {{ .x }}",
                &["unrendered-template"],
            ),
            (
                "- apiVersion: security.istio.io/v1\n  metadata: {{ include \"a\" . }}",
                &["unrendered-template"],
            ),
            ("a: \"{{ .x }}\"", &["passed-over"]),
            (
                "{{- include \"a\" (dict\n  \"b\" \"c\") }}\nkind: Sidecar",
                &["unrendered-template"],
            ),
            // Nothing of Istio's in them.
            (
                "{{ if .x }}\napiVersion: apps/v1\nkind: Deployment\n{{ end }}",
                &["template-passed-over"],
            ),
            (
                "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{ .x }}",
                &["template-passed-over"],
            ),
            (
                "kind: CustomResourceDefinition\n  kind: VirtualService\n{{ .x }}",
                &["template-passed-over"],
            ),
            ("a: [\nb: '{{ .x }}'", &["yaml-syntax"]),
            ("a: [ # {{ .x }}", &["yaml-syntax"]),
            ("a: {{b: c}: d}", &["yaml-key"]),
        ] {
            let source = Source {
                name: "a",
                bytes: text.as_bytes(),
            };
            let found: Vec<_> = load(&[source], "default")
                .findings
                .iter()
                .map(|finding| finding.code.as_str())
                .collect();
            assert_eq!(found, codes, "{text}");
        }
    }
}
