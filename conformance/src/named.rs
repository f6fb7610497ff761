//! The service that most cases need: it says its name.

use outrigger_core::time::Instant;
use outrigger_sim::{Action as Do, Event, Head, Peer, Piece, Reader};

/// A service that answers every request 200 with its name, or with the request's body when its name is `echo`.
#[derive(Debug)]
pub struct Named {
    name: String,
    reader: Reader,
    head: Head,
    body: Vec<u8>,
    eof: bool,
}

impl Named {
    /// A service of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            reader: Reader::requests(),
            head: Head::default(),
            body: Vec::new(),
            eof: false,
        }
    }

    fn answer(&mut self) -> Vec<u8> {
        let body = match &*self.name {
            "echo" => std::mem::take(&mut self.body),
            name => name.as_bytes().to_vec(),
        };
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        if !self.head.line.starts_with("HEAD ") {
            bytes.extend(body);
        }
        bytes
    }
}

impl Peer for Named {
    fn on_event(&mut self, event: Event<'_>, _now: Instant, out: &mut Vec<Do>) {
        match event {
            Event::Bytes(bytes) => self.reader.feed(bytes),
            Event::Eof => self.eof = true,
            Event::Opened
            | Event::Secured(_)
            | Event::NotSecured(_)
            | Event::Refused
            | Event::Broken
            | Event::Woken
            | Event::Signal(_) => return,
        }
        loop {
            match self.reader.next_piece() {
                Ok(None) if self.eof => return out.push(Do::Close),
                Ok(None) => return,
                Ok(Some(Piece::Head(head))) => {
                    self.head = head;
                    self.body.clear();
                }
                Ok(Some(Piece::Body(bytes))) => self.body.extend(bytes),
                Ok(Some(Piece::End(_))) => {
                    out.push(Do::Send(self.answer()));
                    if self.head.has_token("connection", "close") {
                        return out.push(Do::Close);
                    }
                }
                Err(_) => return out.push(Do::Reset),
            }
        }
    }
}
