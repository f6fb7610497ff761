//! RE2's syntax in the words of the `regex` crate.
//!
//! Both are linear-time engines and agree on most of the syntax, but not on all: what RE2 takes literally or as ASCII
//! is rewritten, what RE2 refuses is refused, so that a pattern means here what it means to Istio and Envoy.

use core::fmt::Write as _;
use core::ops::Range;

/// RE2 refuses longer repetitions.
const MAX_REPEAT: u32 = 1000;

/// What RE2 does not accept, in words that continue "the pattern …".
pub(super) type Complaint = &'static str;

/// A pattern in the words of the `regex` crate.
pub(super) struct Translated {
    pub(super) text: String,
    /// Where each item of the pattern begins, in the text and in the pattern.
    items: Vec<(usize, usize)>,
    length: usize,
}

impl Translated {
    /// Which bytes of the pattern became a part of the text.
    pub(super) fn original(&self, part: Range<usize>) -> Range<usize> {
        let place = |at: usize| {
            let next = self.items.partition_point(|(begins, _)| *begins <= at);
            let until = self.items.get(next).map_or(self.length, |item| item.1);
            let (begins, item) = self.items[..next].last().copied().unwrap_or_default();
            (item + (at - begins)).min(until)
        };
        place(part.start)..place(part.end)
    }
}

/// Rewrites a pattern of RE2. The result may still be refused by the `regex` crate, for the reasons RE2 has too.
///
/// # Errors
/// What RE2 does not accept, and which bytes of the pattern that is.
pub(super) fn translate(pattern: &str) -> Result<Translated, (Complaint, Range<usize>)> {
    let mut translator = Translator {
        length: pattern.len(),
        rest: pattern,
        out: String::with_capacity(pattern.len()),
        items: Vec::new(),
    };
    let run = translator.run();
    let read = pattern.len() - translator.rest.len();
    let Translator { out, items, .. } = translator;
    match run {
        Ok(()) => Ok(Translated {
            text: out,
            items,
            length: pattern.len(),
        }),
        Err(why) => Err((why, items.last().map_or(0, |item| item.1)..read)),
    }
}

/// What was read last, for what may follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Something a quantifier may follow.
    Item,
    /// A quantifier, which takes one `?` and nothing more.
    Quantifier,
    /// A quantifier with its `?`.
    Lazy,
}

struct Translator<'p> {
    length: usize,
    rest: &'p str,
    out: String,
    items: Vec<(usize, usize)>,
}

