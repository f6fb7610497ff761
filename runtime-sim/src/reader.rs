//! A plain reader of HTTP/1 messages for peers.
//!
//! It shares no code with core's codec, on purpose: what the sidecar writes is judged by somebody else. It is strict about
//! what a sidecar must never send (invariant 5 in `ARCHITECTURE.md`). [`Reader::next_seen`] shows messages where they lie
//! and allocates nothing at rest; [`Reader::next_piece`] copies them for those who keep them. Lines and fields are read in
//! `head`.

mod head;

use std::collections::VecDeque;
use std::ops::Range;

pub use head::{Head, HeadSeen};

use head::{Places, find, latin1};

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A head; final or interim.
    Head(Head),
    /// Some of the body, or of a tunnel.
    Body(Vec<u8>),
    /// The message is over; the trailers it had.
    End(Vec<(String, String)>),
}

/// A piece of a message, where it lies.
#[derive(Clone, Copy, Debug)]
pub enum SeenPiece<'a> {
    /// A head; final or interim.
    Head(HeadSeen<'a>),
    /// Some of the body, or of a tunnel.
    Body(&'a [u8]),
    /// The message is over; the trailers it had.
    End(&'a [(String, String)]),
}

impl SeenPiece<'_> {
    fn to_piece(self) -> Piece {
        match self {
            Self::Head(head) => Piece::Head(head.to_head()),
            Self::Body(bytes) => Piece::Body(bytes.to_vec()),
            Self::End(trailers) => Piece::End(trailers.to_vec()),
        }
    }
}

/// Which messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Requests,
    Responses,
}

/// What was asked, as far as the framing of its answer depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    Head,
    Connect,
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expecting {
    Head,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilEof,
    Tunnel,
}

/// What was found, by its place in the buffer.
enum Found {
    Head(Range<usize>),
    Body(Range<usize>),
    End,
}

/// Reads one direction of a connection.
#[derive(Clone, Debug)]
pub struct Reader {
    role: Role,
    state: Expecting,
    buffer: Vec<u8>,
    /// What lies before this in the buffer was read.
    start: usize,
    eof: bool,
    asked: VecDeque<Asked>,
    /// Where the fields of the last head lie.
    places: Places,
    trailers: Vec<(String, String)>,
}

impl Reader {
    /// Reads what a client sends.
    #[must_use]
    pub const fn requests() -> Self {
        Self::new(Role::Requests)
    }

    /// Reads what a server sends; [`Reader::expect`] tells it what was asked.
    #[must_use]
    pub const fn responses() -> Self {
        Self::new(Role::Responses)
    }

    const fn new(role: Role) -> Self {
        Self {
            role,
            state: Expecting::Head,
            buffer: Vec::new(),
            start: 0,
            eof: false,
            asked: VecDeque::new(),
            places: Places::new(),
            trailers: Vec::new(),
        }
    }

