//! Where the front end is (file, resource, field path) and what it has found so far.
//!
//! Everything that reads or checks a resource is handed a [`Report`]. It says what is wrong; the report adds where.
//! Positions are looked up only when there is something to tell.

use core::fmt::Write as _;
use core::ops::Range;
use std::sync::Arc;

use super::code::{Code, Severity};
use super::finding::Finding;
use super::mark::Mark;
use super::node::Node;
use super::resource_name::ResourceName;
use super::span::Part;

/// Findings of one file beyond this many are counted, not kept.
const MAX_FINDINGS_PER_FILE: usize = 1000;

/// Longer keys are cut in paths.
const MAX_KEY_SHOWN: usize = 100;

fn shortened(key: &str) -> &str {
    key.char_indices()
        .nth(MAX_KEY_SHOWN)
        .map_or(key, |(end, _)| &key[..end])
}

/// Longer messages are cut: the user's words may be of any length.
const MAX_MESSAGE: usize = 500;

fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether a path is another one or begins with it.
fn is_at_or_below(above: &str, path: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What an API server makes of fields that it does not know, when kubectl validates as it does by default
/// (`--validate=strict`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFields {
    /// It refuses them, because the schema is structural: all of a resource, but for what the schema keeps as it is.
    Refused,
    /// It does not see them, or keeps them; nobody reads them.
    Ignored,
}

/// The path of the mapping that a field stands in.
fn parent(path: &str) -> &str {
    let end = path.rfind(['.', '[']).unwrap_or(0);
    match path.rfind("[\"") {
        Some(key) if path.ends_with("\"]") => &path[..key],
        Some(_) | None => &path[..end],
    }
}

