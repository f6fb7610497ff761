//! What a finding is about on its line: how far it goes from where it begins, and where a part of a text stands in it.
//!
//! Reads the line alone, as its author sees it. Whatever it can not make out is one character wide.

use super::code::Code;
use super::spelling::snake_case;

/// A part of the text of a scalar, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(super) from: usize,
    pub(super) length: usize,
}

/// How many characters of a line a finding with this code and path is about, from its column (from 0) on.
pub(super) fn length(line: &[char], column: usize, code: Code, path: &str) -> usize {
    let Some(rest) = line.get(column..).filter(|rest| !rest.is_empty()) else {
        return 1;
    };
    let (token, is_key) = token(line, column);
    let key: String = rest[..token].iter().collect();
    let key = key.trim_matches(['"', '\'']);
    let is_about = if is_key {
        // A mapping or its list begins with a key that may have nothing to do with it.
        code == Code::YamlDuplicateKey || last_step(path).is_some_and(|step| is_name(step, key))
    } else {
        // The parser points to where it gave up.
        !path.is_empty() || matches!(code, Code::YamlTag | Code::YamlTagIgnored)
    };
    if is_about { token.max(1) } else { 1 }
}

/// Whether a step of a path, in either spelling, is a key as it is written.
fn is_name(step: &str, key: &str) -> bool {
    step == key || snake_case(step) == key
}

/// The last name of a path: `mach` of `spec.http[0].mach`, `x-a` of `headers["x-a"]`. None where it ends with a number.
fn last_step(path: &str) -> Option<&str> {
    if let Some(quoted) = path.strip_suffix("\"]") {
        return quoted.rsplit_once("[\"").map(|(_, key)| key);
    }
    let name = path.rsplit('.').next()?;
    (!name.is_empty() && !name.ends_with(']')).then_some(name)
}

/// How long the scalar, bracket or key is that begins at a column, and whether it is a key.
fn token(line: &[char], column: usize) -> (usize, bool) {
    let rest = &line[column..];
    let is_end_of_key = |at: usize| {
        let behind = rest[at..]
            .iter()
            .position(|c| *c != ' ')
            .map(|blanks| at + blanks);
        behind.is_some_and(|colon| rest[colon] == ':' && is_blank(rest.get(colon + 1)))
    };
    match rest[0] {
        quote @ ('"' | '\'') => {
            let length = quoted_length(rest, quote).unwrap_or(rest.len());
            (length, is_end_of_key(length))
        }
        '[' | '{' => (bracket_length(rest), false),
        '|' | '>' | '&' | '*' | '!' => (
            rest.iter().position(|c| *c == ' ').unwrap_or(rest.len()),
            false,
        ),
        _ => plain_length(rest, is_in_flow(&line[..column])),
    }
}

fn is_blank(c: Option<&char>) -> bool {
    c.is_none_or(|c| *c == ' ')
}

/// With both quotes, if the second stands on the line.
fn quoted_length(text: &[char], quote: char) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            '\\' if quote == '"' => at += 2,
            c if c == quote => {
                if quote == '"' || text.get(at + 1) != Some(&quote) {
                    return Some(at + 1);
                }
                at += 2;
            }
            _ => at += 1,
        }
    }
    None
}

