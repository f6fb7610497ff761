//! A worker between a client and endpoints in memory; both speak either version, with the codecs of core in the other role.

pub(crate) mod tunnels;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use outrigger_core::compile::from_yaml;
use outrigger_core::decision::Record;
use outrigger_core::entropy::Entropy;
use outrigger_core::http1;
use outrigger_core::http2::{Connection, Event, Limits};
use outrigger_core::message::{RequestHead, ResponseHead};
use outrigger_core::outbox::Outbox;
use outrigger_core::peer::{ClientId, ConnId, ListenerKind, Peer, UpstreamId};
use outrigger_core::stream::{Answer, Begins, BodyLength, Part, Protocol, StreamId};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, Interest, Output, Worker, WorkerSettings};

/// What a client gets for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<String>,
    pub(crate) is_whole: bool,
    pub(crate) reset: Option<String>,
    pub(crate) head: ResponseHead,
}

impl Got {
    fn on_head(&mut self, head: ResponseHead) {
        self.status = head.status.as_u16();
        self.head = head;
    }
}

/// What an endpoint got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) head: RequestHead,
    pub(crate) body: Vec<u8>,
    pub(crate) is_whole: bool,
    pub(crate) reset: bool,
    /// It is for another protocol; whether it was agreed to.
    pub(crate) upgrade: Option<bool>,
    /// How much of what came through a tunnel was sent back.
    echoed: usize,
}

/// An end of a connection that is not the worker's.
#[expect(clippy::large_enum_variant, reason = "a test has a few of them")]
enum Codec {
    Server1(http1::Server, Option<Asked>),
    Server2(Box<Connection<usize>>, BTreeMap<StreamId, Asked>),
}

pub(crate) struct Endpoint {
    codec: Codec,
    inbox: BytesMut,
    outbox: Outbox,
    pub(crate) asked: Vec<Asked>,
    pub(crate) is_closed: bool,
    /// Nothing more is written to it.
    pub(crate) is_shut: bool,
    /// It answers what is complete.
    pub(crate) answers: bool,
    /// It takes what comes.
    takes: bool,
    /// It answers the key of a websocket, and not another one.
    proves: bool,
}

/// The client's end.
pub(crate) enum ClientCodec {
    One(http1::Client, usize),
    Two(Box<Connection<usize>>),
}

pub(crate) struct Mesh {
    pub(crate) worker: Worker,
    pub(crate) now: Instant,
    pub(crate) client: ClientId,
    codec: ClientCodec,
    inbox: BytesMut,
    outbox: Outbox,
    pub(crate) got: Vec<Got>,
    streams: Vec<StreamId>,
    pub(crate) endpoints: BTreeMap<UpstreamId, Endpoint>,
    speaks: Protocol,
    pub(crate) ended: Vec<String>,
    pub(crate) is_closed: bool,
    /// Nothing more is written to the client.
    pub(crate) is_shut: bool,
    interests: BTreeMap<ConnId, Interest>,
    pub(crate) holds: bool,
    /// The client takes nothing of what comes on its streams.
    pub(crate) is_stuck: bool,
    endpoints_take: bool,
    endpoints_prove: bool,
    /// What comes to endpoints is no HTTP.
    endpoints_are_raw: bool,
    /// Endpoints know nothing of RFC 8441.
    pub(crate) knows_no_protocols: bool,
    /// What is to be done on a connection: it is made, or something can be written.
    todo: VecDeque<(ConnId, bool)>,
}

const PEER: Peer = Peer {
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1000),
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001),
    original: None,
    listener: ListenerKind::Outbound,
};

pub(crate) fn service(protocol: &str, more: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: h}}
spec:
  hosts: [h.test]
  resolution: STATIC
  ports: [{{number: 80, name: p, protocol: {protocol}}}]
  endpoints: [{{address: 10.0.0.1}}]
{more}"
    )
}

impl Mesh {
    pub(crate) fn new(client: Protocol, service_speaks: Protocol, yaml: &str) -> Self {
        Self::with(client, service_speaks, yaml, WorkerSettings::default())
    }

