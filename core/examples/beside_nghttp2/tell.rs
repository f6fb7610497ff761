//! What our codec makes of a case, one line for each thing that happens, as `conformance/peers/nghttp2_told.c` prints what
//! libnghttp2 makes of it: case, piece, event, stream, and what the event says.

use std::io::{self, Write};

use bytes::BytesMut;
use http::Method;
use outrigger_core::http2::{Connection, Event, Fatal, Limits};
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Answer, Begins, BodyLength, Broken, Part, Reset, StreamId};
use outrigger_core::time::Instant;

use crate::cases::Case;
use crate::codec::wire::{PREFACE, RESET, SETTINGS, take_frames};
use crate::story::{escaped, is_untaken};

const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Requests that our client asks, of streams 1 to 15.
const ASKED: u32 = 8;

/// A connection of ours and its owner.
struct Ours<'a, W> {
    connection: Connection<()>,
    is_client: bool,
    inbox: BytesMut,
    outbox: Outbox,
    said: Vec<u8>,
    /// What begins each line.
    at: String,
    /// Streams whose end was told, and are not done.
    ended: Vec<u32>,
    out: &'a mut W,
}

/// Plays a case.
pub(crate) fn tell(number: usize, case: &Case, out: &mut impl Write) -> io::Result<()> {
    let connection = if case.is_client {
        Connection::client(&Limits::CLIENT)
    } else {
        Connection::server(&Limits::SERVER)
    };
    let mut ours = Ours {
        connection,
        is_client: case.is_client,
        inbox: BytesMut::new(),
        outbox: Outbox::default(),
        said: Vec::new(),
        at: String::new(),
        ended: Vec::new(),
        out,
    };
    if case.is_client {
        ours.ask();
    }
    ours.flush();
    ours.said.clear();
    for (piece, bytes) in case.pieces.iter().enumerate() {
        ours.at = format!("{number} {piece}");
        if ours.hear(bytes)?.is_err() {
            break;
        }
    }
    Ok(())
}

