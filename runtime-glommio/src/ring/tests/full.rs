//! Readers that are slow or stop, and buffers that run out.

use std::io::Write;
use std::task::{Context, Waker};

use bytes::BytesMut;
use outrigger_runtime::Stream as _;

use super::super::buffers::COUNT;
use super::{MUCH, fill, pattern, rig};

#[test]
fn what_comes_while_others_have_something_to_do_is_seen() {
    let Some(mut rig) = rig() else { return };
    let (stream, mut peer) = rig.pair();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_readable(&mut cx).is_pending());
    rig.turn();
    peer.write_all(b"!").unwrap();
    // None of these waits.
    rig.turn();
    assert!(stream.poll_readable(&mut cx).is_ready());
    drop(stream);
    rig.at_rest();
}

#[test]
fn a_reader_that_stops_stops_the_peer_and_goes_on_where_it_was() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    assert!(
        stream
            .poll_readable(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    let bytes = pattern(0, 8 * MUCH);
    let mut written = 0;
    for _ in 0..64 {
        rig.turn();
        written += fill(&mut peer, &bytes[written..]);
    }
    rig.turn();
    assert_eq!(
        fill(&mut peer, &bytes[written..]),
        0,
        "it is still received"
    );
    assert!(written < 2 * MUCH, "{written} bytes were received");
    let mut read = Vec::new();
    while read.len() < bytes.len() {
        read.extend(rig.read(&mut stream).unwrap());
        written += fill(&mut peer, &bytes[written..]);
    }
    assert!(read == bytes);
    drop(stream);
    rig.at_rest();
}

#[test]
fn a_reader_that_catches_up_before_receiving_has_stopped_goes_on() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_readable(&mut cx).is_pending());
    rig.turn();
    // So much that receiving is told to stop in the turn that sees it.
    let written = fill(&mut peer, &pattern(0, MUCH));
    rig.turn();
    let mut space = BytesMut::with_capacity(2 * MUCH);
    while stream.poll_read(&mut cx, &mut space).is_ready() {}
    assert!(space == pattern(0, space.len()));
    let rest = rig.read_exact(&mut stream, written - space.len());
    assert!(rest == pattern(space.len(), rest.len()));
    assert!(stream.poll_readable(&mut cx).is_pending());
    // It stops, and somebody waits to read.
    rig.turn();
    rig.turn();
    peer.write_all(b"more").unwrap();
    assert_eq!(rig.read(&mut stream).unwrap(), b"more");
    drop(stream);
    rig.at_rest();
}

#[test]
fn single_bytes_that_nobody_reads_do_not_take_every_buffer() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_readable(&mut cx).is_pending());
    let bytes = pattern(0, 200);
    let mut most = 0;
    for byte in bytes.chunks(1) {
        peer.write_all(byte).unwrap();
        rig.turn();
        most = most.max(rig.lent());
    }
    assert!(most < usize::from(COUNT) / 4, "one socket held {most}");
    assert!(rig.read_exact(&mut stream, bytes.len()) == bytes);
    drop(stream);
    rig.at_rest();
}

#[test]
fn when_no_buffer_is_left_others_go_on_and_nothing_is_lost() {
    let Some(mut rig) = rig() else { return };
    let mut cx = Context::from_waker(Waker::noop());
    let mut idle: Vec<_> = (0..usize::from(COUNT) / 8).map(|_| rig.pair()).collect();
    for (stream, _) in &idle {
        assert!(stream.poll_readable(&mut cx).is_pending());
    }
    let (mut busy, mut peer) = rig.pair();
    let mut ran_dry = false;
    for round in 0..24 {
        for (_, peer) in &mut idle {
            peer.write_all(&pattern(round * 100, 100)).unwrap();
        }
        peer.write_all(&pattern(round * 5000, 5000)).unwrap();
        let before = rig.lent();
        let read = rig.read_exact(&mut busy, 5000);
        ran_dry |= rig.lent() < before;
        assert!(read == pattern(round * 5000, 5000), "round {round}");
    }
    assert!(ran_dry, "the buffers were enough");
    for (stream, peer) in &mut idle {
        assert!(rig.read_exact(stream, 2400) == pattern(0, 2400));
        peer.write_all(b"end").unwrap();
        assert_eq!(rig.read(stream).unwrap(), b"end");
    }
    drop((idle, busy));
    rig.at_rest();
}
