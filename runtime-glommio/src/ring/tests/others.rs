//! Listeners, timers, and other threads.

use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use outrigger_runtime::{Listener as _, Stream as _, Timer as _};

use super::super::{Accepting, connect, connect_unix};
use super::{Rig, rig};

fn listen(rig: &Rig) -> (Accepting, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    (rig.ring.listen(listener.into()).unwrap(), addr)
}

#[test]
fn both_ends_of_a_connection_can_be_on_one_ring() {
    let Some(mut rig) = rig() else { return };
    let (listener, addr) = listen(&rig);
    let ring = std::rc::Rc::clone(&rig.ring);
    let mut connecting = pin!(connect(&ring, addr, None));
    let mut ours = rig.until(|cx| connecting.as_mut().poll(cx)).unwrap();
    let (mut theirs, remote) = rig.until(|cx| listener.poll_accept(cx)).unwrap();
    assert_eq!(Some(remote), ours.local_addr());
    assert_eq!(theirs.local_addr(), Some(addr));
    rig.write(&mut ours, b"hello");
    assert_eq!(rig.read(&mut theirs).unwrap(), b"hello");
    drop(ours);
    assert_eq!(rig.read(&mut theirs).unwrap(), b"");
    drop(theirs);
    rig.at_rest();
}

#[test]
fn a_connect_that_is_refused_says_so() {
    let Some(mut rig) = rig() else { return };
    let ring = std::rc::Rc::clone(&rig.ring);
    let refused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    {
        let mut connecting = pin!(connect(&ring, refused, None));
        let error = rig.until(|cx| connecting.as_mut().poll(cx)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        let nowhere = std::path::Path::new("/nowhere/at/all");
        let mut connecting = pin!(connect_unix(&ring, nowhere));
        let error = rig.until(|cx| connecting.as_mut().poll(cx)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
    rig.at_rest();
}

#[test]
fn a_listener_that_stops_gives_up_nobody_who_has_connected() {
    let Some(mut rig) = rig() else { return };
    for is_armed in [false, true] {
        let (listener, addr) = listen(&rig);
        let mut cx = Context::from_waker(Waker::noop());
        if is_armed {
            assert!(listener.poll_accept(&mut cx).is_pending());
            rig.turn();
        }
        let mut clients = vec![TcpStream::connect(addr).unwrap()];
        if is_armed {
            // This one the kernel has accepted, and nobody asked for it.
            rig.wait();
        }
        clients.push(TcpStream::connect(addr).unwrap());
        let mut taken: Vec<_> = std::iter::from_fn(|| listener.take_waiting()).collect();
        taken.sort_by_key(|(_, remote)| clients[0].local_addr().unwrap() != *remote);
        let expected = clients.iter().map(|client| client.local_addr().unwrap());
        assert!(
            taken.iter().map(|(_, remote)| *remote).eq(expected),
            "armed: {is_armed}"
        );
        drop(listener);
        while !rig.ring.driver.borrow().listeners.is_empty() {
            rig.wait();
        }
        assert!(TcpStream::connect(addr).is_err(), "it still listens");
        for ((mut stream, _), client) in taken.into_iter().zip(&mut clients) {
            rig.write(&mut stream, b"!");
            drop(stream);
            let mut answer = String::new();
            rig.turn();
            std::io::Read::read_to_string(client, &mut answer).unwrap();
            assert_eq!(answer, "!");
        }
    }
    rig.at_rest();
    assert!(rig.ring.driver.borrow().listeners.is_empty());
}

/// Asks so often for something that cannot be that the queue is full many times over, and each completes.
fn flood(rig: &Rig, count: usize) {
    let mut driver = rig.ring.driver.borrow_mut();
    (0..count).for_each(|_| driver.cancel(u64::MAX));
}

#[test]
fn a_client_that_is_accepted_while_the_queue_is_full_is_not_lost() {
    let Some(mut rig) = rig() else { return };
    let (listener, addr) = listen(&rig);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(listener.poll_accept(&mut cx).is_pending());
    rig.turn();
    let client = TcpStream::connect(addr).unwrap();
    flood(&rig, 2000);
    let (taken, remote) = listener.take_waiting().unwrap();
    assert_eq!(remote, client.local_addr().unwrap());
    drop((taken, listener));
    rig.at_rest();
}

#[test]
fn more_completions_than_there_is_room_for_are_kept() {
    let Some(mut rig) = rig() else { return };
    let (mut stream, mut peer) = rig.pair();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_readable(&mut cx).is_pending());
    rig.turn();
    std::io::Write::write_all(&mut peer, b"before").unwrap();
    flood(&rig, 20_000);
    assert_eq!(rig.read(&mut stream).unwrap(), b"before");
    std::io::Write::write_all(&mut peer, b"after").unwrap();
    assert_eq!(rig.read(&mut stream).unwrap(), b"after");
    drop(stream);
    rig.at_rest();
}

#[test]
fn no_descriptor_for_a_client_is_told_and_it_waits() {
    if crate::tests::available() {
        crate::tests::child(
            "ulimit -n 64",
            "ring::tests::others::with_no_descriptor_for_a_client",
        );
    }
}

#[test]
#[ignore = "runs in the child of the test above"]
fn with_no_descriptor_for_a_client() {
    let mut rig = rig().unwrap();
    let (listener, addr) = listen(&rig);
    let mut client = TcpStream::connect(addr).unwrap();
    let mut open = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        open.push(file);
    }
    for _ in 0..2 {
        let error = rig.until(|cx| listener.poll_accept(cx)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    }
    drop(open);
    let (mut stream, _) = rig.until(|cx| listener.poll_accept(cx)).unwrap();
    rig.write(&mut stream, b"!");
    drop((stream, listener));
    rig.at_rest();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut client, &mut answer).unwrap();
    assert_eq!(answer, "!");
}

#[test]
fn what_another_thread_does_ends_the_wait() {
    let Some(mut rig) = rig() else { return };
    let is_done = AtomicBool::new(false);
    let waker = Mutex::new(None::<Waker>);
    let ring = std::rc::Rc::clone(&rig.ring);
    // More than once: the bell is listened to again.
    for _ in 0..3 {
        is_done.store(false, Ordering::Release);
        let mut told = pin!(ring.told(std::future::poll_fn(|cx| {
            *waker.lock().unwrap() = Some(cx.waker().clone());
            match is_done.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(told.as_mut().poll(&mut cx).is_pending());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                is_done.store(true, Ordering::Release);
                waker.lock().unwrap().take().unwrap().wake();
            });
            rig.until(|cx| told.as_mut().poll(cx));
        });
    }
    assert_eq!(ring.driver.borrow().told.len(), 0);
}

#[test]
fn a_wait_ends_when_a_timer_is_due_and_not_before() {
    let Some(mut rig) = rig() else { return };
    let at = Instant::now() + Duration::from_millis(5);
    let mut timer = rig.ring.timer(at + Duration::from_secs(3600));
    timer.set(at);
    rig.until(|cx| timer.poll(cx));
    assert!(Instant::now() >= at);
    timer.set(at + Duration::from_secs(3600));
    rig.turn();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(timer.poll(&mut cx).is_pending());
}
