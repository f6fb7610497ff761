//! Moves what may stand anywhere so that the parser takes it: lines of quoted text and of flow collections, comments.
//! And quotes words of flow collections that end with a colon, such as `[fd00::]`, which the parser would take for keys,
//! and lone dashes, which it refuses.
//!
//! YAML 1.2 wants them further right than their key, and no tab before them (§6.1). libyaml, and so kubectl, takes
//! them wherever they stand, and people write JSON and long annotations so. What stands before such a line is no
//! content, so another indentation changes no value. Only a text that the parser has refused comes here, or one that
//! [`has_colon_in_flow`], and the parser judges the outcome: this file finds quotes, brackets and blocks of text, and
//! checks nothing.

/// No line is indented further than this: a text that needs more stays as it is.
const MAX_INDENT: usize = 256;

/// A text with other indentation and more quotes, line by line the same otherwise (but for spaces before comments and
/// after keys).
pub(super) struct Relaxed {
    /// The text.
    pub(super) text: String,
    /// In their order.
    moved: Vec<Moved>,
}

/// A stretch of a line that has another length: its indentation, or nothing where a quote stands now.
struct Moved {
    /// From 1.
    line: usize,
    /// Where it began, in characters from 0.
    column: usize,
    before: usize,
    after: usize,
}

impl Relaxed {
    /// Where a column of the new text, from 0, stands in the original.
    pub(super) fn column(&self, line: usize, column: usize) -> usize {
        // How long the line was and is, up to the end of the last stretch that stands before the column.
        let (mut was, mut is) = (0, 0);
        let first = self.moved.partition_point(|moved| moved.line < line);
        for moved in self.moved[first..]
            .iter()
            .take_while(|moved| moved.line == line)
        {
            let begins = is + (moved.column - was);
            if column < begins {
                break;
            }
            if column < begins + moved.after {
                return moved.column + moved.before.min(column - begins);
            }
            (was, is) = (moved.column + moved.before, begins + moved.after);
        }
        was + (column - is)
    }

    /// Whether this line, from 1, has moved.
    pub(super) fn has_moved(&self, line: usize) -> bool {
        self.moved
            .binary_search_by_key(&line, |moved| moved.line)
            .is_ok()
    }
}

/// Whether a text may have a word in a flow collection that ends with a colon.
pub(super) fn has_colon_in_flow(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b':', bytes).any(|at| matches!(bytes.get(at + 1), Some(b',' | b']' | b'}')))
}

/// The text with its quoted and flow lines indented; none if that changes nothing, or if a quote or bracket stays open.
pub(super) fn relax(text: &str) -> Option<Relaxed> {
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        column: (0, 0),
        blocks: Vec::new(),
        plain: None,
        out: String::new(),
        copied: 0,
        moved: Vec::new(),
    };
    scan.document()?;
    let Scan {
        mut out,
        copied,
        moved,
        ..
    } = scan;
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(Relaxed { text: out, moved })
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// From 1.
    line: usize,
    /// A place on the current line, and how many characters stand before it.
    column: (usize, usize),
    /// The columns of the block collections that are open.
    blocks: Vec<usize>,
    /// In block style, unquoted text goes on at lines that are indented by more than `Some` of this.
    plain: Option<Option<usize>>,
    out: String,
    copied: usize,
    moved: Vec<Moved>,
}

/// Nothing: a quote or bracket stays open, or a line would have to stand too far right.
type Step = Option<()>;

