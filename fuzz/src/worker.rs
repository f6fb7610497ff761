//! What must hold for a worker whatever its client and its endpoints send and however they end: it does not panic, writes
//! nothing but whole frames to who speaks HTTP/2, holds no more memory than it may, and nothing of it is left when all are
//! gone. A fuzz target calls [`streams`]; core's tests replay the corpus through it, and random programs.

#[path = "worker/messages.rs"]
mod messages;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use messages::{REQUESTS, RESPONSES, TEXTS};
use outrigger_core::compile::from_yaml;
use outrigger_core::entropy::Entropy;
use outrigger_core::peer::{ClientId, ConnId, ListenerKind, Peer, UpstreamId};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{ConnectFault, Input, Interest, Output, Worker, WorkerSettings};

use crate::http2::wire::{
    DATA, Frame, HEADERS, PREFACE, RESET, WINDOW_UPDATE, block, frame, settings, take_frames,
};

/// Services that speak either version, with limits, retries, times and a mirror, and one for gRPC-Web.
const CONFIG: &str = include_str!("worker/config.yaml");

/// What all connections may hold before less is read.
const BUFFERED: u64 = 64 * 1024;

/// What they hold at most: streams have windows and low marks of their own.
const MOST_BUFFERED: u64 = 16 * 1024 * 1024;

/// A little credit.
const CREDIT: [u8; 4] = [0, 0, 16, 0];

