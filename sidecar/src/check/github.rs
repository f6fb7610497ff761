//! Findings as workflow commands of GitHub Actions, which show them beside the lines they are about.

use std::io::{self, Write};

use outrigger_core::config::{Finding, Severity};

/// Writes a line for each finding.
pub(super) fn write(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    for finding in findings {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        write!(out, "::{level} file={}", property(&finding.file))?;
        if finding.line > 0 {
            write!(out, ",line={},col={}", finding.line, finding.column)?;
        }
        let mut message = String::new();
        if let Some(resource) = &finding.resource {
            message += &format!("{resource}: ");
        }
        if !finding.path.is_empty() {
            message += &format!("{}: ", finding.path);
        }
        message += &finding.message;
        if !finding.help.is_empty() {
            message += &format!("\nhelp: {}", finding.help);
        }
        writeln!(out, ",title={}::{}", finding.code, data(&message))?;
    }
    Ok(())
}

/// Nobody's words end a command or begin another.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
