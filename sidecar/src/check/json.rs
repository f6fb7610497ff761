//! Findings for machines: one JSON document, whose shape `check --help` promises.

use std::io::{self, Write};

use outrigger_core::config::{Finding, ResourceName};
use serde::Serialize;

use super::Counts;

/// What is written. Fields may be added; none is renamed, removed or given another meaning.
#[derive(Serialize)]
struct Verdict<'a> {
    findings: Vec<Item<'a>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Item<'a> {
    severity: &'a str,
    code: &'a str,
    file: &'a str,
    line: u32,
    column: u32,
    resource: Option<Resource<'a>>,
    path: &'a str,
    message: &'a str,
    help: &'a str,
}

#[derive(Serialize)]
struct Resource<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    errors: usize,
    warnings: usize,
    infos: usize,
}

/// Writes the verdict, with a line end.
pub(super) fn write(out: &mut impl Write, findings: &[Finding], counts: &Counts) -> io::Result<()> {
    let verdict = Verdict {
        findings: findings.iter().map(item).collect(),
        summary: Summary {
            files: counts.files,
            errors: counts.errors,
            warnings: counts.warnings,
            infos: counts.infos,
        },
    };
    serde_json::to_writer_pretty(&mut *out, &verdict)?;
    writeln!(out)
}

fn item(finding: &Finding) -> Item<'_> {
    Item {
        severity: finding.severity.as_str(),
        code: finding.code.as_str(),
        file: &finding.file,
        line: finding.line,
        column: finding.column,
        resource: finding.resource.as_ref().map(resource),
        path: &finding.path,
        message: &finding.message,
        help: &finding.help,
    }
}

fn resource(name: &ResourceName) -> Resource<'_> {
    Resource {
        kind: &name.kind,
        namespace: &name.namespace,
        name: &name.name,
    }
}