/// A collector of findings that knows where it is.
#[derive(Debug)]
pub struct Report {
    file: Arc<str>,
    root: Arc<Node>,
    resource: Option<ResourceName>,
    path: String,
    unknown_fields: UnknownFields,
    errors_in_resource: usize,
    /// Errors that istiod passes over.
    passed_over_in_resource: usize,
    findings_in_file: usize,
    first_of_file: usize,
    first_of_document: usize,
    findings: Vec<Finding>,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// An empty report that is nowhere yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            file: Arc::from(""),
            root: Arc::new(Node::default()),
            resource: None,
            path: String::new(),
            unknown_fields: UnknownFields::Ignored,
            errors_in_resource: 0,
            passed_over_in_resource: 0,
            findings_in_file: 0,
            first_of_file: 0,
            first_of_document: 0,
            findings: Vec::new(),
        }
    }

    /// What follows is about this file.
    pub fn enter_file(&mut self, file: &Arc<str>) {
        self.file = Arc::clone(file);
        self.findings_in_file = 0;
        self.first_of_file = self.findings.len();
        self.enter_document(&Arc::new(Node::default()), None);
    }

    /// From now on an API server makes this of fields that it does not know. Returns what it made of them before.
    pub const fn see_unknown_fields(&mut self, are: UnknownFields) -> UnknownFields {
        core::mem::replace(&mut self.unknown_fields, are)
    }

    /// The code for a field that is not known here.
    #[must_use]
    pub const fn unknown_field(&self) -> Code {
        match self.unknown_fields {
            UnknownFields::Refused => Code::NoSuchField,
            UnknownFields::Ignored => Code::UnknownField,
        }
    }

    /// What follows is about this document, and this resource when it is known to be one.
    pub fn enter_document(&mut self, root: &Arc<Node>, resource: Option<ResourceName>) {
        self.root = Arc::clone(root);
        self.resource = resource;
        self.path.clear();
        self.errors_in_resource = 0;
        self.passed_over_in_resource = 0;
        self.first_of_document = self.findings.len();
    }

    /// The document turned out to be this resource. Findings about it that came before are given its name too.
    pub fn name_resource(&mut self, resource: ResourceName) {
        for finding in &mut self.findings[self.first_of_document..] {
            finding.resource = Some(resource.clone());
        }
        self.resource = Some(resource);
    }

    /// Whether the file has a finding with such a code so far.
    pub fn has_in_file(&self, is_such: impl Fn(Code) -> bool) -> bool {
        let mut found = self.findings[self.first_of_file..].iter();
        found.any(|finding| is_such(finding.code))
    }

    /// Where the first finding of the file with such a code stands.
    pub fn first_in_file(&self, is_such: impl Fn(Code) -> bool) -> Option<Mark> {
        let mut found = self.findings[self.first_of_file..].iter();
        let first = found.find(|finding| is_such(finding.code))?;
        Some(Mark {
            line: first.line,
            column: first.column,
        })
    }

    /// Forgets what was found in the file: it turned out to be something else.
    pub fn retract_file(&mut self) {
        self.findings.truncate(self.first_of_file);
        self.findings_in_file = 0;
    }

    /// Points the findings of the file, whose text this is, to what they are about, and puts them in the order of their
    /// lines.
    pub fn leave_file(&mut self, source: &[u8]) {
        for finding in &mut self.findings[self.first_of_file..] {
            finding.point(source);
        }
        self.findings[self.first_of_file..].sort_by_key(|finding| (finding.line, finding.column));
    }

    /// Runs `f` over a text that stands within the file, where `place` says.
    pub fn within<R>(&mut self, place: impl Fn(Mark) -> Mark, f: impl FnOnce(&mut Self) -> R) -> R {
        let first = self.findings.len();
        let result = f(self);
        for finding in &mut self.findings[first..] {
            let inner = Mark {
                line: finding.line,
                column: finding.column,
            };
            Mark {
                line: finding.line,
                column: finding.column,
            } = place(inner);
        }
        result
    }

    /// Runs `f` one field further down: `spec` and `http` give `spec.http`.
    pub fn field<R>(&mut self, name: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        self.down(
            |path| {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            },
            f,
        )
    }

    /// Runs `f` at an entry of the list that the path names: `spec.http[2]`.
    pub fn index<R>(&mut self, index: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        self.down(
            |path| {
                // Writing to a string can not fail.
                let _ = write!(path, "[{index}]");
            },
            f,
        )
    }

    /// Runs `f` at a key of the user's in the map that the path names: `headers["end-user"]`.
    pub fn key<R>(&mut self, key: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        self.down(
            |path| {
                let _ = write!(path, "[{:?}]", shortened(key));
            },
            f,
        )
    }

    /// Runs `f` at a key that should have been a field: written as a field where that can be read back.
    pub fn key_or_field<R>(&mut self, key: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if !key.is_empty() && key.len() <= MAX_KEY_SHOWN && key.bytes().all(is_word) {
            self.field(key, f)
        } else {
            self.key(key, f)
        }
    }

    /// Runs `f` for every item, each with its index in the path.
    pub fn each<'i, T>(&mut self, name: &str, items: &'i [T], mut f: impl FnMut(&mut Self, &'i T)) {
        self.field(name, |report| {
            for (index, item) in items.iter().enumerate() {
                report.index(index, |report| f(report, item));
            }
        });
    }

    fn down<R>(&mut self, extend: impl FnOnce(&mut String), f: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        extend(&mut self.path);
        let result = f(self);
        self.path.truncate(length);
        result
    }

    /// Tells something about the field that the path names. `help` says what to do; it may be empty.
    pub fn raise(&mut self, code: Code, message: impl Into<String>, help: impl Into<String>) {
        let at = self.root.locate(&self.path);
        let mut help = help.into();
        if help.is_empty() && code.severity() == Severity::Error && self.is_placeholder() {
            help = "it looks like a variable that was not filled in: judge what is rendered".into();
        }
        self.raise_at(at, code, message, help);
    }

    /// Tells something about a part of the text that the path names, from one byte of it to another.
    pub fn raise_within(
        &mut self,
        (text, part): (&str, Range<usize>),
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let before = self.findings.len();
        self.raise(code, message, help);
        let characters = |range: Range<usize>| text.get(range).map(|text| text.chars().count());
        let part = characters(0..part.start).zip(characters(part));
        let is_kept = self.findings.len() > before && !text.is_empty();
        if let Some(finding) = self.findings.last_mut().filter(|_| is_kept) {
            finding.part = part.map(|(from, length)| Part { from, length });
        }
    }

    /// Whether the value that the path names was to be replaced by others: `$(NAME)`, `${NAME}`, `<name>`, `NAME_OF_IT`.
    fn is_placeholder(&self) -> bool {
        let text = self.root.find(&self.path).and_then(Node::text);
        let is_shouted = |word: &str| {
            let is_part = |b: u8| b.is_ascii_uppercase() || b == b'_';
            word.contains('_') && word.bytes().all(is_part)
        };
        text.is_some_and(|text| {
            text.contains("$(")
                || text.contains("{{")
                || text.contains("${")
                || text.starts_with('<') && text.ends_with('>')
                || text.split(['.', '/', '-']).any(is_shouted)
        })
    }

    /// Tells something about a field below the path.
    pub fn raise_in(
        &mut self,
        field: &str,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.field(field, |report| report.raise(code, message, help));
    }

    /// Tells something about a place that is not where the path's value stands.
    pub fn raise_at(
        &mut self,
        at: Mark,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if code.severity() == Severity::Error {
            match code.is_taken_by_istiod() {
                true => self.passed_over_in_resource += 1,
                false => self.errors_in_resource += 1,
            }
        }
        if self.follows_from_unreadable(code) {
            return;
        }
        self.findings_in_file += 1;
        if self.findings_in_file > MAX_FINDINGS_PER_FILE {
            if self.findings_in_file == MAX_FINDINGS_PER_FILE + 1 {
                self.findings.push(Finding::new(
                    Code::TooManyFindings,
                    &self.file,
                    at,
                    format!("more than {MAX_FINDINGS_PER_FILE} findings; the rest is not shown"),
                ));
            }
            return;
        }
        self.findings.push(Finding {
            resource: self.resource.clone(),
            path: self.path.clone(),
            is_consequence: self.follows_from_stray(code),
            help: bounded(help.into()),
            ..Finding::new(code, &self.file, at, bounded(message.into()))
        });
    }

    /// Whether a value could not be read, which has been told, and this is about the default that stands in for it: it
    /// is about that value or a part of it, or says that something is missing where that value is.
    fn follows_from_unreadable(&self, code: Code) -> bool {
        let told = &self.findings[self.first_of_document..];
        told.iter().any(|finding| {
            let unread = &*finding.path;
            let is_inside = || is_at_or_below(unread, &self.path);
            let is_outside = || {
                code.is_absence()
                    && unread
                        .strip_prefix(&self.path)
                        .and_then(|rest| rest.strip_prefix('.'))
                        .is_some_and(|field| !field.contains('.'))
            };
            finding.code.is_unreadable_value() && (is_inside() || is_outside())
        })
    }

    /// Whether a field that does not exist may be what this misses: in the same mapping, or, of a rule that takes too
    /// much, in a rule of the same list.
    fn follows_from_stray(&self, code: Code) -> bool {
        let told = &self.findings[self.first_of_document..];
        let strays = told.iter().filter(|finding| {
            matches!(finding.code, Code::NoSuchField | Code::UnknownTopLevelField)
        });
        let list = self.path.rsplit_once('[').map_or("", |(list, _)| list);
        strays.map(|stray| parent(&stray.path)).any(|home| {
            let is_of_rule = home
                .strip_prefix(list)
                .is_some_and(|rest| rest.starts_with('['));
            let is_here = home == self.path;
            let is_beside = || home == parent(&self.path) && !self.is_written();
            code.is_order() && is_of_rule
                || code.is_emptiness() && is_here
                || code.is_absence() && (is_here || is_beside())
        })
    }

    /// Whether something at or below a field of the path could not be read, which has been told: a check that finds
    /// nothing there says nothing new.
    #[must_use]
    pub fn is_unread(&self, field: &str) -> bool {
        let told = &self.findings[self.first_of_document..];
        told.iter().any(|finding| {
            let below = finding.path.strip_prefix(&self.path);
            let below = below.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
            finding.code.is_unreadable_value()
                && below.is_some_and(|below| is_at_or_below(field, below))
        })
    }

    /// Whether the document has a value where the path says.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.root
            .find(&self.path)
            .is_some_and(|node| !node.is_null())
    }

    /// Whether the document has errors so far that leave nothing to be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors_in_resource > 0
    }

    /// The same, of those too that istiod passes over.
    #[must_use]
    pub const fn has_any_errors(&self) -> bool {
        self.errors_in_resource + self.passed_over_in_resource > 0
    }

    /// Whether the file has so many findings that no more are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.findings_in_file > MAX_FINDINGS_PER_FILE
    }

    /// The path as it stands, such as `spec.http[2]`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The findings, in the order they were made.
    #[must_use]
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

#[cfg(test)]
mod tests;