impl Translator<'_> {
    /// Something begins here that is rewritten as a whole.
    fn begin_item(&mut self) {
        self.items
            .push((self.out.len(), self.length - self.rest.len()));
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn run(&mut self) -> Result<(), Complaint> {
        let mut last = Last::Item;
        loop {
            self.begin_item();
            let Some(c) = self.next() else { return Ok(()) };
            last = match c {
                '*' | '+' => self.quantifier(c, last)?,
                '?' if last == Last::Quantifier => {
                    self.out.push('?');
                    Last::Lazy
                }
                '?' => self.quantifier(c, last)?,
                '{' => self.braces(last)?,
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                other => {
                    self.out.push(other);
                    Last::Item
                }
            };
        }
    }

    fn quantifier(&mut self, c: char, last: Last) -> Result<Last, Complaint> {
        if last != Last::Item {
            return Err("repeats a repetition, which RE2 does not have");
        }
        self.out.push(c);
        Ok(Last::Quantifier)
    }

    /// `{2}`, `{2,}`, `{2,5}`; any other brace is an ordinary character to RE2.
    fn braces(&mut self, last: Last) -> Result<Last, Complaint> {
        let Some((inner, after)) = self.rest.split_once('}') else {
            self.out.push_str("\\{");
            return Ok(Last::Item);
        };
        let (min, max) = inner.split_once(',').unwrap_or((inner, ""));
        let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !is_number(min) || !(max.is_empty() || is_number(max)) {
            self.out.push_str("\\{");
            return Ok(Last::Item);
        }
        self.rest = after;
        let fits = |s: &str| s.is_empty() || s.parse::<u32>().is_ok_and(|n| n <= MAX_REPEAT);
        if !fits(min) || !fits(max) {
            return Err("repeats more than 1000 times");
        }
        if last != Last::Item {
            return Err("repeats a repetition, which RE2 does not have");
        }
        let _ = write!(self.out, "{{{inner}}}");
        Ok(Last::Quantifier)
    }

    /// An escape outside a class.
    fn escape(&mut self) -> Result<Last, Complaint> {
        match self.next().ok_or("ends with a backslash")? {
            'Q' => self.literal(),
            'C' => self.out.push_str("(?s-u:.)"),
            c @ ('d' | 'D' | 'w' | 'W' | 's' | 'S' | 'b' | 'B') => {
                let _ = match c {
                    // RE2's `\s` has no vertical tab.
                    's' => write!(self.out, "[\\t\\n\\f\\r ]"),
                    'S' => write!(self.out, "[^\\t\\n\\f\\r ]"),
                    // Bytes outside ASCII are no word characters, and a character is matched whole.
                    'D' => write!(self.out, "[^0-9]"),
                    'W' => write!(self.out, "[^0-9A-Za-z_]"),
                    _ => write!(self.out, "(?-u:\\{c})"),
                };
            }
            c @ ('A' | 'z') => {
                let _ = write!(self.out, "\\{c}");
            }
            c => self.shared_escape(c)?,
        }
        Ok(Last::Item)
    }

    /// `\Q…\E`.
    fn literal(&mut self) {
        let (text, after) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.out.push_str("(?:");
        self.out.push_str(&regex::escape(text));
        self.out.push(')');
        self.rest = after;
    }

    /// Escapes that mean the same inside and outside a class.
    fn shared_escape(&mut self, c: char) -> Result<(), Complaint> {
        match c {
            'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => {
                let _ = write!(self.out, "\\{c}");
            }
            '0'..='7' => self.octal(c)?,
            _ if c.is_ascii_punctuation() => self
                .out
                .push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            _ if c.is_ascii_alphanumeric() => {
                return Err("has an escape that RE2 does not have");
            }
            other => self.out.push(other),
        }
        Ok(())
    }

    /// `\0` to `\377`; one digit other than zero would be a back-reference.
    fn octal(&mut self, first: char) -> Result<(), Complaint> {
        let digit = |c: char| c.to_digit(8);
        let mut value = digit(first).unwrap_or(0);
        let mut count = 1;
        while count < 3
            && let Some(next) = self.rest.chars().next().and_then(digit)
        {
            self.next();
            value = value * 8 + next;
            count += 1;
        }
        if first != '0' && count == 1 {
            return Err("has a back-reference, which RE2 does not have");
        }
        let _ = write!(self.out, "\\x{{{value:X}}}");
        Ok(())
    }

    /// A bracket expression. RE2 has no nested classes and no set operations: their characters are ordinary.
    fn class(&mut self) -> Result<Last, Complaint> {
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        if self.eat("]") {
            self.out.push_str("\\]");
        }
        let class = self.items.len();
        loop {
            self.begin_item();
            let Some(c) = self.next() else {
                // The bracket is at fault, not what stands in it.
                self.items.truncate(class);
                return Err("has a `[` without `]`");
            };
            match c {
                ']' => break,
                '[' if self.rest.starts_with(':') && self.rest.contains(":]") => {
                    let (name, after) = self.rest.split_once(":]").unwrap_or_default();
                    let _ = write!(self.out, "[{name}:]");
                    self.rest = after;
                }
                c @ ('[' | '&' | '~') => {
                    let _ = write!(self.out, "\\{c}");
                }
                '\\' => match self.next().ok_or("ends with a backslash")? {
                    'd' => self.out.push_str("0-9"),
                    'w' => self.out.push_str("0-9A-Za-z_"),
                    's' => self.out.push_str("\\t\\n\\f\\r "),
                    'D' => self.out.push_str("[^0-9]"),
                    'W' => self.out.push_str("[^0-9A-Za-z_]"),
                    'S' => self.out.push_str("[^\\t\\n\\f\\r ]"),
                    c => self.shared_escape(c)?,
                },
                other => self.out.push(other),
            }
        }
        self.out.push(']');
        Ok(Last::Item)
    }

    /// The beginning of a group: plain, named, or with flags.
    fn group(&mut self) -> Result<Last, Complaint> {
        self.out.push('(');
        if !self.eat("?") {
            return Ok(Last::Item);
        }
        self.out.push('?');
        if self.rest.starts_with(['=', '!'])
            || self.rest.starts_with("<=")
            || self.rest.starts_with("<!")
        {
            return Err("has look-around, which RE2 does not have");
        }
        if self.rest.starts_with('<') || self.rest.starts_with("P<") {
            return Ok(Last::Item);
        }
        let end = self.rest.find([':', ')']).ok_or("has a `(` without `)`")?;
        if !self.rest[..end]
            .chars()
            .all(|c| matches!(c, 'i' | 'm' | 's' | 'U' | '-'))
        {
            return Err("has a group or flag that RE2 does not have");
        }
        // The colon or parenthesis goes with the flags: `(?i)` is no group.
        self.out.push_str(&self.rest[..=end]);
        self.rest = &self.rest[end + 1..];
        Ok(Last::Item)
    }
}

