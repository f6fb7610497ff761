//! Reads bytes into node trees with the event parser of `saphyr-parser`, within fixed budgets.
//!
//! The parser knows the grammar; this file adds what makes it safe and strict: one finding per fault with its place,
//! duplicate keys, merge keys, aliases that are counted as they expand, and no recursion deeper than [`MAX_DEPTH`].

use saphyr_parser::{Marker, Parser, ScanError};

use super::budget::{Budget, Fault, MAX_DEPTH};
use super::builder::{Builder, Oddity};
use super::documents::{BYTE_ORDER_MARK, Chunk, json_values, split};
use super::relax::{Relaxed, has_colon_in_flow, relax};
use crate::config::code::Code;
use crate::config::mark::Mark;
use crate::config::node::Node;
use crate::config::report::Report;
use crate::config::value::quoted;

/// Larger files are refused: 8 MiB.
pub const MAX_FILE_BYTES: usize = 8 << 20;

/// More of `,`, `[` and `{` in one document are refused: until a bracket closes, the parser keeps all its tokens.
const MAX_FLOW_INDICATORS: usize = 500_000;

/// Reads every document of a file. What is wrong goes to `report`; a document that can not be read is left out, the
/// others are not affected. Empty documents are skipped.
///
/// Stricter than YAML: duplicate keys, keys that are not text, tabs in indentation, control characters and invalid
/// UTF-8 are errors. Aliases and merge keys (`<<`) are applied and tags of one's own passed over, as Kubernetes does.
/// JSON values may follow each other without a marker.
#[must_use]
pub fn read(bytes: &[u8], report: &mut Report) -> Vec<Node> {
    if bytes.len() > MAX_FILE_BYTES {
        report.raise_at(
            Mark::default(),
            Code::FileTooLarge,
            format!(
                "the file has {} bytes; at most {MAX_FILE_BYTES} are read",
                bytes.len()
            ),
            "split the file",
        );
        return Vec::new();
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut budget = Budget::default();
    let mut documents = Vec::new();
    for chunk in split(bytes) {
        let values = json_values(chunk);
        if values.is_empty() {
            documents.extend(read_chunk(chunk, &mut budget, report));
        }
        for value in &values {
            documents.extend(read_chunk(*value, &mut budget, report));
        }
        if budget.is_spent() {
            break;
        }
    }
    documents.retain(|document| !document.is_null());
    documents
}

/// The document of a chunk, if it has one and can be read; what is wrong is told.
fn read_chunk(chunk: Chunk<'_>, budget: &mut Budget, report: &mut Report) -> Option<Node> {
    let outcome = check_text(chunk).and_then(|original| {
        let reading = read_text(chunk, original, budget);
        tell(reading.oddities, report);
        reading.outcome
    });
    outcome.unwrap_or_else(|fault| {
        report.raise_at(fault.at, fault.code, fault.message, fault.help);
        None
    })
}

fn tell(oddities: Vec<(Mark, Oddity)>, report: &mut Report) {
    for (at, oddity) in oddities {
        let (code, message, help) = match oddity {
            Oddity::DuplicateKey(key) => (
                Code::YamlDuplicateKey,
                format!("key {} stands twice in this mapping", quoted(&key)),
                "keep one of them",
            ),
            Oddity::Tag(name) => (
                Code::YamlTagIgnored,
                format!(
                    "tag {} means nothing here: the value counts as it is written",
                    quoted(&name)
                ),
                "remove the tag; quote the value if it begins with `!`",
            ),
        };
        report.raise_at(at, code, message, help);
    }
}

fn read_text(chunk: Chunk<'_>, original: &str, budget: &mut Budget) -> Reading {
    let strict = Source {
        chunk,
        original,
        relaxed: None,
    };
    let before = *budget;
    let mut reading = strict.read(budget);
    let is_malformed = reading.is_malformed();
    if (is_malformed || has_colon_in_flow(original))
        && let Some(relaxed) = relax(original)
    {
        *budget = before;
        let second = Source {
            relaxed: Some(&relaxed),
            ..strict
        };
        let again = second.read(budget);
        // A quote that nobody closed goes on to the next one, and what stands behind that is no YAML. Then the first
        // reading says where it began.
        let is_worse = again.outcome.as_ref().is_err_and(|fault| {
            let line = fault.at.line.saturating_sub(chunk.lines_before);
            !is_malformed || relaxed.has_moved(line as usize)
        });
        if !is_worse {
            reading = again;
        }
    }
    reading
}

/// The text of one document, as it is or with other indentation.
#[derive(Clone, Copy)]
struct Source<'a> {
    chunk: Chunk<'a>,
    original: &'a str,
    relaxed: Option<&'a Relaxed>,
}