impl<W: Write> Ours<'_, W> {
    fn ask(&mut self) {
        for n in 0..ASKED {
            let mut head = RequestHead {
                authority: b"a.test".to_vec(),
                path: b"/".to_vec(),
                ..RequestHead::default()
            };
            let mut body = BodyLength::None;
            match 2 * n + 1 {
                5 => head.method = Method::HEAD,
                9 => {
                    head.method = Method::CONNECT;
                    head.authority = b"a.test:80".to_vec();
                    head.path.clear();
                }
                11 => {
                    head.method = Method::POST;
                    body = BodyLength::Unknown;
                }
                _ => {}
            }
            let begins = Begins {
                body,
                upgrade: None,
            };
            self.connection.ask(&head, &begins, (), &mut self.outbox);
        }
    }

    fn line(&mut self, event: &str, stream: u32, says: &str) -> io::Result<()> {
        let space = if says.is_empty() { "" } else { " " };
        writeln!(self.out, "{} {event} {stream}{space}{says}", self.at)
    }

    /// The peer sends a piece; its owner takes all that it takes, and what is to be said is said.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<Result<(), Fatal>> {
        self.inbox.extend_from_slice(bytes);
        let read = self.connection.read(&mut self.inbox, Instant::ZERO);
        if read.is_ok() {
            self.listen()?;
        }
        self.flush();
        for frame in take_frames(&mut self.said) {
            match (frame.kind, frame.flags & 1) {
                (RESET, _) => self.line("rst", frame.stream, &frame.number().to_string())?,
                (GOAWAY, _) => {
                    let code = u32::from_be_bytes([4, 5, 6, 7].map(|at| frame.payload[at]));
                    let explain = String::from_utf8_lossy(&frame.payload[8..]).into_owned();
                    self.line("goaway", code, &explain)?;
                }
                (SETTINGS, 1) => self.line("ack", 0, "")?,
                (PING, 1) => self.line("pong", 0, "")?,
                _ => {}
            }
        }
        self.forget();
        Ok(read)
    }

    fn listen(&mut self) -> io::Result<()> {
        while let Some(event) = self.connection.next_event() {
            let id = match event {
                Event::Opened(id) => {
                    self.opened(id)?;
                    id
                }
                Event::Progress(id, ()) => id,
                Event::Settings | Event::GoingAway => continue,
            };
            if let Err(broken) = self.take(id)? {
                self.broken(id, broken)?;
            }
        }
        Ok(())
    }

    fn opened(&mut self, id: StreamId) -> io::Result<()> {
        self.connection.set_owner(id, ());
        let mut head = RequestHead::default();
        // What is refused is told again by its body.
        if let Ok(Some(begins)) = self.connection.request_head(id, &mut head) {
            let method = begins
                .upgrade
                .as_ref()
                .map_or(head.method.as_str(), |_| "CONNECT");
            let mut says = format!(":method={method} :authority={}", escaped(&head.authority));
            if !head.path.is_empty() {
                says += &format!(" :path={}", escaped(&head.path));
            }
            if let Some(protocol) = begins.upgrade {
                says += &format!(" :protocol={}", escaped(protocol.as_bytes()));
            }
            self.line("head", id.number(), &(says + &fields(&head.headers)))?;
            if id.number() % 8 == 3 {
                self.answer(id);
            }
        }
        Ok(())
    }

    fn answer(&mut self, id: StreamId) {
        let head = ResponseHead::default();
        self.connection
            .respond(id, &head, BodyLength::None, &mut self.outbox);
        self.connection.end(id, None);
    }

    /// Takes all that is here of a stream, if it is one of those whose owner does.
    fn take(&mut self, id: StreamId) -> io::Result<Result<(), Broken>> {
        let stream = id.number();
        let mut head = ResponseHead::default();
        loop {
            match self.connection.response_head(id, &mut head) {
                Ok(Some(Answer::Interim | Answer::Final(_) | Answer::Switched(_))) => {
                    let says = format!(":status={}{}", head.status.as_str(), fields(&head.headers));
                    self.line("head", stream, &says)?;
                }
                Ok(None) => break,
                Err(broken) => return Ok(Err(broken)),
            }
        }
        if let Some(broken) = self.connection.broken(id) {
            return Ok(Err(broken));
        }
        while !is_untaken(stream) {
            match self.connection.body(id) {
                Ok(Part::NeedMore) => break,
                Ok(Part::Data(data)) => {
                    let hash = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
                    });
                    self.line("data", stream, &format!("{} {hash:016x}", data.len()))?;
                }
                Ok(Part::Trailers(trailers)) => {
                    self.line("head", stream, fields(&trailers).trim_start())?;
                }
                Ok(Part::End) if self.ended.contains(&stream) => break,
                Ok(Part::End) => {
                    self.line("end", stream, "")?;
                    self.ended.push(stream);
                    if !self.is_client && stream % 8 == 1 {
                        self.answer(id);
                    }
                }
                Err(broken) => return Ok(Err(broken)),
            }
        }
        Ok(Ok(()))
    }

    fn broken(&mut self, id: StreamId, broken: Broken) -> io::Result<()> {
        match broken {
            Broken::Refused(refused) => self.line("why", id.number(), refused.explain)?,
            Broken::Reset(Reset::Protocol) => self.line("why", id.number(), "a rule of streams")?,
            Broken::Reset(_) => self.line("gone", id.number(), "")?,
        }
        self.connection.close(id);
        Ok(())
    }

    /// Streams that are complete both ways are done.
    fn forget(&mut self) {
        let connection = &mut self.connection;
        self.ended.retain(|stream| {
            let id = StreamId::new(*stream).filter(|id| connection.is_sent(*id));
            id.map(|id| connection.close(id)).is_none()
        });
    }

    fn flush(&mut self) {
        while self.connection.has_to_send() || !self.outbox.is_empty() {
            self.connection
                .flush(&mut self.outbox, usize::MAX, Instant::ZERO);
            self.said.extend(self.outbox.pieces().flatten());
            self.outbox.clear();
        }
        if self.said.starts_with(PREFACE) {
            self.said.drain(..PREFACE.len());
        }
    }
}

/// Each field behind a space.
fn fields(headers: &Headers) -> String {
    let field = |name: &[u8], value: &[u8]| format!(" {}={}", escaped(name), escaped(value));
    headers
        .iter()
        .map(|one| field(one.name, one.value))
        .collect()
}
