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
    let Some(at) = memchr::memchr3(b'\r', b'\n', 0, &text[from..]) else {
        return Ok(None);
    };
    let end = from + at;
    match text[end..] {
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(end)),
        _ => Err(format!("control characters in a head: {:?}", latin1(text))),
    }
}

/// Where name and value lie in a field line.
fn field(line: &[u8]) -> Result<(Range<usize>, Range<usize>), String> {
    let colon = memchr::memchr(b':', line);
    let colon = colon.ok_or_else(|| format!("field line `{}`", latin1(line)))?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    if colon == 0 || line[..colon].iter().any(is_blank) {
        return Err(format!("field name `{}`", latin1(&line[..colon])));
    }
    let (mut from, mut to) = (colon + 1, line.len());
    while from < to && is_blank(&line[from]) {
        from += 1;
    }
    while from < to && is_blank(&line[to - 1]) {
        to -= 1;
    }
    Ok((0..colon, from..to))
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
