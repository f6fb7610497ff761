//! Which conditions of a root and a delegate go together.

use super::*;
use StringMatch::{Exact, Prefix, Present, Regex};

fn text(kind: fn(String) -> StringMatch, text: &str) -> StringMatch {
    kind(text.into())
}

#[test]
fn matches_on_one_text() {
    let exact = |t| text(Exact, t);
    let prefix = |t| text(Prefix, t);
    let regex = |t| text(Regex, t);
    for (root, inner, want) in [
        (prefix("/a"), prefix("/a/b"), Some(prefix("/a/b"))),
        (prefix("/a"), prefix("/b"), None),
        (prefix("/a/b"), prefix("/a"), None),
        (prefix("/a"), exact("/ab"), Some(exact("/ab"))),
        (exact("/a"), exact("/a"), Some(exact("/a"))),
        (exact("/a"), exact("/b"), None),
        (exact("/a"), prefix("/"), None),
        (regex("a"), regex("a"), None),
        (regex("a"), exact("a"), None),
        (prefix("/"), regex(".*"), None),
        (Present, regex("a"), Some(regex("a"))),
        (regex("a"), Present, Some(regex("a"))),
    ] {
        assert_eq!(merge_both(&root, &inner), want, "{root:?} {inner:?}");
    }
}

#[test]
fn entries_are_merged_field_by_field() {
    let entry = |uri: Option<StringMatch>, port, header: Option<&str>| HttpMatchRequest {
        uri,
        port,
        headers: header
            .map(|value| ("x".to_owned(), text(Exact, value)))
            .into_iter()
            .collect(),
        ..HttpMatchRequest::default()
    };
    let a = Some(text(Prefix, "/a"));
    for (root, inner, want) in [
        (
            entry(a.clone(), 80, None),
            entry(None, 0, Some("1")),
            Some(entry(a.clone(), 80, Some("1"))),
        ),
        (entry(None, 80, None), entry(None, 81, None), None),
        (entry(None, 0, Some("1")), entry(None, 0, Some("2")), None),
        (
            entry(a.clone(), 0, None),
            HttpMatchRequest {
                ignore_uri_case: true,
                ..entry(a, 0, None)
            },
            None,
        ),
    ] {
        assert_eq!(merge_match(&root, &inner), want, "{root:?} {inner:?}");
    }
}

#[test]
fn a_delegate_that_would_fill_the_memory_is_left_out_and_told() {
    let entries = |count: usize| {
        let entries: Vec<String> = (0..count).map(|i| format!("{{port: {}}}", i + 1)).collect();
        entries.join(", ")
    };
    let config = |count: usize| {
        format!(
            "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: root}}
spec: {{hosts: [a.test], http: [{{match: [{}], delegate: {{name: inner}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: inner}}
spec: {{http: [{{match: [{}], directResponse: {{status: 200}}}}]}}
",
            entries(count),
            entries(count)
        )
    };
    for (count, want) in [(100, 0), (257, 1)] {
        let findings = crate::compile::from_yaml(&config(count)).findings;
        let told = findings.iter().filter(|f| f.code == Code::TooManyRules);
        let paths: Vec<&str> = told.map(|f| f.path.as_str()).collect();
        assert_eq!(paths, vec!["spec.http[0].delegate"; want], "{count}");
    }
}
