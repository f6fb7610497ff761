//! Findings for people: what is wrong, the line it is about, and what to do.

use std::borrow::Cow;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use outrigger_core::config::{Code, Finding, Severity, snippet};

use super::Counts;
use super::fold::{self, fold};
use crate::sources::Source;

const BOLD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const PLACE: Style = AnsiColor::Blue.on_default();

/// So many files that were passed over are named.
const NAMED: usize = 3;

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Every finding, where a few of each sort are shown.
    pub(super) all: bool,
    /// A line that sums them up.
    pub(super) summary: bool,
}

/// Writes the findings and what sums them up.
pub(super) fn write(
    out: &mut impl Write,
    sources: &[Source],
    findings: &[Finding],
    counts: &Counts,
    how: Shown,
) -> io::Result<()> {
    let shown = if how.all {
        vec![fold::Shown::Whole; findings.len()]
    } else {
        fold(findings)
    };
    for (finding, shown) in findings.iter().zip(shown) {
        if shown == fold::Shown::Folded {
            continue;
        }
        let source = sources.iter().find(|source| source.name == finding.file);
        write_finding(out, finding, source)?;
        if let fold::Shown::Last(more) = shown {
            writeln!(
                out,
                "  {QUIET}… and {more} more like this; `--all` shows them{QUIET:#}"
            )?;
        }
        writeln!(out)?;
    }
    if !how.all {
        write_passed_over(out, findings)?;
    }
    if how.summary {
        write_summary(out, counts)?;
    }
    Ok(())
}

/// One line for everything that was not meant as a resource.
fn write_passed_over(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    let passed_over = findings.iter().filter(|f| f.code == Code::PassedOver);
    let files: Vec<Cow<'_, str>> = passed_over.map(|f| printable(&f.file)).collect();
    if files.is_empty() {
        return Ok(());
    }
    let style = style_of(Severity::Info);
    let (code, count) = (Code::PassedOver, counted(files.len(), "file"));
    let named = files[..files.len().min(NAMED)].join(", ");
    write!(
        out,
        "{style}{}{style:#}{QUIET}[{code}]{QUIET:#} what is no resource of Kubernetes, in {count}: {named}",
        code.severity(),
    )?;
    if files.len() > NAMED {
        let more = files.len() - NAMED;
        write!(
            out,
            "{QUIET}, … and {more} more; `--all` shows them{QUIET:#}"
        )?;
    }
    writeln!(out, "\n")
}

/// Writes one finding, with the line that it is about when its source is given.
pub(crate) fn write_finding(
    out: &mut impl Write,
    finding: &Finding,
    source: Option<&Source>,
) -> io::Result<()> {
    let style = style_of(finding.severity);
    writeln!(
        out,
        "{style}{}{style:#}{QUIET}[{}]{QUIET:#} {BOLD}{}{BOLD:#}",
        finding.severity,
        finding.code,
        printable(&finding.message),
    )?;
    write!(out, "  {PLACE}{}", printable(&finding.file))?;
    if finding.line > 0 {
        write!(out, ":{}:{}", finding.line, finding.column)?;
    }
    write!(out, "{PLACE:#}")?;
    if let Some(resource) = &finding.resource {
        write!(out, "  {}", printable(&resource.to_string()))?;
    }
    if !finding.path.is_empty() {
        write!(out, "  {}", printable(&finding.path))?;
    }
    writeln!(out)?;
    if let Some(shown) = source.and_then(|s| snippet(&s.bytes, finding.line, finding.column)) {
        let (line, caret) = shown.split_once('\n').unwrap_or((&shown, ""));
        writeln!(out, "  {line}")?;
        let (margin, mark) = caret.split_at(caret.find('|').map_or(0, |bar| bar + 1));
        writeln!(out, "  {margin}{style}{mark}{style:#}")?;
    }
    if !finding.help.is_empty() {
        writeln!(out, "  {QUIET}help:{QUIET:#} {}", printable(&finding.help))?;
    }
    Ok(())
}

fn write_summary(out: &mut impl Write, counts: &Counts) -> io::Result<()> {
    let files = counted(counts.files, "file");
    if counts.errors + counts.warnings + counts.infos == 0 {
        let fine = style_of(Severity::Info);
        return match counts.files {
            0 => writeln!(out, "no files, nothing to judge"),
            _ => writeln!(out, "{fine}no findings{fine:#} in {files}"),
        };
    }
    let parts = [
        (Severity::Error, counts.errors, "error"),
        (Severity::Warning, counts.warnings, "warning"),
        (Severity::Info, counts.infos, "note"),
    ];
    for (index, (severity, count, word)) in parts.into_iter().filter(|part| part.1 > 0).enumerate()
    {
        let (style, comma) = (style_of(severity), if index > 0 { ", " } else { "" });
        write!(out, "{comma}{style}{}{style:#}", counted(count, word))?;
    }
    writeln!(out, " in {files}")
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

const fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Info => AnsiColor::Cyan.on_default(),
    }
}

/// The user's own text, without the power to move the cursor or change colours.
fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        text.chars().map(shown).collect()
    } else {
        text.into()
    }
}
