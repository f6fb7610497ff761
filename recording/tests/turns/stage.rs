//! Workers without sockets, moved by hand, and the recording of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{self, Workload, compile};
use outrigger_core::config::{MeshConfig, Source, load};
use outrigger_core::outbox::Outbox;
use outrigger_core::peer::{ClientId, ConnId, ListenerKind, Peer, UpstreamId};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Input, Interest, Output, WorkerSettings};
use outrigger_recording::replay::{Replayed, replay};
use outrigger_recording::{Configuration, End, File, Frame, Joint, Recorder, Tap, identity};

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

pub(super) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
pub(super) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

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
pub(super) struct Stage {
    file: Memory,
    pub(super) recorder: Recorder,
    pub(super) snapshot: Arc<Snapshot>,
    settings: WorkerSettings,
}

impl Stage {
    pub(super) fn open(workers: usize, tells_bodies: bool) -> Self {
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
            settings: Box::new(settings),
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

    pub(super) fn worker(&self, at: usize) -> Joint {
        let tap = Tap::new(self.recorder.clone(), at);
        Joint::new(Arc::clone(&self.snapshot), self.settings, 7, Some(tap))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.file.0.lock().unwrap().clone()
    }

    /// Ends the run, and replays it.
    pub(super) fn replayed(self) -> Replayed {
        let replayed = self.replayed_up_to_its_end();
        assert_eq!(replayed.end, Some(End::Finished));
        replayed
    }

    pub(super) fn replayed_up_to_its_end(self) -> Replayed {
        self.recorder.finish();
        let outcome = replay(Cursor::new(self.bytes()));
        assert!(outcome.stop.is_none(), "{:?}", outcome.stop);
        outcome.replayed
    }
}

/// What an endpoint says, in pieces, once it has a request that ends like this.
pub(super) struct Answers<'a> {
    pub(super) after: Vec<(&'a [u8], &'a [u8])>,
    pub(super) pieces: std::slice::Chunks<'a, u8>,
    pub(super) step: usize,
}

impl<'a> Answers<'a> {
    pub(super) fn next(&mut self, sent: &mut Vec<u8>) -> Option<&'a [u8]> {
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

/// A loop over one worker, whose sockets are moved by hand.
pub(super) struct Loop<'a> {
    joint: &'a Joint,
    told: BTreeMap<ConnId, Interest>,
    /// Connections that are to be made, and kept ones that are to be looked at: the good answer.
    pub(super) asked: Vec<(UpstreamId, Input)>,
}

impl<'a> Loop<'a> {
    pub(super) fn over(joint: &'a Joint) -> Self {
        Self {
            joint,
            told: BTreeMap::new(),
            asked: Vec::new(),
        }
    }

    pub(super) fn accept(&mut self) -> ClientId {
        let peer = Peer {
            remote: ([192, 0, 2, 9], 1).into(),
            local: ([127, 0, 0, 1], 15001).into(),
            original: None,
            listener: ListenerKind::Outbound,
        };
        let client = self.joint.accept(peer, Instant::ZERO);
        self.said();
        client
    }

    pub(super) fn said(&mut self) -> Vec<Output> {
        let said: Vec<_> = std::iter::from_fn(|| self.joint.poll_output()).collect();
        for output in &said {
            match output {
                Output::Wait(id, interest) => drop(self.told.insert(*id, *interest)),
                Output::Close(id) => drop(self.told.remove(id)),
                Output::Connect(id, ..) => {
                    let made = Input::Connected(Box::default());
                    self.asked.push((*id, made));
                }
                _ => {}
            }
        }
        said
    }

    pub(super) fn input(
        &mut self,
        id: impl Into<ConnId>,
        input: Input,
        millis: u64,
    ) -> Vec<Output> {
        let now = Instant::from_millis(millis);
        self.joint.handle_input(id.into(), input, now);
        self.said()
    }

    pub(super) fn read(&mut self, id: impl Into<ConnId>, bytes: &[u8], millis: u64) -> Vec<Output> {
        let id = id.into();
        let read = |space: &mut bytes::BytesMut| space.extend_from_slice(bytes);
        self.joint.with_space(id, read).unwrap();
        self.input(id, Input::Read(bytes.len()), millis)
    }

    /// Everything that is to be written to a connection is.
    pub(super) fn write(&mut self, id: impl Into<ConnId>, millis: u64) -> Vec<Output> {
        let id = id.into();
        let count = self.joint.with_outbox(id, |outbox| outbox.len()).unwrap();
        self.input(id, Input::Wrote(count), millis)
    }

    /// A whole request on a new connection, which is kept.
    pub(super) fn ask(&mut self, client: ClientId, millis: u64) -> UpstreamId {
        let said = self.read(client, REQUEST, millis);
        let Output::Connect(endpoint, ..) = said[0] else {
            panic!("{said:?}");
        };
        self.input(endpoint, Input::Connected(Box::default()), millis);
        self.write(endpoint, millis);
        self.read(endpoint, RESPONSE, millis);
        assert_eq!(self.joint.idle_connections(), 1);
        let said = self.write(client, millis);
        assert_eq!(self.status(&said), Some(200));
        endpoint
    }

    /// The status of the request that ended.
    pub(super) fn status(&self, said: &[Output]) -> Option<u16> {
        said.iter().find_map(|output| match output {
            Output::Ended(id) => self.joint.with_ended(*id, |ended| ended.record().status),
            _ => None,
        })
    }

    /// Makes connections, takes what is to be written, and answers each request that ends like one of `ends`.
    pub(super) fn serve(&mut self, sent: &mut Vec<u8>, answers: &mut Answers<'_>) {
        loop {
            let writes = self.told.iter().find(|(_, interest)| interest.write);
            let writes = writes.map(|(id, _)| *id);
            let reads = self
                .told
                .iter()
                .find(|(id, interest)| matches!(id, ConnId::Upstream(_)) && interest.read);
            let reads = reads.map(|(id, _)| *id);
            if let Some((id, good)) = self.asked.pop() {
                self.input(id, good, 100);
            } else if let Some(id) = writes {
                if matches!(id, ConnId::Upstream(_)) {
                    let pieces = |outbox: &Outbox| outbox.pieces().flatten().copied().collect();
                    let bytes: Vec<u8> = self.joint.with_outbox(id, pieces).unwrap();
                    sent.extend(bytes);
                }
                self.write(id, 100);
            } else if let Some(id) = reads
                && let Some(piece) = answers.next(sent)
            {
                self.read(id, piece, 100);
            } else {
                return;
            }
        }
    }

    pub(super) fn leave(&mut self, client: ClientId) {
        let said = self.input(client, Input::Eof, 5000);
        assert!(said.contains(&Output::Close(client.into())), "{said:?}");
    }
}
