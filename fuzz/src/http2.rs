//! What must hold for a connection of HTTP/2 whatever its peer sends and its owner calls: it does not panic, says nothing
//! that a peer could not take, sends nothing beyond a window, holds no more than its limits allow, and tells the same
//! however bytes arrive. Fuzz targets call [`connection`] and [`cuts`]; core's tests replay the corpus through them and build
//! their tables and properties on [`wire`], as does the comparison with nghttp2.

#[path = "http2/told.rs"]
pub(crate) mod told;
#[path = "http2/wire.rs"]
pub mod wire;

use bytes::{Bytes, BytesMut};
use outrigger_core::http2::{Connection, Event, Fatal, Limits};
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Begins, BodyLength, Part, Reset, StreamId};
use outrigger_core::time::{Duration, Instant};

use told::{pieces, told};
use wire::{Windows, block, frame, settings, take_frames};

/// Streams are told apart by little numbers.
const STREAMS: u32 = 16;

/// Bytes as a row of things to do.
struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> u32 {
        let low = self.next().unwrap_or_default();
        match low >> 6 {
            0 => u32::from(low),
            1 => u32::from(low & 0x3f) << 6,
            2 => u32::from(low & 0x3f) << 13,
            _ => u32::from(low & 0x3f) << 25 | 0x01ff_ffff,
        }
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn stream(&mut self) -> u32 {
        u32::from(self.next().unwrap_or_default()) % STREAMS
    }
}

/// A connection under test, and the model of what it may send.
struct Stage {
    connection: Connection<u8>,
    is_client: bool,
    limits: Limits,
    inbox: BytesMut,
    outbox: Outbox,
    now: Instant,
    fatal: Option<Fatal>,
    windows: Windows,
    /// What came and makes no frame yet.
    heard: Vec<u8>,
    /// All that came.
    all: Vec<u8>,
    said: Vec<u8>,
    /// Requests that were begun or answered.
    begun: usize,
    request: RequestHead,
    response: ResponseHead,
}

/// Any bytes are a program for a connection, its peer and its owner. Gives back all that the peer said: others may be told
/// the same.
pub fn connection(bytes: &[u8]) -> Vec<u8> {
    let mut program = Program(bytes);
    let mut stage = Stage::new(program.next().unwrap_or_default());
    while let Some(step) = program.next() {
        stage.step(step, &mut program);
        stage.check();
    }
    stage.flush(usize::MAX);
    stage.connection.on_eof();
    while stage.connection.next_event().is_some() {}
    for stream in 1..STREAMS * 2 {
        if let Some(id) = StreamId::new(stream) {
            stage.connection.close(id);
        }
    }
    stage.check();
    stage.all
}

impl Stage {
    fn new(options: u8) -> Self {
        let is_client = options & 1 != 0;
        let small = Limits {
            concurrent_streams: 3,
            control_frames: 5,
            stream_window: 50,
            connection_window: 70_000,
            unsent_mark: 10,
            ..Limits::SERVER
        };
        let limits = match options & 3 {
            0 => Limits::SERVER,
            1 => Limits::CLIENT,
            _ => small,
        };
        let mut stage = Self {
            connection: if is_client {
                Connection::client(&limits)
            } else {
                Connection::server(&limits)
            },
            is_client,
            limits,
            inbox: BytesMut::new(),
            outbox: Outbox::default(),
            now: Instant::from_millis(1),
            fatal: None,
            windows: Windows::default(),
            heard: Vec::new(),
            all: Vec::new(),
            said: Vec::new(),
            begun: 0,
            request: RequestHead::default(),
            response: ResponseHead::default(),
        };
        // Most connections begin well, so that more is tried of what follows.
        if options & 4 == 0 {
            let greeting: &[u8] = if is_client { b"" } else { wire::PREFACE };
            stage.hear(&[greeting, &settings(&[(8, 1)])].concat());
        }
        stage
    }

