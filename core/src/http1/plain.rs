//! Heads as nearly all are: every line is what would be written of it. One pass finds the end, tells the fields apart and judges
//! each octet.
//!
//! What is not so, or perhaps not whole, is left to the other way, which reads everything that may be read and says what is wrong
//! with the rest ([`super::lines`], `httparse`); nothing is refused here.

use smallvec::SmallVec;

use super::limits::{Limits, MAX_FIELDS};
use crate::message::{Headers, InsertError, next_control, next_no_name};

/// How long the names and values of fields are; of so many on the stack.
pub(super) type Lengths = SmallVec<[(u16, u32); 64]>;

/// A head of which every line is what would be written of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain<'a> {
    /// Without its line end.
    pub(super) first_line: &'a [u8],
    /// The lines of its fields, with their ends.
    section: &'a [u8],
    /// Octets of the head, its empty line included.
    pub(super) len: usize,
}

impl<'a> Plain<'a> {
    /// Reads the head that `bytes` begin with, and how long its names and values are. `None` says nothing about it.
    pub(super) fn read(bytes: &'a [u8], limits: &Limits, lengths: &mut Lengths) -> Option<Self> {
        let first_end = next_control(bytes, 0)?;
        let first_line = bytes.get(..first_end)?;
        let most = limits.fields.min(MAX_FIELDS);
        let begins = after_line_end(bytes, first_end)?;
        let mut at = begins;
        while *bytes.get(at)? != b'\r' {
            let name_end = next_no_name(bytes, at)?;
            let value = name_end + b": ".len();
            if name_end == at || bytes.get(name_end..value)? != b": " {
                return None;
            }
            let end = next_control(bytes, value)?;
            let next = after_line_end(bytes, end)?;
            // Blanks around a value are none of it (RFC 9110 §5.5).
            let is_trimmed = bytes[value] != b' ' && bytes[end - 1] != b' ' || end == value;
            if !is_trimmed || lengths.len() == most {
                return None;
            }
            lengths.push((u16::try_from(name_end - at).ok()?, (end - value) as u32));
            at = next;
        }
        let len = after_line_end(bytes, at)?;
        Some(Self {
            first_line,
            section: &bytes[begins..at],
            len,
        })
    }

    /// Copies its fields, which are so long.
    pub(super) fn copy(self, lengths: &Lengths, into: &mut Headers) -> Result<(), InsertError> {
        into.append_lines(self.section, lengths)
    }
}

/// Where the next line begins, if a line ends there.
fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    let behind = at + b"\r\n".len();
    (bytes.get(at..behind)? == b"\r\n").then_some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &[u8]) -> Option<(Vec<(String, String)>, usize)> {
        let mut lengths = Lengths::new();
        let plain = Plain::read(text, &Limits::REQUEST, &mut lengths)?;
        let mut headers = Headers::default();
        plain.copy(&lengths, &mut headers).unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let fields = headers.iter().map(|f| (text(f.name), text(f.value)));
        Some((fields.collect(), plain.len))
    }

    #[test]
    fn what_is_as_it_would_be_written_is_read_at_once() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Empty: \r\nX-Long: b c\xff\r\n\r\nbody";
        let (found, len) = fields(head).unwrap();
        let want = [("host", "a"), ("x-empty", ""), ("x-long", "b c\u{fffd}")];
        assert_eq!(
            found,
            want.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(&head[len..], b"body");
        assert_eq!(fields(b"HTTP/1.1 200 OK\r\n\r\n").unwrap().1, 19);
    }

    #[test]
    fn everything_else_is_left_to_the_other_way() {
        let cases: [&[u8]; 15] = [
            b"",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n\r",
            b"GET / HTTP/1.1\nA: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\n\r\n",
            b"GET / HTTP/1.1\r\nA:b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA:  b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b \r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\tc\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\n: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA_b: c\r\n\r\n",
        ];
        for case in cases {
            assert_eq!(fields(case), None, "{}", case.escape_ascii());
        }
        let most = Limits::REQUEST.fields;
        let many = |count| {
            [
                b"GET / HTTP/1.1\r\n".to_vec(),
                b"a: b\r\n".repeat(count),
                b"\r\n".to_vec(),
            ]
            .concat()
        };
        assert_eq!(
            fields(&many(most)).map(|(found, _)| found.len()),
            Some(most)
        );
        assert_eq!(fields(&many(most + 1)), None);
    }

    #[test]
    fn a_head_of_each_length_is_read_once_it_is_whole() {
        for length in 0..100 {
            let head = [
                b"GET / HTTP/1.1\r\nA: ",
                &vec![b'v'; length][..],
                b"\r\n\r\n",
            ]
            .concat();
            assert_eq!(fields(&head).map(|(_, len)| len), Some(head.len()));
            for cut in 1..head.len() {
                assert_eq!(fields(&head[..cut]), None, "{length}");
            }
        }
    }
}
