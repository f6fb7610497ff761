//! Turns that real sockets take only now and then, taken on purpose: what was recorded in them is replayed.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

mod stage;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use outrigger_core::peer::ConnId;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{ConnectFault, Input, Output};
use outrigger_recording::replay::{Stop, replay};
use outrigger_recording::what_if::what_if;
use outrigger_recording::{Bytes, Came, Configuration, End, Frame, Reader};
use stage::{Answers, Loop, REQUEST, RESPONSE, Stage};

/// A request is on a kept connection, and its time passes, or its client is told to end.
#[test]
fn a_kept_connection_is_used_while_time_passes_and_clients_are_told_to_end() {
    for (drains, status) in [(false, 504), (true, 200)] {
        let stage = Stage::open(1, false);
        let joint = stage.worker(0);
        let mut run = Loop::over(&joint);
        let client = run.accept();
        let endpoint = run.ask(client, 100);
        let said = run.read(client, REQUEST, 200);
        let has_request = |output: &Output| matches!(output, Output::Wait(id, interest) if *id == endpoint.into() && interest.write);
        assert!(said.iter().any(has_request), "{said:?}");
        if drains {
            run.input(client, Input::Drain, 300);
        } else {
            assert!(joint.next_deadline() <= Some(Instant::from_millis(1200)));
            joint.on_time(Instant::from_millis(1200));
            let said = run.said();
            assert!(said.contains(&Output::Close(endpoint.into())), "{said:?}");
        }
        if drains {
            run.write(endpoint, 1200);
            run.read(endpoint, RESPONSE, 1200);
        }
        let said = run.write(client, 1200);
        assert_eq!(run.status(&said), Some(status));
        // A connection that was told to end has ended with its request, and the client is waited for.
        if !drains {
            run.leave(client);
        }
        drop(joint);
        assert_eq!(stage.replayed().requests, 2, "{drains}");
    }
}

/// What a worker keeps counts against the limit of connections until it has ended; others go on meanwhile.
#[test]
fn a_worker_that_ends_leaves_room_for_others() {
    let stage = Stage::open(2, false);
    let (first, second) = (stage.worker(0), stage.worker(1));
    let mut run = Loop::over(&first);
    let client = run.accept();
    run.ask(client, 100);
    run.leave(client);
    let mut other = Loop::over(&second);
    let (late, early) = (other.accept(), other.accept());
    let said = other.read(early, REQUEST, 200);
    assert!(!matches!(said[0], Output::Connect(..)), "{said:?}");
    other.leave(early);
    drop(first);
    other.ask(late, 300);
    other.leave(late);
    drop(second);
    assert_eq!(stage.replayed().requests, 3);
}

/// Everything that a worker is told is in the recording, whatever it makes of it.
#[test]
fn what_concerns_no_connection_is_repeated_too() {
    let stage = Stage::open(1, false);
    let joint = stage.worker(0);
    let mut run = Loop::over(&joint);
    let client = run.accept();
    run.ask(client, 100);
    joint.set_date(*b"Sun, 06 Nov 1994 08:49:37 GMT");
    joint.drain();
    joint.hurry_copies(true, Instant::from_millis(200));
    joint.on_announced(Instant::from_millis(200));
    let snapshot = Arc::clone(&stage.snapshot);
    let revision = joint.adopt(|| snapshot, Instant::from_millis(300));
    assert_eq!(revision, stage.snapshot.revision);
    let refused = run.accept();
    run.input(client, Input::Drain, 300);
    run.read(refused, b"nonsense\r\n\r\n", 300);
    let said = run.write(refused, 300);
    assert_eq!(run.status(&said), Some(400));
    assert_eq!(joint.clients(), 2);
    joint.on_time(Instant::from_millis(5_000_000));
    assert!(!run.said().is_empty());
    drop(joint);
    let replayed = stage.replayed();
    assert_eq!((replayed.requests, replayed.connections), (2, 2));
    assert_eq!(replayed.until, Instant::from_millis(5_000_000));
}

/// Whoever catches a panic of core ends the recording, and goes on.
#[test]
fn a_panic_ends_the_recording_and_not_the_worker() {
    let stage = Stage::open(1, false);
    let joint = stage.worker(0);
    let mut run = Loop::over(&joint);
    let (broken, other) = (run.accept(), run.accept());
    let now = Instant::from_millis(100);
    let adopt = || joint.adopt(|| panic!("a fault within a turn"), now);
    assert!(catch_unwind(AssertUnwindSafe(adopt)).is_err());
    joint.panicked(Some(broken.into()), now);
    let said = run.said();
    assert!(said.contains(&Output::Close(broken.into())), "{said:?}");
    run.ask(other, 100);
    run.leave(other);
    drop(joint);
    let replayed = stage.replayed_up_to_its_end();
    assert_eq!(replayed.end, Some(End::Panicked));
    assert_eq!((replayed.connections, replayed.requests), (2, 0));
}