    fn step(&mut self, step: u8, program: &mut Program<'_>) {
        let stream = program.stream();
        match step % 16 {
            0 => {
                let raw = program.take(stream as usize);
                self.hear(raw);
            }
            1 => {
                let (kind, flags) = (program.next().unwrap_or(6), program.next().unwrap_or(1));
                let length = program.number() as usize % 64;
                let payload = program.take(length);
                self.hear(&frame(kind % 11, flags, stream, payload));
            }
            2 => self.hear(&head(
                stream,
                program.next().unwrap_or_default(),
                self.is_client,
            )),
            3 => {
                let length = program.number() as usize % 16_385;
                self.hear(&frame(
                    0,
                    u8::from(step & 16 != 0),
                    stream,
                    &vec![b'x'; length],
                ));
            }
            4 => self.hear(&frame(8, 0, stream, &program.number().to_be_bytes())),
            5 => {
                let ack = frame(4, 1, 0, b"");
                let change = settings(&[(4, program.number()), (1, program.number())]);
                self.hear(if step & 16 == 0 { &change } else { &ack });
            }
            6 => self.begin(stream, program.next().unwrap_or_default()),
            7 => {
                let length = program.number() as usize % 70_000;
                self.at(stream, |stage, id| {
                    stage.connection.data(id, Bytes::from(vec![0; length]));
                });
            }
            8 => {
                let mut trailers = Headers::default();
                if step & 16 != 0 {
                    let _ = trailers.append(b"x-sum", b"1");
                }
                self.at(stream, |stage, id| {
                    stage.connection.end(id, Some(&trailers));
                });
            }
            9 => self.at(stream, |stage, id| match step & 16 {
                0 => stage.connection.close(id),
                _ => stage.connection.reset(id, Reset::Failed),
            }),
            10 => self.at(stream, Self::take),
            11 if step & 16 != 0 => self.flush(usize::MAX),
            11 => self.flush(program.number() as usize),
            12..=14 => self.live(step, stream),
            _ => self.listen(),
        }
    }

    /// Time passes, or the connection ends.
    fn live(&mut self, step: u8, stream: u32) {
        match step % 16 {
            12 => {
                self.now = self.now + Duration::from_secs(u64::from(stream) * 10);
                let done = self.connection.on_time(self.now);
                self.judge(done);
            }
            13 if step & 16 == 0 => self.connection.drain(),
            13 => self.connection.finish_drain(),
            14 if stream == 0 && step & 16 != 0 => self.connection.on_eof(),
            _ => {}
        }
    }

