//! Turns that real sockets take only now and then, taken on purpose: what was recorded in them is replayed.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::borrow::Cow;
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{self, Workload, compile};
use outrigger_core::config::{MeshConfig, Source, load};
use outrigger_core::exchange::{Input, Interest, ListenerKind, Output, Peer, Side};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::WorkerSettings;
use outrigger_recording::replay::{Replayed, replay};
use outrigger_recording::{
    Bytes, Configuration, Driven, End, File, Frame, Joint, Reader, Recorder, Tap, identity,
};

/// One connection for all, and a second for each request.
const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 192.0.2.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.example
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example]
  http:
  - timeout: 1s
    route: [{destination: {host: shop.example}}]
";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Workers without sockets, and the recording of them.
struct Stage {
    file: Memory,
    recorder: Recorder,
    snapshot: Arc<Snapshot>,
    settings: WorkerSettings,
}

impl Stage {
    fn open(workers: usize, tells_bodies: bool) -> Self {
        let settings = WorkerSettings {
            tells_bodies,
            ..WorkerSettings::default()
        };
        let file = Memory::default();
        let recorder = Recorder::start(Box::new(file.clone()), u64::MAX, |_| {}).unwrap();
        let name = "rules.yaml";
        let bytes = RULES.as_bytes();
        let resources = load(&[Source { name, bytes }], "default").resources;
        let (workload, mesh) = (Workload::default(), MeshConfig::default());
        let mut registry = Registry::default();
        let snapshot = compile(
            &resources,
            &workload,
            &mesh,
            &[],
            &compile::Answers::new(),
            &mut registry,
            0,
        )
        .snapshot;
        let mut turn = recorder.turn().unwrap();
        turn.put(&Frame::Configuration(Configuration {
            files: vec![File {
                name: name.into(),
                text: bytes,
            }],
            mesh: None,
            workload: Cow::Owned(workload),
            inbound: Cow::Owned(Vec::new()),
            answers: Cow::Owned(compile::Answers::new()),
            previous: 0,
            identity: identity(&snapshot),
        }));
        turn.put(&Frame::Workers {
            settings,
            seeds: vec![7; workers],
        });
        drop(turn);
        Self {
            file,
            recorder,
            snapshot: Arc::new(snapshot),
            settings,
        }
    }

    fn worker(&self, at: usize) -> Joint {
        let tap = Tap::new(self.recorder.clone(), at);
        Joint::new(Arc::clone(&self.snapshot), self.settings, 7, Some(tap))
    }

    fn bytes(&self) -> Vec<u8> {
        self.file.0.lock().unwrap().clone()
    }

    /// Ends the run, and replays it.
    fn replayed(self) -> Replayed {
        self.recorder.finish();
        let outcome = replay(Cursor::new(self.bytes()));
        assert!(outcome.stop.is_none(), "{:?}", outcome.stop);
        assert_eq!(outcome.replayed.end, Some(End::Finished));
        outcome.replayed
    }
}

/// What an endpoint says, in pieces, once it has a request that ends like this.
struct Answers<'a> {
    after: Vec<(&'a [u8], &'a [u8])>,
    pieces: std::slice::Chunks<'a, u8>,
    step: usize,
}

impl<'a> Answers<'a> {
    fn next(&mut self, sent: &mut Vec<u8>) -> Option<&'a [u8]> {
        if let Some((end, response)) = self.after.first()
            && sent.ends_with(end)
        {
            self.pieces = response.chunks(self.step);
            self.after.remove(0);
            sent.clear();
        }
        self.pieces.next()
    }
}

/// A client's connection, driven by hand.
struct Client<'a> {
    joint: &'a Joint,
    driven: Driven,
    interest: Interest,
}

impl<'a> Client<'a> {
    fn connect(joint: &'a Joint) -> Self {
        let peer = Peer {
            remote: ([192, 0, 2, 9], 1).into(),
            local: ([127, 0, 0, 1], 15001).into(),
            listener: ListenerKind::Outbound,
        };
        let driven = joint.accept(peer, Instant::ZERO);
        let interest = Interest::default();
        let mut client = Self {
            joint,
            driven,
            interest,
        };
        client.said();
        client
    }