/// A recording of what no runtime tells is refused, or told to be different.
#[test]
fn what_was_not_waited_for_is_told() {
    let now = Instant::from_millis(100);
    for (at_endpoint, input, want) in [
        (
            false,
            Some(Input::ConnectFailed(ConnectFault::Refused.into())),
            "nothing waits for it now",
        ),
        (
            false,
            Some(Input::Connected(Box::default())),
            "nothing waits for it now",
        ),
        (false, Some(Input::Wrote(1)), "nothing waits for it now"),
        (true, Some(Input::Eof), "nothing waits for it now"),
        (true, Some(Input::Broken), "nothing waits for it now"),
        (true, Some(Input::Drain), "nothing waits for it now"),
        (true, None, "an answer follows nothing"),
    ] {
        let stage = Stage::open(1, false);
        let joint = stage.worker(0);
        let mut run = Loop::over(&joint);
        let client = run.accept();
        let said = run.read(client, REQUEST, 100);
        let Output::Connect(endpoint, ..) = said[0] else {
            panic!("{said:?}");
        };
        let id = if at_endpoint {
            endpoint.into()
        } else {
            client.into()
        };
        let mut turn = stage.recorder.turn().unwrap();
        match input {
            Some(ref input) => turn.put(&came(id, input.clone(), now)),
            None => turn.put(&Frame::Said {
                worker: 0,
                outputs: b"",
            }),
        }
        drop(turn);
        stage.recorder.finish();
        let stop = replay(Cursor::new(stage.bytes())).stop.unwrap();
        assert!(told(&stop).contains(want), "{input:?}: {}", told(&stop));
    }
}

/// The name of a connection that could not be made is free.
#[test]
fn inputs_of_a_connection_that_was_not_made_are_damage() {
    let now = Instant::from_millis(100);
    let fails = Input::ConnectFailed(ConnectFault::Refused.into());
    let stage = Stage::open(1, false);
    let joint = stage.worker(0);
    let mut run = Loop::over(&joint);
    let client = run.accept();
    run.read(client, REQUEST, 100);
    let (endpoint, _) = run.asked.pop().unwrap();
    run.input(endpoint, fails.clone(), 100);
    let mut turn = stage.recorder.turn().unwrap();
    turn.put(&came(endpoint.into(), fails, now));
    drop(turn);
    stage.recorder.finish();
    let stop = replay(Cursor::new(stage.bytes())).stop.unwrap();
    assert!(told(&stop).contains("no connection"), "{}", told(&stop));
}

fn came(connection: ConnId, input: Input, now: Instant) -> Frame<'static> {
    Frame::Came(Came {
        worker: 0,
        connection,
        now,
        input,
        bytes: Bytes::None,
    })
}

fn told(stop: &Stop) -> String {
    match stop {
        Stop::Fault(fault) => fault.to_string(),
        Stop::Changed(changed) => changed.what.to_string(),
    }
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
            let side = match (came.input, came.connection) {
                (Input::Read(_), ConnId::Client(_)) => &mut down,
                (Input::Read(_), ConnId::Upstream(_)) => &mut up,
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
        let mut run = Loop::over(&joint);
        let client = run.accept();
        let mut answers = Answers {
            after: answers_of.to_vec(),
            pieces: [].chunks(step),
            step,
        };
        let mut sent = Vec::new();
        for piece in request.chunks(step) {
            run.read(client, piece, 100);
            run.serve(&mut sent, &mut answers);
        }
        assert!(answers.after.is_empty(), "both were answered");
        run.leave(client);
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

/// What an endpoint says on a connection that serves nobody is thrown away with the connection.
#[test]
fn what_is_said_out_of_turn_is_left_out() {
    let stage = Stage::open(1, true);
    let joint = stage.worker(0);
    let mut run = Loop::over(&joint);
    let client = run.accept();
    let endpoint = run.ask(client, 100);
    let said = run.read(endpoint, b"HTTP/1.1 408 s3cr3t\r\n\r\ns3cr3t", 200);
    assert_eq!(said, [Output::Close(endpoint.into())]);
    assert_eq!(joint.idle_connections(), 0);
    run.leave(client);
    drop(joint);
    stage.recorder.finish();
    let (_, up) = kept(&stage.bytes());
    assert_eq!(up, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(stage.replayed().requests, 1);
}

/// Workers give the same names; whose a request is, is told by both.
#[test]
fn requests_of_all_workers_are_decided_under_other_rules() {
    let stage = Stage::open(2, true);
    let (first, second) = (stage.worker(0), stage.worker(1));
    let (mut run, mut other) = (Loop::over(&first), Loop::over(&second));
    let (client, twin) = (run.accept(), other.accept());
    assert_eq!(client, twin);
    let (half, rest) = REQUEST.split_at(10);
    run.read(client, half, 100);
    other.read(twin, half, 100);
    other.read(twin, rest, 200);
    other.leave(twin);
    run.read(client, rest, 300);
    run.leave(client);
    drop((first, second));
    stage.recorder.finish();
    let nothing = |_: &Configuration<'_>| Ok::<_, ()>(Snapshot::default());
    let (compared, stop) = what_if(Cursor::new(stage.bytes()), nothing);
    assert!(stop.is_none());
    assert_eq!((compared.connections, compared.requests), (2, 2));
    let [way] = &compared.ways[..] else {
        panic!("{:?}", compared.ways);
    };
    assert_eq!((way.requests, way.example.connection), (2, 1));
    assert_eq!(stage.replayed().requests, 2);
}
