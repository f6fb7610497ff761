//! Sockets on a ring, over socket pairs and loopback, on the thread of the test: what each test waits for, its ring
//! tells it. Where the machine forbids io_uring they say so and pass.

mod bodies;
mod endings;
mod full;
mod model;
mod others;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use outrigger_core::outbox::Outbox;
use outrigger_runtime::{Stream as _, Timer as _};

use super::{Ring, Stream, Timer};

/// A ring, and a timer that ends a test which waits for what never comes. It is later than all deadlines of the driver.
struct Rig {
    ring: Rc<Ring>,
    patience: Timer,
}

fn rig() -> Option<Rig> {
    if !crate::tests::available() {
        return None;
    }
    let ring = Ring::new().unwrap();
    let patience = ring.timer(Instant::now() + Duration::from_secs(60));
    Some(Rig { ring, patience })
}

impl Rig {
    fn take_over(&self, fd: impl Into<OwnedFd>) -> Stream {
        Stream::accepted(&self.ring, fd.into())
    }

    /// A stream of the ring and its peer, which does not block.
    fn pair(&self) -> (Stream, UnixStream) {
        let (ours, peer) = UnixStream::pair().unwrap();
        peer.set_nonblocking(true).unwrap();
        (self.take_over(ours), peer)
    }

    /// The same over TCP, where the peer blocks.
    fn tcp_pair(&self) -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        (self.take_over(ours), peer)
    }

    /// Submits and learns what there is, without waiting.
    fn turn(&mut self) {
        self.take_turn(false);
    }

    /// Waits for something to complete.
    fn wait(&mut self) {
        self.take_turn(true);
    }

    fn take_turn(&mut self, may_wait: bool) {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(self.patience.poll(&mut cx).is_pending(), "it never came");
        self.ring.turn(may_wait);
    }

    /// Takes turns until it is ready.
    fn until<T>(&mut self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        loop {
            if let Poll::Ready(value) = poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            self.wait();
        }
    }

    /// Reads once, waiting for something to read; nothing is the end.
    fn read(&mut self, stream: &mut Stream) -> io::Result<Vec<u8>> {
        let mut space = BytesMut::with_capacity(64 * 1024);
        self.until(|cx| stream.poll_read(cx, &mut space))?;
        Ok(space.to_vec())
    }

    /// Reads exactly so much.
    fn read_exact(&mut self, stream: &mut Stream, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let read = self.read(stream).unwrap();
            assert!(!read.is_empty(), "ended after {} of {count}", all.len());
            all.extend(read);
        }
        all
    }

    /// Lets the stream take all of it.
    fn write(&mut self, stream: &mut Stream, bytes: &[u8]) {
        let mut outbox = Outbox::default();
        outbox.put_bytes(Bytes::copy_from_slice(bytes));
        while !outbox.is_empty() {
            let taken = self.until(|cx| stream.poll_write(cx, &outbox)).unwrap();
            outbox.advance(taken);
        }
    }

    /// Lets the stream take what the ring sends for it, until its peer would have to read. Says how much that was: the
    /// last of it is under way.
    fn stuff(&mut self, stream: &mut Stream) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = 0;
        loop {
            let mut outbox = Outbox::default();
            outbox.put(&pattern(all, 4000));
            if stream.poll_write(&mut cx, &outbox).is_pending() {
                // A send on a pair of sockets completes while it is submitted, or when its peer reads.
                self.turn();
                if stream.poll_write(&mut cx, &outbox).is_pending() {
                    return all;
                }
            }
            all += 4000;
        }
    }

    /// What a peer that does not block reads until the end, with turns of the ring whenever it would wait.
    fn drain(&mut self, peer: &mut UnixStream) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match peer.read_to_end(&mut all) {
                // What makes room for a send that is half done completes nothing.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.turn(),
                ended => {
                    ended.unwrap();
                    return all;
                }
            }
        }
    }

    fn sockets(&self) -> usize {
        self.ring.driver.borrow().sockets.len()
    }

    /// Sends that nobody waits for.
    fn quiet(&self) -> usize {
        self.ring.driver.borrow().queue.quiet()
    }

    /// Provided buffers that are filled and not given back.
    fn lent(&self) -> usize {
        usize::from(self.ring.driver.borrow().buffers.lent)
    }

    /// Waits until the ring has let go of all sockets, and sees that they left nothing behind.
    fn at_rest(&mut self) {
        while self.sockets() > 0 {
            self.wait();
        }
        assert_eq!(self.lent(), 0, "buffers are held by nobody");
        let patience = self.ring.driver.borrow().timers.next();
        self.turn();
        assert_eq!(self.ring.driver.borrow().next_deadline(), patience);
    }
}

/// Bytes in which each place can be told from its neighbours.
fn pattern(from: usize, count: usize) -> Vec<u8> {
    let byte = |at: usize| (at ^ at >> 8 ^ at >> 16) as u8;
    (from..from + count).map(byte).collect()
}

/// More than the system keeps for a socket that nobody reads.
const MUCH: usize = 1024 * 1024;

/// Writes as much as the system takes.
fn fill(peer: &mut UnixStream, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match peer.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    written
}
