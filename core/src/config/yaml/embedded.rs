//! A document that stands as text in another one, and where its lines and columns are there.
//!
//! Text may be quoted, folded, escaped or indented, in ways that leave everything but blanks as it is or write it as an
//! escape. So the two are walked side by side, blanks apart, until the place is reached.

use core::iter::Peekable;
use core::str::Chars;

use super::documents::BYTE_ORDER_MARK;
use crate::config::mark::Mark;
use crate::config::node::Entry;

/// The text of a value.
#[derive(Clone, Copy, Debug)]
pub struct Embedded<'a> {
    outer: &'a [u8],
    entry: &'a Entry,
    text: &'a str,
}

impl<'a> Embedded<'a> {
    /// The text of an entry in the file `outer`; `None` when its value is no text.
    #[must_use]
    pub fn new(outer: &'a [u8], entry: &'a Entry) -> Option<Self> {
        let text = entry.value.text()?;
        let outer = outer.strip_prefix(BYTE_ORDER_MARK).unwrap_or(outer);
        Some(Self { outer, entry, text })
    }

    /// The text, as it is meant.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Where a place in the text stands in the file; the key, where that can not be told.
    #[must_use]
    pub fn place(&self, inner: Mark) -> Mark {
        self.walk(inner).unwrap_or(self.entry.at)
    }

    fn walk(&self, inner: Mark) -> Option<Mark> {
        let mut written =
            Written::new(core::str::from_utf8(self.outer).ok()?, self.entry.value.at)?;
        let mut meant = Walk::new(self.text);
        let wanted = (inner.line, inner.column);
        let mut last = None;
        while let Some((c, at)) = meant.next().filter(|_| inner.line > 0) {
            if is_blank(c) {
                continue;
            }
            let (same, there) = written.next()?;
            if same != c {
                return None;
            }
            if (at.line, at.column) >= wanted {
                return Some(there);
            }
            last = Some(there);
        }
        // At the end, such as of a text that breaks off.
        last
    }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The characters of a text and where they stand.
struct Walk<'a> {
    rest: Peekable<Chars<'a>>,
    at: Mark,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars().peekable(),
            at: Mark { line: 1, column: 1 },
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = (char, Mark);

    fn next(&mut self) -> Option<(char, Mark)> {
        let (c, at) = (self.rest.next()?, self.at);
        // A line ends with LF, CRLF or CR alone (YAML 1.2 §5.4).
        let ends = c == '\n' || c == '\r' && self.rest.peek() != Some(&'\n');
        self.at = match ends {
            true => Mark {
                line: at.line + 1,
                column: 1,
            },
            false => Mark {
                column: at.column + 1,
                ..at
            },
        };
        Some((c, at))
    }
}

/// The characters that a scalar stands for, but for blanks, and where they are written.
struct Written<'a> {
    walk: Walk<'a>,
    style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// As it stands: plain text or a block.
    Bare,
    /// `'`
    Single,
    /// `"`
    Double,
}

impl<'a> Written<'a> {
    /// The scalar that begins at a place.
    fn new(text: &'a str, begin: Mark) -> Option<Self> {
        let mut walk = Walk::new(text);
        while walk.at != begin {
            walk.next()?;
        }
        let style = match walk.rest.peek()? {
            '\'' => Style::Single,
            '"' => Style::Double,
            '|' | '>' => {
                // The header of a block, with its indicators and a comment.
                while walk.at.line == begin.line {
                    walk.next()?;
                }
                return Some(Self {
                    walk,
                    style: Style::Bare,
                });
            }
            _ => Style::Bare,
        };
        if style != Style::Bare {
            walk.next();
        }
        Some(Self { walk, style })
    }

    /// The next character, a blank maybe.
    fn character(&mut self) -> Option<(char, Mark)> {
        let (c, at) = self.walk.next()?;
        let c = match (self.style, c) {
            (Style::Single, '\'') => self.walk.next().filter(|(c, _)| *c == '\'')?.0,
            (Style::Double, '"') => return None,
            (Style::Double, '\\') => self.escaped()?,
            (Style::Bare | Style::Single | Style::Double, c) => c,
        };
        Some((c, at))
    }

    /// What stands behind a backslash (YAML 1.2 §5.7).
    fn escaped(&mut self) -> Option<char> {
        let (c, _) = self.walk.next()?;
        Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'e' => '\u{1b}',
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' => char::from_u32(self.hex(2)?)?,
            'u' => char::from_u32(self.hex(4)?)?,
            'U' => char::from_u32(self.hex(8)?)?,
            other => other,
        })
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        (0..digits).try_fold(0, |number, _| {
            let digit = self.walk.next()?.0.to_digit(16)?;
            Some(number << 4 | digit)
        })
    }
}

impl Iterator for Written<'_> {
    type Item = (char, Mark);

    fn next(&mut self) -> Option<(char, Mark)> {
        loop {
            let found = self.character()?;
            if !is_blank(found.0) {
                return Some(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::report::Report;
    use crate::config::yaml::read;

    /// In every style, each word of the text is found where it is written.
    #[test]
    fn words_are_found_where_they_are_written() {
        for outer in [
            "k:\n  mesh: |-\n    one: 1\n\n    two:\n      three: [a, b]\n",
            "k:\n  mesh: |2-  # a comment\n    one: 1\n    two: three\n",
            "k: {a: 1, mesh: \"one: 1\\ntwo:\\n  \\\"three\\\": \\u0061\\U0001f600x\"}\n",
            "k:\n  mesh: \"one: 1\n\n    two: \\\n    three\"\n",
            "k:\n  mesh: 'one: ''1''\n\n\n    two: three'\n",
            "k:\n  mesh: >\n    one: 1\n\n    two:\n      three: 3\n\n    four\n",
            "k:\n  mesh: one is\n    two three\n",
            "k:\r\n  mesh: |\r\n    one: 1\r\n    é two: three\r\n",
            "\u{feff}k:\n  mesh: |\n    one: 1\n    two: three\n",
        ] {
            let mut report = Report::new();
            let documents = read(outer.as_bytes(), &mut report);
            let entry = documents[0]
                .entry("k")
                .unwrap()
                .value
                .entry("mesh")
                .unwrap();
            let embedded = Embedded::new(outer.as_bytes(), entry).unwrap();
            let outer = outer.trim_start_matches('\u{feff}');
            for word in ["one", "two", "three", "four"] {
                let place = |text| place_of(text, word);
                let Some(inner) = place(embedded.text()) else {
                    continue;
                };
                assert_eq!(
                    Some(embedded.place(inner)),
                    place(outer),
                    "{word} in {outer}"
                );
            }
        }
    }

    fn place_of(text: &str, word: &str) -> Option<Mark> {
        let mut walk = Walk::new(text);
        for _ in text[..text.find(word)?].chars() {
            walk.next();
        }
        Some(walk.at)
    }

    #[test]
    fn what_cannot_be_told_is_at_the_key() {
        let outer = "a: &a |\n  one: 1\nk:\n  mesh: *a\n";
        let documents = read(outer.as_bytes(), &mut Report::new());
        let entry = documents[0]
            .entry("k")
            .unwrap()
            .value
            .entry("mesh")
            .unwrap();
        let embedded = Embedded::new(outer.as_bytes(), entry).unwrap();
        let key = Mark { line: 4, column: 3 };
        for inner in [Mark { line: 1, column: 1 }, Mark::default()] {
            assert_eq!(embedded.place(inner), key);
        }
    }
}