    pub(crate) fn with(
        client: Protocol,
        service_speaks: Protocol,
        yaml: &str,
        settings: WorkerSettings,
    ) -> Self {
        let snapshot = Arc::new(from_yaml(yaml).snapshot);
        let mut worker = Worker::new(snapshot, settings, 1);
        let now = Instant::ZERO;
        let id = worker.accept(PEER, Entropy(7), now);
        let codec = match client {
            Protocol::Http1 => ClientCodec::One(http1::Client::default(), 0),
            Protocol::Http2 => ClientCodec::Two(Box::new(Connection::client(&Limits::CLIENT))),
        };
        Self {
            worker,
            now,
            client: id,
            codec,
            inbox: BytesMut::new(),
            outbox: Outbox::default(),
            got: Vec::new(),
            streams: Vec::new(),
            endpoints: BTreeMap::new(),
            speaks: service_speaks,
            ended: Vec::new(),
            is_closed: false,
            is_shut: false,
            interests: BTreeMap::new(),
            holds: false,
            is_stuck: false,
            endpoints_take: true,
            endpoints_prove: true,
            endpoints_are_raw: false,
            knows_no_protocols: false,
            todo: VecDeque::new(),
        }
    }

    /// Begins a request; its number.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> usize {
        let mut head = RequestHead {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            authority: b"h.test".to_vec(),
            path: path.as_bytes().to_vec(),
            ..RequestHead::default()
        };
        for (name, value) in fields {
            head.headers
                .append(name.as_bytes(), value.as_bytes())
                .unwrap();
        }
        let begins = Begins {
            body: body.map_or(
                BodyLength::None,
                |body| BodyLength::Known(body.len() as u64),
            ),
            upgrade: None,
        };
        let number = self.got.len();
        self.got.push(Got::default());
        match &mut self.codec {
            ClientCodec::One(codec, at) => {
                *at = number;
                codec.ask(&head, &begins, &mut self.outbox);
                if let Some(body) = body {
                    codec.data(Bytes::copy_from_slice(body), &mut self.outbox);
                }
                codec.end(None, &mut self.outbox);
            }
            ClientCodec::Two(codec) => {
                let stream = codec.ask(&head, &begins, number, &mut self.outbox);
                let stream = stream.expect("there is room");
                self.streams.push(stream);
                if let Some(body) = body {
                    codec.data(stream, Bytes::copy_from_slice(body));
                    codec.end(stream, None);
                }
            }
        }
        number
    }

    pub(crate) fn reset(&mut self, number: usize) {
        let ClientCodec::Two(codec) = &mut self.codec else {
            panic!("streams are of HTTP/2");
        };
        codec.reset(
            self.streams[number],
            outrigger_core::stream::Reset::Cancelled,
        );
    }

    /// Plays until nothing moves.
    pub(crate) fn play(&mut self) {
        loop {
            let mut moved = self.outputs();
            moved |= self.client_speaks();
            moved |= self.endpoints_speak();
            if !moved {
                return;
            }
        }
    }

    pub(crate) fn time(&mut self, now: Instant) {
        self.now = now;
        self.worker.on_time(now);
        self.play();
    }

    fn client_speaks(&mut self) -> bool {
        if let ClientCodec::Two(codec) = &mut self.codec {
            codec.flush(&mut self.outbox, usize::MAX, self.now);
        }
        let id = ConnId::Client(self.client);
        if self.is_closed
            || self.outbox.is_empty()
            || !self.interests.get(&id).is_some_and(|i| i.read)
        {
            return false;
        }
        let all: Vec<u8> = self.outbox.pieces().flatten().copied().collect();
        let count = self.deliver(id, &all);
        self.outbox.advance(count);
        true
    }

    /// How much of it was read.
    fn deliver(&mut self, id: ConnId, bytes: &[u8]) -> usize {
        let mut count = 0;
        for piece in bytes.chunks(16 * 1024) {
            if !self.interests.get(&id).is_some_and(|i| i.read) {
                return count;
            }
            if let Some(space) = self.worker.space(id) {
                space.extend_from_slice(piece);
                self.worker
                    .handle_input(id, Input::Read(piece.len()), self.now);
                self.outputs();
            }
            count += piece.len();
        }
        count
    }

    pub(crate) fn eof(&mut self) {
        self.worker
            .handle_input(ConnId::Client(self.client), Input::Eof, self.now);
        self.play();
    }

    /// Does what the worker says, and what follows from that. All that it says after a call is taken before the next one.
    fn outputs(&mut self) -> bool {
        let mut moved = false;
        loop {
            moved |= self.take_outputs();
            let Some((id, is_made)) = self.todo.pop_front() else {
                return moved;
            };
            if is_made {
                let connected = Input::Connected(Box::default());
                self.worker.handle_input(id, connected, self.now);
            } else {
                self.take(id);
            }
        }
    }

    fn take_outputs(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.worker.poll_output() {
            moved = true;
            match output {
                Output::Connect(id, ..) => {
                    let codec = match self.speaks {
                        Protocol::Http1 => {
                            let tunnel = self.endpoints_are_raw.then(Asked::tunnel);
                            Codec::Server1(http1::Server::default(), tunnel)
                        }
                        Protocol::Http2 => {
                            let server = Connection::server(&Limits::SERVER);
                            Codec::Server2(Box::new(server), BTreeMap::new())
                        }
                    };
                    let endpoint = Endpoint {
                        codec,
                        inbox: BytesMut::new(),
                        outbox: Outbox::default(),
                        asked: Vec::new(),
                        is_closed: false,
                        is_shut: false,
                        answers: !self.holds,
                        takes: self.endpoints_take,
                        proves: self.endpoints_prove,
                    };
                    self.endpoints.insert(id, endpoint);
                    self.todo.push_back((id.into(), true));
                }
                Output::Close(ConnId::Upstream(id)) | Output::Abort(id) => {
                    self.interests.remove(&id.into());
                    if let Some(endpoint) = self.endpoints.get_mut(&id) {
                        endpoint.is_closed = true;
                    }
                }
                Output::Close(ConnId::Client(_)) | Output::Reset(_) | Output::Refuse(..) => {
                    self.is_closed = true;
                }
                Output::ShutdownWrite(ConnId::Client(_)) => self.is_shut = true,
                Output::ShutdownWrite(ConnId::Upstream(id)) => {
                    if let Some(endpoint) = self.endpoints.get_mut(&id) {
                        endpoint.is_shut = true;
                    }
                }
                Output::Announce | Output::Secure(..) => {}
                Output::Ended(id) => {
                    let exchange = self.worker.ended(id).expect("its story");
                    self.ended.push(story(exchange.record()));
                }
                Output::Wait(id, interest) => {
                    self.interests.insert(id, interest);
                    if interest.write {
                        self.todo.push_back((id, false));
                    }
                }
            }
        }
        moved
    }

    /// What the worker wrote to a connection arrives.
    fn take(&mut self, id: ConnId) {
        let Some(outbox) = self.worker.outbox(id) else {
            return;
        };
        let all: Vec<u8> = outbox.pieces().flatten().copied().collect();
        if all.is_empty() {
            return;
        }
        match id {
            // What is not taken of a stream is not given credit for; without streams, the connection is not read.
            ConnId::Upstream(id)
                if self.speaks == Protocol::Http1 && !self.endpoints[&id].takes =>
            {
                return;
            }
            ConnId::Client(_) => self.inbox.extend_from_slice(&all),
            ConnId::Upstream(id) => {
                let endpoint = self.endpoints.get_mut(&id).expect("it is connected");
                endpoint.inbox.extend_from_slice(&all);
            }
        }
        self.worker
            .handle_input(id, Input::Wrote(all.len()), self.now);
        // It is still waited for that something can be written.
        if self
            .worker
            .outbox(id)
            .is_some_and(|outbox| !outbox.is_empty())
        {
            self.todo.push_back((id, false));
        }
        match id {
            ConnId::Client(_) => self.client_hears(),
            ConnId::Upstream(id) => {
                let endpoint = self.endpoints.get_mut(&id).expect("it is connected");
                endpoint.hears(self.now);
            }
        }
    }

    fn client_hears(&mut self) {
        match &mut self.codec {
            ClientCodec::One(codec, at) => {
                let got = &mut self.got[*at];
                if got.status == 0 {
                    let mut head = ResponseHead::default();
                    match codec.head(&mut self.inbox, &mut head) {
                        Ok(Some(Answer::Final(_) | Answer::Switched(_))) => got.on_head(head),
                        Ok(_) => return,
                        Err(refused) => panic!("{refused:?}"),
                    }
                }
                if got.head.status == StatusCode::SWITCHING_PROTOCOLS {
                    got.body.extend_from_slice(&self.inbox.split());
                    return;
                }
                while let Ok(part) = codec.body(&mut self.inbox) {
                    match part {
                        Part::NeedMore => return,
                        Part::Data(data) => got.body.extend_from_slice(&data),
                        Part::Trailers(trailers) => got.trailers = Some(format!("{trailers:?}")),
                        Part::End => {
                            got.is_whole = true;
                            return;
                        }
                    }
                }
            }
            ClientCodec::Two(codec) => {
                codec
                    .read(&mut self.inbox, self.now)
                    .expect("what we write is right");
                while !self.is_stuck
                    && let Some(event) = codec.next_event()
                {
                    let Event::Progress(stream, number) = event else {
                        continue;
                    };
                    let got = &mut self.got[number];
                    if let Err(broken) = hear(codec, stream, got) {
                        got.reset = Some(broken);
                        codec.close(stream);
                    } else if got.is_whole && got.status != 101 {
                        codec.close(stream);
                    }
                }
            }
        }
    }

    fn endpoints_speak(&mut self) -> bool {
        let mut moved = false;
        let ids: Vec<_> = self.endpoints.keys().copied().collect();
        for id in ids {
            let endpoint = self.endpoints.get_mut(&id).expect("it is there");
            endpoint.speaks(self.now);
            if self.knows_no_protocols {
                endpoint.forget_protocols();
            }
            let reads = self.interests.get(&id.into()).is_some_and(|i| i.read);
            if endpoint.is_closed || endpoint.outbox.is_empty() || !reads {
                continue;
            }
            let all: Vec<u8> = endpoint.outbox.pieces().flatten().copied().collect();
            let count = self.deliver(id.into(), &all);
            if let Some(endpoint) = self.endpoints.get_mut(&id) {
                endpoint.outbox.advance(count);
            }
            moved = true;
        }
        moved
    }

    /// All endpoints answer what they hold, and from now on at once.
    pub(crate) fn answer_all(&mut self) {
        self.holds = false;
        self.endpoints
            .values_mut()
            .for_each(|endpoint| endpoint.answers = true);
        self.play();
    }

    /// Endpoints that are connected, and those to come, take nothing of what comes; or they do.
    pub(crate) fn endpoints_are_stuck(&mut self, are: bool) {
        self.endpoints_take = !are;
        let all = self.endpoints.values_mut();
        all.for_each(|endpoint| endpoint.takes = !are);
    }

    /// What waits is taken, and from now on everything is.
    pub(crate) fn take_all(&mut self) {
        self.is_stuck = false;
        self.client_hears();
        let ids: Vec<_> = self.endpoints.keys().copied().collect();
        for id in ids {
            let endpoint = self.endpoints.get_mut(&id).expect("it is there");
            endpoint.takes = true;
            endpoint.hears(self.now);
            self.take(id.into());
        }
        self.play();
    }

    /// The client's connection is to end.
    pub(crate) fn drain(&mut self) {
        self.worker
            .handle_input(ConnId::Client(self.client), Input::Drain, self.now);
        self.play();
    }

    /// Whether the client knows that it may begin no other stream.
    pub(crate) fn client_is_told(&self) -> bool {
        match &self.codec {
            ClientCodec::One(..) => false,
            ClientCodec::Two(codec) => codec.room() == 0,
        }
    }

    /// An endpoint takes no other stream, and says so.
    pub(crate) fn endpoint_goes_away(&mut self, id: UpstreamId) {
        let endpoint = self.endpoints.get_mut(&id).expect("it is there");
        let Codec::Server2(codec, _) = &mut endpoint.codec else {
            panic!("streams are of HTTP/2");
        };
        codec.finish_drain();
        self.play();
    }

    /// An endpoint's connection ends.
    pub(crate) fn endpoint_ends(&mut self, id: UpstreamId) {
        self.worker.handle_input(id.into(), Input::Eof, self.now);
        self.play();
    }
}

