//! One end of a connection of HTTP/1, with the same words as the one of HTTP/2: messages are streams that follow each other.
//!
//! It reads with the plain reader of this package, which shares no code with core's, and is stricter where it can be.

use std::collections::VecDeque;

use outrigger_sim::{Head, Piece, Reader};

use crate::h2::Heard;
use crate::hpack::Field;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// There is none.
    Nothing,
    /// By its length, which is among the fields.
    Length,
    /// By a last chunk, or a flag.
    Chunks,
    /// By the end of the connection.
    UntilEnd,
    /// What follows is no message.
    Tunnel,
}

/// The end.
#[derive(Debug)]
pub(crate) struct Plain {
    is_client: bool,
    is_old: bool,
    reader: Reader,
    out: Vec<u8>,
    how: How,
    /// Who asked for CONNECT; what comes is no message any more.
    connect: Option<u32>,
    is_tunnel: bool,
    /// Those that wait for their answers, the oldest first; the next one.
    asked: VecDeque<u32>,
    next: u32,
    /// The other side said that nothing follows.
    pub(crate) is_left: bool,
    /// Nothing more is said.
    pub(crate) is_closing: bool,
}

fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    let field = fields.iter().find(|(other, _)| other == name);
    field.map(|(_, value)| &**value)
}

impl Plain {
    /// `is_old`: a client that speaks HTTP/1.0.
    pub(crate) const fn new(is_client: bool, is_old: bool) -> Self {
        Self {
            is_client,
            is_old,
            reader: if is_client {
                Reader::responses()
            } else {
                Reader::requests()
            },
            out: Vec::new(),
            how: How::Nothing,
            connect: None,
            is_tunnel: false,
            asked: VecDeque::new(),
            next: 1,
            is_left: false,
            is_closing: false,
        }
    }

    pub(crate) fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn knows(&self, stream: u32) -> bool {
        self.asked.contains(&stream)
    }

    fn say_fields(&mut self, fields: &[Field], how: How) {
        for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(':')) {
            self.out.extend(format!("{name}: {value}\r\n").bytes());
        }
        if how == How::Chunks {
            self.out.extend(b"transfer-encoding: chunked\r\n");
        }
        self.out.extend(b"\r\n");
        self.how = how;
    }

    /// Begins a request.
    pub(crate) fn ask(&mut self, fields: &[Field], how: How) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.asked.push_back(stream);
        let part = |name| value(fields, name).unwrap_or_default();
        let (method, host) = (part(":method"), part(":authority"));
        let (method, path, upgrade) = match (value(fields, ":protocol"), method) {
            (Some(protocol), _) => (
                "GET",
                part(":path"),
                format!("connection: upgrade\r\nupgrade: {protocol}\r\n"),
            ),
            (None, "CONNECT") => (method, host, String::new()),
            (None, _) if self.is_old && how == How::UntilEnd => {
                (method, part(":path"), String::new())
            }
            (None, _) if value(fields, "te").is_some() => {
                (method, part(":path"), "connection: te\r\n".to_owned())
            }
            (None, _) => (method, part(":path"), String::new()),
        };
        self.connect = (method == "CONNECT").then_some(stream);
        self.reader.expect(method);
        let version = if self.is_old { "1.0" } else { "1.1" };
        let line = format!("{method} {path} HTTP/{version}\r\nhost: {host}\r\n{upgrade}");
        self.out.extend(line.bytes());
        self.say_fields(fields, how);
        stream
    }

    /// Answers.
    pub(crate) fn head(&mut self, fields: &[Field], how: How) {
        let status = value(fields, ":status").unwrap_or_default();
        let version = if how == How::UntilEnd { "1.0" } else { "1.1" };
        self.out
            .extend(format!("HTTP/{version} {status} Told\r\n").bytes());
        if status == "101" {
            self.out
                .extend(b"connection: upgrade\r\nupgrade: websocket\r\n");
            self.reader.become_tunnel();
        }
        match status.starts_with('1') && status != "101" {
            true => {
                let before = self.how;
                self.say_fields(fields, How::Nothing);
                self.how = before;
            }
            false => self.say_fields(fields, how),
        }
    }

    pub(crate) fn data(&mut self, bytes: &[u8]) {
        if self.how == How::Chunks {
            self.out.extend(format!("{:x}\r\n", bytes.len()).bytes());
        }
        self.out.extend(bytes);
        if self.how == How::Chunks {
            self.out.extend(b"\r\n");
        }
    }

    pub(crate) fn end(&mut self, trailers: &[Field]) {
        match self.how {
            How::Chunks => {
                self.out.extend(b"0\r\n");
                self.say_fields(trailers, How::Nothing);
            }
            How::UntilEnd | How::Tunnel => self.is_closing = true,
            How::Nothing | How::Length => {}
        }
        // The other direction of a tunnel goes on.
        if !self.is_client && self.how != How::Tunnel {
            self.asked.pop_front();
        }
    }

    /// Takes bytes, or the end of them.
    pub(crate) fn feed(&mut self, bytes: &[u8], is_eof: bool) -> Result<Vec<Heard>, String> {
        self.reader.feed(bytes);
        if is_eof {
            self.reader.feed_eof();
        }
        let mut heard = Vec::new();
        loop {
            match self.reader.next_piece() {
                Ok(None) => return Ok(heard),
                Ok(Some(piece)) => self.hear(piece, &mut heard)?,
                // A message that is cut was not passed off as a whole one.
                Err(what) if what.contains("in the middle of") => return Ok(heard),
                Err(what) => return Err(what),
            }
        }
    }

    fn hear(&mut self, piece: Piece, heard: &mut Vec<Heard>) -> Result<(), String> {
        if let (Piece::Head(head), false) = (&piece, self.is_client) {
            self.asked.push_back(self.next);
            heard.push(Heard::Head(self.next, request(head)?));
            self.next += 2;
            return Ok(());
        }
        let stream = match self.is_client {
            true => self.asked.front().copied(),
            false => self.asked.back().copied(),
        };
        match piece {
            Piece::Head(head) => {
                let status = head.status().unwrap_or_default();
                self.is_left |= head.has_token("connection", "close");
                let stream = match stream {
                    Some(stream) => stream,
                    // It was waited for long enough (RFC 9110 §15.5.9).
                    None if status == 408 && self.is_left => return Ok(()),
                    None => return Err(format!("an answer to nothing: {head:?}")),
                };
                let is_agreed = self.connect == Some(stream) && (200..300).contains(&status);
                self.is_tunnel |= status == 101 || is_agreed;
                heard.push(Heard::Head(stream, response(&head, self.is_old)?));
            }
            Piece::Body(bytes) => match stream {
                Some(stream) => heard.push(Heard::Data(stream, bytes)),
                None if self.is_left => {}
                None => return Err(format!("{} bytes of nothing", bytes.len())),
            },
            Piece::End(trailers) => {
                if let Some(stream) = stream {
                    heard.push(Heard::End(stream, trailers));
                }
                // The other direction of a tunnel goes on.
                if self.is_client && !self.is_tunnel {
                    self.asked.pop_front();
                }
            }
        }
        Ok(())
    }
}

