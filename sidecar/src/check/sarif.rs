//! Findings as SARIF 2.1.0 (OASIS), which code scanning services read.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use outrigger_core::config::{Code, Finding, Severity};
use serde_json::{Value, json};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Writes the document, with a line end.
pub(super) fn write(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "outrigger",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(|finding| result(finding, &codes)).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn rule(code: &Code) -> Value {
    json!({
        "id": code.as_str(),
        "shortDescription": {"text": code.meaning()},
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn result(finding: &Finding, codes: &[Code]) -> Value {
    let mut text = finding.message.clone();
    if !finding.help.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(text, "\nhelp: {}", finding.help);
    }
    let mut location = json!({
        "physicalLocation": {"artifactLocation": {"uri": uri(&finding.file)}},
    });
    if finding.line > 0 {
        location["physicalLocation"]["region"] =
            json!({"startLine": finding.line, "startColumn": finding.column.max(1)});
    }
    if let Some(resource) = &finding.resource {
        let mut name = resource.to_string();
        if !finding.path.is_empty() {
            let _ = write!(name, " {}", finding.path);
        }
        location["logicalLocations"] = json!([{"fullyQualifiedName": name}]);
    }
    json!({
        "ruleId": finding.code.as_str(),
        "ruleIndex": codes.binary_search(&finding.code).ok(),
        "level": level(finding.severity),
        "message": {"text": text},
        "locations": [location],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A path as a URI (RFC 3986 §2.3, §4.2): relative ones are relative to where the program ran.
fn uri(path: &str) -> String {
    let mut out = if Path::new(path).is_absolute() {
        "file://".to_owned()
    } else {
        String::new()
    };
    for byte in path.trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris() {
        for (path, want) in [
            ("rules/a.yaml", "rules/a.yaml"),
            ("./a b.yaml", "a%20b.yaml"),
            ("/etc/a:b.yaml", "file:///etc/a%3Ab.yaml"),
            ("<stdin>", "%3Cstdin%3E"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(uri(path), want);
        }
    }
}
