//! A tree as YAML in blocks, two spaces a level and lists as deep as their key, as Kubernetes' tools write it.

use std::fmt::Write as _;

use outrigger_core::config::value::{Plain, resolve};
use serde_json::Value;

use super::tree::Tree;

/// The document, with a line break at its end.
#[must_use]
pub fn write(tree: &Tree) -> String {
    let mut out = String::new();
    match tree {
        Tree::Map(entries) if !entries.is_empty() => map(&mut out, entries, 0),
        Tree::List(items) if !items.is_empty() => list(&mut out, items, 0),
        plain => {
            inline(&mut out, plain, 0);
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn map(out: &mut String, entries: &[(String, Tree)], depth: usize) {
    for (at, (key, value)) in entries.iter().enumerate() {
        if at > 0 {
            indent(out, depth);
        }
        scalar(out, key);
        out.push(':');
        match value {
            Tree::Map(entries) if !entries.is_empty() => {
                out.push('\n');
                indent(out, depth + 1);
                map(out, entries, depth + 1);
            }
            Tree::List(items) if !items.is_empty() => {
                out.push('\n');
                indent(out, depth);
                list(out, items, depth);
            }
            plain => {
                out.push(' ');
                inline(out, plain, depth);
                out.push('\n');
            }
        }
    }
}

fn list(out: &mut String, items: &[Tree], depth: usize) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            indent(out, depth);
        }
        out.push_str("- ");
        match item {
            Tree::Map(entries) if !entries.is_empty() => map(out, entries, depth + 1),
            Tree::List(items) if !items.is_empty() => list(out, items, depth + 1),
            plain => {
                inline(out, plain, depth);
                out.push('\n');
            }
        }
    }
}

/// What stands behind its key or dash: nothing with entries of its own.
fn inline(out: &mut String, tree: &Tree, depth: usize) {
    match tree {
        Tree::Map(_) => out.push_str("{}"),
        Tree::List(_) => out.push_str("[]"),
        Tree::Plain(Value::String(text)) if is_block(text) => block(out, text, depth + 1),
        Tree::Plain(Value::String(text)) => scalar(out, text),
        Tree::Plain(value) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "{value}");
        }
    }
}

/// Text of several lines that stands best as it is.
fn is_block(text: &str) -> bool {
    let odd = |c: char| {
        (c.is_control() && c != '\n')
            || c == '\u{feff}'
            || c == '\u{85}'
            || c == '\u{2028}'
            || c == '\u{2029}'
    };
    text.trim_end_matches('\n').contains('\n')
        && !text.contains(odd)
        && !text.starts_with([' ', '\n'])
        && !text.lines().any(|line| line.ends_with(' '))
}

fn block(out: &mut String, text: &str, depth: usize) {
    let kept = text.trim_end_matches('\n');
    let ends = text.len() - kept.len();
    out.push_str(match ends {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in kept.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, depth);
            out.push_str(line);
        }
    }
    out.extend(std::iter::repeat_n('\n', ends.saturating_sub(1)));
}

