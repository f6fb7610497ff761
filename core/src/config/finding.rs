//! Findings: what is wrong or worth knowing about the user's files, where, and what to do about it.
//!
//! Owns the shape of a finding and how its line is shown. The codes are in `code`; who finds what is elsewhere.

use core::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;

use super::code::{Code, Severity};
use super::kinds;
use super::mark::Mark;
use super::meta::Meta;
use super::resource_name::ResourceName;
use super::span::{self, Part};

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of finding it is.
    pub code: Code,
    /// The severity of the code, unless a command was told to see it otherwise.
    pub severity: Severity,
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// From 1; 0 when the finding is about the file as a whole.
    pub line: u32,
    /// In characters, from 1; 0 when the finding is about the file as a whole.
    pub column: u32,
    /// The resource, when the document is one.
    pub resource: Option<ResourceName>,
    /// Such as `spec.http[2].match[0].uri`; empty when no field is concerned.
    pub path: String,
    /// What is wrong: lower case, the user's words in backticks.
    pub message: String,
    /// What to do about it; possibly empty.
    pub help: String,
    /// How many characters from the column on it is about; 0 where the line tells.
    #[serde(skip)]
    pub length: u32,
    /// It follows from another finding about a field that does not exist, where that field counts.
    #[serde(skip)]
    pub is_consequence: bool,
    /// What part of a scalar it is about, until the file that it stands in tells where.
    #[serde(skip)]
    pub(crate) part: Option<Part>,
}

impl Finding {
    /// A finding about a place in a file.
    #[must_use]
    pub fn new(code: Code, file: &Arc<str>, at: Mark, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            file: Arc::clone(file),
            line: at.line,
            column: at.column,
            resource: None,
            path: String::new(),
            message: message.into(),
            help: String::new(),
            length: 0,
            is_consequence: false,
            part: None,
        }
    }

    /// Points to the part of its scalar that it is about, if that stands on one line of its file.
    pub(super) fn point(&mut self, source: &[u8]) {
        let Some(part) = self.part.take() else { return };
        let place = line_of(source, self.line).zip(from_zero(self.column));
        let inside = place.and_then(|(line, column)| span::inside(&line, column, part));
        if let Some((column, length)) = inside {
            self.column = u32::try_from(column).map_or(u32::MAX, |column| column.saturating_add(1));
            self.length = u32::try_from(length).unwrap_or(u32::MAX);
        }
    }

    /// A finding about a field of a resource that was read; the path is such as `spec.http[2].match[0].uri`.
    #[must_use]
    pub fn about(
        code: Code,
        kind: &str,
        meta: &Meta,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            resource: Some(meta.resource_name(kind)),
            path: path.to_owned(),
            help: help.into(),
            ..Self::new(code, &meta.file, meta.locate(path), message)
        }
    }

    /// Somebody is as lenient as istiod: what it puts into effect becomes a warning.
    pub fn accept_what_istiod_takes(&mut self) {
        if self.code.is_taken_by_istiod() {
            self.severity = Severity::Warning;
        }
    }

    /// Whether a proxy must not run what was read: an error, and not in a resource of a kind that it does not use.
    #[must_use]
    pub fn blocks(&self) -> bool {
        let used = |resource: &ResourceName| kinds::is_used(&resource.kind);
        self.severity == Severity::Error && self.resource.as_ref().is_none_or(used)
    }
}

impl Finding {
    /// `file:line:column: message [code]`, for a log whose lines say by themselves how bad they are. Otherwise as it is
    /// displayed.
    #[must_use]
    pub const fn unrated(&self) -> Unrated<'_> {
        Unrated(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, severity: Option<Severity>) -> fmt::Result {
        let mut line = self.file.to_string();
        if self.line > 0 {
            write!(line, ":{}:{}", self.line, self.column)?;
        }
        line.push_str(": ");
        if let Some(severity) = severity {
            write!(line, "{severity}: ")?;
        }
        if let Some(resource) = &self.resource {
            write!(line, "{resource}: ")?;
        }
        if !self.path.is_empty() {
            write!(line, "{}: ", self.path)?;
        }
        write!(line, "{} [{}]", self.message, self.code)?;
        for c in line.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// A finding without its severity.
#[derive(Clone, Copy, Debug)]
pub struct Unrated<'a>(&'a Finding);

impl fmt::Display for Unrated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, None)
    }
}

impl fmt::Display for Finding {
    /// `file:line:column: severity: message [code]`, on one line: the user's words may hold anything, and a line break or
    /// an escape sequence among them must not reach a terminal or a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Some(self.severity))
    }
}