/// Up to the bracket that closes it, or else one character.
fn bracket_length(text: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while at < text.len() {
        match text[at] {
            quote @ ('"' | '\'') => {
                let Some(length) = quoted_length(&text[at..], quote) else {
                    return 1;
                };
                at += length;
                continue;
            }
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    1
}

/// Unquoted text, and whether it is a key.
fn plain_length(text: &[char], is_in_flow: bool) -> (usize, bool) {
    let mut length = 0;
    for (at, c) in text.iter().enumerate() {
        match c {
            ':' if is_blank(text.get(at + 1)) => return (length, true),
            '#' if at > 0 && text[at - 1] == ' ' => break,
            ',' | ']' | '}' if is_in_flow => break,
            ' ' => {}
            _ => length = at + 1,
        }
    }
    (length, false)
}

/// Whether a bracket is open where a line has come to.
fn is_in_flow(before: &[char]) -> bool {
    let (mut at, mut depth) = (0, 0i32);
    while at < before.len() {
        match before[at] {
            quote @ ('"' | '\'') if at == 0 || " [{,:".contains(before[at - 1]) => {
                let Some(length) = quoted_length(&before[at..], quote) else {
                    break;
                };
                at += length;
                continue;
            }
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    depth > 0
}

/// Where a part of a scalar's text stands on the line that the scalar begins on, at a column from 0: where it begins and
/// how long it is there. None for text that goes on on other lines.
pub(super) fn inside(line: &[char], column: usize, part: Part) -> Option<(usize, usize)> {
    let rest = line.get(column..)?;
    let steps: Vec<usize> = match rest.first()? {
        quote @ ('"' | '\'') => quoted_steps(&rest[..quoted_length(rest, *quote)?], *quote)?,
        '|' | '>' | '&' | '*' | '!' | '[' | '{' => return None,
        _ => {
            let (length, _) = plain_length(rest, is_in_flow(&line[..column]));
            (0..=length).collect()
        }
    };
    let from = *steps.get(part.from)?;
    let to = *steps
        .get(part.from + part.length)
        .or_else(|| steps.last())?;
    Some((column + from, to.saturating_sub(from).max(1)))
}

/// Where each character of a quoted text begins, and where the last ends.
fn quoted_steps(text: &[char], quote: char) -> Option<Vec<usize>> {
    let (mut steps, mut at) = (Vec::new(), 1);
    while at + 1 < text.len() {
        steps.push(at);
        at += match text[at] {
            '\'' if quote == '\'' => 2,
            '\\' if quote == '"' => match text.get(at + 1)? {
                'x' => 4,
                'u' => 6,
                'U' => 10,
                _ => 2,
            },
            _ => 1,
        };
    }
    steps.push(at);
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(line: &str) -> Vec<char> {
        line.chars().collect()
    }

    /// A line with what is about to be underlined between `«` and `»`.
    fn marked(text: &str) -> (Vec<char>, usize, usize) {
        let from = text.chars().position(|c| c == '«').unwrap();
        let to = text.chars().position(|c| c == '»').unwrap();
        (chars(&text.replace(['«', '»'], "")), from, to - from - 1)
    }

    #[test]
    fn findings_span_what_they_are_about() {
        let cases = [
            ("spec.http[0].timeout", "  timeout: «5»"),
            ("spec.http[0].timeout", "  timeout: «5 s» # long"),
            ("spec.http[0].timeout", "  - {timeout: «5 s», x: y}"),
            ("spec.http[0].timeout", "  - {timeout: «'5, s'», x: y}"),
            ("spec.http[0].retries.retryOn", "  retryOn: «5xx,reset»"),
            ("spec.http[0].mach", "  - «mach»: 5"),
            ("spec.http[0].mach", "  - {«mach»: 5}"),
            ("spec.http[0].mach", "  - «\"mach\"» : 5"),
            ("spec.http[0].perTryTimeout", "    «per_try_timeout»:"),
            ("spec.http[0].headers[\"x-a\"]", "    «x-a»:"),
            ("spec.http[0]", "  - «m»atch:"),
            ("spec.http[0].route", "    «route»:"),
            ("spec.hosts", "  hosts: «[a, 'b]']»  # c"),
            ("spec.hosts", "  hosts: «[»a,"),
            ("spec.hosts[1]", "  hosts: [a, «b»]"),
            ("spec.hosts[0]", "  - «a:80»"),
            ("spec.http[0].match[0].uri.regex", "  regex: «|»"),
            ("", "  «b»ad: c: d"),
            ("spec.hosts[0]", "  - «\"a\\\"b\"» # c"),
            ("spec.hosts[0]", "  - «'it''s'»"),
            ("spec.hosts[0]", "  - «'a\\'» # c'"),
            ("spec.hosts[0]", "  - «\"a"),
        ];
        for (path, text) in cases {
            let text = if text.contains('»') {
                text.to_owned()
            } else {
                format!("{text}»")
            };
            let (line, column, expected) = marked(&text);
            let got = length(&line, column, Code::InvalidHost, path);
            assert_eq!(got, expected, "{path} {text}");
        }
    }

    #[test]
    fn parts_are_found_in_every_style() {
        // From which character of the text, how many, and where they stand.
        for (column, from, length, text) in [
            (2, 2, 1, "a: /a«[»b"),
            (4, 2, 2, "- [ /a«[b», c]"),
            (2, 3, 1, "a: \"/a\\n«[»\""),
            (2, 3, 1, "a: \"/a\\x41«[»\""),
            (2, 3, 1, "a: \"/a\\u0041«[»\""),
            (2, 3, 1, "a: \"/a\\U00000041«[»\""),
            (2, 2, 2, "a: '/a«''b»'"),
            (2, 3, 1, "a: '/a''«[»'"),
            (2, 2, 9, "a: '/a«(b»'"),
            (2, 4, 1, "a: /a(b«»"),
        ] {
            let text = text.to_owned();
            let (line, start, expected) = marked(&text);
            let column = column + usize::from(line.get(column) == Some(&' '));
            let found = inside(&line, column, Part { from, length });
            assert_eq!(found, Some((start, expected.max(1))), "{text}");
        }
        for text in ["a: |", "a: \"b", "a: >-"] {
            assert_eq!(
                inside(&chars(text), 3, Part { from: 0, length: 1 }),
                None,
                "{text}"
            );
        }
    }
}
