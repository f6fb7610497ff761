//! Finding the end of a head or a trailer section, however the bytes arrive.
//!
//! Looks at every byte once: the place where the last look stopped is remembered, so a head that comes byte by byte
//! costs no more than one that comes whole. Grammar inside the lines is not looked at here.

use memchr::memchr2;

use super::refusals::{BARE_CR, BARE_LF};
use crate::decision::Refused;

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// CRLF and nothing else.
    Strict,
    /// LF alone too, as RFC 9112 §2.2 allows a recipient; only for the heads of upstreams.
    Lenient,
}

/// A walk over lines up to the first empty one. Positions count from the start of the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// Everything before this was looked at.
    seen: usize,
    /// Where the line that is being looked at begins.
    line: usize,
}

impl Lines {
    /// Nothing was looked at.
    pub(super) const START: Self = Self { seen: 0, line: 0 };

    /// The length of the section with its empty line, or `None` when more bytes are needed. `first_line` judges the first
    /// line as soon as it is whole, before anything after it is looked at: what is wrong with a head must not depend on
    /// how it arrives.
    pub(super) fn find_end(
        &mut self,
        bytes: &[u8],
        ends: LineEnd,
        first_line: fn(&[u8]) -> Result<(), Refused>,
    ) -> Result<Option<usize>, Refused> {
        while let Some(hit) = memchr2(b'\r', b'\n', &bytes[self.seen..]) {
            let at = self.seen + hit;
            let next = match (bytes[at], bytes.get(at + 1), ends) {
                (b'\n', _, LineEnd::Lenient) => at + 1,
                (b'\n', _, LineEnd::Strict) => return Err(BARE_LF),
                (_, Some(b'\n'), _) => at + 2,
                (_, Some(_), _) => return Err(BARE_CR),
                (_, None, _) => {
                    self.seen = at;
                    return Ok(None);
                }
            };
            let is_empty = at == self.line;
            if self.line == 0 {
                first_line(&bytes[..at])?;
            }
            self.seen = next;
            self.line = next;
            if is_empty {
                return Ok(Some(next));
            }
        }
        self.seen = bytes.len();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_whole_and_byte_by_byte() {
        use LineEnd::{Lenient, Strict};
        type End = Result<Option<usize>, Refused>;
        let cases: &[(&[u8], LineEnd, End)] = &[
            (b"a\r\nb\r\n\r\nc", Strict, Ok(Some(8))),
            (b"\r\n", Strict, Ok(Some(2))),
            (b"a\r\nb\r\n\r", Strict, Ok(None)),
            (b"a\nb", Strict, Err(BARE_LF)),
            (b"a\rb", Strict, Err(BARE_CR)),
            (b"a\r\r\n", Strict, Err(BARE_CR)),
            (b"a\r\n\rZ", Strict, Err(BARE_CR)),
            (b"a\nb\n\nc", Lenient, Ok(Some(5))),
            (b"a\r\nb\n\r\nc", Lenient, Ok(Some(7))),
            (b"a\rb\n\n", Lenient, Err(BARE_CR)),
        ];
        for (bytes, ends, want) in cases {
            assert_eq!(
                { Lines::START }.find_end(bytes, *ends, |_| Ok(())),
                *want,
                "{bytes:?}"
            );
            let mut lines = Lines::START;
            let mut got = Ok(None);
            for n in 1..=bytes.len() {
                got = lines.find_end(&bytes[..n], *ends, |_| Ok(()));
                if got != Ok(None) {
                    break;
                }
            }
            assert_eq!(got, *want, "byte by byte {bytes:?}");
        }
    }
}
