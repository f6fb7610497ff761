//! A socket and a listener as a connection and an accept task see them: each is a number in the ring's driver.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::Keepalive;
use outrigger_runtime::Accepted;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Ring;
use super::accepts::address;
use super::timers::wait;

/// A connected socket.
#[derive(Debug)]
pub(crate) struct Stream {
    ring: Rc<Ring>,
    number: usize,
    is_reset: bool,
}

impl Stream {
    fn new(ring: Rc<Ring>, number: usize) -> Self {
        Self {
            ring,
            number,
            is_reset: false,
        }
    }

    pub(super) fn accepted(ring: &Rc<Ring>, fd: OwnedFd) -> Self {
        let number = ring.driver.borrow_mut().add(fd);
        Self::new(Rc::clone(ring), number)
    }
}

impl outrigger_runtime::Stream for Stream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut driver = self.ring.driver.borrow_mut();
        driver.poll_readable(self.number, cx).map(Ok)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut driver = self.ring.driver.borrow_mut();
        driver.poll_read(self.number, cx, space)
    }

    /// What is taken will be sent; that it could not be is told by the next call.
    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        let mut driver = self.ring.driver.borrow_mut();
        driver.poll_write(self.number, cx, outbox)
    }

    fn say_last(&mut self, words: &mut Outbox) {
        self.ring.driver.borrow_mut().say_last(self.number, words);
    }

    fn shutdown_write(&mut self) {
        self.ring.driver.borrow_mut().shutdown_write(self.number);
    }

    fn reset(mut self) {
        self.is_reset = true;
    }

    fn keep_alive(&self, how: Keepalive) -> io::Result<()> {
        self.ring.driver.borrow().keep_alive(self.number, how)
    }

    fn has_unread(&self) -> bool {
        // What the kernel has received may not have been looked at.
        self.ring.turn(false);
        self.ring.driver.borrow().has_unread(self.number)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.ring.driver.borrow().local_addr(self.number)
    }

    fn original_dst(&self) -> Option<SocketAddr> {
        self.ring.driver.borrow().original_dst(self.number)
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.ring.driver.borrow().peer_addr(self.number)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut driver = self.ring.driver.borrow_mut();
        driver.release(self.number, self.is_reset);
    }
}

/// Connects over TCP, from an address if one is given.
pub(crate) async fn connect(
    ring: &Rc<Ring>,
    addr: SocketAddr,
    from: Option<IpAddr>,
) -> io::Result<Stream> {
    let addr = SockAddr::from(addr);
    let socket = Socket::new(addr.domain(), Type::STREAM, None)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        outrigger_runtime::connect_from(&socket, from)?;
    }
    connect_to(ring, socket, addr).await
}

/// Connects to a Unix socket.
pub(crate) async fn connect_unix(ring: &Rc<Ring>, path: &Path) -> io::Result<Stream> {
    let addr = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    connect_to(ring, socket, addr).await
}

async fn connect_to(ring: &Rc<Ring>, socket: Socket, addr: SockAddr) -> io::Result<Stream> {
    let number = ring.driver.borrow_mut().connect(socket.into(), addr);
    let stream = Stream::new(Rc::clone(ring), number);
    std::future::poll_fn(|cx| ring.driver.borrow_mut().poll_connected(number, cx)).await?;
    Ok(stream)
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Accepting {
    ring: Rc<Ring>,
    number: usize,
}

impl Accepting {
    pub(super) fn new(ring: Rc<Ring>, number: usize) -> Self {
        Self { ring, number }
    }
}

impl outrigger_runtime::Listener for Accepting {
    type Stream = Stream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let driver = self.ring.driver.borrow();
        let addr = driver.listeners[self.number].fd.local_addr()?;
        address(&addr).ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Accepted<Stream>> {
        let mut driver = self.ring.driver.borrow_mut();
        let listener = &mut driver.listeners[self.number];
        if let Some(next) = listener.next() {
            drop(driver);
            return Poll::Ready(
                next.map(|(fd, remote)| (Stream::accepted(&self.ring, fd), remote)),
            );
        }
        wait(&mut listener.waker, cx);
        driver.accept(self.number);
        Poll::Pending
    }

    fn rest(&self) {
        self.ring.driver.borrow_mut().stop_accepting(self.number);
    }

    fn turn_away(&self) {
        let driver = self.ring.driver.borrow();
        let listener = &driver.listeners[self.number].fd;
        // Who has connected to a Unix socket is waiting to be taken, and in no state before that.
        if listener.local_addr().is_ok_and(|addr| !addr.is_unix()) {
            outrigger_runtime::turn_away(listener);
        }
    }

    fn poll_rest(&self, cx: &mut Context<'_>) -> Poll<Option<(Stream, SocketAddr)>> {
        let mut driver = self.ring.driver.borrow_mut();
        match driver.rest(self.number) {
            Some(accepted) => {
                drop(driver);
                let taken = accepted.map(|(fd, remote)| (Stream::accepted(&self.ring, fd), remote));
                Poll::Ready(taken)
            }
            None => {
                wait(&mut driver.listeners[self.number].waker, cx);
                Poll::Pending
            }
        }
    }

    fn take_waiting(&self) -> Option<(Stream, SocketAddr)> {
        // What the kernel has accepted may not have been looked at.
        self.ring.turn(false);
        let next = self.ring.driver.borrow_mut().listeners[self.number].try_next();
        next.map(|(fd, remote)| (Stream::accepted(&self.ring, fd), remote))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        let mut driver = self.ring.driver.borrow_mut();
        driver.release_listener(self.number);
    }
}