/// Plain where nobody can take it for anything else, else in JSON's quotes, which are YAML's, too.
fn scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./$()=+@%".contains(c);
    let inside = |(at, c): (usize, char)| {
        let next = text[at + c.len_utf8()..].chars().next();
        match c {
            ':' => next.is_some_and(|c| c != ' '),
            ' ' => next.is_some_and(|c| c != '#' && c != ' '),
            ',' | ';' => true,
            c => safe(c),
        }
    };
    let is_flag = text.starts_with("--") && !text.starts_with("---");
    (is_flag || text.starts_with(|c: char| c.is_ascii_alphanumeric() || "/$(_".contains(c)))
        && !text.ends_with(' ')
        && text.char_indices().all(inside)
        && resolve(text) == Plain::Text
        // A time or date is one to other readers.
        && !text.starts_with(|c: char| c.is_ascii_digit() && text.contains([':', '-']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::read;
    use super::*;

    #[test]
    fn it_looks_as_people_write_it() {
        let document = json!({
            "kind": "Pod", "apiVersion": "v1",
            "spec": {
                "containers": [{"name": "a", "args": ["run", "--x=1", "on", "8080", ""], "ports": []}],
                "text": "two\nlines\n", "none": null, "map": {}, "nested": [[1, 2], [{"b": true}]],
                "time": "12:30", "colon": "a: b", "address": "istiod.istio-system.svc:15012",
            },
        });
        let text = write(&Tree::of_json(&document));
        let want = "\
apiVersion: v1
kind: Pod
spec:
  address: istiod.istio-system.svc:15012
  colon: \"a: b\"
  containers:
  - name: a
    args:
    - run
    - --x=1
    - \"on\"
    - \"8080\"
    - \"\"
    ports: []
  map: {}
  nested:
  - - 1
    - 2
  - - b: true
  none: null
  text: |
    two
    lines
  time: \"12:30\"
";
        assert_eq!(text, want);
        assert_eq!(read("a", text.as_bytes()).unwrap()[0].to_json(), document);
    }

    /// What others would take for something else is quoted, and the rest is not.
    #[test]
    fn text_is_quoted_where_it_has_to_be() {
        for (text, want) in [
            ("a", "a"),
            ("a b", "a b"),
            ("a:b", "a:b"),
            ("a,b", "a,b"),
            ("--a", "--a"),
            ("a#b", "\"a#b\""),
            ("a:", "\"a:\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("a  b", "\"a  b\""),
            (" a", "\" a\""),
            ("a ", "\"a \""),
            ("", "\"\""),
            ("-", "\"-\""),
            ("--", "--"),
            ("---", "\"---\""),
            ("---a", "\"---a\""),
            ("null", "\"null\""),
            ("2026-12-01", "\"2026-12-01\""),
            ("tab\t", "\"tab\\t\""),
            ("a\u{7}", "\"a\\u0007\""),
            ("a\u{85}b", "\"a\\u0085b\""),
            ("a\u{2028}b", "\"a\\u2028b\""),
            ("a\nb", "|-\n  a\n  b"),
            ("a\nb\n\n", "|+\n  a\n  b\n"),
            ("a\n\nb\n", "|\n  a\n\n  b"),
            ("a \nb", "\"a \\nb\""),
            (" a\nb", "\" a\\nb\""),
            ("a\nb\u{85}", "\"a\\nb\\u0085\""),
            ("a\nb\u{2028}", "\"a\\nb\\u2028\""),
            ("a\nb\u{feff}", "\"a\\nb\\ufeff\""),
            ("a\n", "\"a\\n\""),
        ] {
            let document = json!({"k": text});
            let written = write(&Tree::of_json(&document));
            assert_eq!(written, format!("k: {want}\n"));
            let read = read("a", written.as_bytes()).unwrap();
            assert_eq!(read[0].to_json(), document, "{written}");
        }
    }

    #[test]
    fn a_document_may_be_anything() {
        for (document, want) in [
            (json!([1, {"a": []}]), "- 1\n- a: []\n"),
            (json!([]), "[]\n"),
            (json!({}), "{}\n"),
            (json!("on"), "\"on\"\n"),
            (json!(null), "null\n"),
        ] {
            assert_eq!(write(&Tree::of_json(&document)), want);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[ -~]{0,12}",
            "[a-z:# \n\t'\"{}&*!|>%@-]{0,12}",
            "\\PC{0,8}",
            Just("~".to_owned()),
            Just("0x1f".to_owned()),
            Just("1e3".to_owned()),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{1,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in any_json()) {
            let document = json!({"all": value});
            let text = write(&Tree::of_json(&document));
            let read = read("a", text.as_bytes());
            let read = read.map(|documents| documents[0].to_json());
            prop_assert_eq!(read, Ok(document), "{}", text);
        }
    }
}
