//! What is wrong with an object of the configuration, before it is stored: what `outrigger check` would say of it.

use outrigger_core::config::{self, Code, Finding, MeshConfig, Severity, Source};
use serde_json::Value;

/// What is said of others that are not there: here none are, and in the cluster they may be.
const OF_OTHERS: &[Code] = &[
    Code::SubsetWithoutRule,
    Code::UnknownDelegate,
    Code::UnknownGateway,
    Code::UnknownHost,
    Code::UnknownPort,
    Code::UnknownSubset,
    Code::UnusedDelegate,
];

/// What is said of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It should not be stored.
    pub(crate) errors: Vec<String>,
    /// Its author should know.
    pub(crate) warnings: Vec<String>,
}

/// Judges it by itself: what it says of others may come to be true later, in whatever order they are stored.
pub(crate) fn judge(object: &Value, namespace: &str) -> Verdict {
    // JSON is YAML.
    let text = object.to_string();
    let source = Source {
        name: "",
        bytes: text.as_bytes(),
    };
    let loaded = config::load(&[source], namespace);
    let mut findings = loaded.findings;
    findings.extend(config::lint(&loaded.resources, &MeshConfig::default()));
    findings.retain(|finding| !finding.is_consequence && !OF_OTHERS.contains(&finding.code));
    let mut verdict = Verdict::default();
    for finding in &findings {
        match finding.severity {
            Severity::Error => verdict.errors.push(said(finding)),
            Severity::Warning => verdict.warnings.push(said(finding)),
            Severity::Info => {}
        }
    }
    verdict
}

/// Without file and line, of which there are none: the path says where.
fn said(finding: &Finding) -> String {
    let mut said = String::new();
    if !finding.path.is_empty() {
        said.push_str(&finding.path);
        said.push_str(": ");
    }
    said.push_str(&finding.message);
    if !finding.help.is_empty() {
        said.push_str("; ");
        said.push_str(&finding.help);
    }
    format!("{said} [{}]", finding.code)
}