/// The line that a finding is about, with what it is about marked below, in at most so many columns. None when the source
/// has no such line.
#[must_use]
pub fn snippet(source: &[u8], finding: &Finding, columns: usize) -> Option<String> {
    let text = line_of(source, finding.line)?;
    let column = from_zero(finding.column)?.min(text.len());
    let length = match finding.length {
        0 => span::length(&text, column, finding.code, &finding.path),
        length => usize::try_from(length).ok()?,
    };
    let margin = finding.line.to_string();
    // Beside the number, the bar and two ellipses.
    let room = columns.saturating_sub(margin.len() + 5).max(1);
    let from = if text.len() > room {
        column.saturating_sub(room / 2).min(text.len() - room)
    } else {
        0
    };
    let to = text.len().min(from + room);
    let (head, tail) = (
        if from > 0 { "…" } else { "" },
        if to < text.len() { "…" } else { "" },
    );
    let shown: String = text[from..to].iter().collect();
    let caret = column - from + head.chars().count();
    let carets = "^".repeat(length.min(to.saturating_sub(column)).max(1));
    let mut out = String::new();
    // Writing to a string can not fail.
    let _ = writeln!(out, "{margin} | {head}{shown}{tail}");
    let _ = write!(
        out,
        "{:width$} | {:caret$}{carets}",
        "",
        "",
        width = margin.len()
    );
    Some(out)
}

/// A line of a source, from 1, as it is shown: no tabs, nothing that moves a cursor.
fn line_of(source: &[u8], line: u32) -> Option<Vec<char>> {
    let line = line_at(source, from_zero(line)?)?;
    let shown = |c: char| match c {
        '\t' => ' ',
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    };
    Some(String::from_utf8_lossy(line).chars().map(shown).collect())
}

fn from_zero(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

/// A line without its break, which is LF, CRLF or CR alone (YAML 1.2 §5.4): findings count lines as YAML does.
fn line_at(source: &[u8], index: usize) -> Option<&[u8]> {
    let mut rest = source;
    for _ in 0..index {
        let at = memchr::memchr2(b'\r', b'\n', rest)?;
        let length = if rest[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        rest = &rest[at + length..];
    }
    let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line() {
        let at = Mark { line: 1, column: 2 };
        let finding = Finding::new(Code::InvalidLabel, &"f".into(), at, "label `a\n\u{1b}[1m`");
        assert_eq!(
            finding.to_string(),
            "f:1:2: error: label `a\\n\\u{1b}[1m` [invalid-label]"
        );
    }

    fn at(line: u32, column: u32) -> Finding {
        Finding::new(Code::InvalidLabel, &"f".into(), Mark { line, column }, "")
    }

    #[test]
    fn snippets_show_the_line_and_the_column() {
        let source = "a: 1\nb:\tx\r\ncafé: 5\rd: 6".as_bytes();
        let cases: &[(u32, u32, Option<&str>)] = &[
            (1, 4, Some("1 | a: 1\n  |    ^")),
            (2, 4, Some("2 | b: x\n  |    ^")),
            (3, 7, Some("3 | café: 5\n  |       ^")),
            (4, 1, Some("4 | d: 6\n  | ^")),
            (3, 99, Some("3 | café: 5\n  |        ^")),
            (5, 1, None),
            (0, 0, None),
        ];
        for (line, column, expected) in cases {
            assert_eq!(
                snippet(source, &at(*line, *column), 80).as_deref(),
                *expected,
                "{line}:{column}"
            );
        }
        let mut part = at(3, 1);
        part.length = 3;
        let shown = snippet(source, &part, 80);
        assert_eq!(shown.as_deref(), Some("3 | café: 5\n  | ^^^"));
    }

    #[test]
    fn long_lines_are_cut_around_the_column() {
        let source = format!("{}X{}", "a".repeat(300), "b".repeat(300));
        for (columns, column, length) in [
            (60, 301, 1),
            (80, 301, 400),
            (80, 1, 1),
            (80, 601, 1),
            (1, 301, 9),
        ] {
            let mut finding = at(1, column);
            finding.length = length;
            let shown = snippet(source.as_bytes(), &finding, columns).unwrap();
            let (text, caret) = shown.split_once('\n').unwrap();
            let most = columns.max(9);
            assert!(
                text.chars().count() <= most && caret.chars().count() <= most,
                "{shown}"
            );
            let marked = text.chars().nth(caret.find('^').unwrap());
            let expected = source.chars().nth(column as usize - 1);
            assert_eq!(marked, expected, "{shown}");
        }
    }

    #[test]
    fn a_finding_prints_on_one_line() {
        let file = Arc::from("a.yaml");
        let mut finding = Finding::new(
            Code::InvalidDuration,
            &file,
            Mark { line: 3, column: 5 },
            "`5` is not a duration",
        );
        finding.path = "spec.http[0].timeout".into();
        assert_eq!(
            finding.to_string(),
            "a.yaml:3:5: error: spec.http[0].timeout: `5` is not a duration [invalid-duration]"
        );
        assert_eq!(
            finding.unrated().to_string(),
            "a.yaml:3:5: spec.http[0].timeout: `5` is not a duration [invalid-duration]"
        );
    }
}
