//! What the reader makes of documents, good and bad.

use core::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::config::mark::Mark;
use crate::config::node::{Node, Scalar, Value};
use crate::config::report::Report;
use crate::config::value::{Plain, resolve};

/// A node in one line: maps in braces, quoted scalars in quotes.
fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(Scalar { text, plain: true }) => text.to_string(),
        Value::Scalar(Scalar { text, plain: false }) => format!("{text:?}"),
        Value::Seq(items) => {
            format!(
                "[{}]",
                items.iter().map(show).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Map(entries) => {
            let mut out = String::new();
            for entry in entries {
                let separator = if out.is_empty() { "" } else { ", " };
                write!(out, "{separator}{}: {}", entry.key.text, show(&entry.value)).unwrap();
            }
            format!("{{{out}}}")
        }
    }
}

/// Every document in one line, and every finding as `line:column code`.
fn read_all(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let mut report = Report::new();
    let documents = read(bytes, &mut report).iter().map(show).collect();
    let findings = report
        .into_findings()
        .iter()
        .map(|finding| format!("{}:{} {}", finding.line, finding.column, finding.code))
        .collect();
    (documents, findings)
}

#[test]
fn documents_are_read() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("# nothing\n---\n---\n", &[]),
        ("a: 1\nb: [x, 'y']\n", &["{a: 1, b: [x, \"y\"]}"]),
        ("\u{feff}a: 1\r\nb: 2\r\n", &["{a: 1, b: 2}"]),
        (
            "a: 1\n---\nb: 2\n...\n---\nc: 3",
            &["{a: 1}", "{b: 2}", "{c: 3}"],
        ),
        ("%YAML 1.2\n---\na: 1\n", &["{a: 1}"]),
        (
            "a: ~\nb:\nc: null\nd: 'null'",
            &["{a: null, b: null, c: null, d: \"null\"}"],
        ),
        (
            "a: |\n  x\n  y\nb: >\n  x\n  y\n",
            &["{a: \"x\\ny\\n\", b: \"x y\\n\"}"],
        ),
        (
            "{\n\t\"a\": [\n\t\t1\n\t],\t\"b\": \"\\t\"\n}\n",
            &["{a: [1], b: \"\\t\"}"],
        ),
        (
            "- a: 'x\n\n  y'\n  b: \"z\nz\"\n",
            &["[{a: \"x\\ny\", b: \"z z\"}]"],
        ),
        (
            "a:\n  b: [\n  c, {\n\td: e\n}]\n  f: 1\n",
            &["{a: {b: [c, {d: e}], f: 1}}"],
        ),
        (
            "a: 1\n---\n\u{feff}b: 2\n---\n{\n\t\"c\":\t3\n}\n",
            &["{a: 1}", "{b: 2}", "{c: 3}"],
        ),
        ("a:\tb\nc:\t{d:\te}\n", &["{a: b, c: {d: e}}"]),
        ("a: 'x'# y\n", &["{a: \"x\"}"]),
        ("a: |\n  x\n  \ty\n", &["{a: \"x\\n\\ty\\n\"}"]),
        ("a: &x {b: 1}\nc: *x\n", &["{a: {b: 1}, c: {b: 1}}"]),
        (
            "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n",
            &["{a: {b: 1, c: 2}, d: {c: 3, b: 1}}"],
        ),
        (
            "a: &x {b: 1}\ne: &y {b: 2, c: 3}\nd: {<<: [*x, *y]}",
            &["{a: {b: 1}, e: {b: 2, c: 3}, d: {b: 1, c: 3}}"],
        ),
        ("a: {'<<': 1}", &["{a: {<<: 1}}"]),
        (
            "a: !!str 5\nb: !!int 5\nc: ! 5\nd: !!map {}\ne: !!seq []",
            &["{a: \"5\", b: 5, c: \"5\", d: {}, e: []}"],
        ),
        (r#"{"a": {"b": [1, true]}}"#, &["{a: {b: [1, true]}}"]),
        (
            "a: [1.2.3.4, 001:db8::]\nb: {c: fd00::, d:: [e:], f:g: h}\n",
            &["{a: [1.2.3.4, \"001:db8::\"], b: {c: \"fd00::\", d:: [\"e:\"], f:g: h}}"],
        ),
        (
            "a: [-, b, -]\nc: {d: -, e: -f}\n",
            &["{a: [\"-\", b, \"-\"], c: {d: \"-\", e: -f}}"],
        ),
        // As jq writes several values.
        (
            "{\"a\": 1}{\"b\": 2}\n{\n\t\"c\": 3\n}\n---\nd: 4\n--- {\"e\": 5}\n{\"f\": 6}\n",
            &["{a: 1}", "{b: 2}", "{c: 3}", "{d: 4}", "{e: 5}", "{f: 6}"],
        ),
        ("\t{\"a\": 1}\n", &["{a: 1}"]),
        (
            "!<tag:yaml.org,2002:str> a: !<tag:yaml.org,2002:int> '5'",
            &["{a: 5}"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            read_all(text.as_bytes()),
            (to_strings(expected), vec![]),
            "{text:?}"
        );
    }
}

