//! A plain reader of HTTP/1 messages for peers.
//!
//! It is slow, copies everything and shares no code with core's codec, on purpose: what the sidecar writes is judged by
//! somebody else. It is strict about what a sidecar must never send (invariant 5 in `ARCHITECTURE.md`).

use std::collections::VecDeque;

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
        self.values(name)
            .flat_map(|v| v.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.line.split(' ').nth(1)?.parse().ok()
    }
}

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

/// Which messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Requests,
    Responses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilEof,
    Tunnel,
}

/// Reads one direction of a connection.
#[derive(Clone, Debug)]
pub struct Reader {
    role: Role,
    state: State,
    buffer: Vec<u8>,
    eof: bool,
    methods: VecDeque<String>,
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
            state: State::Head,
            buffer: Vec::new(),
            eof: false,
            methods: VecDeque::new(),
            trailers: Vec::new(),
        }
    }

    /// A request of this method was sent; its response's framing depends on it.
    pub fn expect(&mut self, method: &str) {
        self.methods.push_back(method.to_owned());
    }

    /// Takes bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// No more bytes will come.
    pub const fn feed_eof(&mut self) {
        self.eof = true;
    }

    /// What follows is no HTTP any more (a server agreed to an upgrade or to CONNECT).
    pub const fn become_tunnel(&mut self) {
        self.state = State::Tunnel;
    }

    /// Bytes that belong to no piece yet.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether the reader stands between two messages.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.state == State::Head && self.buffer.is_empty()
    }

    /// The next piece; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, String> {
        loop {
            match self.state {
                State::Head => {
                    let Some(end) = find(&self.buffer, b"\r\n\r\n") else {
                        return self.need_more("a head");
                    };
                    let text: Vec<u8> = self.buffer.drain(..end + 4).collect();
                    let head = parse_head(&text[..end])?;
                    self.state = self.after_head(&head)?;
                    return Ok(Some(Piece::Head(head)));
                }
                State::Length(0) => return Ok(Some(self.end())),
                State::Length(left) | State::Chunk(left) => {
                    if self.buffer.is_empty() {
                        return self.need_more("a body");
                    }
                    let count = self
                        .buffer
                        .len()
                        .min(usize::try_from(left).unwrap_or(usize::MAX));
                    let rest = left - count as u64;
                    self.state = match self.state {
                        State::Length(_) => State::Length(rest),
                        _ if rest == 0 => State::ChunkEnd,
                        _ => State::Chunk(rest),
                    };
                    return Ok(Some(Piece::Body(self.buffer.drain(..count).collect())));
                }
                State::ChunkSize => {
                    let Some(line) = self.line() else {
                        return self.need_more("a chunk size");
                    };
                    let size = u64::from_str_radix(&line, 16)
                        .map_err(|_| format!("chunk size `{line}`"))?;
                    self.state = if size == 0 {
                        State::Trailers
                    } else {
                        State::Chunk(size)
                    };
                }
                State::ChunkEnd => match self.line() {
                    None => return self.need_more("the end of a chunk"),
                    Some(line) if line.is_empty() => self.state = State::ChunkSize,
                    Some(line) => return Err(format!("`{line}` after a chunk")),
                },
                State::Trailers => match self.line() {
                    None => return self.need_more("trailers"),
                    Some(line) if line.is_empty() => return Ok(Some(self.end())),
                    Some(line) => self.trailers.push(parse_field(&line)?),
                },
                State::UntilEof | State::Tunnel => {
                    if !self.buffer.is_empty() {
                        return Ok(Some(Piece::Body(std::mem::take(&mut self.buffer))));
                    }
                    return Ok(self.eof.then(|| self.end()));
                }
            }
        }
    }

    fn need_more(&self, of: &str) -> Result<Option<Piece>, String> {
        let clean = self.state == State::Head && self.buffer.is_empty();
        if self.eof && !clean {
            return Err(format!("the connection ended in the middle of {of}"));
        }
        Ok(None)
    }

    fn end(&mut self) -> Piece {
        self.state = State::Head;
        Piece::End(std::mem::take(&mut self.trailers))
    }

    fn line(&mut self) -> Option<String> {
        let end = find(&self.buffer, b"\r\n")?;
        let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
        Some(latin1(&line[..end]))
    }

    /// RFC 9112 §6.3, without its tolerance.
    fn after_head(&mut self, head: &Head) -> Result<State, String> {
        let lengths: Vec<&str> = head.values("content-length").collect();
        let codings: Vec<&str> = head.values("transfer-encoding").collect();
        if lengths.len() > 1 || codings.len() > 1 || !lengths.is_empty() && !codings.is_empty() {
            return Err(format!("ambiguous framing: {head:?}"));
        }
        if self.role == Role::Responses {
            let status = head
                .status()
                .ok_or_else(|| format!("status line `{}`", head.line))?;
            if status == 101 {
                return Ok(State::Tunnel);
            }
            if status < 200 {
                return Ok(State::Head);
            }
            let method = self.methods.pop_front().unwrap_or_default();
            if method == "CONNECT" && status < 300 {
                return Ok(State::Tunnel);
            }
            if method == "HEAD" || status == 204 || status == 304 {
                return Ok(State::Length(0));
            }
        }
        if let Some(coding) = codings.first() {
            return match *coding {
                "chunked" => Ok(State::ChunkSize),
                other => Err(format!("transfer-encoding `{other}`")),
            };
        }
        match lengths.first() {
            Some(text) => text
                .parse()
                .map(State::Length)
                .map_err(|_| format!("content-length `{text}`")),
            None if self.role == Role::Requests => Ok(State::Length(0)),
            None => Ok(State::UntilEof),
        }
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let first = pattern.first()?;
    let mut from = 0;
    loop {
        from += bytes[from..].iter().position(|b| b == first)?;
        if bytes[from..].starts_with(pattern) {
            return Some(from);
        }
        from += 1;
    }
}

/// Every byte as the character of the same number.
fn latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        // Nearly always, and much quicker.
        Ok(text) if text.is_ascii() => text.to_owned(),
        Ok(_) | Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

fn parse_head(bytes: &[u8]) -> Result<Head, String> {
    let mut head = Head::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = find(rest, b"\r\n").unwrap_or(rest.len());
        let (line, next) = rest.split_at(end);
        if line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            let text = latin1(bytes);
            return Err(format!("control characters in a head: {text:?}"));
        }
        if head.line.is_empty() {
            head.line = latin1(line);
        } else {
            head.fields.push(parse_field(&latin1(line))?);
        }
        rest = next.get(2..).unwrap_or_default();
    }
    Ok(head)
}

fn parse_field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| format!("field line `{line}`"))?;
    if name.is_empty() || name.bytes().any(|b| b == b' ' || b == b'\t') {
        return Err(format!("field name `{name}`"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
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