/// Bytes as a row of things to do.
struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> usize {
        self.next().unwrap_or_default().into()
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[derive(Default)]
struct Endpoint {
    is_made: bool,
    speaks_http2: bool,
    /// Streams that it has.
    opened: u32,
    /// What was written to it and makes no frame yet.
    heard: Vec<u8>,
}

impl Endpoint {
    fn take(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        if self.heard.starts_with(PREFACE) {
            self.heard.drain(..PREFACE.len());
        }
        for frame in take_frames(&mut self.heard) {
            assert!(is_known(&frame));
            if frame.kind == HEADERS {
                self.opened = self.opened.max(frame.stream / 2 + 1);
            }
        }
    }
}

fn is_known(frame: &Frame) -> bool {
    frame.kind <= 9
}

struct Stage {
    worker: Worker,
    now: Instant,
    client: Option<ClientId>,
    /// What was written to it and makes no frame yet.
    client_heard: Vec<u8>,
    endpoints: BTreeMap<UpstreamId, Endpoint>,
    interests: BTreeMap<ConnId, Interest>,
    announced: bool,
    /// Streams that the client has opened.
    opened: u32,
}

/// Any bytes are a program for a worker, its client and its endpoints.
pub fn streams(bytes: &[u8]) {
    let snapshot = Arc::new(from_yaml(CONFIG).snapshot);
    let mut program = Program(bytes);
    let mut stage = Stage::new(Arc::new(snapshot.apart()));
    if program.next().is_some_and(|how| how % 8 != 7) {
        stage.client_says(&[PREFACE, &settings(&[])].concat());
    }
    while let Some(step) = program.next() {
        stage.step(step, &mut program, &snapshot);
        stage.check();
    }
    stage.end();
}

impl Stage {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        let limits = WorkerSettings::default();
        let settings = WorkerSettings {
            max_buffered_bytes: Some(BUFFERED),
            max_request_body: Some(100_000),
            stream_idle_timeout: Some(Duration::from_secs(60)),
            ..limits
        };
        let now = Instant::from_millis(1);
        let mut worker = Worker::new(snapshot, settings, 1);
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let peer = Peer {
            remote: SocketAddr::new(localhost, 1000),
            local: SocketAddr::new(localhost, 80),
            original: None,
            listener: ListenerKind::Outbound,
        };
        let client = worker.accept(peer, Entropy(7), now);
        let mut stage = Self {
            worker,
            now,
            client: Some(client),
            client_heard: Vec::new(),
            endpoints: BTreeMap::new(),
            interests: BTreeMap::new(),
            announced: false,
            opened: 0,
        };
        stage.outputs();
        stage
    }

    fn step(&mut self, step: u8, program: &mut Program<'_>, snapshot: &Snapshot) {
        let ends = u8::from(step & 32 != 0);
        let some = program.next().unwrap_or_default();
        match step % 32 {
            0 => self.client_garbles(some, program),
            1..=7 => {
                let head = block(REQUESTS[program.number() % REQUESTS.len()]);
                // Mostly a new stream.
                let stream = match some % 16 {
                    15 => self.stream(program.next().unwrap_or_default()),
                    _ => 1 + 2 * self.opened,
                };
                self.opened += u32::from(stream > 2 * self.opened);
                self.client_says(&frame(HEADERS, 4 | ends, stream, &head));
            }
            8 | 9 => {
                let data = vec![b'A'; program.number() * 64];
                self.client_says(&frame(DATA, ends, self.stream(some), &data));
            }
            10 => {
                let stream = self.stream(some) * u32::from(ends);
                self.client_says(&frame(WINDOW_UPDATE, 0, stream, &CREDIT));
            }
            11 => self.client_says(&frame(RESET, 0, self.stream(some), &[0, 0, 0, 8])),
            12..=14 => self.connects(some & 7 != 0),
            15..=19 => {
                let head = block(RESPONSES[program.number() % RESPONSES.len()]);
                self.endpoint_frame(some, HEADERS, 4 | ends, &head);
            }
            20..=22 => {
                let data = vec![b'x'; program.number() * 64];
                self.endpoint_frame(some, DATA, ends, &data);
            }
            23..=25 => {
                let text = TEXTS[program.number() % TEXTS.len()];
                if let Some(id) = self.made(some).filter(|id| !self.speaks_http2(*id)) {
                    self.hear(id.into(), text.as_bytes());
                }
            }
            26 => self.endpoint_garbles(some, ends, program),
            27 => self.written(some.into(), program.number() * 97),
            28 => {
                let long = 1 + u32::from(ends) * 50;
                self.now = self.now + Duration::from_millis(200) * (u32::from(some % 8) * long);
                self.worker.on_time(self.now);
                self.outputs();
            }
            _ => self.ends(
                some,
                ends != 0,
                program.next().unwrap_or_default(),
                snapshot,
            ),
        }
        if step & 64 == 0 {
            for which in 0..=self.endpoints.len() {
                self.written(which, usize::MAX);
            }
        }
    }

    /// One of the client's streams, or one that it has not opened.
    const fn stream(&self, which: u8) -> u32 {
        1 + 2 * (which as u32 % (self.opened + 1))
    }

    fn client_garbles(&mut self, some: u8, program: &mut Program<'_>) {
        let (kind, flags, stream) = (program.number(), program.number(), program.number());
        let payload = program.take(some as usize % 16);
        let kind = kind as u8 % 11;
        match some / 16 {
            0 => self.client_says(payload),
            1 | 2 => self.client_says(&frame(kind, flags as u8, stream as u32, payload)),
            // What cannot be wrong: PRIORITY, PING and what nobody knows.
            3..=8 => self.client_says(&frame(6, 0, 0, &[0; 8])),
            _ => self.client_says(&frame(10, 0, 0, payload)),
        }
    }

    fn endpoint_garbles(&mut self, some: u8, flags: u8, program: &mut Program<'_>) {
        let number = u8::try_from(program.number() % 16).unwrap_or_default();
        let payload = [0, 0, 0, number, 0, 0, 0, number];
        match some / 32 {
            0 => self.endpoint_frame(some, number % 11, flags, &payload),
            1 | 2 => self.endpoint_frame(some, RESET, 0, &payload[..4]),
            3 => self.endpoint_connection_frame(some, 7, &payload),
            4 => self.endpoint_connection_frame(some, 4, b""),
            5 => self.endpoint_frame(some, WINDOW_UPDATE, 0, &CREDIT),
            _ => self.endpoint_connection_frame(some, WINDOW_UPDATE, &CREDIT),
        }
    }

    /// A frame on a stream that an endpoint has, or has not.
    fn endpoint_frame(&mut self, which: u8, kind: u8, flags: u8, payload: &[u8]) {
        let Some(id) = self.made(which).filter(|id| self.speaks_http2(*id)) else {
            return;
        };
        let opened = self
            .endpoints
            .get(&id)
            .map_or(0, |endpoint| endpoint.opened);
        let stream = 1 + 2 * (u32::from(which / 4) % opened.max(1));
        self.hear(id.into(), &frame(kind, flags, stream, payload));
    }

    fn endpoint_connection_frame(&mut self, which: u8, kind: u8, payload: &[u8]) {
        if let Some(id) = self.made(which).filter(|id| self.speaks_http2(*id)) {
            self.hear(id.into(), &frame(kind, 0, 0, payload));
        }
    }

    fn speaks_http2(&self, id: UpstreamId) -> bool {
        self.endpoints
            .get(&id)
            .is_some_and(|endpoint| endpoint.speaks_http2)
    }

    /// Somebody ends, or what decides changes.
    fn ends(&mut self, how: u8, by_client: bool, which: u8, snapshot: &Snapshot) {
        let input = match how % 16 {
            0 => Input::Eof,
            1 => Input::Broken,
            2 => Input::WriteFailed,
            3..=7 => {
                let next = Snapshot {
                    revision: snapshot.revision + 1,
                    ..snapshot.apart()
                };
                self.worker.adopt(Arc::new(next), self.now);
                return self.outputs();
            }
            8 => {
                self.worker.drain();
                Input::Drain
            }
            9 => Input::Drain,
            _ => return,
        };
        match (by_client || input == Input::Drain, self.client) {
            (true, Some(client)) => self.input(client.into(), input),
            (true, None) => {}
            (false, _) => {
                if let Some(id) = self.made(which) {
                    self.input(id.into(), input);
                }
            }
        }
    }

    /// The oldest connection that is not made is, or is not.
    fn connects(&mut self, well: bool) {
        let mut all = self.endpoints.iter_mut();
        let Some((id, endpoint)) = all.find(|(_, endpoint)| !endpoint.is_made) else {
            return;
        };
        let id = *id;
        if well {
            endpoint.is_made = true;
            self.input(id.into(), Input::Connected(Box::default()));
            // What speaks HTTP/1 is told nothing before it is asked.
            let out = self.worker.outbox(id.into());
            if out.is_some_and(|out| out.front().starts_with(b"PRI")) {
                if let Some(endpoint) = self.endpoints.get_mut(&id) {
                    endpoint.speaks_http2 = true;
                }
                self.hear(id.into(), &settings(&[(3, 3), (8, 1)]));
            }
        } else {
            self.endpoints.remove(&id);
            self.interests.remove(&id.into());
            let fault = Input::ConnectFailed(ConnectFault::Refused.into());
            self.input(id.into(), fault);
        }
    }

    fn made(&self, which: u8) -> Option<UpstreamId> {
        let made = self
            .endpoints
            .iter()
            .filter(|(_, endpoint)| endpoint.is_made);
        let made: Vec<_> = made.map(|(id, _)| *id).collect();
        made.get(usize::from(which) % made.len().max(1)).copied()
    }

    fn client_says(&mut self, bytes: &[u8]) {
        if let Some(client) = self.client {
            self.hear(client.into(), bytes);
        }
    }

    /// Bytes arrive, if the worker reads.
    fn hear(&mut self, id: ConnId, bytes: &[u8]) {
        let reads = self
            .interests
            .get(&id)
            .is_some_and(|interest| interest.read);
        if bytes.is_empty() || !reads {
            return;
        }
        if let Some(space) = self.worker.space(id) {
            space.extend_from_slice(bytes);
            let bodies = self.worker.bodies_read(id, bytes.len());
            assert!(bodies.iter().all(|body| body.end <= bytes.len()));
            self.input(id, Input::Read(bytes.len()));
        }
    }

    /// So much of what is to be written leaves.
    fn written(&mut self, which: usize, most: usize) {
        let waits = self.interests.iter().filter(|(_, interest)| interest.write);
        let waits: Vec<_> = waits.map(|(id, _)| *id).collect();
        let Some(id) = waits.get(which % waits.len().max(1)).copied() else {
            return;
        };
        let Some(outbox) = self.worker.outbox(id) else {
            return;
        };
        let all: Vec<u8> = outbox.pieces().flatten().copied().take(most).collect();
        match id {
            ConnId::Client(_) => {
                self.client_heard.extend_from_slice(&all);
                let is_frames = self.client_heard.first().is_none_or(|first| *first == 0);
                match is_frames {
                    true => assert!(take_frames(&mut self.client_heard).iter().all(is_known)),
                    false => self.client_heard.clear(),
                }
            }
            ConnId::Upstream(id) => {
                if let Some(endpoint) = self.endpoints.get_mut(&id).filter(|e| e.speaks_http2) {
                    endpoint.take(&all);
                }
            }
        }
        if !all.is_empty() {
            self.input(id, Input::Wrote(all.len()));
        }
    }

    fn input(&mut self, id: ConnId, input: Input) {
        self.worker.handle_input(id, input, self.now);
        self.outputs();
    }

    fn outputs(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                Output::Connect(id, ..) => {
                    let known = self.endpoints.insert(id, Endpoint::default());
                    assert!(known.is_none(), "names are used once");
                }
                Output::Close(ConnId::Upstream(id)) | Output::Abort(id) => {
                    assert!(self.endpoints.remove(&id).is_some(), "it is there");
                    self.interests.remove(&id.into());
                }
                Output::Close(ConnId::Client(id)) | Output::Reset(id) | Output::Refuse(id, _) => {
                    assert_eq!(self.client.take(), Some(id), "it is there");
                    self.interests.remove(&id.into());
                }
                Output::Wait(id, interest) => {
                    self.interests.insert(id, interest);
                }
                Output::Ended(id) => {
                    let exchange = self.worker.ended(id).expect("its story can be read");
                    let _ = exchange.story().to_string();
                }
                Output::Announce => self.announced = true,
                // No listener of these worlds has TLS.
                Output::Secure(..) | Output::ShutdownWrite(_) => {}
            }
        }
        if core::mem::take(&mut self.announced) {
            self.worker.on_announced(self.now);
            self.outputs();
        }
    }

    fn check(&self) {
        let held = self.worker.counts().buffered.bytes;
        assert!(held <= MOST_BUFFERED, "{held} bytes are held");
        let streams = self.worker.protocols().1.clients.streams;
        assert!(streams <= 100, "{streams} streams");
    }

    /// All are gone.
    fn end(mut self) {
        if let Some(client) = self.client {
            self.input(client.into(), Input::Broken);
        }
        for _ in 0..10 {
            while let Some(id) = self.made(0) {
                self.input(id.into(), Input::Eof);
                if self.endpoints.contains_key(&id) {
                    self.input(id.into(), Input::Broken);
                }
            }
            self.connects(false);
            self.now = self.now + Duration::from_secs(3600);
            self.worker.on_time(self.now);
            self.outputs();
        }
        let counts = self.worker.counts();
        assert_eq!((counts.clients, self.worker.exchanges().count()), (0, 0));
        assert_eq!((counts.buffered.bytes, counts.mirrors), (0, 0));
        let http2 = self.worker.protocols().1;
        assert_eq!((http2.clients.active, http2.clients.streams), (0, 0));
        assert_eq!((http2.endpoints.active, http2.endpoints.streams), (0, 0));
    }
}
