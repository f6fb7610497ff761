//! `outrigger replay FILE --story FILTER`: which requests of a committed recording are told, and how.

use std::process::Command;

use serde_json::Value;

use super::committed::corpus;

fn stories(filter: &str, format: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .arg("replay")
        .arg(corpus().join("run.rec"))
        .args(["--story", filter, "--format", format])
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Two each of `/a`, `/abort`, `/copied`, `/b`, and copies.
#[test]
fn filters_choose_whose_story_is_told() {
    for (filter, at_least, path) in [
        ("path=/abort", 2, "/abort"),
        ("path=/b and status=200 and not duration>1h", 2, "/b"),
        ("host=shop.example and path~cop", 2, "/copied"),
    ] {
        let (code, document, told) = stories(filter, "json");
        assert_eq!(code, Some(0), "{told}");
        let document: Value = serde_json::from_str(&document).unwrap();
        let stories = document["stories"].as_array().unwrap();
        assert!(stories.len() >= at_least, "{document:#}");
        assert_eq!(document["told"], stories.len());
        assert_eq!(document["left_out"], 0);
        for story in stories {
            assert_eq!(story["path"], path);
            let text = story["story"].as_str().unwrap();
            assert!(text.contains("\n  client "), "{text}");
            assert!(story["random"].as_str().unwrap().parse::<u64>().is_ok());
        }
    }
    let (code, text, _) = stories("status=599", "text");
    assert_eq!((code, text.starts_with("0 of ")), (Some(0), true), "{text}");
    let (_, text, _) = stories("path=/abort", "text");
    assert!(text.contains("POST shop.example/abort\n  rule "), "{text}");
    assert!(text.contains("random number "), "{text}");
}

#[test]
fn a_filter_that_is_none_is_a_matter_of_usage() {
    let (code, text, told) = stories("stauts=200", "text");
    assert_eq!((code, &*text), (Some(2), ""));
    assert!(told.contains("`stauts` is no field"), "{told}");
}
