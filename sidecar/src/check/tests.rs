//! What `check` prints for given findings.

use std::sync::Arc;

use outrigger_core::config::{Code, Mark, ResourceName};

use super::*;
use crate::identity_args::IdentityArgs;

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.into(),
        bytes: text.into(),
    }
}

fn finding(code: Code, file: &str, line: u32, column: u32) -> Finding {
    let file: Arc<str> = file.into();
    let mut finding = Finding::new(code, &file, Mark { line, column }, "`5` is not a duration");
    finding.help = "write a unit, such as `5s`".into();
    finding.path = "spec.http[0].timeout".into();
    finding.resource = Some(ResourceName {
        kind: "VirtualService".into(),
        namespace: "default".into(),
        name: "reviews".into(),
    });
    finding
}

const SHORT: text::Shown = text::Shown {
    all: false,
    summary: true,
    columns: 80,
};

const ALL: text::Shown = text::Shown {
    all: true,
    summary: true,
    columns: 80,
};

fn as_text(sources: &[Source], findings: &[Finding]) -> String {
    as_text_of(sources, findings, SHORT)
}

fn as_text_of(sources: &[Source], findings: &[Finding], how: text::Shown) -> String {
    let mut out = Vec::new();
    let counts = Counts::of(findings, sources.len());
    text::write(&mut out, sources, findings, &counts, how).unwrap();
    anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
}

#[test]
fn a_finding_shows_its_line_and_what_to_do() {
    let sources = [source("a.yaml", "http:\n- timeout: 5\n")];
    let shown = as_text(&sources, &[finding(Code::InvalidDuration, "a.yaml", 2, 12)]);
    assert_eq!(
        shown,
        "\
error[invalid-duration] `5` is not a duration
  a.yaml:2:12  VirtualService default/reviews  spec.http[0].timeout
  2 | - timeout: 5
    |            ^
  help: write a unit, such as `5s`

1 error in 1 file
"
    );
}

#[test]
fn a_finding_about_a_whole_file_shows_no_line() {
    let file: Arc<str> = "a\u{1b}[2J.yaml".into();
    let place = Mark { line: 0, column: 0 };
    let found = Finding::new(Code::FileTooLarge, &file, place, "more than 8 MiB");
    assert_eq!(
        as_text(&[source(&file, "")], &[found]),
        "error[file-too-large] more than 8 MiB\n  a\u{fffd}[2J.yaml\n\n1 error in 1 file\n"
    );
}

#[test]
fn like_findings_are_folded() {
    for (many, whole, folded) in [
        (3, 3, None),
        (4, 2, Some("… and 2 more like this; `--all` shows them")),
        (300, 2, Some("… and 298 more like this; `--all` shows them")),
    ] {
        let mut findings = vec![finding(Code::InvalidDuration, "a.yaml", 2, 12); many];
        findings.push(finding(Code::UnknownField, "a.yaml", 3, 1));
        for nth in 0..many {
            let file: Arc<str> = format!("{nth}.yaml").into();
            let place = Mark { line: 1, column: 1 };
            findings.push(Finding::new(Code::PassedOver, &file, place, "none"));
        }
        let shown = as_text(&[], &findings);
        assert_eq!(shown.matches("error[invalid-duration]").count(), whole);
        assert_eq!(shown.matches("warning[unknown-field]").count(), 1);
        assert_eq!(
            shown
                .lines()
                .map(str::trim)
                .find(|l| l.contains("like this")),
            folded
        );
        let all = format!("{many} errors, 1 warning, {many} notes in 0 files");
        assert_eq!(shown.lines().last(), Some(&*all));
        let passed_over = shown.split_once("info").map(|(_, rest)| {
            let paragraph = rest.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = paragraph.split_whitespace().collect();
            format!("info{}", words.join(" "))
        });
        let mut expected = format!(
            "info[passed-over] what is no resource of Kubernetes, in {many} files: 0.yaml, 1.yaml, 2.yaml"
        );
        if many > 3 {
            expected += &format!(", … and {} more; `--all` shows them", many - 3);
        }
        assert_eq!(passed_over.as_deref(), Some(&*expected));
        let mut out = Vec::new();
        let counts = Counts::of(&findings, 0);
        text::write(&mut out, &[], &findings, &counts, ALL).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown.matches("help:").count(), many + 1);
        assert_eq!(shown.matches(".yaml:1:1").count(), many);
    }
}

