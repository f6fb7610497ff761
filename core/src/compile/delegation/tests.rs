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
