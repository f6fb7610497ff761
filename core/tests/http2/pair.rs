//! A client and a server of ours with one another: whatever is asked and answered, in whatever pieces and at whatever pace,
//! arrives as it was sent, within the windows, and leaves nothing behind.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use outrigger_core::entropy::mix;
use outrigger_core::http2::{Connection, Event, Limits};
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Answer, Begins, BodyLength, Broken, Part, Reset, StreamId};
use outrigger_core::time::Instant;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::codec::wire::{Frame, Windows, take_frames};

/// One message of a script.
#[derive(Clone, Debug)]
struct Body {
    pieces: Vec<usize>,
    /// Its length is told in the head.
    is_known: bool,
    trailers: usize,
}

/// One request of a script and its response.
#[derive(Clone, Debug)]
struct Exchange {
    request: Body,
    interim: usize,
    response: Body,
    /// The client or the server gives up after so many pieces were moved.
    gives_up: Option<(bool, usize)>,
}

impl Body {
    fn length(&self) -> usize {
        self.pieces.iter().sum()
    }

    fn announced(&self) -> BodyLength {
        match (self.is_known, self.length(), self.trailers) {
            (_, 0, 0) => BodyLength::None,
            (true, length, _) => BodyLength::Known(length as u64),
            (false, _, _) => BodyLength::Unknown,
        }
    }

    fn trailers(&self) -> Headers {
        fields(self.trailers)
    }
}

fn fields(count: usize) -> Headers {
    let mut fields = Headers::default();
    for n in 0..count {
        let name = format!("x-field-{n}");
        fields.append(name.as_bytes(), b"some value").unwrap();
    }
    fields
}

/// Something that sends one body, piece by piece, and takes another one.
#[derive(Debug)]
struct Talk {
    exchange: usize,
    next_piece: usize,
    ended: bool,
    /// What came: bytes, trailers, and whether the end did.
    got: (usize, Headers, bool),
    has_head: bool,
    moves: usize,
    reset: Option<Reset>,
}

impl Talk {
    fn new(exchange: usize) -> Self {
        Self {
            exchange,
            next_piece: 0,
            ended: false,
            got: (0, Headers::default(), false),
            has_head: false,
            moves: 0,
            reset: None,
        }
    }
}

struct Side {
    connection: Connection<u32>,
    inbox: BytesMut,
    outbox: Outbox,
    windows: Windows,
    /// What it has sent and its peer has not got.
    wire: Vec<u8>,
    sent: Vec<u8>,
    heard: Vec<u8>,
    talks: BTreeMap<StreamId, Talk>,
}

impl Side {
    fn new(connection: Connection<u32>) -> Self {
        Self {
            connection,
            inbox: BytesMut::new(),
            outbox: Outbox::default(),
            windows: Windows::default(),
            wire: Vec::new(),
            sent: Vec::new(),
            heard: Vec::new(),
            talks: BTreeMap::new(),
        }
    }

