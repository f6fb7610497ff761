//! How sockets end: with bytes that are not sent yet, with a reset, and while something is under way.

use std::io::{self, Read};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use outrigger_core::outbox::Outbox;
use outrigger_runtime::{Listener as _, Stream as _};
use socket2::{Domain, SockRef, Socket, Type};

use super::super::driver::LINGER;
use super::super::{Stream, connect};
use super::{MUCH, Rig, pattern, rig};

/// The peer of a stream that is dropped while it sends more than the system takes, and how much was taken from it.
fn lingering(rig: &mut Rig) -> (UnixStream, usize) {
    let (mut stream, peer) = rig.pair();
    let taken = rig.stuff(&mut stream);
    drop(stream);
    rig.turn();
    (peer, taken)
}

#[test]
fn what_was_taken_is_sent_after_the_drop() {
    let Some(mut rig) = rig() else { return };
    let (mut peer, taken) = lingering(&mut rig);
    assert!(rig.ring.driver.borrow_mut().is_lingering());
    assert!(rig.drain(&mut peer) == pattern(0, taken));
    assert!(!rig.ring.driver.borrow_mut().is_lingering());
    rig.at_rest();
}

#[test]
fn a_peer_that_never_reads_is_given_up_in_its_time() {
    let Some(mut rig) = rig() else { return };
    let before = Instant::now();
    let (mut peer, taken) = lingering(&mut rig);
    // Until then it does not keep the thread awake.
    let until = rig.ring.driver.borrow().next_deadline().unwrap();
    assert!(until >= before + LINGER && until <= Instant::now() + LINGER);
    let early = until - Duration::from_millis(1);
    rig.ring.driver.borrow_mut().end_lingering(early);
    rig.turn();
    assert_eq!(rig.sockets(), 1);
    rig.ring.driver.borrow_mut().end_lingering(until);
    rig.at_rest();
    let got = rig.drain(&mut peer);
    assert!(got.len() < taken && got == pattern(0, got.len()));
}

#[test]
fn the_end_of_a_worker_waits_for_what_was_taken_and_not_for_ever() {
    let Some(mut rig) = rig() else { return };
    let ring = Rc::clone(&rig.ring);
    let (mut reads, taken) = lingering(&mut rig);
    let (deaf, _) = lingering(&mut rig);
    let far = Instant::now() + Duration::from_secs(50);
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut both = pin!(ring.flushed(far));
        assert!(both.as_mut().poll(&mut cx).is_pending());
        assert!(rig.drain(&mut reads) == pattern(0, taken));
        assert!(both.as_mut().poll(&mut cx).is_pending(), "one still sends");
    }
    let soon = Instant::now() + Duration::from_millis(5);
    let mut given_up = pin!(ring.flushed(soon));
    rig.until(|cx| given_up.as_mut().poll(cx));
    assert!(Instant::now() >= soon);
    // Its waker is called when the last one is done.
    let (mut reads, _) = lingering(&mut rig);
    drop(deaf);
    let mut flushed = pin!(ring.flushed(far));
    assert!(flushed.as_mut().poll(&mut cx).is_pending());
    rig.drain(&mut reads);
    rig.until(|cx| flushed.as_mut().poll(cx));
}

#[test]
fn the_time_of_one_is_not_the_time_of_the_next_with_its_number() {
    let Some(mut rig) = rig() else { return };
    let (mut first, _) = lingering(&mut rig);
    let since = Instant::now();
    let mut all = Vec::new();
    while rig.sockets() > 0 {
        let _ = first.read_to_end(&mut all);
        rig.turn();
    }
    // No turn has been taken since then: nobody has looked at those that linger.
    let (mut stream, mut peer) = rig.pair();
    let taken = rig.stuff(&mut stream);
    drop(stream);
    rig.ring.driver.borrow_mut().end_lingering(since + LINGER);
    assert!(rig.drain(&mut peer) == pattern(0, taken));
    rig.at_rest();
}

#[test]
fn a_reset_does_not_wait_for_what_is_being_sent() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    let taken = rig.stuff(&mut stream);
    stream.reset();
    rig.at_rest();
    assert!(rig.drain(&mut peer).len() < taken);
}

#[test]
fn a_reset_is_seen_as_a_reset_on_both_sides() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, peer) = rig.tcp_pair();
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
    for _ in 0..2 {
        let error = rig.read(&mut stream).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    drop(stream);
    let (stream, mut peer) = rig.tcp_pair();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_readable(&mut cx).is_pending());
    rig.turn();
    stream.reset();
    rig.at_rest();
    let error = peer.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_write_that_fails_is_told_by_the_next() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, peer) = rig.pair();
    drop(peer);
    rig.write(&mut stream, b"nobody");
    let mut outbox = Outbox::default();
    outbox.put(b"told");
    let error = rig.until(|cx| stream.poll_write(cx, &outbox)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    drop(stream);
    rig.at_rest();
}

#[test]
fn the_last_of_what_was_taken_comes_before_the_end() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    let taken = rig.stuff(&mut stream);
    stream.shutdown_write();
    assert!(rig.drain(&mut peer) == pattern(0, taken));
    // The other direction is still open.
    io::Write::write_all(&mut peer, b"answer").unwrap();
    assert_eq!(rig.read(&mut stream).unwrap(), b"answer");
    drop(stream);
    rig.at_rest();
}

