//! How sockets come to be: connected by us, or accepted from a listener.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll};

use io_uring::{cqueue, opcode, types::Fd};
use outrigger_core::snapshot::Keepalive;
use socket2::{Domain, SockAddr, SockRef};

use super::super::queue::error;
use super::super::socket::{Connect, Socket};
use super::super::timers::wait;
use super::{Driver, Kind};

/// Sockets.
impl Driver {
    /// Takes over a connected socket.
    pub(in crate::ring) fn add(&mut self, fd: OwnedFd) -> usize {
        self.sockets.insert(Socket::new(fd, Connect::Done))
    }

    /// Takes over a socket and begins to connect it.
    pub(in crate::ring) fn connect(&mut self, fd: OwnedFd, address: SockAddr) -> usize {
        let address = Box::new(address);
        let (pointer, length) = (address.as_ptr(), address.len());
        let entry = opcode::Connect::new(Fd(fd.as_raw_fd()), pointer.cast(), length).build();
        let socket = Socket::new(fd, Connect::Under(address));
        let number = self.sockets.insert(socket);
        self.push(entry.user_data(Kind::Connect.of(number)));
        number
    }

    pub(in crate::ring) fn poll_connected(
        &mut self,
        number: usize,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = &mut self.sockets[number];
        match socket.connect {
            Connect::Done => Poll::Ready(Ok(())),
            Connect::Failed(result) => Poll::Ready(Err(error(result))),
            Connect::Under(_) => {
                wait(&mut socket.reader, cx);
                Poll::Pending
            }
        }
    }

    pub(super) fn on_connect(&mut self, number: usize, result: i32) {
        let socket = &mut self.sockets[number];
        socket.connect = match result {
            0.. => Connect::Done,
            _ => Connect::Failed(result),
        };
        self.woken.extend(socket.reader.take());
        self.remove_if_free(number);
    }

    pub(in crate::ring) fn keep_alive(&self, number: usize, how: Keepalive) -> io::Result<()> {
        let fd = &self.sockets[number].fd;
        match SockRef::from(fd).domain()? {
            Domain::UNIX => Ok(()),
            _ => outrigger_runtime::keep_alive(fd, how),
        }
    }

    pub(in crate::ring) fn local_addr(&self, number: usize) -> Option<SocketAddr> {
        let addr = SockRef::from(&self.sockets[number].fd).local_addr();
        addr.ok()?.as_socket()
    }

    pub(in crate::ring) fn original_dst(&self, number: usize) -> Option<SocketAddr> {
        outrigger_runtime::original_destination(&self.sockets[number].fd)
    }

    pub(in crate::ring) fn peer_addr(&self, number: usize) -> Option<SocketAddr> {
        let addr = SockRef::from(&self.sockets[number].fd).peer_addr();
        addr.ok()?.as_socket()
    }
}

/// Listeners.
impl Driver {
    /// Lets the kernel accept for a listener from now on.
    pub(in crate::ring) fn accept(&mut self, number: usize) {
        let listener = &mut self.listeners[number];
        if listener.is_armed {
            return;
        }
        listener.is_armed = true;
        let entry = opcode::AcceptMulti::new(Fd(listener.fd.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push(entry.user_data(Kind::Accept.of(number)));
    }

    /// The kernel accepts no more for a listener until it is asked again.
    pub(in crate::ring) fn stop_accepting(&mut self, number: usize) {
        if self.listeners[number].is_armed {
            self.cancel(Kind::Accept.of(number));
        }
    }

    pub(super) fn on_accept(&mut self, number: usize, result: i32, flags: u32) {
        let listener = &mut self.listeners[number];
        if !cqueue::more(flags) {
            listener.is_armed = false;
        }
        listener.on_accept(result);
        self.woken.extend(listener.waker.take());
        self.remove_listener_if_free(number);
    }

    /// Has the kernel accept no more. The next client that it has accepted until then; `Some(None)` when it has stopped and there is
    /// none, `None` while it has not.
    pub(in crate::ring) fn rest(&mut self, number: usize) -> Option<Option<(OwnedFd, SocketAddr)>> {
        let listener = &mut self.listeners[number];
        while let Some(next) = listener.next() {
            if let Ok(accepted) = next {
                return Some(Some(accepted));
            }
        }
        if !listener.is_armed {
            return Some(None);
        }
        if !std::mem::replace(&mut listener.is_stopping, true) {
            self.cancel(Kind::Accept.of(number));
        }
        None
    }

    /// The owner is gone.
    pub(in crate::ring) fn release_listener(&mut self, number: usize) {
        self.listeners[number].is_dropped = true;
        self.stop_accepting(number);
        self.remove_listener_if_free(number);
    }

    fn remove_listener_if_free(&mut self, number: usize) {
        let listener = &self.listeners[number];
        if listener.is_dropped && !listener.is_armed {
            self.listeners.remove(number);
        }
    }
}