fn hear(codec: &mut Connection<usize>, stream: StreamId, got: &mut Got) -> Result<(), String> {
    while got.status == 0 {
        let mut head = ResponseHead::default();
        match codec.response_head(stream, &mut head) {
            Ok(Some(Answer::Final(_) | Answer::Switched(_))) => got.on_head(head),
            Ok(Some(Answer::Interim)) => {}
            Ok(None) => return Ok(()),
            Err(broken) => return Err(format!("{broken:?}")),
        }
    }
    loop {
        match codec.body(stream).map_err(|broken| format!("{broken:?}"))? {
            Part::NeedMore => return Ok(()),
            Part::Data(data) => got.body.extend_from_slice(&data),
            Part::Trailers(trailers) => got.trailers = Some(format!("{trailers:?}")),
            Part::End => {
                got.is_whole = true;
                return Ok(());
            }
        }
    }
}

impl Endpoint {
    /// Requests that it has and has not answered.
    pub(crate) fn open(&self) -> usize {
        match &self.codec {
            Codec::Server1(_, asked) => usize::from(asked.is_some()),
            Codec::Server2(_, all) => all.len(),
        }
    }

    fn hears(&mut self, now: Instant) {
        match &mut self.codec {
            Codec::Server1(codec, asked) => loop {
                if asked.is_none() {
                    let mut head = RequestHead::default();
                    match codec.head(&mut self.inbox, &mut head) {
                        Ok(Some(begins)) => {
                            *asked = Some(Asked {
                                head,
                                upgrade: begins.upgrade.map(|_| false),
                                ..Asked::default()
                            });
                        }
                        Ok(None) => return,
                        Err(refused) => panic!("{refused:?}"),
                    }
                }
                let Some(now_asked) = asked else { return };
                if now_asked.upgrade == Some(true) {
                    now_asked.body.extend_from_slice(&self.inbox.split());
                    return;
                }
                match codec.body(&mut self.inbox).expect("what we write is right") {
                    Part::NeedMore => return,
                    Part::Data(data) => now_asked.body.extend_from_slice(&data),
                    Part::Trailers(_) => {}
                    Part::End => {
                        now_asked.is_whole = true;
                        return;
                    }
                }
            },
            Codec::Server2(codec, all) => {
                codec
                    .read(&mut self.inbox, now)
                    .expect("what we write is right");
                while self.takes
                    && let Some(event) = codec.next_event()
                {
                    let stream = match event {
                        Event::Opened(stream) => {
                            let mut head = RequestHead::default();
                            let begins = codec
                                .request_head(stream, &mut head)
                                .expect("a head")
                                .expect("a head");
                            codec.set_owner(stream, 0);
                            let asked = Asked {
                                head,
                                upgrade: begins.upgrade.map(|_| false),
                                ..Asked::default()
                            };
                            all.insert(stream, asked);
                            stream
                        }
                        Event::Progress(stream, _) => stream,
                        Event::Settings | Event::GoingAway => continue,
                    };
                    let Some(asked) = all.get_mut(&stream) else {
                        continue;
                    };
                    loop {
                        match codec.body(stream) {
                            Ok(Part::NeedMore) => break,
                            Ok(Part::Data(data)) => asked.body.extend_from_slice(&data),
                            Ok(Part::Trailers(_)) => {}
                            Ok(Part::End) => {
                                asked.is_whole = true;
                                break;
                            }
                            Err(_) => {
                                asked.reset = true;
                                break;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Answers what is complete, with the body that came.
    fn speaks(&mut self, now: Instant) {
        let mut head = ResponseHead {
            status: StatusCode::OK,
            ..ResponseHead::default()
        };
        head.headers.append(b"x-from", b"endpoint").unwrap();
        if self.tunnels() {
            return;
        }
        match &mut self.codec {
            Codec::Server1(codec, asked) => {
                if self.answers && asked.as_ref().is_some_and(|asked| asked.is_whole) {
                    let asked = asked.take().expect("looked at");
                    let body = answer_to(&asked);
                    let length = BodyLength::Known(body.len() as u64);
                    codec.respond(&head, length, None, true, &mut self.outbox);
                    codec.data(body, &mut self.outbox);
                    codec.end(None, &mut self.outbox);
                    self.asked.push(asked);
                }
            }
            Codec::Server2(codec, all) => {
                let ready: Vec<_> = (all.iter())
                    .filter(|(_, asked)| asked.reset || self.answers && asked.is_whole)
                    .map(|(stream, _)| *stream)
                    .collect();
                for stream in ready {
                    let asked = all.remove(&stream).expect("it is there");
                    if !asked.reset && asked.upgrade.is_none() {
                        let body = answer_to(&asked);
                        let length = BodyLength::Known(body.len() as u64);
                        codec.respond(stream, &head, length, &mut self.outbox);
                        codec.data(stream, body);
                        codec.end(stream, None);
                    }
                    codec.close(stream);
                    self.asked.push(asked);
                }
                codec.flush(&mut self.outbox, usize::MAX, now);
            }
        }
    }
}

/// What came, or as many bytes as the path says.
fn answer_to(asked: &Asked) -> Bytes {
    let path = core::str::from_utf8(&asked.head.path).expect("it is text");
    match path.strip_prefix("/bytes/") {
        Some(count) => vec![b'y'; count.parse().expect("a number")].into(),
        None => asked.body.clone().into(),
    }
}

fn story(record: &Record) -> String {
    format!("{} {} {}", record.status, record.details, record.flags())
}
