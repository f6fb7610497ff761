//! A recording of a run: complete, bounded, and never waited for.

use std::borrow::Cow;
use std::io::{self, Cursor, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use outrigger_core::cluster::Registry;
use outrigger_core::snapshot::Address;
use outrigger_recording::replay::{Replayed, replay_on};
use outrigger_recording::{Configuration, End, Frame, Recorder, RecordingEnd, identity};

use super::support::{Client, Endpoints, PATIENCE, Proxy, forwarding_to, ok, roundtrip};

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

/// A recording to a file, and what it tells.
fn start(file: impl Write + Send + 'static, limit: u64) -> (Recorder, Receiver<RecordingEnd>) {
    let (sender, notices) = channel();
    let sender = Mutex::new(sender);
    let tell = move |end| {
        let _ = sender.lock().unwrap().send(end);
    };
    let recorder = Recorder::start(Box::new(file), limit, tell).unwrap();
    (recorder, notices)
}

/// Says that a configuration was compiled, as the program does.
fn configured(recorder: &Recorder, address: &Address) {
    let snapshot = forwarding_to(&mut Registry::default(), address.clone());
    if let Some(mut turn) = recorder.turn() {
        turn.put(&Frame::Configuration(Configuration {
            files: Vec::new(),
            mesh: None,
            workload: Cow::Owned(outrigger_core::compile::Workload::default()),
            inbound: Cow::Owned(Vec::new()),
            answers: Cow::Owned(outrigger_core::compile::Answers::new()),
            previous: 0,
            identity: identity(&snapshot),
        }));
    }
}

/// Replays what is in memory.
fn replayed(file: &Memory, address: &Address) -> Replayed {
    let mut registry = Registry::default();
    let bytes = file.0.lock().unwrap().clone();
    let outcome = replay_on(Cursor::new(bytes), |_| {
        Arc::into_inner(forwarding_to(&mut registry, address.clone())).unwrap()
    });
    assert!(outcome.stop.is_none(), "{outcome:?}");
    outcome.replayed
}

#[test]
fn a_run_is_decided_again() {
    for workers in [1, 3] {
        let (endpoints, file) = (Endpoints::listen(), Memory::default());
        let address = endpoints.address();
        let (recorder, notices) = start(file.clone(), u64::MAX);
        configured(&recorder, &address);
        let proxy = Proxy::recorded(address.clone(), workers, recorder);
        let mut clients: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
        clients.iter_mut().for_each(|client| client.get("/first"));
        let mut accepted: Vec<Client> = clients.iter().map(|_| endpoints.accept()).collect();
        for endpoint in &mut accepted {
            endpoint.message().unwrap();
            endpoint.send(&ok("first"));
        }
        for client in &mut clients {
            assert_eq!(client.message().unwrap().body, b"first");
        }
        // One goes away within a request, the others at the end of the run.
        clients[0].send("GET /half HTTP/1.1\r\n");
        drop(clients.remove(0));
        let _ = proxy.running.drain(PATIENCE);
        let replayed = replayed(&file, &address);
        assert_eq!(replayed.connections, 4);
        assert_eq!(replayed.requests, 4);
        assert_eq!(replayed.end, Some(End::Finished));
        assert!(notices.try_recv().is_err());
    }
}

/// A file that takes nothing until it is let go.
struct Stuck {
    until: Receiver<()>,
    file: Memory,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.until.recv();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn nobody_waits_for_a_file_that_is_stuck() {
    let (endpoints, file) = (Endpoints::listen(), Memory::default());
    let address = endpoints.address();
    let (let_go, until) = channel();
    let stuck = Stuck {
        until,
        file: file.clone(),
    };
    let (recorder, notices) = start(stuck, u64::MAX);
    configured(&recorder, &address);
    let proxy = Proxy::recorded(address.clone(), 1, recorder);
    let mut client = proxy.client();
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok(""));
    client.message().unwrap();
    let body = "x".repeat(100_000);
    let mut requests = 1;
    let notice = loop {
        client.get("/");
        endpoint.message().unwrap();
        endpoint.send(&ok(&body));
        assert_eq!(client.message().unwrap().body.len(), body.len());
        requests += 1;
        if let Ok(notice) = notices.try_recv() {
            break notice;
        }
        assert!(requests < 1000, "what waits for the writer is bounded");
    };
    assert_eq!(notice, RecordingEnd::Slow);
    roundtrip(&mut client, &mut endpoint, "/after");
    drop(let_go);
    let _ = proxy.running.drain(PATIENCE);
    // What was taken before is whole.
    let replayed = replayed(&file, &address);
    assert_eq!(replayed.end, Some(End::Slow));
    assert!((1..=requests).contains(&replayed.requests));
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_cannot_be_written_ends_the_recording_and_not_the_run() {
    let endpoints = Endpoints::listen();
    let (recorder, notices) = start(Full, u64::MAX);
    let proxy = Proxy::recorded(endpoints.address(), 1, recorder);
    let notice = notices.recv_timeout(PATIENCE).unwrap();
    let RecordingEnd::Failed(error) = notice else {
        panic!("{notice:?}");
    };
    assert!(error.contains("storage"), "{error}");
    let mut client = proxy.client();
    client.get("/");
    let mut endpoint = endpoints.accept();
    endpoint.message().unwrap();
    endpoint.send(&ok("served"));
    assert_eq!(client.message().unwrap().body, b"served");
    let _ = proxy.running.drain(PATIENCE);
    assert!(notices.try_recv().is_err(), "it is told once");
}
