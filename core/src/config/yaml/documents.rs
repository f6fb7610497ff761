//! Splits a file into its YAML documents, so that a bad one does not hide the others.
//!
//! A line that begins with `---` or `...` ends a document wherever it stands (YAML 1.2 §9.1.2): no scalar and no
//! flow collection may contain one. So the split needs no parser. JSON values may follow each other without a marker,
//! as kubectl takes them; their own grammar says where each ends.

use serde::de::IgnoredAny;

use crate::config::mark::Mark;

/// What may stand before the text of a document, and is none of it (YAML 1.2 §5.2).
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A part of a file with at most one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// Its bytes, markers included.
    pub(super) bytes: &'a [u8],
    /// How many lines stand before it in the file.
    pub(super) lines_before: u32,
    /// How many characters stand before it on its first line.
    pub(super) columns_before: u32,
}

impl Chunk<'_> {
    /// The place in the file of a line of the chunk, from 1, and a column, from 0.
    pub(super) fn mark(&self, line: usize, column: usize) -> Mark {
        let before = if line == 1 { self.columns_before } else { 0 };
        Mark {
            line: saturate(line).saturating_add(self.lines_before),
            column: saturate(column).saturating_add(before).saturating_add(1),
        }
    }

    /// The place in the file where a beginning of the chunk ends.
    pub(super) fn end_of(&self, beginning: &str) -> Mark {
        let (line, column) = walk(beginning);
        self.mark(line + 1, column)
    }
}

fn saturate(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// How many line breaks a text has, and how many characters stand behind the last.
fn walk(text: &str) -> (usize, usize) {
    let bytes = text.as_bytes();
    let (mut lines, mut from) = (0, 0);
    for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
        if bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n') {
            lines += 1;
        }
        from = at + 1;
    }
    (lines, text[from..].chars().count())
}

/// The JSON values of a chunk that holds nothing else but, at its end, perhaps something broken. None if the chunk is a
/// document as it stands: of a single value, or no JSON.
pub(super) fn json_values(chunk: Chunk<'_>) -> Vec<Chunk<'_>> {
    let Ok(text) = core::str::from_utf8(chunk.bytes) else {
        return Vec::new();
    };
    let mut start = text.strip_prefix("---").map_or(0, |_| 3);
    let mut values = Vec::new();
    let (mut walked, mut here) = (0, chunk);
    loop {
        let rest = &text[start..];
        let value = rest.trim_ascii_start();
        start += rest.len() - value.len();
        if !value.starts_with('{') {
            break;
        }
        let mut reader = serde_json::Deserializer::from_str(value).into_iter::<IgnoredAny>();
        let is_whole = reader.next().is_some_and(|read| read.is_ok());
        if !is_whole && values.is_empty() {
            return Vec::new();
        }
        let (lines, columns) = walk(&text[walked..start]);
        let on_this_line = if lines == 0 { here.columns_before } else { 0 };
        here.lines_before = here.lines_before.saturating_add(saturate(lines));
        here.columns_before = saturate(columns).saturating_add(on_this_line);
        walked = start;
        let end = if is_whole {
            start + reader.byte_offset()
        } else {
            text.len()
        };
        here.bytes = &chunk.bytes[start..end];
        values.push(here);
        start = end;
    }
    let (begins, rest) = (text.trim_start_matches("---"), &text[start..]);
    if values.len() == 1 && !begins.starts_with('\t') || !rest.trim_ascii().is_empty() {
        return Vec::new();
    }
    values
}

/// The chunks of a file in order. Directives stay with the document that they introduce.
pub(super) fn split(bytes: &[u8]) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let (mut at, mut line) = (0, 0u32);
    let mut only_directives = true;
    while at < bytes.len() {
        let end = memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |n| at + n);
        let next = match bytes.get(end) {
            Some(b'\r') if bytes.get(end + 1) == Some(&b'\n') => end + 2,
            _ => (end + 1).min(bytes.len()),
        };
        let text = &bytes[at..end];
        let is_marker = is_marker(text, b"---");
        if is_marker && !only_directives {
            chunks.push(Chunk {
                bytes: &bytes[start..at],
                lines_before: start_line,
                columns_before: 0,
            });
            (start, start_line) = (at, line);
        }
        line = line.saturating_add(1);
        if self::is_marker(text, b"...") {
            chunks.push(Chunk {
                bytes: &bytes[start..next],
                lines_before: start_line,
                columns_before: 0,
            });
            (start, start_line, only_directives) = (next, line, true);
        } else if is_marker || !is_directive_or_blank(text) {
            only_directives = false;
        }
        at = next;
        // A file that was joined to others keeps its byte order mark, behind the marker that parts them.
        let has_mark = bytes[next..].starts_with(BYTE_ORDER_MARK);
        if has_mark && is_marker && text[3..].trim_ascii().is_empty() {
            at += BYTE_ORDER_MARK.len();
            (start, start_line) = (at, line);
        }
    }
    if start < bytes.len() {
        chunks.push(Chunk {
            bytes: &bytes[start..],
            lines_before: start_line,
            columns_before: 0,
        });
    }
    chunks
}

fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.first().is_none_or(|b| matches!(b, b' ' | b'\t')))
}

fn is_directive_or_blank(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    text.is_empty() || text.starts_with(b"#") || line.starts_with(b"%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_split_at_markers() {
        let cases: &[(&str, &[(&str, u32)])] = &[
            ("", &[]),
            ("a: 1\n", &[("a: 1\n", 0)]),
            ("a: 1\n---\nb: 2", &[("a: 1\n", 0), ("---\nb: 2", 1)]),
            ("---\na\n---\nb\n", &[("---\na\n", 0), ("---\nb\n", 2)]),
            ("a\n---\n\u{feff}b\n", &[("a\n", 0), ("b\n", 2)]),
            (
                "a\n--- c\n\u{feff}b\n",
                &[("a\n", 0), ("--- c\n\u{feff}b\n", 1)],
            ),
            ("---\n---\n", &[("---\n", 0), ("---\n", 1)]),
            (
                "# c\n%YAML 1.2\n---\na\n",
                &[("# c\n%YAML 1.2\n---\na\n", 0)],
            ),
            (
                "a\n...\n# x\n---\nb",
                &[("a\n...\n", 0), ("# x\n---\nb", 2)],
            ),
            ("a: |\n  ---\n  x\n", &[("a: |\n  ---\n  x\n", 0)]),
            ("a\r\n--- b\r\n", &[("a\r\n", 0), ("--- b\r\n", 1)]),
            ("a: ----\n----\n", &[("a: ----\n----\n", 0)]),
        ];
        for (text, expected) in cases {
            let found: Vec<_> = split(text.as_bytes())
                .iter()
                .map(|chunk| {
                    (
                        core::str::from_utf8(chunk.bytes).unwrap(),
                        chunk.lines_before,
                    )
                })
                .collect();
            assert_eq!(found, *expected, "{text:?}");
        }
    }
}