/// What came of one document.
struct Reading {
    outcome: Result<Option<Node>, Fault>,
    oddities: Vec<(Mark, Oddity)>,
}

impl Reading {
    /// Whether the parser refused the text, where other indentation may mend it.
    fn is_malformed(&self) -> bool {
        let is_syntax = |fault: &Fault| matches!(fault.code, Code::YamlSyntax | Code::YamlTab);
        self.outcome.as_ref().is_err_and(is_syntax)
    }
}

impl Source<'_> {
    fn read(&self, budget: &mut Budget) -> Reading {
        let mut builder = Builder::new(budget);
        let end = self.feed(&mut builder);
        let (root, oddities) = builder.finished();
        Reading {
            outcome: end.map(|()| root),
            oddities,
        }
    }

    fn feed(&self, builder: &mut Builder<'_>) -> Result<(), Fault> {
        let text = self.relaxed.map_or(self.original, |relaxed| &*relaxed.text);
        let tabs = tab_lines(text);
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax_fault(&error, &tabs))?;
            let at = self.mark(&span.start);
            let tab = tabs.binary_search_by_key(&span.start.line(), |tab| tab.line);
            if let Ok(tab) = tab
                && tabs[tab].indent == span.start.col()
            {
                return Err(tab_fault(&tabs[tab], self.chunk));
            }
            builder.take(event, at)?;
        }
        Ok(())
    }

    fn mark(&self, marker: &Marker) -> Mark {
        let (line, column) = (marker.line(), marker.col());
        let column = self
            .relaxed
            .map_or(column, |relaxed| relaxed.column(line, column));
        self.chunk.mark(line, column)
    }

    /// A key whose colon has no blank behind it, such as `timeout:10s`, on a line or the one before.
    fn missing_blank(&self, line: usize) -> Option<Fault> {
        let lines: Vec<&str> = self.original.split('\n').take(line).collect();
        let mut last = lines.iter().enumerate().rev().take(2);
        let (index, colon) = last.find_map(|(index, line)| {
            let entry = line.trim_start().trim_start_matches("- ");
            let (key, value) = entry.split_once(':')?;
            let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            let is_key = !key.is_empty() && key.bytes().all(is_word);
            // A URL has a slash there.
            let is_value =
                value.starts_with(|c: char| c.is_ascii_alphanumeric() || "\"'[{".contains(c));
            let colon = line.len() - value.len() - 1;
            (is_key && is_value).then(|| (index, line[..colon].chars().count()))
        })?;
        Some(Fault {
            at: self.chunk.mark(index + 1, colon),
            code: Code::YamlSyntax,
            message: "not well-formed YAML: a colon without a blank behind it makes no key"
                .to_owned(),
            help: "write a blank behind the colon",
        })
    }

    /// Whether a bracket was closed right before, as in `image: {user}/name`.
    fn is_behind_bracket(&self, marker: &Marker) -> bool {
        let line = marker.line().checked_sub(1);
        let line = line.and_then(|line| self.original.split('\n').nth(line));
        let before = line.and_then(|line| {
            let end = line.char_indices().nth(marker.col()).map(|(end, _)| end);
            end.map(|end| line[..end].trim_end())
        });
        before.is_some_and(|before| before.ends_with(['}', ']']))
    }

    fn syntax_fault(&self, error: &ScanError, tabs: &[TabLine]) -> Fault {
        let line = error.marker().line();
        // The parser names the place where a text began that a tab then broke.
        let is_near = |tab: &&TabLine| {
            tab.line == line || tab.line == line + 1 && error.info().contains("tab")
        };
        if let Some(tab) = tabs.iter().find(is_near) {
            return tab_fault(tab, self.chunk);
        }
        if error.info().contains("simple key")
            && let Some(fault) = self.missing_blank(error.marker().line())
        {
            return fault;
        }
        let at = self.mark(error.marker());
        // The parser pretends a line break at the end of the text and may point behind it, where there is nothing to show.
        let end = self.chunk.end_of(self.original);
        let at = if at.line > end.line { end } else { at };
        let (code, message, help) = if error.info().contains("recursion limit") {
            (
                Code::YamlTooDeep,
                format!("nested deeper than {MAX_DEPTH} levels"),
                "",
            )
        } else if error.info().contains("unknown anchor") {
            let help = "an anchor stands before its aliases, in the same document";
            (
                Code::YamlAlias,
                "the alias has no anchor before it".to_owned(),
                help,
            )
        } else {
            let help = if self.is_behind_bracket(error.marker()) {
                "quote the value if it is text: what begins with a bracket ends with it"
            } else {
                "check the indentation, quotes and brackets here and on the line before"
            };
            (
                Code::YamlSyntax,
                format!("not well-formed YAML: {}", error.info()),
                help,
            )
        };
        Fault {
            at,
            code,
            message,
            help,
        }
    }
}

