//! Long bodies, which are read and written by calls, and how a socket comes to that and back.

use std::io::{Read, Write};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use outrigger_core::outbox::Outbox;
use outrigger_runtime::Stream as _;

use super::super::socket::Incoming;
use super::super::{Stream, buffers};
use super::{MUCH, Rig, fill, pattern, rig};

/// Whether each socket of the ring is read by calls.
fn is_direct(rig: &Rig) -> Vec<bool> {
    let driver = rig.ring.driver.borrow();
    let sockets = driver.sockets.iter();
    sockets
        .map(|(_, socket)| socket.incoming != Incoming::Provided)
        .collect()
}

/// Reads as a connection does: room is offered when there is something.
fn read_into(rig: &mut Rig, stream: &mut Stream, space: &mut BytesMut) -> usize {
    rig.until(|cx| stream.poll_readable(cx)).unwrap();
    rig.until(|cx| stream.poll_read(cx, space)).unwrap()
}

#[test]
fn a_long_body_is_read_by_calls_and_short_messages_are_not() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    peer.write_all(&pattern(0, 1000)).unwrap();
    assert!(rig.read(&mut stream).unwrap() == pattern(0, 1000));
    assert_eq!(is_direct(&rig), [false]);
    let written = 1000 + fill(&mut peer, &pattern(1000, MUCH));
    let rest = rig.read_exact(&mut stream, written - 1000);
    assert!(rest == pattern(1000, rest.len()));
    assert_eq!(is_direct(&rig), [true]);
    // Now and then a short read is part of a long body.
    for round in 0..20 {
        let long = pattern(round, 2 * buffers::SIZE);
        for piece in [&long[..], b"short", b"short"] {
            peer.write_all(piece).unwrap();
            assert!(rig.read_exact(&mut stream, piece.len()) == piece);
        }
        assert_eq!(is_direct(&rig), [true], "round {round}");
    }
    // Many are not.
    for _ in 0..20 {
        peer.write_all(b"short").unwrap();
        assert_eq!(rig.read(&mut stream).unwrap(), b"short");
    }
    assert_eq!(is_direct(&rig), [false]);
    drop(peer);
    assert!(rig.read(&mut stream).unwrap().is_empty());
    drop(stream);
    rig.at_rest();
}

/// A stream whose peer has just sent a long body that has been read.
fn direct(rig: &mut Rig) -> (Stream, std::os::unix::net::UnixStream) {
    let (mut stream, mut peer) = rig.pair();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_readable(&mut cx).is_pending());
    rig.turn();
    let long = pattern(0, 4 * buffers::SIZE);
    peer.write_all(&long).unwrap();
    assert!(rig.read_exact(&mut stream, long.len()) == long);
    assert_eq!(is_direct(rig).last(), Some(&true));
    (stream, peer)
}

#[test]
fn an_idle_connection_is_watched_and_holds_nothing() {
    let Some(mut rig) = rig() else { return };
    for is_end in [false, true] {
        let (mut stream, mut peer) = direct(&mut rig);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(stream.poll_readable(&mut cx).is_pending(), "nothing came");
            rig.turn();
        }
        assert_eq!(rig.lent(), 0);
        match is_end {
            true => drop(peer),
            false => peer.write_all(b"out of turn").unwrap(),
        }
        rig.turn();
        assert!(stream.poll_readable(&mut cx).is_ready(), "end: {is_end}");
        assert_eq!(rig.read(&mut stream).unwrap().is_empty(), is_end);
        drop(stream);
        rig.at_rest();
    }
}

#[test]
fn room_that_a_body_fills_exactly_is_not_the_end_of_it() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = direct(&mut rig);
    for rest in [0, 1, 5000] {
        let bytes = pattern(rest, 9000 + rest);
        peer.write_all(&bytes).unwrap();
        let mut space = BytesMut::with_capacity(9000);
        assert_eq!(read_into(&mut rig, &mut stream, &mut space), 9000);
        // It may have been all.
        let mut cx = Context::from_waker(Waker::noop());
        let mut more = BytesMut::with_capacity(9000);
        let poll = stream.poll_read(&mut cx, &mut more);
        match rest {
            0 => assert!(poll.is_pending()),
            _ => assert!(matches!(poll, Poll::Ready(Ok(count)) if count == rest)),
        }
        space.extend_from_slice(&more);
        assert!(space == bytes);
    }
    // Without room it makes some: no bytes would look like the end.
    peer.write_all(b"last").unwrap();
    let mut space = BytesMut::new();
    assert_eq!(read_into(&mut rig, &mut stream, &mut space), 4);
    drop(stream);
    rig.at_rest();
}

#[test]
fn an_end_that_comes_with_the_last_of_a_body_is_seen() {
    let Some(mut rig) = rig() else { return };
    for is_half in [false, true] {
        let (mut stream, mut peer) = direct(&mut rig);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_readable(&mut cx).is_pending());
        rig.turn();
        // Both before the ring is looked at again, so they are told of once.
        peer.write_all(&pattern(0, 5000)).unwrap();
        match is_half {
            true => peer.shutdown(std::net::Shutdown::Write).unwrap(),
            false => drop(peer),
        }
        assert!(rig.read_exact(&mut stream, 5000) == pattern(0, 5000));
        assert!(rig.read(&mut stream).unwrap().is_empty(), "half: {is_half}");
        drop(stream);
        rig.at_rest();
    }
}

#[test]
fn a_reset_in_a_long_body_is_told_more_than_once() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.tcp_pair();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_readable(&mut cx).is_pending());
    let long = pattern(0, 8 * buffers::SIZE);
    peer.write_all(&long).unwrap();
    assert!(rig.read_exact(&mut stream, long.len()) == long);
    assert_eq!(is_direct(&rig), [true]);
    let now = Some(std::time::Duration::ZERO);
    socket2::SockRef::from(&peer).set_linger(now).unwrap();
    drop(peer);
    for _ in 0..2 {
        let error = rig.read(&mut stream).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    drop(stream);
    rig.at_rest();
}

#[test]
fn what_a_slow_reader_leaves_stays_with_its_writer() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    let mut outbox = Outbox::default();
    // Pieces of all sizes: the last ones are short, and come after all that is longer.
    for len in [100_000, 300, 5000, MUCH, 200, 4096] {
        outbox.put_bytes(Bytes::from(pattern(outbox.len(), len)));
    }
    let all = outbox.len();
    let mut got = Vec::new();
    let mut waited = false;
    let mut block = vec![0; 300_000];
    while got.len() < all {
        while !outbox.is_empty() {
            let mut cx = Context::from_waker(Waker::noop());
            match stream.poll_write(&mut cx, &outbox) {
                Poll::Ready(wrote) => outbox.advance(wrote.unwrap()),
                Poll::Pending => {
                    rig.turn();
                    waited = true;
                    break;
                }
            }
        }
        rig.turn();
        if let Ok(count) = peer.read(&mut block) {
            got.extend_from_slice(&block[..count]);
        }
    }
    assert!(waited, "the peer was never slow");
    assert!(got == pattern(0, all));
    // Nobody lingers for what was never taken.
    drop(stream);
    assert!(!rig.ring.driver.borrow_mut().is_lingering());
    rig.at_rest();
}
