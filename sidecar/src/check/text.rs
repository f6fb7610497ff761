//! Findings for people: what is wrong, the line it is about, and what to do.

use std::borrow::Cow;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use outrigger_core::config::{Code, Finding, Severity, snippet};

use super::Counts;
use super::fold::{self, fold};
use crate::sources::Source;
use crate::width::wrapped;

const BOLD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const PLACE: Style = AnsiColor::Blue.on_default();

/// How far what belongs to a finding is indented.
const INDENT: usize = 2;

const HELP: &str = "  help: ";

/// So many files or kinds of one sort are named.
const NAMED: usize = 3;

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Every finding, where a few of each sort are shown.
    pub(super) all: bool,
    /// A line that sums them up.
    pub(super) summary: bool,
    /// How wide it may be.
    pub(super) columns: usize,
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
        write_finding(out, finding, source, how.columns)?;
        let more = match shown {
            fold::Shown::Last(more) => Some(format!("{more} more like this")),
            fold::Shown::LastOfCode(more) => Some(format!("{more} more of {}", finding.code)),
            fold::Shown::Whole | fold::Shown::Folded => None,
        };
        if let Some(more) = more {
            writeln!(out, "  {QUIET}… and {more}; `--all` shows them{QUIET:#}")?;
        }
        writeln!(out)?;
    }
    if !how.all {
        write_folded(out, findings, how.columns)?;
    }
    if how.summary {
        write_summary(out, counts)?;
    }
    Ok(())
}

/// A line for each sort of findings that nobody has to act on, however many they are.
fn write_folded(out: &mut impl Write, findings: &[Finding], columns: usize) -> io::Result<()> {
    for (code, what) in fold::ASIDE {
        let of_sort = findings.iter().filter(|finding| finding.code == *code);
        let mut names: Vec<&str> = of_sort.clone().map(|finding| &*finding.file).collect();
        names.dedup();
        if names.is_empty() {
            continue;
        }
        let count = counted(names.len(), "file");
        if *code == Code::KindIgnored {
            // Its message begins with the kind.
            names = of_sort
                .filter_map(|f| f.message.split('`').nth(1))
                .collect();
            names.sort_unstable();
            names.dedup();
        }
        let named = names[..names.len().min(NAMED)].join(", ");
        let mut text = format!("{what}, in {count}: {named}");
        if names.len() > NAMED {
            text += &format!(", … and {} more; `--all` shows them", names.len() - NAMED);
        }
        write_label(
            out,
            code.severity(),
            code.as_str(),
            Style::new(),
            &text,
            columns,
        )?;
        writeln!(out)?;
    }
    Ok(())
}

/// `severity[code]`, and text that goes on on lines of its own where it is long.
fn write_label(
    out: &mut impl Write,
    severity: Severity,
    code: &str,
    style: Style,
    text: &str,
    columns: usize,
) -> io::Result<()> {
    let label = format!("{severity}[{code}] ");
    let lines = broken_prose(&printable(text), columns, &label, INDENT);
    for (nth, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix(&label).filter(|_| nth == 0) {
            let colour = style_of(severity);
            write!(out, "{colour}{severity}{colour:#}{QUIET}[{code}]{QUIET:#} ")?;
            writeln!(out, "{style}{rest}{style:#}")?;
        } else {
            let rest = line.trim_start();
            writeln!(out, "{:INDENT$}{style}{rest}{style:#}", "")?;
        }
    }
    Ok(())
}

/// Prose in lines of at most so many columns. What stands in backticks, such as a command, stays on one line if it fits.
fn broken_prose(text: &str, columns: usize, first: &str, hanging: usize) -> Vec<String> {
    // Nobody's words have this in them: see `printable`.
    const GLUE: char = '\u{1}';
    let fits = |part: &str| part.chars().count() + 2 + hanging <= columns;
    let parts = text.split('`').enumerate();
    let glued = parts.map(|(nth, part)| {
        let is_quoted = nth % 2 == 1 && fits(part);
        if is_quoted {
            part.replace(' ', &String::from(GLUE))
        } else {
            part.to_owned()
        }
    });
    let glued = glued.collect::<Vec<_>>().join("`");
    let lines = wrapped(&glued, columns, first, hanging).into_iter();
    lines.map(|line| line.replace(GLUE, " ")).collect()
}

/// Writes one finding, with the line that it is about when its source is given, in so many columns.
pub(crate) fn write_finding(
    out: &mut impl Write,
    finding: &Finding,
    source: Option<&Source>,
    columns: usize,
) -> io::Result<()> {
    let (severity, code) = (finding.severity, finding.code.as_str());
    write_label(out, severity, code, BOLD, &finding.message, columns)?;
    write_place(out, finding, columns)?;
    let room = columns.saturating_sub(INDENT);
    if let Some(shown) = source.and_then(|source| snippet(&source.bytes, finding, room)) {
        let style = style_of(severity);
        let (line, caret) = shown.split_once('\n').unwrap_or((&shown, ""));
        writeln!(out, "  {}", line.trim_end())?;
        let (margin, mark) = caret.split_at(caret.find('|').map_or(0, |bar| bar + 1));
        writeln!(out, "  {margin}{style}{mark}{style:#}")?;
    }
    if !finding.help.is_empty() {
        let lines = broken_prose(&printable(&finding.help), columns, HELP, INDENT + 2);
        for line in lines {
            match line.strip_prefix(HELP) {
                Some(rest) => writeln!(out, "  {QUIET}help:{QUIET:#} {rest}")?,
                None => writeln!(out, "{line}")?,
            }
        }
    }
    Ok(())
}

/// Where it is: file and line, the resource, the field. Side by side where there is room.
fn write_place(out: &mut impl Write, finding: &Finding, columns: usize) -> io::Result<()> {
    let mut file = printable(&finding.file).into_owned();
    if finding.line > 0 {
        file += &format!(":{}:{}", finding.line, finding.column);
    }
    let resource = finding.resource.as_ref().map(ToString::to_string);
    let path = Some(&finding.path).filter(|path| !path.is_empty());
    let others: Vec<_> = resource
        .iter()
        .chain(path)
        .map(|part| printable(part))
        .collect();
    let length = |parts: &[Cow<'_, str>]| {
        parts
            .iter()
            .map(|part| part.chars().count() + 2)
            .sum::<usize>()
    };
    if INDENT + file.chars().count() + length(&others) <= columns {
        write!(out, "  {PLACE}{file}{PLACE:#}")?;
        for part in others {
            write!(out, "  {part}")?;
        }
        return writeln!(out);
    }
    for line in broken(&file, &['/'], columns - INDENT) {
        writeln!(out, "  {PLACE}{line}{PLACE:#}")?;
    }
    if others.is_empty() {
        return Ok(());
    }
    if length(&others) <= columns {
        return writeln!(out, "  {}", others.join("  "));
    }
    for part in others {
        for line in broken(&part, &[' ', '/', '.'], columns - INDENT) {
            writeln!(out, "  {}", line.trim_end())?;
        }
    }
    Ok(())
}

/// A name in lines of at most so many columns, broken behind its separators as far as it has any.
fn broken(name: &str, separators: &[char], columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in name.split_inclusive(separators) {
        for piece in wrapped(part, columns, "", 0) {
            let last = lines.last_mut().map_or(0, |line| line.chars().count());
            let piece = if part.ends_with(' ') {
                format!("{piece} ")
            } else {
                piece
            };
            if last > 0 && last + piece.trim_end().chars().count() > columns {
                lines.push(piece);
            } else if let Some(line) = lines.last_mut() {
                line.push_str(&piece);
            }
        }
    }
    lines
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