#[test]
fn a_screenful_of_one_code_is_shown() {
    let host = |nth: usize, of: usize, code| {
        let mut finding = finding(code, "a.yaml", 1, 1);
        finding.message = format!("no service has the host `{}`", nth % of);
        finding
    };
    for (code, many, different, shown, told) in [
        (Code::UnknownHost, 11, 11, 11, None),
        (
            Code::UnknownHost,
            12,
            12,
            10,
            Some("… and 2 more of unknown-host; `--all` shows them"),
        ),
        // Twenty say what others say too.
        (
            Code::UnknownHost,
            60,
            20,
            10,
            Some("… and 50 more of unknown-host; `--all` shows them"),
        ),
        (Code::InvalidHost, 60, 60, 60, None),
    ] {
        let findings: Vec<_> = (0..many).map(|nth| host(nth, different, code)).collect();
        let text = as_text(&[], &findings);
        assert_eq!(text.matches("no service has").count(), shown, "{text}");
        let last = text
            .lines()
            .map(str::trim)
            .find(|line| line.contains(" more of "));
        assert_eq!(last, told);
        // Whatever is not shown is counted once.
        let counts = text.lines().filter_map(|line| {
            let count = line.trim().strip_prefix("… and ")?.split(' ').next()?;
            count.parse::<usize>().ok()
        });
        assert_eq!(shown + counts.sum::<usize>(), many, "{text}");
    }
}

#[test]
fn the_summary_counts() {
    let warning = finding(Code::UnknownField, "a.yaml", 1, 1);
    let note = finding(Code::KindIgnored, "a.yaml", 1, 1);
    let error = finding(Code::InvalidDuration, "a.yaml", 1, 1);
    let sources = [source("a.yaml", ""), source("b.yaml", "")];
    let cases: &[(&[Finding], &str)] = &[
        (&[], "no findings in 2 files"),
        (&[warning.clone(), warning.clone()], "2 warnings in 2 files"),
        (
            &[warning, note, error],
            "1 error, 1 warning, 1 note in 2 files",
        ),
    ];
    for (findings, expected) in cases {
        let shown = as_text(&sources, findings);
        assert_eq!(shown.lines().last(), Some(*expected));
    }
    assert_eq!(as_text(&[], &[]), "no files, nothing to judge\n");
}

#[test]
fn warnings_fail_only_when_strict() {
    let cases = [
        (Code::KindIgnored, false, false),
        (Code::KindIgnored, true, false),
        (Code::UnknownField, false, false),
        (Code::UnknownField, true, true),
        (Code::InvalidDuration, false, true),
    ];
    for (code, strict, fails) in cases {
        let counts = Counts::of(&[finding(code, "a", 1, 1)], 1);
        assert_eq!(counts.fails(strict), fails, "{code} strict={strict}");
    }
}

#[test]
fn findings_come_in_the_order_of_files_and_lines() {
    let sources = [source("z.yaml", ""), source("a.yaml", "")];
    let mut findings = [
        finding(Code::UnknownField, "a.yaml", 1, 1),
        finding(Code::UnknownField, "z.yaml", 9, 1),
        finding(Code::UnknownField, "z.yaml", 2, 7),
        finding(Code::UnknownField, "z.yaml", 2, 3),
    ];
    sort(&mut findings, &sources);
    let places: Vec<_> = findings
        .iter()
        .map(|f| (&*f.file, f.line, f.column))
        .collect();
    assert_eq!(
        places,
        [
            ("z.yaml", 2, 3),
            ("z.yaml", 2, 7),
            ("z.yaml", 9, 1),
            ("a.yaml", 1, 1)
        ]
    );
}