#[test]
fn last_words_follow_what_was_taken() {
    let Some(mut rig) = rig() else { return };
    let words = |text: &[u8]| {
        let mut words = Outbox::default();
        words.put(text);
        words
    };
    // While something is being sent, as long as that takes, and when nothing is; by whoever closes a direction, and by whoever
    // is gone at once.
    for (is_busy, is_dropped) in [(true, false), (true, true), (false, false), (false, true)] {
        let (mut stream, mut peer) = rig.pair();
        let taken = if is_busy { rig.stuff(&mut stream) } else { 0 };
        stream.say_last(&mut words(b"bye"));
        let kept = match is_dropped {
            true => {
                drop(stream);
                None
            }
            false => {
                stream.shutdown_write();
                Some(stream)
            }
        };
        let all = rig.drain(&mut peer);
        assert!(all[..taken] == pattern(0, taken), "{is_busy} {is_dropped}");
        assert_eq!(all[taken..], *b"bye", "{is_busy} {is_dropped}");
        drop(kept);
        rig.at_rest();
    }
    // Whoever resets says nothing.
    let (mut stream, mut peer) = rig.pair();
    let taken = rig.stuff(&mut stream);
    stream.say_last(&mut words(b"bye"));
    stream.reset();
    rig.at_rest();
    assert!(rig.drain(&mut peer).len() < taken);
}

/// A listener whose queue is full, and those in it: who connects to it waits.
fn full_listener() -> (Socket, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let addr: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&addr.into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let client = |_| {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&addr);
        client
    };
    (listener, (0..4).map(client).collect())
}

/// The sockets of this process, by names that are never used twice.
fn open_sockets() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.collect()
}

#[test]
fn a_connect_that_is_given_up_closes_its_socket() {
    let Some(mut rig) = rig() else { return };
    let (listener, _clients) = full_listener();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let ring = Rc::clone(&rig.ring);
    let name = {
        let mut connecting = pin!(connect(&ring, addr, None));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(connecting.as_mut().poll(&mut cx).is_pending());
        rig.turn();
        assert!(connecting.as_mut().poll(&mut cx).is_pending());
        let driver = rig.ring.driver.borrow();
        let (_, socket) = driver.sockets.iter().next().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket.fd);
        std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap()
    };
    assert!(open_sockets().contains(&name) || rig.sockets() == 0);
    rig.at_rest();
    assert!(!open_sockets().contains(&name), "{name:?} is still open");
}

#[test]
fn everything_may_be_dropped_while_it_is_under_way() {
    let Some(mut rig) = rig() else { return };
    let mut cx = Context::from_waker(Waker::noop());
    let (mut sending, mut peer) = rig.pair();
    let taken = rig.stuff(&mut sending);
    // This one waits for room, and has been told that it must.
    let (mut writing, _deaf) = rig.pair();
    let mut outbox = Outbox::default();
    outbox.put_bytes(Bytes::from(pattern(0, MUCH)));
    while let Poll::Ready(wrote) = writing.poll_write(&mut cx, &outbox) {
        outbox.advance(wrote.unwrap());
    }
    let (receiving, _its_peer) = rig.pair();
    assert!(receiving.poll_readable(&mut cx).is_pending());
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let listening = rig.ring.listen(listening.into()).unwrap();
    assert!(matches!(listening.poll_accept(&mut cx), Poll::Pending));
    let (listener, _clients) = full_listener();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let ring = Rc::clone(&rig.ring);
    {
        let mut connecting = pin!(connect(&ring, addr, None));
        assert!(connecting.as_mut().poll(&mut cx).is_pending());
        rig.turn();
        assert!(connecting.as_mut().poll(&mut cx).is_pending());
        // Their owners go, and what that asks of the kernel is never submitted.
    }
    drop((sending, writing, receiving, listening, rig, ring));
    peer.set_nonblocking(false).unwrap();
    let mut got = Vec::new();
    let _ = peer.read_to_end(&mut got);
    assert!(got.len() < taken && got == pattern(0, got.len()));
}

fn holding(bytes: &'static [u8]) -> Outbox {
    let mut outbox = Outbox::default();
    outbox.put_bytes(Bytes::from_static(bytes));
    outbox
}

/// Otherwise a wait would hope for more than the completion that is waited for, and each of two answers to one write, or
/// the end of a connection that closes, would come a hundredth of a second late.
#[test]
fn a_short_send_that_is_waited_for_is_not_quiet() {
    let Some(mut rig) = rig() else { return };
    type Waits = fn(Stream, &mut Context<'_>) -> Option<Stream>;
    let ways: [Waits; 3] = [
        |mut stream, cx| {
            for _ in 0..2 {
                assert!(stream.poll_write(cx, &holding(b"more")).is_pending());
            }
            Some(stream)
        },
        |mut stream, _| {
            stream.shutdown_write();
            Some(stream)
        },
        |stream, _| {
            drop(stream);
            None
        },
    ];
    for waits in ways {
        let (mut stream, _peer) = rig.pair();
        let (mut other, _its_peer) = rig.pair();
        let mut cx = Context::from_waker(Waker::noop());
        for stream in [&mut stream, &mut other] {
            assert!(stream.poll_write(&mut cx, &holding(b"first")).is_ready());
        }
        assert_eq!(rig.quiet(), 2);
        let stream = waits(stream, &mut cx);
        assert_eq!(rig.quiet(), 1, "the other one's still is");
        rig.wait();
        drop((stream, other));
        rig.turn();
    }
    rig.at_rest();
}
