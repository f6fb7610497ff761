//! A peer that writes its frames by hand, and what a connection of ours says to them.

use bytes::BytesMut;
use outrigger_core::http2::{Code, Connection, Event, Fatal, Limits};
use outrigger_core::message::{RequestHead, ResponseHead};
use outrigger_core::outbox::{HIGH_WATER, Outbox};
use outrigger_core::stream::{Begins, BodyLength, Broken, Part, StreamId};
use outrigger_core::time::Instant;

use crate::codec::wire::{DATA, Frame, HEADERS, RESET, take_frames};
pub(crate) use crate::codec::wire::{PREFACE, block, frame, settings};

pub(crate) const GET: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a.test"),
    (":path", "/"),
];

pub(crate) fn post(length: &str) -> Vec<u8> {
    let mut fields = GET.to_vec();
    fields[0].1 = "POST";
    fields.push(("content-length", length));
    block(&fields)
}

/// HEADERS in one frame.
pub(crate) fn headers(stream: u32, ends: bool, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, 4 | u8::from(ends), stream, &block(fields))
}

pub(crate) fn get(stream: u32) -> Vec<u8> {
    headers(stream, true, GET)
}

/// A request of which the body is to come.
pub(crate) fn open(stream: u32) -> Vec<u8> {
    headers(stream, false, GET)
}

pub(crate) fn data(stream: u32, ends: bool, data: &[u8]) -> Vec<u8> {
    frame(DATA, u8::from(ends), stream, data)
}

pub(crate) fn reset(stream: u32, code: Code) -> Vec<u8> {
    frame(RESET, 0, stream, &code.number().to_be_bytes())
}

pub(crate) fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(8, 0, stream, &increment.to_be_bytes())
}

/// A frame in words: those that end something, and of the others the type.
pub(crate) fn told(frame: &Frame) -> String {
    let stream = frame.stream;
    match frame.kind {
        DATA => format!("DATA {stream} {}{}", frame.payload.len(), end(frame)),
        HEADERS => format!("HEADERS {stream}{}", end(frame)),
        RESET => format!("RST {stream} {:?}", Code::of(frame.number())),
        4 if frame.flags & 1 != 0 => "SETTINGS ack".into(),
        4 => "SETTINGS".into(),
        6 => format!("PING {}", frame.flags),
        7 => {
            let code = u32::from_be_bytes(frame.payload[4..8].try_into().unwrap());
            format!("GOAWAY {} {:?}", frame.number(), Code::of(code))
        }
        8 => format!("UPDATE {stream} {}", frame.number()),
        kind => format!("{kind} {stream}"),
    }
}

fn end(frame: &Frame) -> &'static str {
    if frame.ends_stream() { " end" } else { "" }
}

/// What happened on a stream, in the order in which its owner was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Request(Box<RequestHead>, Begins),
    Response(Box<ResponseHead>),
    Data(Vec<u8>),
    Trailers(usize),
    End,
    Broken(Broken),
}

/// A connection of ours, whose peer is played by hand.
pub(crate) struct Ours {
    pub(crate) connection: Connection<()>,
    pub(crate) inbox: BytesMut,
    pub(crate) outbox: Outbox,
    pub(crate) now: Instant,
    pub(crate) heard: Vec<(u32, Heard)>,
    /// Its owner takes all that comes. Otherwise it leaves bodies where they are.
    pub(crate) takes: bool,
    /// Its owner is done with streams that break.
    pub(crate) closes: bool,
    unframed: Vec<u8>,
}

impl Ours {
    /// A server, greeted by a client whose settings are acknowledged.
    pub(crate) fn server(limits: &Limits) -> Self {
        let mut ours = Self::new(Connection::server(limits));
        ours.output();
        ours.say(&[PREFACE, &settings(&[]), &frame(4, 1, 0, b"")].concat())
            .unwrap();
        ours.output();
        ours
    }