fn to_strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn each_fault_is_one_finding() {
    let cases: &[(&[u8], &[&str], &[&str])] = &[
        (
            b"a: 1\nb: 2\na: 3\n",
            &["{a: 1, b: 2}"],
            &["3:1 yaml-duplicate-key"],
        ),
        (
            b"a: {b: 1, b: 2}",
            &["{a: {b: 1}}"],
            &["1:11 yaml-duplicate-key"],
        ),
        (b"a:\n\tb: 1\n", &[], &["2:1 yaml-tab"]),
        (b"\ta: 1\n", &[], &["1:1 yaml-tab"]),
        (b"a:\n  b: 1\n\tc: 2\n", &[], &["3:1 yaml-tab"]),
        (b"a: 'x\nb: 1\nc: 'y'\n", &[], &["1:4 yaml-syntax"]),
        (b"a: [x,\nb: 1\n", &[], &["2:1 yaml-syntax"]),
        (
            b"a: [\n]\nb: 1\nb: 2\nc: }\n",
            &[],
            &["4:1 yaml-duplicate-key", "5:4 yaml-syntax"],
        ),
        (
            b"a: {\n\t b: 1, b: 2\n}\n",
            &["{a: {b: 1}}"],
            &["2:9 yaml-duplicate-key"],
        ),
        (b"a: b: c\n---\nd: 1\n", &["{d: 1}"], &["1:5 yaml-syntax"]),
        (
            b"a: 1\n\xc3\xa9: 2\nb:10s\nc: 3\n",
            &[],
            &["3:2 yaml-syntax"],
        ),
        (
            b"a: [1\n---\nb: 2\n---\nc: }\n",
            &["{b: 2}"],
            &["2:1 yaml-syntax", "5:4 yaml-syntax"],
        ),
        (
            b"a: !secret x\nb: !!set {y}\nc: !<tag:a,b> [z]\n",
            &["{a: \"x\", b: {y: null}, c: [z]}"],
            &[
                "1:4 yaml-tag-ignored",
                "2:4 yaml-tag-ignored",
                "3:4 yaml-tag-ignored",
            ],
        ),
        (
            b"{\"a\": 1}\n {\"a\": 1, \"a\": 2}{\"b\": [}\n",
            &["{a: 1}", "{a: 1}"],
            &["2:11 yaml-duplicate-key", "2:25 yaml-syntax"],
        ),
        (b"{\"a\": 1}\nb: 1\n", &[], &["2:1 yaml-syntax"]),
        (
            b"a: [b::, {c: 1, c: 2}]\n",
            &["{a: [\"b::\", {c: 1}]}"],
            &["1:17 yaml-duplicate-key"],
        ),
        (b"a: !!binary aGk=\n", &[], &["1:4 yaml-tag"]),
        (b"a: *x\n", &[], &["1:4 yaml-alias"]),
        (b"a: &x [*x]\n", &[], &["1:8 yaml-alias"]),
        (b"a: {<<: 5}\n", &[], &["1:9 yaml-merge"]),
        (b"[a]: 1\n", &[], &["1:1 yaml-key"]),
        (b"a: 1\nb: \xff\n", &[], &["2:4 invalid-utf8"]),
        (b"\xff\n---\nb: 1\n", &["{b: 1}"], &["1:1 invalid-utf8"]),
        (b"a: x\x00y\n", &[], &["1:5 control-character"]),
        (b"a: \"\x1b\"\n", &[], &["1:5 control-character"]),
        ("é: \u{7f}".as_bytes(), &[], &["1:4 control-character"]),
    ];
    for (bytes, documents, findings) in cases {
        let expected = (to_strings(documents), to_strings(findings));
        assert_eq!(
            read_all(bytes),
            expected,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn text_behind_a_bracket_is_known() {
    for (text, is_known) in [
        ("a:\n  - image: {user}/b:latest\n    name: c\n", true),
        ("a: [b] c\n", true),
        ("a: b: c\n", false),
    ] {
        let mut report = Report::new();
        assert!(read(text.as_bytes(), &mut report).is_empty(), "{text}");
        let help = &report.into_findings()[0].help;
        assert_eq!(
            help.starts_with("quote the value"),
            is_known,
            "{text}: {help}"
        );
    }
}

#[test]
fn budgets_hold() {
    let levels = |letter: char| format!("&{letter} [{}]", ["x"; 10].join(","));
    let mut bomb = format!("a: {}\n", levels('a'));
    for (inner, outer) in ('a'..'i').zip('b'..) {
        writeln!(
            bomb,
            "{outer}: &{outer} [{}]",
            vec![format!("*{inner}"); 10].join(",")
        )
        .unwrap();
    }
    let long = "x".repeat(100_000);
    let cases: &[(String, &str)] = &[
        ("[".repeat(100_000), "yaml-too-deep"),
        ("{a: ".repeat(100_000), "yaml-too-deep"),
        ("- ".repeat(100_000), "yaml-too-deep"),
        ("? ".repeat(100_000), "yaml-too-deep"),
        (
            format!(
                "a: &a {}1{}\nb: {}*a{}",
                "[".repeat(40),
                "]".repeat(40),
                "[".repeat(30),
                "]".repeat(30)
            ),
            "yaml-too-deep",
        ),
        (bomb, "yaml-too-big"),
        (
            format!("a: &a {long}\nb: [{}]", vec!["*a"; 1000].join(",")),
            "yaml-too-big",
        ),
        (format!("[{}]", "a,".repeat(600_000)), "yaml-too-big"),
        (" ".repeat(MAX_FILE_BYTES + 1), "file-too-large"),
    ];
    for (text, expected) in cases {
        let (documents, findings) = read_all(text.as_bytes());
        assert!(documents.is_empty(), "{expected}");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].ends_with(expected),
            "{findings:?}, not {expected}"
        );
    }
}

#[test]
fn places_are_found_by_path() {
    let text = "spec:\n  hosts: [a, b]\n  http:\n  - match:\n    - headers:\n        end-user: {exact: \"x\"}\n    per_try_timeout: 5s\n    route:\n";
    let mut report = Report::new();
    let document = read(text.as_bytes(), &mut report).remove(0);
    let cases = [
        ("", 1, 1),
        ("spec", 1, 1),
        ("spec.hosts", 2, 10),
        ("spec.hosts[1]", 2, 14),
        ("spec.hosts[7]", 2, 10),
        ("spec.http", 3, 3),
        ("spec.http[0]", 4, 5),
        ("spec.http[0].match[0].headers[\"end-user\"]", 6, 19),
        ("spec.http[0].match[0].headers[\"end-user\"].exact", 6, 27),
        ("spec.http[0].perTryTimeout", 7, 22),
        ("spec.http[0].route", 8, 5),
        ("spec.http[0].nothing.here", 4, 5),
    ];
    for (path, line, column) in cases {
        assert_eq!(document.locate(path), Mark { line, column }, "{path}");
    }
}

/// Small documents in flow style, of the scalars both readers agree on.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "[a-z]{2,4}",
        "\"[ -!#-\\[\\]-~]{0,6}\"",
        "'[ -&(-~]{0,6}'",
        (0..10_000i64).prop_map(|n| n.to_string()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("-1.5".to_owned()),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map("[a-z]{2}[0-9]", inner, 0..4).prop_map(|map| {
                let entries: Vec<_> = map
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

/// Whether a node says what `serde_yaml` read.
fn agrees(node: &Node, other: &serde_yaml::Value) -> bool {
    match (&node.value, other) {
        (Value::Null, serde_yaml::Value::Null) => true,
        (Value::Scalar(scalar), other) => {
            let plain = if scalar.plain {
                resolve(&scalar.text)
            } else {
                Plain::Text
            };
            match (plain, other) {
                (Plain::Text, serde_yaml::Value::String(text)) => **text == *scalar.text,
                (Plain::Bool(value), serde_yaml::Value::Bool(other)) => value == *other,
                (Plain::Int(Some(value)), serde_yaml::Value::Number(other)) => {
                    other.as_i64().map(i128::from) == Some(value)
                }
                (Plain::Float(value), serde_yaml::Value::Number(other)) => {
                    other.as_f64() == Some(value)
                }
                // YAML 1.1 has booleans that serde_yaml takes for text.
                (Plain::Bool(_), serde_yaml::Value::String(_)) => true,
                _ => false,
            }
        }
        (Value::Seq(items), serde_yaml::Value::Sequence(other)) => {
            items.len() == other.len() && items.iter().zip(other).all(|(a, b)| agrees(a, b))
        }
        (Value::Map(entries), serde_yaml::Value::Mapping(other)) => {
            entries.len() == other.len()
                && entries.iter().zip(other).all(|(entry, (key, value))| {
                    key.as_str() == Some(&*entry.key.text) && agrees(&entry.value, value)
                })
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn documents_mean_what_another_reader_says(text in document()) {
        let mut report = Report::new();
        let documents = read(text.as_bytes(), &mut report);
        let other: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        prop_assert!(report.into_findings().is_empty());
        match documents.first() {
            None => prop_assert!(other.is_null()),
            Some(document) => prop_assert!(agrees(document, &other), "{} is not {other:?}", show(document)),
        }
    }

    #[test]
    fn lines_of_flow_collections_may_stand_anywhere(text in document(), indent in "[ \t]{0,3}") {
        prop_assume!(!text.contains(['\'', '"']));
        let strict = format!("k:\n  a: [{text}]\n  b: 1\n");
        let loose = text.replace(", ", &format!(",\n{indent}"));
        let loose = format!("k:\n  a: [\n{indent}{loose}\n{indent}]\n  b: 1\n");
        prop_assert_eq!(read_all(loose.as_bytes()), read_all(strict.as_bytes()), "{:?}", loose);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn no_syntax_panics(text in "([-?:,\\[\\]{}#&*!|>'\"%@` \\n\\ta0.~<=]|---\n|: |- |\\.\\.\\.\n|!!str |<<: ){0,40}") {
        read_all(text.as_bytes());
    }
}
