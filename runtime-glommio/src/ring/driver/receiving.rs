//! Receiving: asked for once, it goes on until a socket has more than its owner reads.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use io_uring::{cqueue, opcode, types::Fd};
use socket2::SockRef;

use super::super::buffers::GROUP;
use super::super::socket::{Receive, Socket};
use super::super::timers::wait;
use super::{Driver, Kind};

impl Driver {
    pub(in crate::ring) fn poll_readable(&mut self, number: usize, cx: &Context<'_>) -> Poll<()> {
        let socket = &mut self.sockets[number];
        if socket.is_readable() {
            return Poll::Ready(());
        }
        wait(&mut socket.reader, cx);
        self.receive(number);
        Poll::Pending
    }

    pub(in crate::ring) fn poll_read(
        &mut self,
        number: usize,
        cx: &Context<'_>,
        space: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_readable(number, cx));
        match self.sockets[number].read(space, &mut self.buffers) {
            Some(read) => Poll::Ready(read),
            None => Poll::Pending,
        }
    }

    /// Nothing came and the other side is there. What has not been asked for yet is asked of the system.
    pub(in crate::ring) fn is_quiet(&mut self, number: usize) -> bool {
        let socket = &self.sockets[number];
        if socket.is_readable() || socket.send_failed.is_some() {
            return false;
        }
        if socket.receive == Receive::Armed {
            return true;
        }
        let mut byte = [MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let peeked = SockRef::from(&socket.fd).recv_with_flags(&mut byte, flags);
        self.receive(number);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Lets the kernel receive for a socket from now on.
    pub(super) fn receive(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        if socket.receive != Receive::Idle || socket.end.is_some() {
            return;
        }
        socket.receive = Receive::Armed;
        let entry = opcode::RecvMulti::new(Fd(socket.fd.as_raw_fd()), GROUP).build();
        self.push(entry.user_data(Kind::Receive.of(number)));
    }

    pub(super) fn on_receive(&mut self, number: usize, result: i32, flags: u32) {
        let socket = &mut self.sockets[number];
        if let Some(id) = cqueue::buffer_select(flags) {
            self.buffers.on_filled();
            let len = usize::try_from(result).unwrap_or(0);
            socket.on_arrived(id, len, &mut self.buffers);
        }
        if !cqueue::more(flags) {
            socket.receive = Receive::Idle;
        }
        match result {
            0 => socket.end = Some(Ok(())),
            1.. => {}
            _ if -result == libc::ENOBUFS => self.starved.push(number),
            _ if -result == libc::ECANCELED => {}
            _ => socket.end = Some(Err(-result)),
        }
        if socket.is_readable() {
            self.woken.extend(socket.reader.take());
        } else if socket.reader.is_some() && result != -libc::ENOBUFS {
            // It was stopped, and meanwhile all has been read. Where buffers were wanting it waits for them.
            self.receive(number);
        }
        let socket = &mut self.sockets[number];
        if socket.is_full() && socket.receive == Receive::Armed {
            socket.receive = Receive::Stopping;
            self.cancel(Kind::Receive.of(number));
        }
        self.remove_if_free(number);
    }

    /// Goes on receiving where buffers were wanting, after those that nobody reads have been given back.
    pub(super) fn feed_starved(&mut self) {
        if self.starved.is_empty() {
            return;
        }
        if self.buffers.is_empty() {
            for (_, socket) in &mut self.sockets {
                socket.spill(&mut self.buffers);
            }
        }
        for number in std::mem::take(&mut self.starved) {
            // It may be gone meanwhile, or its number be another's: who waits to read is what counts.
            let waits = |socket: &Socket| socket.reader.is_some() && !socket.is_readable();
            if self.sockets.get(number).is_some_and(waits) {
                self.receive(number);
            }
        }
    }
}