    /// A client with a server that has greeted it, and which was asked `count` times.
    pub(crate) fn client(limits: &Limits, count: u32) -> Self {
        let mut ours = Self::new(Connection::client(limits));
        ours.output();
        ours.say(&[settings(&[(8, 1)]), frame(4, 1, 0, b"")].concat())
            .unwrap();
        for _ in 0..count {
            let begins = Begins::default();
            let head = RequestHead::default();
            let asked = ours.connection.ask(&head, &begins, (), &mut ours.outbox);
            assert!(asked.is_some());
        }
        ours.output();
        ours
    }

    pub(crate) fn new(connection: Connection<()>) -> Self {
        Self {
            connection,
            inbox: BytesMut::new(),
            outbox: Outbox::default(),
            now: Instant::from_millis(1),
            heard: Vec::new(),
            takes: true,
            closes: true,
            unframed: Vec::new(),
        }
    }

    /// The peer sends these bytes; the owner of streams does what it does.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<(), Fatal> {
        self.inbox.extend_from_slice(bytes);
        let read = self.connection.read(&mut self.inbox, self.now);
        self.listen();
        read
    }

    pub(crate) fn listen(&mut self) {
        while let Some(event) = self.connection.next_event() {
            match event {
                Event::Opened(id) => {
                    let mut head = RequestHead::default();
                    match self.connection.request_head(id, &mut head) {
                        Ok(Some(begins)) => self.hear(id, Heard::Request(Box::new(head), begins)),
                        Ok(None) => panic!("it opened"),
                        Err(refused) => {
                            self.hear(id, Heard::Broken(Broken::Refused(refused)));
                            self.connection.close(id);
                        }
                    }
                    self.connection.set_owner(id, ());
                    self.take(id);
                }
                Event::Progress(id, ()) => self.take(id),
                Event::Settings | Event::GoingAway => {}
            }
        }
    }

    fn hear(&mut self, id: StreamId, heard: Heard) {
        self.heard.push((id.number(), heard));
    }

    fn take(&mut self, id: StreamId) {
        let mut head = ResponseHead::default();
        while let Ok(Some(_)) = self.connection.response_head(id, &mut head) {
            self.hear(id, Heard::Response(Box::new(head.clone())));
        }
        while self.takes {
            match self.connection.body(id) {
                Ok(Part::NeedMore) => return,
                Ok(Part::Data(data)) => self.hear(id, Heard::Data(data.to_vec())),
                Ok(Part::Trailers(fields)) => self.hear(id, Heard::Trailers(fields.len())),
                Ok(Part::End) => {
                    if self.heard.last() != Some(&(id.number(), Heard::End)) {
                        self.hear(id, Heard::End);
                    }
                    return;
                }
                Err(broken) => {
                    self.hear(id, Heard::Broken(broken));
                    if self.closes {
                        self.connection.close(id);
                    }
                    return;
                }
            }
        }
    }

    /// Answers a request with a head and so much of a body.
    pub(crate) fn answer(&mut self, stream: u32, body: usize) {
        let id = self.id(stream);
        let length = BodyLength::Known(body as u64);
        let head = ResponseHead::default();
        self.connection.respond(id, &head, length, &mut self.outbox);
        self.connection.data(id, vec![b'x'; body].into());
        self.connection.end(id, None);
    }

    /// The id of a stream, as events would tell it.
    pub(crate) fn id(&self, stream: u32) -> StreamId {
        StreamId::new(stream).unwrap()
    }

    /// All that it says now.
    pub(crate) fn output(&mut self) -> Vec<Frame> {
        loop {
            self.connection
                .flush(&mut self.outbox, HIGH_WATER, self.now);
            self.unframed.extend(crate::written(&mut self.outbox));
            if !self.connection.has_to_send() {
                break;
            }
        }
        if self.unframed.starts_with(PREFACE) {
            self.unframed.drain(..PREFACE.len());
        }
        let frames = take_frames(&mut self.unframed);
        assert!(self.unframed.is_empty(), "frames are whole");
        frames
    }

    /// All that it says now, in words.
    pub(crate) fn told(&mut self) -> Vec<String> {
        self.output().iter().map(told).collect()
    }
}