    /// What core says, up to what it waits for.
    fn said(&mut self) -> Vec<Output> {
        let mut said = Vec::new();
        while !matches!(said.last(), Some(Output::Wait(_) | Output::Done)) {
            said.push(self.joint.poll_output(&mut self.driven));
        }
        if let Some(Output::Wait(interest)) = said.last() {
            self.interest = *interest;
        }
        said
    }

    fn input(&mut self, input: Input, millis: u64) -> Vec<Output> {
        let now = Instant::from_millis(millis);
        self.joint.handle_input(&mut self.driven, input, now);
        self.said()
    }

    fn read(&mut self, side: Side, bytes: &[u8], millis: u64) -> Vec<Output> {
        let space = self.joint.space(&mut self.driven, side);
        space.extend_from_slice(bytes);
        self.input(Input::Read(side, bytes.len()), millis)
    }

    /// Everything that is to be written to a side is.
    fn write(&mut self, side: Side, millis: u64) -> Vec<Output> {
        let count = self.driven.outbox(side).len();
        self.input(Input::Wrote(side, count), millis)
    }

    /// A whole request on a new connection, which is kept.
    fn ask(&mut self, millis: u64) {
        let said = self.read(Side::Downstream, REQUEST, millis);
        assert!(matches!(said[0], Output::Connect(_)), "{said:?}");
        self.input(Input::Connected, millis);
        self.write(Side::Upstream, millis);
        let said = self.read(Side::Upstream, RESPONSE, millis);
        assert!(matches!(said[0], Output::Keep(_)), "{said:?}");
        let said = self.write(Side::Downstream, millis);
        assert_eq!(said[0], Output::Ended);
    }

    /// Makes connections, takes what is to be written, and answers each request that ends like one of `ends`.
    fn serve(&mut self, sent: &mut Vec<u8>, answers: &mut Answers<'_>) {
        loop {
            let interest = self.interest;
            if interest.connect {
                self.input(Input::Connected, 100);
            } else if interest.write_downstream {
                self.write(Side::Downstream, 100);
            } else if interest.write_upstream {
                sent.extend(self.driven.outbox(Side::Upstream).pieces().flatten());
                self.write(Side::Upstream, 100);
            } else if let Some(piece) = answers.next(sent) {
                self.read(Side::Upstream, piece, 100);
            } else {
                return;
            }
        }
    }

    fn leave(mut self) {
        let said = self.input(Input::Eof(Side::Downstream), 5000);
        assert!(said.contains(&Output::Done), "{said:?}");
        self.joint.leave(&mut self.driven);
    }
}

/// A task that comes late tells what has passed meanwhile before it tells how taking the kept connection went.
#[test]
fn a_reuse_is_answered_after_what_happened_meanwhile() {
    for (meanwhile, status) in [(Input::Deadline, 504), (Input::Drain, 200)] {
        let stage = Stage::open(1, false);
        let joint = stage.worker(0);
        let mut client = Client::connect(&joint);
        client.ask(100);
        let said = client.read(Side::Downstream, REQUEST, 200);
        assert!(matches!(said[0], Output::Reuse(_)), "{said:?}");
        client.input(meanwhile, 1500);
        client.input(Input::Connected, 1500);
        if status == 200 {
            client.write(Side::Upstream, 1500);
            client.read(Side::Upstream, RESPONSE, 1500);
        }
        let said = client.write(Side::Downstream, 1500);
        assert!(said.contains(&Output::Ended), "{said:?}");
        assert_eq!(client.driven.record().status, status);
        // A connection that was told to end has ended with its request.
        let has_ended = said.contains(&Output::Done);
        assert_eq!(has_ended, meanwhile == Input::Drain);
        if has_ended {
            joint.leave(&mut client.driven);
        } else {
            client.leave();
        }
        drop(joint);
        assert_eq!(stage.replayed().requests, 2, "{meanwhile:?}");
    }
}