    /// A request of this method was sent; its response's framing depends on it.
    pub fn expect(&mut self, method: &str) {
        self.asked.push_back(match method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        });
    }

    /// Takes bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// No more bytes will come.
    pub const fn feed_eof(&mut self) {
        self.eof = true;
    }

    /// What follows is no HTTP any more (a server agreed to an upgrade or to CONNECT).
    pub const fn become_tunnel(&mut self) {
        self.state = Expecting::Tunnel;
    }

    /// Bytes that belong to no piece yet.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Whether the reader stands between two messages.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.state == Expecting::Head && self.unread().is_empty()
    }

    /// The next piece, copied; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, String> {
        Ok(self.next_seen()?.map(SeenPiece::to_piece))
    }

    /// The next piece, where it lies; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub fn next_seen(&mut self) -> Result<Option<SeenPiece<'_>>, String> {
        Ok(self.find_next()?.map(|found| match found {
            Found::Head(at) => SeenPiece::Head(self.places.show(&self.buffer[at])),
            Found::Body(at) => SeenPiece::Body(&self.buffer[at]),
            Found::End => SeenPiece::End(&self.trailers),
        }))
    }

    fn find_next(&mut self) -> Result<Option<Found>, String> {
        loop {
            match self.state {
                Expecting::Head => {
                    let Some(end) = self.places.find(&self.buffer[self.start..])? else {
                        return self.need_more("a head");
                    };
                    let head = self.take(end);
                    self.state = self.after_head(head.clone())?;
                    self.trailers.clear();
                    return Ok(Some(Found::Head(head)));
                }
                Expecting::Length(0) => return Ok(Some(self.end())),
                Expecting::Length(left) | Expecting::Chunk(left) => {
                    let unread = self.unread().len();
                    if unread == 0 {
                        return self.need_more("a body");
                    }
                    let count = unread.min(usize::try_from(left).unwrap_or(usize::MAX));
                    let rest = left - count as u64;
                    self.state = match self.state {
                        Expecting::Length(_) => Expecting::Length(rest),
                        _ if rest == 0 => Expecting::ChunkEnd,
                        _ => Expecting::Chunk(rest),
                    };
                    return Ok(Some(Found::Body(self.take(count))));
                }
                Expecting::ChunkSize => {
                    let Some(line) = self.line() else {
                        return self.need_more("a chunk size");
                    };
                    let size = u64::from_str_radix(&line, 16)
                        .map_err(|_| format!("chunk size `{line}`"))?;
                    self.state = if size == 0 {
                        Expecting::Trailers
                    } else {
                        Expecting::Chunk(size)
                    };
                }
                Expecting::ChunkEnd => match self.line() {
                    None => return self.need_more("the end of a chunk"),
                    Some(line) if line.is_empty() => self.state = Expecting::ChunkSize,
                    Some(line) => return Err(format!("`{line}` after a chunk")),
                },
                Expecting::Trailers => match self.line() {
                    None => return self.need_more("trailers"),
                    Some(line) if line.is_empty() => return Ok(Some(self.end())),
                    Some(line) => self.trailers.push(head::trailer(&line)?),
                },
                Expecting::UntilEof | Expecting::Tunnel => {
                    let unread = self.unread().len();
                    if unread > 0 {
                        return Ok(Some(Found::Body(self.take(unread))));
                    }
                    return Ok(self.eof.then(|| self.end()));
                }
            }
        }
    }

    fn need_more(&self, of: &str) -> Result<Option<Found>, String> {
        if self.eof && !self.is_between_messages() {
            return Err(format!("the connection ended in the middle of {of}"));
        }
        Ok(None)
    }

    const fn end(&mut self) -> Found {
        self.state = Expecting::Head;
        Found::End
    }

    /// Takes so many unread bytes; where they lie.
    const fn take(&mut self, count: usize) -> Range<usize> {
        let from = self.start;
        self.start += count;
        from..self.start
    }

    fn line(&mut self) -> Option<String> {
        let end = find(self.unread(), b"\r\n")?;
        let line = latin1(&self.unread()[..end]);
        self.take(end + 2);
        Some(line)
    }

    /// RFC 9112 §6.3, without its tolerance.
    fn after_head(&mut self, head: Range<usize>) -> Result<Expecting, String> {
        let head = self.places.show(&self.buffer[head]);
        let (mut lengths, mut codings) = (
            head.values("content-length"),
            head.values("transfer-encoding"),
        );
        let (length, coding) = (lengths.next(), codings.next());
        let is_ambiguous = length.is_some() && coding.is_some();
        if is_ambiguous || lengths.next().is_some() || codings.next().is_some() {
            return Err(format!("ambiguous framing: {:?}", head.to_head()));
        }
        if self.role == Role::Responses {
            let status = head
                .status()
                .ok_or_else(|| format!("status line `{}`", latin1(head.line())))?;
            if status == 101 {
                return Ok(Expecting::Tunnel);
            }
            if status < 200 {
                return Ok(Expecting::Head);
            }
            let asked = self.asked.pop_front().unwrap_or_default();
            if asked == Asked::Connect && status < 300 {
                return Ok(Expecting::Tunnel);
            }
            if asked == Asked::Head || status == 204 || status == 304 {
                return Ok(Expecting::Length(0));
            }
        }
        match (coding, length) {
            (Some(b"chunked"), _) => Ok(Expecting::ChunkSize),
            (Some(other), _) => Err(format!("transfer-encoding `{}`", latin1(other))),
            (None, Some(text)) => head::number(text)
                .map(Expecting::Length)
                .ok_or_else(|| format!("content-length `{}`", latin1(text))),
            (None, None) if self.role == Role::Requests => Ok(Expecting::Length(0)),
            (None, None) => Ok(Expecting::UntilEof),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads everything, whole and byte by byte, and writes it down in short.
    fn check(mut reader: Reader, input: &str, want: &str) {
        let mut whole = reader.clone();
        whole.feed(input.as_bytes());
        whole.feed_eof();
        assert_eq!(story(&mut whole), want);
        let mut got = String::new();
        for byte in input.bytes() {
            reader.feed(&[byte]);
            got.push_str(&story(&mut reader));
        }
        reader.feed_eof();
        got.push_str(&story(&mut reader));
        assert_eq!(got, want);
    }

    fn story(reader: &mut Reader) -> String {
        let mut out = String::new();
        loop {
            match reader.next_piece() {
                Ok(None) => return out,
                Ok(Some(Piece::Head(h))) => out += &format!("[{}]", h.line),
                Ok(Some(Piece::Body(b))) => out += &latin1(&b),
                Ok(Some(Piece::End(t))) => out += &format!("{}.", t.len()),
                Err(e) => return out + "!" + &e[..9],
            }
        }
    }

    #[test]
    fn framing_of_both_roles() {
        check(
            Reader::requests(),
            "GET / HTTP/1.1\r\n\r\n",
            "[GET / HTTP/1.1]0.",
        );
        check(
            Reader::requests(),
            "PUT / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n",
            "[PUT / HTTP/1.1]hi0.[GET /b HTTP/1.1]0.",
        );
        check(
            Reader::responses(),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nt: 1\r\n\r\n",
            "[HTTP/1.1 200 OK]hi1.",
        );
        check(
            Reader::responses(),
            "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc",
            "[HTTP/1.1 100 C][HTTP/1.1 200 OK]abc0.",
        );
        check(Reader::requests(), "GET / HT", "!the conne");
    }

    #[test]
    fn head_and_connect_depend_on_the_request() {
        let mut head = Reader::responses();
        head.expect("HEAD");
        check(
            head,
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            "[HTTP/1.1 200 OK]0.",
        );
        let mut connect = Reader::responses();
        connect.expect("CONNECT");
        check(
            connect,
            "HTTP/1.1 200 OK\r\n\r\nraw",
            "[HTTP/1.1 200 OK]raw0.",
        );
    }
}