/// UTF-8 without characters that YAML forbids (YAML 1.2 §5.1), or the place of the first that is not.
fn check_text(chunk: Chunk<'_>) -> Result<&str, Fault> {
    let text = match core::str::from_utf8(chunk.bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = &chunk.bytes[..error.valid_up_to()];
            // The prefix is valid by the definition of `valid_up_to`.
            let good = core::str::from_utf8(good).unwrap_or_default();
            return Err(Fault {
                at: chunk.end_of(good),
                code: Code::InvalidUtf8,
                message: "the document is not UTF-8 text".to_owned(),
                help: "save the file as UTF-8",
            });
        }
    };
    if let Some(at) =
        memchr::memchr3_iter(b',', b'[', b'{', text.as_bytes()).nth(MAX_FLOW_INDICATORS)
    {
        return Err(Fault {
            at: chunk.end_of(&text[..at]),
            code: Code::YamlTooBig,
            message: format!(
                "the document has more than {MAX_FLOW_INDICATORS} commas and brackets"
            ),
            help: "split the document",
        });
    }
    match text.char_indices().find(|(_, c)| is_forbidden(*c)) {
        None => Ok(text),
        Some((at, c)) => Err(Fault {
            at: chunk.end_of(&text[..at]),
            code: Code::ControlCharacter,
            message: format!(
                "control character U+{:04X} may not stand in YAML",
                u32::from(c)
            ),
            help: "remove it, or write it as an escape such as `\\x1b` in double quotes",
        }),
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
        || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A line whose indentation has a tab.
struct TabLine {
    /// From 1, in the chunk.
    line: usize,
    /// Where the tab stands, in characters from 0.
    column: usize,
    /// How long the indentation is.
    indent: usize,
}

/// Lines with a tab in their indentation. That is a fault where a value begins, and none inside a block of text.
fn tab_lines(text: &str) -> Vec<TabLine> {
    let lines = text.split('\n').enumerate();
    let tabs = lines.filter_map(|(index, line)| {
        // Indentation is ASCII, so bytes are characters.
        let indent = line
            .bytes()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count();
        let column = line[..indent].find('\t')?;
        Some(TabLine {
            line: index + 1,
            column,
            indent,
        })
    });
    tabs.collect()
}

fn tab_fault(tab: &TabLine, chunk: Chunk<'_>) -> Fault {
    Fault {
        at: chunk.mark(tab.line, tab.column),
        code: Code::YamlTab,
        message: "a tab may not indent YAML".to_owned(),
        help: "indent with spaces",
    }
}
