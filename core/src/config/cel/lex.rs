//! The words of CEL.

use core::ops::Range;

use super::Fault;

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: Range<usize>,
}

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Name(String),
    Text(String),
    Number(i64),
    /// With a point or an exponent.
    Real(f64),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "?", ":", "-",
    "+", "*", "/", "%",
];

/// Cuts a text into words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (word, end) = word(text, at, c)?;
        tokens.push(Token { word, at: at..end });
        at = end;
    }
    Ok(tokens)
}

fn word(text: &str, at: usize, first: char) -> Result<(Word, usize), Fault> {
    let rest = &text[at..];
    let is_raw = matches!(first, 'r' | 'R') && rest[1..].starts_with(['"', '\'']);
    if first == '"' || first == '\'' || is_raw {
        return quoted(text, at, is_raw);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = at + rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    if first.is_ascii_digit() {
        return number(text, at..end);
    }
    if is_part(first) {
        return Ok((Word::Name(text[at..end].to_owned()), end));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    sign.map(|sign| (Word::Sign(sign), at + sign.len()))
        .ok_or_else(|| Fault {
            message: format!("`{first}` is not understood"),
            part: at..at + first.len_utf8(),
        })
}

/// A whole number, in base 10 or 16, with a `u` that changes nothing; or one with a point or an exponent. `at` is its first
/// part.
fn number(text: &str, at: Range<usize>) -> Result<(Word, usize), Fault> {
    let end = end_of_real(text, &at);
    let whole = &text[at.start..end];
    let digits = whole.trim_end_matches(['u', 'U']);
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let word = match hex {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(Word::Number),
        None => digits.parse().ok().map(Word::Number).or_else(|| {
            let real = whole.parse::<f64>().ok()?;
            let is_real = whole.contains(['.', 'e', 'E']) && real.is_finite();
            is_real.then_some(Word::Real(real))
        }),
    };
    word.map(|word| (word, end)).ok_or_else(|| Fault {
        message: "this is no number that is understood".into(),
        part: at.start..end,
    })
}

/// Where a number ends that may have a point, behind which digits stand, and an exponent with a sign.
fn end_of_real(text: &str, at: &Range<usize>) -> usize {
    let part_from = |from: usize| {
        let rest = &text[from..];
        from + rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len())
    };
    let is_digit = |at: usize| text[at..].starts_with(|c: char| c.is_ascii_digit());
    let is_hex = text[at.clone()].starts_with("0x") || text[at.clone()].starts_with("0X");
    if is_hex {
        return at.end;
    }
    let mut end = at.end;
    if text[end..].starts_with('.') && is_digit(end + 1) {
        end = part_from(end + 1);
    }
    let has_exponent = text[at.start..end].ends_with(['e', 'E']);
    if has_exponent && text[end..].starts_with(['+', '-']) && is_digit(end + 1) {
        end = part_from(end + 1);
    }
    end
}

fn quoted(text: &str, at: usize, is_raw: bool) -> Result<(Word, usize), Fault> {
    let unclosed = || Fault {
        message: "the text has no end".into(),
        part: at..text.len(),
    };
    let begin = at + usize::from(is_raw);
    let mut chars = text[begin..].char_indices();
    let Some((_, quote)) = chars.next() else {
        return Err(unclosed());
    };
    let mut value = String::new();
    while let Some((offset, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Word::Text(value), begin + offset + 1)),
            '\\' if !is_raw => {
                let (_, escaped) = chars.next().ok_or_else(unclosed)?;
                value.push(match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '\\' | '"' | '\'' | '`' | '?' => escaped,
                    other => {
                        return Err(Fault {
                            message: format!("`\\{other}` is not understood"),
                            part: begin + offset..begin + offset + 1 + other.len_utf8(),
                        });
                    }
                });
            }
            c => value.push(c),
        }
    }
    Err(unclosed())
}
