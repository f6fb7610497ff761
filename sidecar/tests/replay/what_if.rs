//! `outrigger replay FILE --config RULES`: which of the requests of a committed recording would be decided otherwise.

use std::fs;
use std::path::Path;
use std::process::Command;

use outrigger_recording::{Frame, Reader};
use serde_json::Value;

use super::committed::corpus;
use super::stage::Folder;

/// The configuration that the recording began with.
fn recorded_rules() -> String {
    let mut reader = Reader::new(fs::File::open(corpus().join("run.rec")).unwrap()).unwrap();
    let segment = reader.next_segment().unwrap().unwrap();
    let rules = segment.frames().find_map(|frame| match frame.unwrap().1 {
        Frame::Configuration(configuration) => Some(configuration.files[0].text.to_vec()),
        _ => None,
    });
    String::from_utf8(rules.unwrap()).unwrap()
}

fn asked(rules: &Path, format: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .arg("replay")
        .arg(corpus().join("run.rec"))
        .arg("--config")
        .arg(rules)
        .args(["--format", format])
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What a changed rule makes of the eight requests: two each of `/a`, `/abort`, `/copied`, `/b`.
#[test]
fn only_what_is_decided_otherwise_is_told() {
    let rules = recorded_rules();
    let all = "outbound|80||shop.example";
    let copied = "outbound|80||mirror.example";
    for (name, from, to, ways) in [
        ("nothing", "", "", vec![]),
        // Where a rule stands in its file is no decision.
        (
            "comment",
            "kind: VirtualService\n",
            "# moved\nkind: VirtualService\n",
            vec![],
        ),
        (
            "destination",
            "  - match: [{uri: {prefix: /copied}}]\n    route: [{destination: {host: mirror.example}}]",
            "  - match: [{uri: {prefix: /copied}}]\n    route: [{destination: {host: shop.example}}]",
            vec![(2, copied, all, vec![])],
        ),
        (
            "redirect",
            "  - match: [{uri: {prefix: /copied}}]\n    route: [{destination: {host: mirror.example}}]\n    mirror: {host: mirror.example}",
            "  - match: [{uri: {prefix: /copied}}]\n    redirect: {uri: /elsewhere}",
            vec![(2, copied, "answer 301 direct_response", vec![])],
        ),
        (
            "missing",
            "    route: [{destination: {host: mirror.example}}]",
            "    route: [{destination: {host: nobody.example}}]",
            vec![(2, copied, "answer 503 cluster_not_found", vec![])],
        ),
        (
            "fault",
            "httpStatus: 418, percentage: {value: 50}",
            "httpStatus: 418, percentage: {value: 100}",
            vec![],
        ),
        (
            "rewrite",
            "    route: [{destination: {host: mirror.example}}]",
            "    rewrite: {uri: /new}\n    timeout: 7s\n    headers: {request: {set: {x-new: '1'}}}\n    route: [{destination: {host: mirror.example}}]",
            vec![(2, copied, copied, vec!["timeout", "request line", "fields"])],
        ),
        (
            "host",
            "  hosts: [shop.example]\n  http:",
            "  hosts: [other.example]\n  http:",
            vec![],
        ),
    ] {
        let folder = Folder::new(&format!("what-if-{name}"));
        assert!(from.is_empty() || rules.contains(from), "{name}: {rules}");
        let changed = folder.0.join("rules/rules.yaml");
        fs::write(&changed, rules.replacen(from, to, 1)).unwrap();
        let (code, out, told) = asked(&changed, "json");
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["requests"], 8, "{name}: {told}");
        let got = document["ways"].as_array().unwrap();
        match name {
            // Whom chance hits is the recording's business, not the test's; that it is more is not.
            "fault" => {
                let aborted = got
                    .iter()
                    .filter(|way| way["now"] == "answer 418 fault_filter_abort");
                assert_eq!(aborted.count(), got.len(), "{document:#}");
            }
            // Nothing is left but the service itself, with the default route.
            "host" => {
                assert!(document["otherwise"].as_u64() >= Some(6), "{document:#}");
                assert!(got.iter().all(|way| way["now"] == all), "{document:#}");
            }
            _ => {
                let got: Vec<_> = got
                    .iter()
                    .map(|way| {
                        let changes = way["changes"].as_array().unwrap().iter();
                        let changes: Vec<_> =
                            changes.map(|c| c["what"].as_str().unwrap()).collect();
                        let to = |key: &str| way[key].as_str().unwrap();
                        (
                            way["requests"].as_u64().unwrap(),
                            to("recorded"),
                            to("now"),
                            changes,
                        )
                    })
                    .collect();
                assert_eq!(got, ways, "{name}: {document:#}");
            }
        }
        let is_same = got.is_empty();
        assert_eq!(code, Some(i32::from(!is_same)), "{name}");
        assert_eq!(document["same"], is_same, "{name}");
    }
}

#[test]
fn an_example_is_told_with_both_stories() {
    let folder = Folder::new("what-if-text");
    let rules = recorded_rules().replacen(
        "    route: [{destination: {host: mirror.example}}]",
        "    timeout: 7s\n    headers: {request: {set: {x-new: '1'}}}\n    route: [{destination: {host: mirror.example}}]",
        1,
    );
    let changed = folder.0.join("rules/rules.yaml");
    fs::write(&changed, rules).unwrap();
    let (code, out, _) = asked(&changed, "text");
    assert_eq!(code, Some(1), "{out}");
    for words in [
        "otherwise: 2 of 8 requests",
        "the same; timeout none → 7s; other fields",
        "POST shop.example/copied",
        "by the recorded rules\n  rule         VirtualService default/shop spec.http[1].match[0] (rules/rules.yaml:",
        "  + x-new: 1\n",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

/// Rules alone, as a team keeps them, are tried on the services of the recording.
#[test]
fn services_that_are_left_out_are_the_recorded_ones() {
    let folder = Folder::new("what-if-rules-alone");
    let rules = folder.0.join("rules/rules.yaml");
    let recorded = recorded_rules();
    let alone: Vec<&str> = recorded
        .split("---\n")
        .filter(|document| !document.contains("kind: ServiceEntry"))
        .collect();
    assert_eq!(alone.len(), 2);
    fs::write(&rules, alone.join("---\n")).unwrap();
    let (code, _, told) = asked(&rules, "json");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("those of the recording are used"), "{told}");
    fs::write(&rules, &recorded).unwrap();
    let (code, _, told) = asked(&rules, "json");
    assert_eq!((code, &*told), (Some(0), ""));
}

#[test]
fn rules_that_cannot_be_used_are_told() {
    let folder = Folder::new("what-if-bad");
    let rules = folder.0.join("rules/rules.yaml");
    assert_eq!(asked(&rules, "text").0, Some(2));
    fs::write(
        &rules,
        recorded_rules().replace("timeout: 2s", "timeout: soon"),
    )
    .unwrap();
    let (code, out, told) = asked(&rules, "text");
    assert_eq!((code, &*out), (Some(2), ""), "{told}");
    assert!(told.contains("invalid-duration"), "{told}");
    let (code, out, _) = asked(&rules, "json");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["same"]), (Some(2), &Value::Null));
}
