//! Chunked bodies (RFC 9112 §7.1), read by hand: a chunk line that two parsers read differently is how requests are
//! smuggled, so everything but the exact grammar is refused.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use super::field_lines;
use super::limits::Limits;
use super::lines::{LineEnd, Lines};
use super::number::hexadecimal_prefix;
use super::refusals::{
    BARE_LF, CHUNK_END, CHUNK_EXTENSION, CHUNK_LINE_TOO_LONG, CHUNK_SIZE, EXTENSIONS_TOO_LONG,
    TRAILERS_TOO_LARGE,
};
use crate::decision::Refused;
use crate::message::{Headers, is_token_byte};

/// How far a chunked body has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    state: ChunkPart,
    /// Bytes of extensions so far.
    extensions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkPart {
    /// A size line; this many of its bytes hold no line end.
    Size(usize),
    /// This many bytes of the chunk are to come.
    Data(u64),
    /// The line end after the data.
    DataEnd,
    /// After the last chunk.
    Trailers(Lines),
}

impl Default for ChunkPart {
    fn default() -> Self {
        Self::Size(0)
    }
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More bytes are needed.
    More,
    /// A piece of the body.
    Data(Bytes),
    /// The end, with trailers, if any are worth forwarding.
    End(Headers),
}

impl Chunks {
    /// Takes what it can from `buf`.
    pub(super) fn step(&mut self, buf: &mut BytesMut, limits: &Limits) -> Result<Step, Refused> {
        loop {
            match &mut self.state {
                ChunkPart::Size(seen) => {
                    let Some(end) = line_end(buf, seen, limits)? else {
                        return Ok(Step::More);
                    };
                    let (size, digits) = chunk_size(&buf[..end - 2])?;
                    self.extensions += end - 2 - digits;
                    if self.extensions > limits.extension_bytes {
                        return Err(EXTENSIONS_TOO_LONG);
                    }
                    buf.advance(end);
                    self.state = match size {
                        0 => ChunkPart::Trailers(Lines::START),
                        1.. => ChunkPart::Data(size),
                    };
                }
                ChunkPart::Data(left) => {
                    let Some(data) = take(buf, left) else {
                        return Ok(Step::More);
                    };
                    if *left == 0 {
                        self.state = ChunkPart::DataEnd;
                    }
                    return Ok(Step::Data(data));
                }
                ChunkPart::DataEnd => match buf[..] {
                    [b'\r', b'\n', ..] => {
                        buf.advance(2);
                        self.state = ChunkPart::Size(0);
                    }
                    [] | [b'\r'] => return Ok(Step::More),
                    [..] => return Err(CHUNK_END),
                },
                ChunkPart::Trailers(lines) => {
                    let most = &buf[..buf.len().min(limits.trailer_bytes)];
                    let Some(end) = lines.find_end(most, LineEnd::Strict, |_| Ok(()))? else {
                        return if buf.len() > limits.trailer_bytes {
                            Err(TRAILERS_TOO_LARGE)
                        } else {
                            Ok(Step::More)
                        };
                    };
                    let trailers = if end == 2 {
                        Headers::default()
                    } else {
                        field_lines::trailers(&buf[..end], limits.fields)?
                    };
                    buf.advance(end);
                    return Ok(Step::End(trailers));
                }
            }
        }
    }
}

/// Splits off at most `left` bytes and counts them; `None` when there are none.
pub(super) fn take(buf: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    if buf.is_empty() {
        return None;
    }
    let length = usize::try_from(*left).map_or(buf.len(), |left| left.min(buf.len()));
    *left -= length as u64;
    Some(buf.split_to(length).freeze())
}

/// The length of the size line with its CRLF, when it is complete.
fn line_end(buf: &[u8], seen: &mut usize, limits: &Limits) -> Result<Option<usize>, Refused> {
    let most = &buf[..buf.len().min(limits.chunk_line)];
    let Some(found) = memchr(b'\n', &most[*seen..]) else {
        *seen = most.len();
        return if buf.len() > limits.chunk_line {
            Err(CHUNK_LINE_TOO_LONG)
        } else {
            Ok(None)
        };
    };
    let at = *seen + found;
    if at.checked_sub(1).is_none_or(|before| buf[before] != b'\r') {
        return Err(BARE_LF);
    }
    Ok(Some(at + 1))
}

/// The size that a line tells, and how many digits told it.
fn chunk_size(line: &[u8]) -> Result<(u64, usize), Refused> {
    let (size, digits) = hexadecimal_prefix(line).ok_or(CHUNK_SIZE)?;
    let rest = &line[digits..];
    match rest {
        [] => Ok((size, digits)),
        [b';' | b' ' | b'\t', ..] if are_extensions(rest) => Ok((size, digits)),
        [b';', ..] => Err(CHUNK_EXTENSION),
        [..] => Err(CHUNK_SIZE),
    }
}

/// `*( BWS ";" BWS name [ BWS "=" BWS value ] )` (RFC 9112 §7.1.1). The meaning is ignored, as it must be.
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(after) = skip_blanks(rest).strip_prefix(b";").map(skip_blanks) else {
            return false;
        };
        let Some(after) = skip_token(after) else {
            return false;
        };
        rest = match skip_blanks(after).strip_prefix(b"=") {
            None => after,
            Some(value) => {
                let value = skip_blanks(value);
                let after = match value {
                    [b'"', quoted @ ..] => skip_quoted(quoted),
                    [..] => skip_token(value),
                };
                let Some(after) = after else { return false };
                after
            }
        };
    }
    true
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t'));
    &text[blanks.count()..]
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|b| is_token_byte(**b)).count();
    (length > 0).then(|| &text[length..])
}

/// What follows a quoted string (RFC 9110 §5.6.4) whose opening quote is already taken.
fn skip_quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..]
                if *byte == b'\t' || *byte >= b' ' && *byte != 0x7f =>
            {
                text = rest;
            }
            [..] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_lines() {
        let good: &[(&str, u64)] = &[
            ("5", 5),
            ("000005", 5),
            ("fF", 255),
            ("5;a", 5),
            ("5;a=b;c", 5),
            ("5 ; a = b ;c=\"q;\\\"\"", 5),
            ("0;c", 0),
        ];
        for (line, want) in good {
            assert_eq!(
                chunk_size(line.as_bytes()).map(|s| s.0),
                Ok(*want),
                "{line:?}"
            );
        }
        for bad in [
            "",
            " 5",
            "5 ",
            "5\t",
            "0x5",
            "-5",
            "+5",
            "5_0",
            "5,",
            "g",
            "5;",
            "5;a=",
            "5;a\rb",
            "5;a b",
            "5;a=\"b",
            "5;a\0",
            "5\r;a",
            "5;;a",
            "5;é",
            "10000000000000005",
            "00000000000000005",
            "8000000000000000",
            "5;a=\"\u{1}\"",
        ] {
            assert!(chunk_size(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