#[test]
fn json_has_the_promised_shape() {
    let findings = [finding(Code::InvalidDuration, "a.yaml", 2, 12)];
    let mut out = Vec::new();
    json::write(&mut out, &findings, &Counts::of(&findings, 1)).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        shown,
        serde_json::json!({
            "findings": [{
                "severity": "error",
                "code": "invalid-duration",
                "file": "a.yaml",
                "line": 2,
                "column": 12,
                "resource": {"kind": "VirtualService", "namespace": "default", "name": "reviews"},
                "path": "spec.http[0].timeout",
                "message": "`5` is not a duration",
                "help": "write a unit, such as `5s`",
            }],
            "summary": {"files": 1, "errors": 1, "warnings": 0, "infos": 0},
        })
    );
}

#[test]
fn github_shows_findings_beside_their_lines() {
    let mut found = finding(Code::InvalidDuration, "a,b:c.yaml", 2, 12);
    found.message = "`5%`\n::error::x".into();
    let whole = Mark { line: 0, column: 0 };
    let warning = Finding::new(Code::UnreadableFile, &"b.yaml".into(), whole, "gone");
    let mut out = Vec::new();
    github::write(&mut out, &[found, warning]).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "::error file=a%2Cb%3Ac.yaml,line=2,col=12,title=invalid-duration::VirtualService default/reviews: \
         spec.http[0].timeout: `5%25`%0A::error::x%0Ahelp: write a unit, such as `5s`\n\
         ::warning file=b.yaml,title=unreadable-file::gone\n"
    );
}

#[test]
fn sarif_names_rules_and_places() {
    let whole = Mark { line: 0, column: 0 };
    let findings = [
        finding(Code::InvalidDuration, "rules/a b.yaml", 2, 12),
        Finding::new(Code::UnreadableFile, &"/b.yaml".into(), whole, "gone"),
    ];
    let mut out = Vec::new();
    sarif::write(&mut out, &findings).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(shown["version"], "2.1.0");
    let run = &shown["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!((rules.len(), results.len()), (2, 2));
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    assert_eq!(
        results[0],
        serde_json::json!({
            "ruleId": "invalid-duration",
            "ruleIndex": results[0]["ruleIndex"],
            "level": "error",
            "message": {"text": "`5` is not a duration\nhelp: write a unit, such as `5s`"},
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": {"uri": "rules/a%20b.yaml"},
                    "region": {"startLine": 2, "startColumn": 12},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": "VirtualService default/reviews spec.http[0].timeout"},
                ],
            }],
        })
    );
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(
        *place,
        serde_json::json!({"artifactLocation": {"uri": "file:///b.yaml"}})
    );
}

/// A folder with something to say about nearly every line, deep in the tree.
const FOLDER: &[(&str, &str)] = &[
    (
        "environments/production/europe-west/shop/networking/virtual-services/reviews-canary.yaml",
        r#"apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews-with-a-name-that-is-rather-long-for-its-kind, namespace: production-of-the-shop }
spec:
  hosts: [reviews.production-of-the-shop.svc.cluster.local]
  http:
  - match: [{ uri: { regex: "/products/(?P<id>[0-9]+/reviews" }, headers: { a-header-of-ours: { exact: x } } }]
    timeouts: 5s
    timeout: 5
    retries: { attempts: 3, retryOn: "5xx,conect-failure" }
    route: [{ destination: { host: revews.production-of-the-shop.svc.cluster.local }, weight: lots }]
"#,
    ),
    (
        "environments/production/europe-west/shop/networking/destination-rules/reviews.yaml",
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: reviews }\nspec:\n  host: reviews\n  trafficPolicy: { loadBalancer: { simple: ROUND_ROBBIN }, tls: { mode: 77 } }\n",
    ),
    (
        "environments/production/europe-west/shop/services.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: { name: reviews, namespace: production-of-the-shop }\nspec: { ports: [{ name: grpc, port: 80 }] }\n---\napiVersion: apps/v1\nkind: Deployment\n---\napiVersion: policy/v1\nkind: PodDisruptionBudget\n",
    ),
    (
        "environments/production/europe-west/shop/a-file-whose-name-has-no-place-to-break-it-whatever-one-does.yaml",
        "a: [\n",
    ),
    ("environments/production/values.yaml", "replicas: 2\n"),
];

