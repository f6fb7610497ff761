//! Turns that real sockets take only now and then, taken on purpose: what was recorded in them is replayed.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::borrow::Cow;
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Workload, compile};
use outrigger_core::config::{MeshConfig, Source, load};
use outrigger_core::exchange::{Input, ListenerKind, Output, Peer, Side};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::WorkerSettings;
use outrigger_recording::replay::{Replayed, replay};
use outrigger_recording::{
    Configuration, Driven, End, File, Frame, Joint, Recorder, Tap, identity,
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
}

impl Stage {
    fn open(workers: usize) -> Self {
        let file = Memory::default();
        let recorder = Recorder::start(Box::new(file.clone()), u64::MAX, |_| {}).unwrap();
        let name = "rules.yaml";
        let bytes = RULES.as_bytes();
        let resources = load(&[Source { name, bytes }], "default").resources;
        let (workload, mesh) = (Workload::default(), MeshConfig::default());
        let mut registry = Registry::default();
        let snapshot = compile(&resources, &workload, &mesh, &[], &mut registry, 0).snapshot;
        let mut turn = recorder.turn().unwrap();
        turn.put(&Frame::Configuration(Configuration {
            files: vec![File {
                name: name.into(),
                text: bytes,
            }],
            mesh: None,
            workload: Cow::Owned(workload),
            inbound: Cow::Owned(Vec::new()),
            previous: 0,
            identity: identity(&snapshot),
        }));
        turn.put(&Frame::Workers {
            settings: WorkerSettings::default(),
            seeds: vec![7; workers],
        });
        drop(turn);
        Self {
            file,
            recorder,
            snapshot: Arc::new(snapshot),
        }
    }

    fn worker(&self, at: usize) -> Joint {
        let tap = Tap::new(self.recorder.clone(), at);
        let settings = WorkerSettings::default();
        Joint::new(Arc::clone(&self.snapshot), settings, 7, Some(tap))
    }

    /// Ends the run, and replays it.
    fn replayed(self) -> Replayed {
        self.recorder.finish();
        let bytes = self.file.0.lock().unwrap().clone();
        let outcome = replay(Cursor::new(bytes));
        assert!(outcome.stop.is_none(), "{:?}", outcome.stop);
        assert_eq!(outcome.replayed.end, Some(End::Finished));
        outcome.replayed
    }
}

/// A client's connection, driven by hand.
struct Client<'a> {
    joint: &'a Joint,
    driven: Driven,
}

impl<'a> Client<'a> {
    fn connect(joint: &'a Joint) -> Self {
        let peer = Peer {
            remote: ([192, 0, 2, 9], 1).into(),
            local: ([127, 0, 0, 1], 15001).into(),
            listener: ListenerKind::Outbound,
        };
        let driven = joint.accept(peer, Instant::ZERO);
        let mut client = Self { joint, driven };
        client.said();
        client
    }

    /// What core says, up to what it waits for.
    fn said(&mut self) -> Vec<Output> {
        let mut said = Vec::new();
        while !matches!(said.last(), Some(Output::Wait(_) | Output::Done)) {
            said.push(self.joint.poll_output(&mut self.driven));
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
        let stage = Stage::open(1);
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
        client.leave();
        drop(joint);
        assert_eq!(stage.replayed().requests, 2, "{meanwhile:?}");
    }
}

/// What a worker keeps counts against the limit of connections until it has ended; others go on meanwhile.
#[test]
fn a_worker_that_ends_leaves_room_for_others() {
    let stage = Stage::open(2);
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