/// A head in the words of HTTP/2. What must not reach an endpoint is an error.
fn request(head: &Head) -> Result<Vec<Field>, String> {
    let parts: Vec<&str> = head.line.split(' ').collect();
    let [method, path, "HTTP/1.1"] = parts[..] else {
        return Err(format!("request line `{}`", head.line));
    };
    let mut hosts = head.values("host");
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(format!("not one host: {head:?}"));
    };
    let mut fields = vec![
        (":method".to_owned(), method.to_owned()),
        (":path".to_owned(), path.to_owned()),
        (":authority".to_owned(), host.to_owned()),
    ];
    let upgrades = head.has_token("connection", "upgrade");
    if let Some(protocol) = head.values("upgrade").next() {
        if !upgrades || method != "GET" {
            return Err(format!("half an upgrade: {head:?}"));
        }
        fields.push((":protocol".to_owned(), protocol.to_owned()));
    }
    for (name, value) in &head.fields {
        let name = name.to_ascii_lowercase();
        let is_known = match &*name {
            "connection" => value.split(',').all(|token| {
                ["upgrade", "close", "keep-alive", "te"]
                    .contains(&&*token.trim().to_ascii_lowercase())
            }),
            "te" => value == "trailers",
            "keep-alive" | "proxy-connection" | "http2-settings" => false,
            _ => true,
        };
        if !is_known {
            return Err(format!("`{name}: {value}` in {head:?}"));
        }
        fields.push((name, value.clone()));
    }
    Ok(fields)
}

fn response(head: &Head, is_old: bool) -> Result<Vec<Field>, String> {
    let status = head.status().unwrap_or_default().to_string();
    let is_new = head.values("transfer-encoding").next().is_some() || status.starts_with('1');
    if is_old && is_new {
        return Err(format!("nothing for HTTP/1.0: {head:?}"));
    }
    let mut fields = vec![(":status".to_owned(), status)];
    let named = head.fields.iter();
    fields.extend(named.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    Ok(fields)
}
