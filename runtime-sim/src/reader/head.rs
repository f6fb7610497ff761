//! Heads as they stand on the wire: the first line, and where the fields lie.

use std::ops::Range;

/// A head: its first line and its fields, as they stood on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The request or status line.
    pub line: String,
    /// Names as sent, values without surrounding blanks, in order.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// The values of a field, by name in any case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// Whether a comma-separated field has this token, in any case.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let mut values = self.values(name);
        values.any(|value| names_token(value.as_bytes(), token))
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        status(self.line.as_bytes())
    }
}

/// A head, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct HeadSeen<'a> {
    text: &'a [u8],
    places: &'a Places,
}

impl<'a> HeadSeen<'a> {
    /// The request or status line.
    #[must_use]
    pub fn line(&self) -> &'a [u8] {
        &self.text[..self.places.line]
    }

    /// The values of a field, by name in any case, without surrounding blanks.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let text = self.text;
        let named = self.places.fields.iter().filter(move |(at, _)| {
            at.len() == name.len() && text[at.clone()].eq_ignore_ascii_case(name.as_bytes())
        });
        named.map(move |(_, at)| &text[at.clone()])
    }

    /// All fields in order: names as sent, values without surrounding blanks.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let text = self.text;
        let fields = self.places.fields.iter();
        fields.map(move |(name, value)| (&text[name.clone()], &text[value.clone()]))
    }

    /// Whether a comma-separated field has this token, in any case.
    #[must_use]
    pub fn has_token(&self, name: &'static str, token: &str) -> bool {
        self.values(name).any(|value| names_token(value, token))
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        status(self.line())
    }

    /// A copy.
    #[must_use]
    pub fn to_head(&self) -> Head {
        let text = |at: &Range<usize>| latin1(&self.text[at.clone()]);
        let fields = self.places.fields.iter();
        Head {
            line: latin1(self.line()),
            fields: fields
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        }
    }
}

/// Where the parts of a head lie in its text. Used again for the next head.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The length of the first line.
    line: usize,
    /// Name and value.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Places {
    pub(super) const fn new() -> Self {
        Self {
            line: 0,
            fields: Vec::new(),
        }
    }

    pub(super) const fn show<'a>(&'a self, text: &'a [u8]) -> HeadSeen<'a> {
        HeadSeen { text, places: self }
    }

    /// Finds the parts of a head, and where the empty line at its end is over; `None` when it is not all there.
    pub(super) fn find(&mut self, text: &[u8]) -> Result<Option<usize>, String> {
        self.fields.clear();
        let Some(mut end) = line_end(text, 0)? else {
            return Ok(None);
        };
        self.line = end;
        loop {
            let from = end + 2;
            match line_end(text, from)? {
                None => return Ok(None),
                Some(empty) if empty == from => return Ok(Some(from + 2)),
                Some(next) => end = next,
            }
            let (name, value) = field(&text[from..end])?;
            let at = |place: Range<usize>| from + place.start..from + place.end;
            self.fields.push((at(name), at(value)));
        }
    }
}

/// Where the line that begins here ends, at CR LF; `None` when its end is not there yet.
fn line_end(text: &[u8], from: usize) -> Result<Option<usize>, String> {
    let mut at = from;
    let end = loop {
        let Some(found) = position(&text[at..], below_blank, |byte| byte < b' ') else {
            return Ok(None);
        };
        at += found;
        if matches!(text[at], b'\r' | b'\n' | 0) {
            break at;
        }
        at += 1;
    };
    match text[end..] {
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(end)),
        _ => Err(format!("control characters in a head: {:?}", latin1(text))),
    }
}