    fn at(&mut self, stream: u32, act: impl FnOnce(&mut Self, StreamId)) {
        if let Some(id) = StreamId::new(stream) {
            act(self, id);
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        self.heard.extend_from_slice(bytes);
        self.all.extend_from_slice(bytes);
        let bodies = self.connection.bodies_ahead(&self.inbox);
        assert!(
            bodies
                .iter()
                .all(|body| body.start < body.end && body.end <= self.inbox.len())
        );
        if self.fatal.is_none() {
            if !self.is_client && self.heard.starts_with(wire::PREFACE) {
                self.heard.drain(..wire::PREFACE.len());
            }
            for frame in take_frames(&mut self.heard) {
                if frame.payload.len() >= 4 || frame.kind != wire::WINDOW_UPDATE {
                    self.windows.got(&frame);
                }
            }
        }
        let read = self.connection.read(&mut self.inbox, self.now);
        self.judge(read);
    }

    fn judge(&mut self, done: Result<(), Fatal>) {
        match (self.fatal, done) {
            (None, Err(fatal)) => self.fatal = Some(fatal),
            (Some(fatal), again) => assert_eq!(again, Err(fatal), "it stays ended"),
            (None, Ok(())) => {}
        }
    }

    fn begin(&mut self, stream: u32, how: u8) {
        self.begun += 1;
        let body = match how % 4 {
            0 => BodyLength::None,
            1 => BodyLength::Known(u64::from(how) * 100),
            _ => BodyLength::Unknown,
        };
        let upgrade = (how & 16 != 0).then(|| "websocket".into());
        if self.is_client {
            let begins = Begins { body, upgrade };
            let head = RequestHead {
                path: b"/".to_vec(),
                ..RequestHead::default()
            };
            let room = self.connection.room();
            let asked = self.connection.ask(&head, &begins, how, &mut self.outbox);
            assert!(asked.is_none() || room > 0);
            return;
        }
        let head = ResponseHead::default();
        let Some(id) = StreamId::new(stream) else {
            return;
        };
        if how & 32 != 0 {
            let interim = ResponseHead {
                status: http::StatusCode::EARLY_HINTS,
                ..ResponseHead::default()
            };
            self.connection.inform(id, &interim, &mut self.outbox);
        }
        self.connection.respond(id, &head, body, &mut self.outbox);
    }

    fn take(&mut self, id: StreamId) {
        let before = self.connection.unread(id);
        let _ = self.connection.request_head(id, &mut self.request);
        let _ = self.connection.response_head(id, &mut self.response);
        if let Ok(Part::Data(data)) = self.connection.body(id) {
            assert_eq!(self.connection.unread(id), before - data.len());
        }
    }

    fn listen(&mut self) {
        while let Some(event) = self.connection.next_event() {
            if let Event::Opened(id) = event {
                let _ = self.connection.request_head(id, &mut self.request);
                self.connection.set_owner(id, 0);
            }
        }
    }

    fn flush(&mut self, mark: usize) {
        self.connection.flush(&mut self.outbox, mark, self.now);
        if mark == usize::MAX {
            assert!(
                !self.connection.has_to_send(),
                "all that may leave has left"
            );
        }
        self.said.extend(self.outbox.pieces().flatten());
        self.outbox.clear();
        if self.is_client && self.said.starts_with(wire::PREFACE) {
            self.said.drain(..wire::PREFACE.len());
        }
        for frame in take_frames(&mut self.said) {
            // After a fault it is not known which frames were read.
            if self.fatal.is_none() {
                self.windows.sent(&frame);
            }
        }
        assert!(self.said.is_empty(), "frames are whole");
        if mark == usize::MAX && self.fatal.is_none() {
            for id in (1..STREAMS).filter_map(StreamId::new) {
                let is_shut = self.windows.is_shut(id.number());
                assert!(
                    is_shut || self.connection.unsent(id) == 0,
                    "what may leave has"
                );
            }
        }
    }

    fn check(&self) {
        let streams = self.connection.streams();
        // Those that are complete do not count until an owner hears of them, and each is one that was answered.
        assert!(streams <= 2 * self.limits.concurrent_streams as usize + self.begun);
        for id in (1..STREAMS).filter_map(StreamId::new) {
            // Before it has acknowledged ours, a peer goes by what is so by default.
            let most = self.limits.stream_window.max(65_535) as usize;
            assert!(self.connection.unread(id) <= most);
        }
    }
}

/// A head that is right, or nearly.
fn head(stream: u32, how: u8, of_server: bool) -> Vec<u8> {
    let mut fields = match (of_server, how & 3) {
        (_, 3) => vec![("x-sum", "1")],
        (true, 2) => vec![(":status", "103")],
        (true, _) => vec![(":status", "200")],
        (false, 2) => vec![
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "a"),
        ],
        (false, _) => vec![
            (":method", if how & 64 == 0 { "GET" } else { "HEAD" }),
            (":scheme", "http"),
            (":path", "/"),
        ],
    };
    match how >> 4 & 3 {
        0 => fields.push(("content-length", "10")),
        1 => fields.push(("Upper", "case")),
        _ => {}
    }
    let flags = 4 | u8::from(how & 4 != 0);
    if how & 8 == 0 {
        return frame(1, flags, stream, &block(&fields));
    }
    let block = block(&fields);
    let (first, rest) = block.split_at(block.len() / 2);
    [
        frame(1, flags & 1, stream, first),
        frame(9, 4, stream, rest),
    ]
    .concat()
}

/// A peer sends these bytes behind a greeting; the first one says which role it has. However they arrive, the streams that
/// are not broken tell the same, and so does a fault of the connection.
pub fn cuts(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let is_client = first & 1 != 0;
    let whole = told(is_client, [bytes]);
    assert_eq!(whole, told(is_client, bytes.chunks(1)));
    let seed = u64::from(*first) + bytes.len() as u64;
    assert_eq!(whole, told(is_client, pieces(bytes, seed)));
}