    fn flush(&mut self, mark: usize) {
        self.connection.flush(&mut self.outbox, mark, Instant::ZERO);
        let bytes = crate::written(&mut self.outbox);
        self.sent.extend_from_slice(&bytes);
        self.wire.extend_from_slice(&bytes);
        if self.sent.starts_with(b"PRI") {
            self.sent.drain(..24);
        }
        for frame in take_frames(&mut self.sent) {
            self.windows.sent(&frame);
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        self.heard.extend_from_slice(bytes);
        if self.heard.starts_with(b"PRI") {
            if self.heard.len() < 24 {
                return;
            }
            self.heard.drain(..24);
        }
        let frames: Vec<Frame> = take_frames(&mut self.heard);
        for frame in &frames {
            self.windows.got(frame);
        }
        let read = self.connection.read(&mut self.inbox, Instant::ZERO);
        assert_eq!(read, Ok(()), "neither breaks a rule");
    }

    /// Sends the next piece of each body that has room, and takes what is here, as `eager` says.
    fn work(&mut self, script: &[Exchange], is_client: bool, mut eager: impl FnMut() -> bool) {
        let streams: Vec<StreamId> = self.talks.keys().copied().collect();
        for id in streams {
            let talk = self.talks.get_mut(&id).unwrap();
            let exchange = &script[talk.exchange];
            let body = if is_client {
                &exchange.request
            } else {
                &exchange.response
            };
            let gives_up = exchange
                .gives_up
                .filter(|(by_client, _)| *by_client == is_client);
            if talk.reset.is_some() {
                continue;
            }
            if gives_up.is_some_and(|(_, moves)| talk.moves >= moves) && !talk.ended {
                self.connection.reset(id, Reset::Cancelled);
                talk.reset = Some(Reset::Cancelled);
                continue;
            }
            if eager() && !talk.ended && self.connection.unsent(id) < 100_000 {
                talk.moves += 1;
                match body.pieces.get(talk.next_piece) {
                    Some(length) => {
                        let piece = vec![talk.exchange as u8; *length];
                        self.connection.data(id, Bytes::from(piece));
                        talk.next_piece += 1;
                    }
                    None => {
                        self.connection.end(id, Some(&body.trailers()));
                        talk.ended = true;
                    }
                }
            }
            if eager() {
                take(&mut self.connection, id, talk, is_client);
            }
            if talk.ended && talk.got.2 && self.connection.is_sent(id) {
                self.connection.close(id);
            }
        }
    }
}

fn take(connection: &mut Connection<u32>, id: StreamId, talk: &mut Talk, is_client: bool) {
    if is_client && !talk.has_head {
        let mut head = ResponseHead::default();
        match connection.response_head(id, &mut head) {
            Ok(Some(Answer::Final(_))) => talk.has_head = true,
            Ok(Some(Answer::Interim)) => assert_eq!(head.status, 103),
            Ok(None) => {}
            Err(Broken::Reset(reset)) => {
                talk.reset = Some(reset);
                connection.close(id);
            }
            other => panic!("{other:?}"),
        }
        return;
    }
    match connection.body(id) {
        Ok(Part::NeedMore) => {}
        Ok(Part::Data(data)) => {
            assert!(data.iter().all(|byte| *byte == talk.exchange as u8));
            talk.got.0 += data.len();
        }
        Ok(Part::Trailers(trailers)) => talk.got.1 = trailers,
        Ok(Part::End) => talk.got.2 = true,
        Err(Broken::Reset(reset)) => {
            talk.reset = Some(reset);
            connection.close(id);
        }
        Err(refused) => panic!("{refused:?}"),
    }
}

fn head_of(exchange: usize, many_fields: bool) -> RequestHead {
    RequestHead {
        authority: b"shop.test".to_vec(),
        path: format!("/{exchange}").into_bytes(),
        headers: fields(if many_fields { 90 } else { 2 }),
        ..RequestHead::default()
    }
}

/// The server begins to answer those who opened streams.
fn answer(server: &mut Side, script: &[Exchange]) {
    while let Some(event) = server.connection.next_event() {
        let Event::Opened(id) = event else {
            continue;
        };
        let mut head = RequestHead::default();
        let begins = server.connection.request_head(id, &mut head).unwrap();
        let begins = begins.expect("its head is here");
        let number = std::str::from_utf8(&head.path[1..]).unwrap();
        let exchange: usize = number.parse().unwrap();
        let script = &script[exchange];
        assert_eq!(begins.body, script.request.announced());
        assert_eq!(head.authority, b"shop.test");
        server.connection.set_owner(id, exchange as u32);
        for _ in 0..script.interim {
            let head = ResponseHead {
                status: StatusCode::EARLY_HINTS,
                ..ResponseHead::default()
            };
            server.connection.inform(id, &head, &mut server.outbox);
        }
        let head = ResponseHead {
            headers: fields(3),
            ..ResponseHead::default()
        };
        let body = script.response.announced();
        server
            .connection
            .respond(id, &head, body, &mut server.outbox);
        let mut talk = Talk::new(exchange);
        talk.ended = body == BodyLength::None;
        server.talks.insert(id, talk);
    }
}

fn play(script: &[Exchange], mut seed: u64, limits: (Limits, Limits)) {
    let mut client = Side::new(Connection::client(&limits.0));
    let mut server = Side::new(Connection::server(&limits.1));
    let mut next = 0;
    let mut rounds = 0;
    loop {
        let mut random = || {
            seed = mix(seed);
            seed
        };
        while next < script.len() && client.connection.room() > 0 && random() % 3 > 0 {
            let begins = Begins {
                body: script[next].request.announced(),
                upgrade: None,
            };
            let head = head_of(next, random() % 5 == 0);
            let connection = &mut client.connection;
            let id = connection.ask(&head, &begins, next as u32, &mut client.outbox);
            let mut talk = Talk::new(next);
            talk.ended = begins.body == BodyLength::None;
            client.talks.insert(id.expect("there is room"), talk);
            next += 1;
        }
        while client.connection.next_event().is_some() {}
        answer(&mut server, script);
        client.work(script, true, || random() % 3 == 0);
        server.work(script, false, || random() % 3 == 0);
        let mark = 1 + (random() % 40_000) as usize;
        client.flush(mark);
        server.flush(mark);
        carry(&mut client, &mut server, random() as usize % 50_000);
        carry(&mut server, &mut client, random() as usize % 50_000);
        let is_quiet = client.wire.is_empty() && server.wire.is_empty();
        let is_over = client.connection.streams() == 0 && server.connection.streams() == 0;
        if next == script.len() && is_quiet && is_over {
            break;
        }
        rounds += 1;
        assert!(
            rounds < 100_000,
            "it ends: {client_state:?}",
            client_state = client.talks
        );
    }
    check(&client.talks, script, true);
    check(&server.talks, script, false);
}

/// Brings at most so many bytes over.
fn carry(from: &mut Side, to: &mut Side, most: usize) {
    let count = most.min(from.wire.len());
    let bytes: Vec<u8> = from.wire.drain(..count).collect();
    to.hear(&bytes);
}

fn check(talks: &BTreeMap<StreamId, Talk>, script: &[Exchange], is_client: bool) {
    for talk in talks.values() {
        let exchange = &script[talk.exchange];
        let body = if is_client {
            &exchange.response
        } else {
            &exchange.request
        };
        match (talk.reset, exchange.gives_up) {
            (Some(Reset::Unprocessed), _) | (Some(Reset::Cancelled), Some(_)) => continue,
            (None, _) | (Some(_), _) => {}
        }
        let want = (body.length(), body.trailers(), true);
        assert_eq!(talk.got, want, "{:?} {exchange:?}", talk.reset);
    }
}

fn bodies() -> impl Strategy<Value = Body> {
    let piece = prop_oneof![1usize..100, 1usize..20_000, 60_000usize..70_000];
    (vec(piece, 0..5), any::<bool>(), 0usize..3).prop_map(|(pieces, is_known, trailers)| Body {
        pieces,
        is_known,
        trailers,
    })
}

fn exchanges() -> impl Strategy<Value = Exchange> {
    let gives_up = prop_oneof![3 => Just(None), 1 => (any::<bool>(), 0usize..6).prop_map(Some)];
    (bodies(), 0usize..3, bodies(), gives_up).prop_map(|(request, interim, response, gives_up)| {
        Exchange {
            request,
            interim,
            response,
            gives_up,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_said_arrives(
        script in vec(exchanges(), 1..20),
        seed: u64,
        windows in (2_000u32..200_000, 65_535u32..200_000),
        streams in 1u32..10,
    ) {
        let limits = Limits {
            stream_window: windows.0,
            connection_window: windows.1,
            concurrent_streams: streams,
            ..Limits::SERVER
        };
        play(&script, seed, (Limits::CLIENT, limits));
        play(&script, seed, (Limits { concurrent_streams: 50, ..limits }, Limits::SERVER));
    }
}