/// Where name and value lie in a field line.
fn field(line: &[u8]) -> Result<(Range<usize>, Range<usize>), String> {
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let ends = |word| equal(word, b':') | equal(word, b' ') | equal(word, b'\t');
    let end = position(line, ends, |byte| byte == b':' || is_blank(byte));
    let Some(colon) = end.filter(|end| *end > 0 && line[*end] == b':') else {
        return Err(match line.iter().position(|byte| *byte == b':') {
            Some(colon) => format!("field name `{}`", latin1(&line[..colon])),
            None => format!("field line `{}`", latin1(line)),
        });
    };
    let (mut from, mut to) = (colon + 1, line.len());
    while from < to && is_blank(line[from]) {
        from += 1;
    }
    while from < to && is_blank(line[to - 1]) {
        to -= 1;
    }
    Ok((0..colon, from..to))
}

/// The low bit of each byte, and the high one.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// The high bit of the first byte that is below a blank, and perhaps of some after it.
const fn below_blank(word: u64) -> u64 {
    word.wrapping_sub(LOW * b' ' as u64) & !word & HIGH
}

/// The high bit of the first byte that is this one, and perhaps of some after it.
const fn equal(word: u64, byte: u8) -> u64 {
    let others = word ^ (LOW * byte as u64);
    others.wrapping_sub(LOW) & !others & HIGH
}

/// The first byte that `is_it`, of which `marks` gives the high bit of the first in eight. What stands in a line of a head is so short
/// that this is quicker than a search that begins by asking which processor this is.
fn position(text: &[u8], marks: impl Fn(u64) -> u64, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = text.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return Some(8 * at + marked.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| is_it(*byte));
    found.map(|at| 8 * words.len() + at)
}

/// A field of a trailer section.
pub(super) fn trailer(line: &str) -> Result<(String, String), String> {
    let line: Vec<u8> = line.chars().map(|c| c as u8).collect();
    let (name, value) = field(&line)?;
    Ok((latin1(&line[name]), latin1(&line[value])))
}

fn names_token(value: &[u8], token: &str) -> bool {
    let mut tokens = value.split(|byte| *byte == b',');
    tokens.any(|t| t.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

fn status(line: &[u8]) -> Option<u16> {
    let word = line.split(|byte| *byte == b' ').nth(1)?;
    u16::try_from(number(word)?).ok()
}

/// A number in decimal digits and nothing else.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

pub(super) fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, pattern)
}

/// Every byte as the character of the same number.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes around those that are looked for, and those that differ from them in one bit.
    const BYTES: [u8; 12] = [
        0, 1, b'\t', b'\n', 31, b' ', b'!', b':', b';', b'a', 0x8a, 0xff,
    ];

    #[test]
    fn eight_bytes_at_once_say_what_one_after_the_other_does() {
        let is_end = |byte| matches!(byte, b':' | b' ' | b'\t');
        let ends = |word| equal(word, b':') | equal(word, b' ') | equal(word, b'\t');
        for length in 0..20 {
            for place in 0..length {
                for (first, second) in BYTES.iter().flat_map(|a| BYTES.map(|b| (*a, b))) {
                    let mut text = vec![b'x'; length];
                    text[place] = first;
                    if let Some(next) = text.get_mut(place + 1) {
                        *next = second;
                    }
                    let below = text.iter().position(|byte| *byte < b' ');
                    assert_eq!(position(&text, below_blank, |byte| byte < b' '), below);
                    let end = text.iter().position(|byte| is_end(*byte));
                    assert_eq!(position(&text, ends, is_end), end, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn fields_are_taken_apart() {
        for (line, want) in [
            ("a: b", Ok(("a", "b"))),
            (
                "name-of-more-than-eight:\t b c \t",
                Ok(("name-of-more-than-eight", "b c")),
            ),
            ("a:", Ok(("a", ""))),
            ("a::b", Ok(("a", ":b"))),
            (": b", Err("field name ``")),
            ("a b: c", Err("field name `a b`")),
            ("a : c", Err("field name `a `")),
            ("a b", Err("field line `a b`")),
            ("", Err("field line ``")),
        ] {
            let found = field(line.as_bytes());
            let found = found
                .as_ref()
                .map(|(name, value)| (&line[name.clone()], &line[value.clone()]));
            assert_eq!(found.map_err(|what| &**what), want, "{line}");
        }
    }
}