#[cfg(test)]
mod tests {
    use regex::bytes::Regex;

    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_re2() {
        // Pattern, texts that match as a whole, texts that do not.
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("/v[0-9]+/.*", &["/v1/", "/v10/x"], &["/v/", "/v1"]),
            (r"\d+", &["12"], &["٣"]),
            (r"\w", &["a", "_"], &["é"]),
            (r"\W", &["é", "-"], &["a"]),
            (r"[\d.]+", &["1.2"], &["a"]),
            (r"[\Dx]", &["a", "x"], &["1"]),
            ("/a/{id}", &["/a/{id}"], &["/a/1"]),
            ("a{,2}", &["a{,2}"], &["aa"]),
            ("a{2}", &["aa"], &["a"]),
            ("a{1,2}?", &["aa"], &["aaa"]),
            ("[a&&b]+", &["a&b"], &["c"]),
            ("[[a]+", &["[a"], &["b"]),
            ("[]a]+", &["]a"], &["b"]),
            ("[^]a]+", &["bc"], &["]"]),
            ("[[:alpha:]]+", &["ab"], &["1", ":"]),
            ("[[:^digit:]]", &["a"], &["1"]),
            ("[[:a]", &["[", ":", "a"], &["b"]),
            ("[[a][[:digit:]]", &["[1", "a2"], &["b1", "[a"]),
            (r"\Qa.b\E+", &["a.b", "a.ba.b"], &["axb"]),
            (r"\Qa.b", &["a.b"], &["axb"]),
            (r"\/\-\_\<", &["/-_<"], &["/-_"]),
            (r"\101\x42", &["AB"], &["A"]),
            ("(?i)abc", &["ABC"], &["ABD"]),
            ("(?P<n>a)(?:b)", &["ab"], &["a"]),
            ("a++b|x", &[], &[]),
        ];
        for (pattern, matching, other) in cases {
            let Ok(Translated {
                text: translated, ..
            }) = translate(pattern)
            else {
                assert!(matching.is_empty(), "{pattern} is refused");
                continue;
            };
            let regex = Regex::new(&format!(r"\A(?:{translated})\z"))
                .unwrap_or_else(|error| panic!("{pattern}: {error}"));
            for text in *matching {
                assert!(
                    regex.is_match(text.as_bytes()),
                    "{pattern} does not match {text}"
                );
            }
            for text in *other {
                assert!(!regex.is_match(text.as_bytes()), "{pattern} matches {text}");
            }
        }
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        let cases = [
            r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(?>a)", "(?x)a b", "(?u)a", "a**",
            "a{2}{3}", "a+*", "a{1001}", r"\h", r"\Z", r"\u0041", "a\\", "[a", "(?i",
        ];
        for pattern in cases {
            assert!(translate(pattern).is_err(), "{pattern} is accepted");
        }
    }
}
