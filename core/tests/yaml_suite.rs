//! What libyaml and kubectl take, our reader takes, and understands alike: over the inputs of the YAML Test Suite.
//!
//! `yaml_suite/taken.jsonl` has one input a line that libyaml 0.2.5 (through PyYAML) or kubectl 1.32 accepts: `by` says
//! which, `means` what libyaml makes of it (each scalar as text; nothing where a key is no text, or kubectl alone takes
//! it), and `deeper` that the same holds where the input stands further right, as a value of a resource. Owns the list
//! of what we take otherwise, with reasons; what is not listed must agree, and what agrees may not be listed.

use core::fmt::Write as _;

use outrigger_core::config::code::Severity;
use outrigger_core::config::node::{Node, Value};
use outrigger_core::config::yaml::read;
use outrigger_core::config::{Finding, Report};
use serde_json::Value as Json;

/// What is taken otherwise: why, and which inputs.
const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "a key that is no text, which Kubernetes refuses",
        &[
            "4FJ6", "6BFJ", "6PBE", "9MMW", "DFF7", "FH7J", "KK5P", "LX3P", "M2N8/1", "M5DY",
            "Q9WF", "RZP5", "SBG9", "V9D5", "X38W", "XW4D",
        ],
    ),
    (
        "a directive behind a document that does not end with `...`",
        &["9HCY", "EB22", "MUS6/1", "RHX7"],
    ),
    (
        "a comment that touches the version in `%YAML 1.1#`",
        &["MUS6/0"],
    ),
    (
        "kubectl reads one value and drops without a word what stands behind it",
        &["3HFZ", "4H7K", "BS4K", "KS4U"],
    ),
    (
        "`!!binary` is not decoded, because nothing here reads bytes",
        &["565N"],
    ),
    ("a tag with a comma at its end", &["U99R"]),
    ("`\\'` in double quotes, which libyaml refuses", &["HRE5"]),
    (
        "empty lines at the head of a block of text, further right than the comment that ends it",
        &["S98Z"],
    ),
    (
        "`?` before a word in flow style belongs to the word, as in YAML 1.2",
        &["652Z", "HM87/1"],
    ),
    (
        "a name of an anchor with a colon, as in YAML 1.2",
        &["Y2GN"],
    ),
    (
        "a last line of spaces without a line break, in a block of text",
        &["JEF9/2", "L24T/1"],
    ),
];

struct Case {
    id: String,
    yaml: String,
    /// The documents.
    means: Option<Vec<Json>>,
    deeper: bool,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("yaml_suite/taken.jsonl").lines();
    let cases = lines.map(|line| {
        let case: Json = serde_json::from_str(line).expect("a line is JSON");
        let text = |key: &str| case[key].as_str().expect("it is text").to_owned();
        Case {
            id: text("id"),
            yaml: text("yaml"),
            means: case["means"].as_array().cloned(),
            deeper: case["deeper"] == true,
        }
    });
    cases.collect()
}

/// A node in JSON, each scalar as text.
fn means(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) => (*scalar.text).into(),
        Value::Seq(items) => items.iter().map(means).collect(),
        Value::Map(entries) => {
            let entries = entries.iter();
            let pairs = entries.map(|entry| (entry.key.text.to_string(), means(&entry.value)));
            pairs.collect()
        }
    }
}

/// How our reader differs on a text; empty if it does not.
fn difference(text: &str, expected: Option<&[Json]>) -> String {
    let mut report = Report::new();
    let found: Vec<_> = read(text.as_bytes(), &mut report)
        .iter()
        .map(means)
        .collect();
    let findings = report.into_findings();
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    if let Some(error) = findings.iter().find(is_error) {
        return format!("refused: {error}");
    }
    // A document that says nothing is none.
    let expected = expected.map(|all| all.iter().filter(|one| !one.is_null()));
    match expected {
        Some(expected) if !expected.clone().eq(&found) => {
            format!(
                "read as {found:?} instead of {:?}",
                expected.collect::<Vec<_>>()
            )
        }
        Some(_) | None => String::new(),
    }
}

/// The text as a value inside of a resource, and what it means then.
fn deeper(case: &Case) -> (String, Option<Vec<Json>>) {
    let mut text = "kind: X\na:\n  b:\n".to_owned();
    for line in case.yaml.lines() {
        let indent = if line.is_empty() { "" } else { "    " };
        writeln!(text, "{indent}{line}").expect("a string takes all");
    }
    text += "  c: 1\n";
    let within = |inner: &Vec<Json>| {
        let inner = inner.first().unwrap_or(&Json::Null);
        vec![serde_json::json!({"kind": "X", "a": {"b": inner, "c": "1"}})]
    };
    (text, case.means.as_ref().map(within))
}

#[test]
fn what_libyaml_and_kubectl_take_is_taken() {
    let cases = cases();
    assert!(cases.len() > 250, "the table is not whole");
    let mut wrong = String::new();
    for case in &cases {
        let mut found = difference(&case.yaml, case.means.as_deref());
        if case.deeper && found.is_empty() {
            let (text, means) = deeper(case);
            found = difference(&text, means.as_deref());
        }
        let mut listed = DIFFERENCES
            .iter()
            .filter(|(_, ids)| ids.contains(&&*case.id));
        let line = match (listed.next(), found.is_empty()) {
            (None, true) | (Some(_), false) => continue,
            (Some((reason, _)), true) => format!("is no difference any more: {reason}"),
            (None, false) => format!("{:?}: {found}", case.yaml),
        };
        let _ = writeln!(wrong, "{} {line}", case.id);
    }
    let listed = DIFFERENCES.iter().flat_map(|(_, ids)| *ids);
    for id in listed.filter(|id| !cases.iter().any(|case| case.id == **id)) {
        let _ = writeln!(wrong, "{id} is listed and not in the table");
    }
    assert!(wrong.is_empty(), "{wrong}");
}
