//! Receiving. Short messages come into provided buffers: asked for once, that goes on until a socket has more than its
//! owner reads. Where a buffer was filled to the end, a long body comes, and copying it out of buffers would cost more than
//! calls save: then the ring only says when there is something, and it is read directly to where it should be.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use io_uring::{cqueue, opcode, squeue, types::Fd};
use socket2::SockRef;

use super::super::buffers::GROUP;
use super::super::socket::{Incoming, Receive, Socket};
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
        let socket = &mut self.sockets[number];
        if let Some(read) = socket.read(space, &mut self.buffers) {
            return Poll::Ready(read);
        }
        let read = read_directly(socket, space);
        if socket.receive == Receive::Watched && socket.incoming == Incoming::Provided {
            self.stop_receiving(number);
        }
        if let Some(read) = read {
            return Poll::Ready(read);
        }
        let socket = &mut self.sockets[number];
        wait(&mut socket.reader, cx);
        self.receive(number);
        Poll::Pending
    }

    /// Something came, or the end, whether it was received or still lies in the socket.
    pub(in crate::ring) fn has_unread(&self, number: usize) -> bool {
        let socket = &self.sockets[number];
        let mut byte = [MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        socket.has_arrived()
            || !SockRef::from(&socket.fd)
                .recv_with_flags(&mut byte, flags)
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Lets the kernel receive for a socket from now on.
    pub(super) fn receive(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        if socket.receive != Receive::Idle || socket.end.is_some() {
            return;
        }
        let fd = Fd(socket.fd.as_raw_fd());
        let entry: squeue::Entry;
        (socket.receive, entry) = match socket.incoming {
            Incoming::Provided => (Receive::Armed, opcode::RecvMulti::new(fd, GROUP).build()),
            Incoming::Direct { .. } => (
                Receive::Watched,
                opcode::PollAdd::new(fd, (libc::POLLIN | libc::POLLRDHUP) as u32)
                    .multi(true)
                    .build(),
            ),
        };
        self.push(entry.user_data(Kind::Receive.of(number)));
    }

    pub(super) fn on_receive(&mut self, number: usize, result: i32, flags: u32) {
        let socket = &mut self.sockets[number];
        if socket.receive == Receive::Watched {
            if !cqueue::more(flags) {
                socket.receive = Receive::Idle;
            }
            // Whatever it was, reading tells.
            let end = i32::from(libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR);
            socket.incoming.on_ready(result < 0 || result & end != 0);
            self.woken.extend(socket.reader.take());
            return;
        }
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
        let is_enough = socket.is_full() || socket.incoming != Incoming::Provided;
        if is_enough && socket.receive == Receive::Armed {
            self.stop_receiving(number);
        }
        self.remove_if_free(number);
    }

    /// Ends what the kernel does for bytes that come in. It goes on until that has completed.
    pub(super) fn stop_receiving(&mut self, number: usize) {
        self.sockets[number].receive = Receive::Stopping;
        self.cancel(Kind::Receive.of(number));
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

/// Reads as much as there is room for, without waiting; `None` when there is nothing.
#[expect(unsafe_code, reason = "reading into room that was never written")]
fn read_directly(socket: &mut Socket, space: &mut BytesMut) -> Option<io::Result<usize>> {
    let fd = SockRef::from(&socket.fd);
    let room = space.spare_capacity_mut();
    let offered = room.len();
    let read = loop {
        match fd.recv_with_flags(room, libc::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read,
        }
    };
    match read {
        Ok(count) => {
            // SAFETY: the system has written so many bytes to the beginning of the room, which is not longer.
            unsafe { space.advance_mut(count) };
            socket.incoming.on_read(count, offered);
            if count == 0 {
                socket.end = Some(Ok(()));
            }
            Some(Ok(count))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            socket.incoming.on_nothing();
            None
        }
        Err(error) => {
            socket.end = Some(Err(error.raw_os_error().unwrap_or(libc::EIO)));
            Some(Err(error))
        }
    }
}
