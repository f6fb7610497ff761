//! For tests: one document, and what is said about it.

use super::{Source, load};

/// What reading says about a networking.istio.io document of this kind with this `spec`, as `code path`, sorted.
pub(super) fn judged(kind: &str, spec: &str) -> Vec<String> {
    judged_document(&format!(
        "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: case}}\nspec: {spec}\n"
    ))
}

/// What reading says about a document, as `code path`, sorted.
pub(super) fn judged_document(yaml: &str) -> Vec<String> {
    let source = Source {
        name: "test.yaml",
        bytes: yaml.as_bytes(),
    };
    let findings = load(&[source], "default").findings;
    let mut said: Vec<String> = findings
        .iter()
        .map(|finding| {
            assert!(finding.line > 0, "{finding}");
            format!("{} {}", finding.code, finding.path)
        })
        .collect();
    said.sort();
    said
}

/// Checks a table of specifications of one kind and what is said about each.
#[track_caller]
pub(super) fn check(kind: &str, cases: &[(&str, &[&str])]) {
    for (spec, expected) in cases {
        assert_eq!(judged(kind, spec), *expected, "{kind}: {spec}");
    }
}
