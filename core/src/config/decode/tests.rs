//! Fields out of maps, as tables.

use super::*;
use crate::config::load::{Source, load};

/// What is said about the rules of a VirtualService: path, code and help.
fn told(http: &str) -> Vec<(String, Code, String)> {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\n\
         spec:\n  hosts: [a]\n  http:\n{http}"
    );
    let source = Source {
        name: "a.yaml",
        bytes: text.as_bytes(),
    };
    let found = load(&[source], "default").findings.into_iter();
    found.map(|f| (f.path, f.code, f.help)).collect()
}

#[test]
fn an_unknown_field_says_what_was_meant() {
    let cases = [
        (
            "  - timeoot: 1s\n    directResponse: {status: 200}\n",
            "spec.http[0].timeoot",
            "did you mean `timeout`?",
        ),
        (
            "  - route:\n    - destination:\n        host: b\n        weight: 90\n",
            "spec.http[0].route[0].destination.weight",
            "`weight` belongs to `route[]`, beside `destination`: is it indented as it should be?",
        ),
        (
            "  - match:\n    - headers:\n      end-user:\n        exact: x\n    directResponse: {status: 200}\n",
            "spec.http[0].match[0].end-user",
            "`headers` above it is empty: indent this further if it belongs there",
        ),
        (
            "  - directResponse: {status: 200}\n    colour: red\n",
            "spec.http[0].colour",
            "",
        ),
    ];
    for (http, path, help) in cases {
        let expected = (path.to_owned(), Code::UnknownField, help.to_owned());
        assert!(told(http).contains(&expected), "{http}: {:?}", told(http));
    }
}

#[test]
fn both_spellings_are_read_and_camel_case_wins() {
    let both = "  - directResponse: {status: 200}\n    cors_policy: {maxAge: 1s}\n    corsPolicy: {maxAge: 2s}\n";
    let codes: Vec<Code> = told(both).into_iter().map(|(_, code, _)| code).collect();
    assert!(codes.contains(&Code::FieldSpelledTwice), "{codes:?}");
    assert!(!codes.contains(&Code::UnknownField), "{codes:?}");
    let snake = told("  - direct_response: {status: 200}\n");
    assert_eq!(snake, [], "the snake case spelling is as good");
}

#[test]
fn suggestions_are_near() {
    let known = ["timeout", "retries", "perTryTimeout"];
    let cases = [
        ("retires", "did you mean `retries`?"),
        ("Timeout", "did you mean `timeout`?"),
        ("per-try-timeout", "did you mean `perTryTimeout`?"),
        ("fault", ""),
        ("", ""),
    ];
    for (key, expected) in cases {
        assert_eq!(suggestion(key, &known), expected, "{key}");
    }
    assert_eq!(suggestion(&"x".repeat(100), &known), "");
}