impl Scan<'_> {
    fn document(&mut self) -> Step {
        while let Some(first) = self.peek() {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"---") && is_space(rest.get(3).copied()) {
                self.at += 3;
                self.tokens()?;
            } else if first == b'%' && self.blocks.is_empty() && self.plain.is_none() {
                self.skip_line();
            } else {
                self.block_line()?;
            }
        }
        Some(())
    }

    /// A line in block style, and what goes on from it on later lines.
    fn block_line(&mut self) -> Step {
        self.skip_while(|b| b == b' ');
        let indent = self.column();
        self.skip_blank();
        match self.peek() {
            Some(b'\n' | b'\r') | None => {
                self.skip_line();
                return Some(());
            }
            Some(b'#') => {
                self.plain = None;
                self.skip_line();
                return Some(());
            }
            Some(_) => {}
        }
        if let Some(parent) = self.plain
            && parent.is_none_or(|parent| indent > parent)
        {
            self.plain_rest();
            return Some(());
        }
        self.plain = None;
        while self.blocks.last().is_some_and(|open| *open > indent) {
            self.blocks.pop();
        }
        self.tokens()
    }

    /// The rest of a line in block style, where a value or a key may begin.
    fn tokens(&mut self) -> Step {
        // Where the node began that has only an anchor or a tag so far.
        let mut began = None;
        loop {
            self.skip_blank();
            let start = began.unwrap_or_else(|| self.column());
            let Some(first) = self.peek() else {
                return Some(());
            };
            match first {
                b'\n' | b'\r' | b'#' => {
                    self.skip_line();
                    return Some(());
                }
                b'-' | b'?' | b':' if is_space(self.peek_at(1)) => {
                    self.open(start);
                    self.at += 1;
                    began = None;
                }
                b'&' | b'!' => {
                    began = Some(start);
                    self.skip_while(|b| !is_space(Some(b)));
                }
                b'|' | b'>' => {
                    self.block_scalar();
                    return Some(());
                }
                b'"' | b'\'' | b'[' | b'{' | b'*' => {
                    match first {
                        b'"' | b'\'' => self.quoted()?,
                        b'[' | b'{' => self.flow()?,
                        _ => self.skip_while(|b| !is_space(Some(b))),
                    }
                    if first != b'*' {
                        self.part_comment();
                    }
                    self.skip_blank();
                    if self.peek() != Some(b':') || !is_space(self.peek_at(1)) {
                        self.skip_line();
                        return Some(());
                    }
                    self.open(start);
                    self.at += 1;
                    self.space_for_tab();
                    began = None;
                }
                _ => {
                    if !self.plain_key() {
                        return Some(());
                    }
                    self.open(start);
                    self.space_for_tab();
                    began = None;
                }
            }
        }
    }

    fn open(&mut self, column: usize) {
        if self.blocks.last().is_none_or(|open| *open < column) {
            self.blocks.push(column);
        }
    }

    /// Unquoted text up to the `:` that makes it a key, or else to the end of the line.
    fn plain_key(&mut self) -> bool {
        while let Some(b) = self.peek() {
            match b {
                b':' if is_space(self.peek_at(1)) => {
                    self.at += 1;
                    return true;
                }
                b'\n' | b'\r' => break,
                b'#' if self.at > 0 && is_space(Some(self.bytes[self.at - 1])) => {
                    self.skip_line();
                    return false;
                }
                _ => self.at += 1,
            }
        }
        self.plain = Some(self.blocks.last().copied());
        self.skip_line();
        false
    }

    /// A later line of unquoted text. A comment ends the text.
    fn plain_rest(&mut self) {
        let start = self.at;
        self.skip_while(|b| !matches!(b, b'\n' | b'\r'));
        let line = &self.bytes[start..self.at];
        if line.windows(2).any(|pair| matches!(pair, b" #" | b"\t#")) {
            self.plain = None;
        }
        self.skip_line();
    }

    /// A block of text, from its `|` or `>`: all lines that are empty or indented by more than its parent.
    fn block_scalar(&mut self) {
        let parent = self.blocks.last().copied();
        self.skip_while(|b| matches!(b, b'|' | b'>' | b'+' | b'-' | b'0'..=b'9'));
        self.part_comment();
        self.skip_line();
        while self.at < self.bytes.len() {
            let start = self.at;
            self.skip_while(|b| b == b' ');
            let indent = self.at - start;
            let is_content = matches!(self.peek(), Some(b'\n' | b'\r') | None)
                || parent.is_none_or(|parent| indent > parent);
            if !is_content {
                self.at = start;
                return;
            }
            self.skip_line();
        }
    }

    /// A comment that begins here is parted from what stands before it, as YAML 1.2 wants and libyaml does not.
    fn part_comment(&mut self) {
        if self.peek() == Some(b'#') && !is_space(Some(self.bytes[self.at - 1])) {
            self.out.push_str(&self.text[self.copied..self.at]);
            self.out.push(' ');
            self.copied = self.at;
        }
    }

    /// A tab between a key and its value may as well be a space.
    fn space_for_tab(&mut self) {
        if self.peek() == Some(b'\t') {
            self.out.push_str(&self.text[self.copied..self.at]);
            self.out.push(' ');
            self.at += 1;
            self.copied = self.at;
        }
    }

    fn quoted(&mut self) -> Step {
        let quote = self.peek()?;
        self.at += 1;
        loop {
            let b = self.peek()?;
            match b {
                b'\n' | b'\r' => self.continue_line()?,
                b'\\' if quote == b'"' && !matches!(self.peek_at(1), Some(b'\n' | b'\r')) => {
                    self.at += 2;
                }
                b if b == quote => {
                    self.at += 1;
                    // Two single quotes stand for one.
                    if quote != b'\'' || self.peek() != Some(b'\'') {
                        return Some(());
                    }
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
    }

    fn flow(&mut self) -> Step {
        let mut depth = 0usize;
        // Where the unquoted text began that goes on, and on which line.
        let mut plain = None;
        loop {
            let b = self.peek()?;
            match b {
                b'\n' | b'\r' => {
                    self.continue_line()?;
                    continue;
                }
                b' ' | b'\t' => {}
                b'#' if plain.is_none() || is_space(Some(self.bytes[self.at - 1])) => {
                    plain = None;
                    self.part_comment();
                    self.skip_while(|b| !matches!(b, b'\n' | b'\r'));
                    continue;
                }
                b'[' | b'{' => (depth, plain) = (depth + 1, None),
                b']' | b'}' => {
                    self.end_plain(plain.take());
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Some(());
                    }
                }
                b',' => self.end_plain(plain.take()),
                b':' if plain.is_none() || ends_plain(self.peek_at(1)) => {
                    plain = None;
                    self.at += 1;
                    self.space_for_tab();
                    continue;
                }
                b'"' | b'\'' if plain.is_none() => {
                    self.quoted()?;
                    continue;
                }
                _ => plain = plain.or(Some((self.at, self.line))),
            }
            self.at += 1;
        }
    }

    /// Unquoted text in flow style ends here. If it ends with a colon or is a dash, it is put in quotes.
    fn end_plain(&mut self, plain: Option<(usize, usize)>) {
        let Some((from, line)) = plain else { return };
        let end = self.at;
        let word = &self.bytes[from..end];
        let needs_quotes = word.ends_with(b":") || word == b"-";
        if !needs_quotes || line != self.line || word.contains(&b'\'') {
            return;
        }
        for at in [from, end] {
            let column = self.column_at(at);
            self.out.push_str(&self.text[self.copied..at]);
            self.out.push('\'');
            self.copied = at;
            self.moved.push(Moved {
                line: self.line,
                column,
                before: 0,
                after: 1,
            });
        }
    }

    /// Goes on to the next line within quotes or brackets, and indents it.
    fn continue_line(&mut self) -> Step {
        self.skip_line();
        let start = self.at;
        self.skip_blank();
        let before = self.at - start;
        let has_tab = self.bytes[start..self.at].contains(&b'\t');
        if matches!(self.peek(), Some(b'\n' | b'\r') | None) {
            if has_tab {
                self.out.push_str(&self.text[self.copied..start]);
                self.copied = self.at;
            }
            return Some(());
        }
        let needed = self.blocks.last().map_or(0, |open| open + 1);
        if before >= needed && !has_tab {
            return Some(());
        }
        if needed > MAX_INDENT {
            return None;
        }
        let after = before.max(needed);
        self.out.push_str(&self.text[self.copied..start]);
        self.out.extend(core::iter::repeat_n(' ', after));
        self.copied = self.at;
        self.moved.push(Moved {
            line: self.line,
            column: 0,
            before,
            after,
        });
        Some(())
    }

    /// The column of the current place, in characters from 0.
    fn column(&mut self) -> usize {
        self.column_at(self.at)
    }

    /// The column of a place on the current line, no further left than the last that was asked for.
    fn column_at(&mut self, at: usize) -> usize {
        let (from, column) = self.column;
        // Each character has one byte that does not continue another.
        let more = self.bytes[from..at]
            .iter()
            .filter(|b| **b & 0xc0 != 0x80)
            .count();
        self.column = (at, column + more);
        self.column.1
    }

    fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, matches: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&matches) {
            self.at += 1;
        }
    }

    fn skip_blank(&mut self) {
        self.skip_while(|b| matches!(b, b' ' | b'\t'));
    }

    /// Goes behind the next line break.
    fn skip_line(&mut self) {
        self.skip_while(|b| !matches!(b, b'\n' | b'\r'));
        if self.peek() == Some(b'\r') && self.peek_at(1) == Some(b'\n') {
            self.at += 1;
        }
        self.at = (self.at + 1).min(self.bytes.len());
        self.line += 1;
        self.column = (self.at, 0);
    }
}

/// White space, a line break or the end.
fn is_space(b: Option<u8>) -> bool {
    b.is_none_or(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

/// Whether unquoted text in flow style ends at a `:` with this behind it: not at one that ends a word, as kubectl has it.
fn ends_plain(b: Option<u8>) -> bool {
    is_space(b) || matches!(b, Some(b'[' | b'{' | b'?'))
}

#[cfg(test)]
#[path = "relax/tests.rs"]
mod tests;