fn of_folder() -> (Vec<Source>, Vec<Finding>) {
    let sources: Vec<_> = FOLDER
        .iter()
        .map(|(name, text)| source(name, text))
        .collect();
    let args = CheckArgs {
        paths: Vec::new(),
        lenient: false,
        ignore: Vec::new(),
        strict: false,
        all: false,
        quiet: false,
        format: CheckFormat::Text,
        namespace: "default".into(),
        mesh_config: None,
        dns: false,
        labels: Vec::new(),
        inbound: Vec::new(),
        gateway: crate::gateway_args::GatewayArgs::default(),
        identity: IdentityArgs::default(),
    };
    let mut findings = judge(&args, &sources, &[]);
    sort(&mut findings, &sources);
    assert!(findings.len() > 11, "{findings:?}");
    (sources, findings)
}

#[test]
fn what_is_shown_fits_the_terminal() {
    let (sources, findings) = of_folder();
    for columns in [60, 80, 200] {
        for all in [false, true] {
            let how = text::Shown {
                all,
                columns,
                summary: true,
            };
            let shown = as_text_of(&sources, &findings, how);
            for line in shown.lines() {
                let length = line.chars().count();
                assert!(length <= columns, "{length} columns of {columns}: {line}");
                assert_eq!(line.trim_end(), line, "{line:?}");
            }
            // Nothing but the line of the file is shortened: words are there, broken or not.
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            let shown = bare(&shown);
            for finding in findings
                .iter()
                .filter(|f| all || f.severity == Severity::Error)
            {
                let parts = [
                    &finding.message,
                    &finding.help,
                    &finding.path,
                    &*finding.file,
                ];
                for part in parts {
                    assert!(shown.contains(&bare(part)), "{columns}: {part}");
                }
            }
        }
    }
}

#[test]
fn machines_get_findings_whole() {
    let (_, findings) = of_folder();
    let mut out = Vec::new();
    json::write(&mut out, &findings, &Counts::of(&findings, 1)).unwrap();
    let verdict: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let items = verdict["findings"].as_array().unwrap();
    assert_eq!(items.len(), findings.len());
    for (item, finding) in items.iter().zip(&findings) {
        assert_eq!(item["message"], *finding.message);
        assert_eq!(item["help"], *finding.help);
        assert_eq!(item["file"], *finding.file);
        assert_eq!(item["path"], *finding.path);
    }
}

#[test]
fn carets_span_what_is_wrong() {
    let (sources, findings) = of_folder();
    let shown = as_text_of(
        &sources,
        &findings,
        text::Shown {
            columns: 200,
            ..ALL
        },
    );
    let lines: Vec<&str> = shown.lines().collect();
    let marked = |of: &str| {
        let at = lines.iter().position(|line| line.contains(of)).expect(of);
        let caret = lines[at..]
            .iter()
            .find(|line| line.contains("| ") && line.contains('^'))
            .unwrap();
        let text = lines[lines.iter().position(|line| line == caret).unwrap() - 1];
        let (from, to) = (caret.find('^').unwrap(), caret.rfind('^').unwrap());
        text.chars()
            .skip(from)
            .take(to + 1 - from)
            .collect::<String>()
    };
    for (of, expected) in [
        ("unclosed group", "("),
        ("unknown field `timeouts`", "timeouts"),
        ("the number `5` is not a duration", "5"),
        ("`conect-failure` is not a condition", "conect-failure"),
        ("`lots` is not an integer", "lots"),
        ("`ROUND_ROBBIN` is not a value", "ROUND_ROBBIN"),
        ("`77` is not a value", "77"),
    ] {
        assert_eq!(marked(of), expected, "{of}\n{shown}");
    }
}