/// What a worker keeps counts against the limit of connections until it has ended; others go on meanwhile.
#[test]
fn a_worker_that_ends_leaves_room_for_others() {
    let stage = Stage::open(2, false);
    let (first, second) = (stage.worker(0), stage.worker(1));
    let mut client = Client::connect(&first);
    client.ask(100);
    client.leave();
    let mut late = Client::connect(&second);
    let mut early = Client::connect(&second);
    let said = early.read(Side::Downstream, REQUEST, 200);
    assert!(!matches!(said[0], Output::Connect(_)), "{said:?}");
    early.leave();
    drop(first);
    late.ask(300);
    late.leave();
    drop(second);
    assert_eq!(stage.replayed().requests, 3);
}

/// What a recording holds of what each side sent.
fn kept(file: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut down, mut up) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(file).unwrap();
    while let Some(segment) = reader.next_segment().unwrap() {
        for frame in segment.frames() {
            let (_, Frame::Came(came)) = frame.unwrap() else {
                continue;
            };
            let side = match came.input {
                Input::Read(Side::Downstream, _) => &mut down,
                Input::Read(Side::Upstream, _) => &mut up,
                _ => continue,
            };
            match came.bytes {
                Bytes::Read(bytes) => side.extend_from_slice(bytes),
                Bytes::Thinned(thinned) => side.extend(thinned.kept().flatten()),
                Bytes::None | Bytes::Written(_) => unreachable!("it was read"),
            }
        }
    }
    (down, up)
}

/// Bytes of one connection however they arrive: bodies, and what a tunnel carries, are in no recording without bodies, and
/// every decision and all framing is what it was.
#[test]
fn bodies_are_left_out_wherever_they_lie() {
    let request = b"POST /head HTTP/1.1\r\nhost: shop.example\r\nexpect: nothing\r\ntransfer-encoding: chunked\r\n\r\n\
        6;ext=head\r\ns3cr3t\r\nC\r\ns3cr3ts3cr3t\r\n0\r\nx-head: trailer\r\n\r\n\
        GET /head HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 6\r\n\r\ns3cr3t";
    let answers_of: [(&[u8], &[u8]); 2] = [
        (
            b"trailer\r\n\r\n",
            b"HTTP/1.1 100 head\r\n\r\nHTTP/1.1 200 OK\r\nx-head: 1\r\ncontent-length: 6\r\n\r\ns3cr3t",
        ),
        (
            b"\r\n\r\ns3cr3t",
            b"HTTP/1.1 200 head\r\ntransfer-encoding: chunked\r\n\r\n6;head\r\ns3cr3t\r\n0\r\n\r\n",
        ),
    ];
    for (tells_bodies, step) in [(false, 1000), (true, 1), (true, 2), (true, 7), (true, 1000)] {
        let stage = Stage::open(1, tells_bodies);
        let joint = stage.worker(0);
        let mut client = Client::connect(&joint);
        let mut answers = Answers {
            after: answers_of.to_vec(),
            pieces: [].chunks(step),
            step,
        };
        let mut sent = Vec::new();
        for piece in request.chunks(step) {
            client.read(Side::Downstream, piece, 100);
            client.serve(&mut sent, &mut answers);
        }
        assert!(answers.after.is_empty(), "both were answered");
        client.leave();
        drop(joint);
        stage.recorder.finish();
        let want = |bytes: &[u8]| match tells_bodies {
            false => bytes.to_vec(),
            true => String::from_utf8_lossy(bytes)
                .replace("s3cr3t", "")
                .into_bytes(),
        };
        let responses = [answers_of[0].1, answers_of[1].1].concat();
        let (down, up) = kept(&stage.bytes());
        assert_eq!(down, want(request), "{step}");
        assert_eq!(up, want(&responses), "{step}");
        let replayed = stage.replayed();
        assert_eq!(replayed.requests, 2);
        assert_eq!(replayed.without_bodies, tells_bodies);
    }
}
