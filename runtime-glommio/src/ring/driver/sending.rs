//! Sending. A socket takes few bytes over and sends them, also when its owner is gone, for a while. Many are written by a
//! call, as far as there is room.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use io_uring::{opcode, types::Fd};
use outrigger_core::outbox::Outbox;
use socket2::SockRef;

use super::super::queue::error;
use super::super::socket::Sending;
use super::super::timers::wait;
use super::{Driver, Kind, LINGER};

/// Up to so many bytes are copied and sent by the ring; more are written by a call, without a copy. So short a send finds
/// room in the socket unless its peer has stopped reading.
const SHORT: usize = 4096;

/// Pieces gathered in one write.
const PIECES: usize = 16;

/// Blocks kept for reuse.
const SPARE_BLOCKS: usize = 64;

impl Driver {
    pub(in crate::ring) fn poll_write(
        &mut self,
        number: usize,
        cx: &Context<'_>,
        outbox: &Outbox,
    ) -> Poll<io::Result<usize>> {
        let socket = &mut self.sockets[number];
        if let Some(failed) = socket.send_failed {
            return Poll::Ready(Err(error(failed)));
        }
        if !matches!(socket.sending, Sending::Idle) {
            if socket.writer.is_none() && matches!(socket.sending, Sending::Taken(..)) {
                self.queue.is_awaited();
            }
            wait(&mut socket.writer, cx);
            return Poll::Pending;
        }
        if outbox.len() <= SHORT {
            let mut block = self.spare.pop().unwrap_or_default();
            outbox
                .pieces()
                .for_each(|piece| block.extend_from_slice(piece));
            socket.sending = Sending::Taken(block, 0);
            self.send(number);
            return Poll::Ready(Ok(outbox.len()));
        }
        match write_directly(&socket.fd, outbox) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(&mut socket.writer, cx);
                socket.sending = Sending::Watched;
                let fd = Fd(socket.fd.as_raw_fd());
                let entry = opcode::PollAdd::new(fd, libc::POLLOUT as u32).build();
                self.push(entry.user_data(Kind::Send.of(number)));
                Poll::Pending
            }
            wrote => Poll::Ready(wrote),
        }
    }

    /// Writes these, if they are few, behind what is being sent; whoever is asked to write afterwards has nothing to say.
    pub(in crate::ring) fn say_last(&mut self, number: usize, words: &Outbox) {
        let socket = &mut self.sockets[number];
        match socket.sending {
            Sending::Taken(..) if words.len() <= SHORT => {
                let all: Vec<u8> = words.pieces().flatten().copied().collect();
                socket.last_words = Some(all.into());
            }
            Sending::Idle => {
                let _ = self.poll_write(number, &Context::from_waker(Waker::noop()), words);
            }
            // There is no room for it, and nobody waits for some.
            Sending::Taken(..) | Sending::Watched => {}
        }
    }

    /// Sends what a socket has taken and not sent.
    fn send(&mut self, number: usize) {
        let socket = &self.sockets[number];
        let Sending::Taken(block, sent) = &socket.sending else {
            return;
        };
        let bytes = &block[*sent..];
        // At most `SHORT`.
        let length = bytes.len() as u32;
        let entry = opcode::Send::new(Fd(socket.fd.as_raw_fd()), bytes.as_ptr(), length)
            // All of it is sent before the completion comes.
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.push(entry.user_data(Kind::Send.of(number)));
        self.queue.last_is_quiet();
    }

    pub(super) fn on_sent(&mut self, number: usize, result: i32) {
        let socket = &mut self.sockets[number];
        if let Sending::Taken(block, sent) = &mut socket.sending {
            match usize::try_from(result) {
                // A send that is cancelled half done tells of the half that is done, and not that it was cancelled.
                Ok(_) if socket.is_given_up => {}
                Ok(count) if count > 0 && *sent + count < block.len() => {
                    *sent += count;
                    return self.send(number);
                }
                Ok(_) => {}
                Err(_) => socket.send_failed = Some(result),
            }
        }
        // Where it was watched, the next write tells how it is.
        if let Sending::Taken(mut block, _) = std::mem::replace(&mut socket.sending, Sending::Idle)
        {
            block.clear();
            if let Some(words) = socket.last_words.take()
                && socket.send_failed.is_none()
                && !socket.is_given_up
            {
                block.extend_from_slice(&words);
                socket.sending = Sending::Taken(block, 0);
                self.send(number);
                // Somebody has asked for the end already.
                return self.queue.is_awaited();
            }
            if socket.is_last {
                shut(&socket.fd);
            }
            if self.spare.len() < SPARE_BLOCKS {
                self.spare.push(block);
            }
        }
        self.woken.extend(socket.writer.take());
        if socket.dropped.is_some() {
            self.woken.extend(self.flushing.take());
        }
        self.remove_if_free(number);
    }

    /// Nothing more will be written after what was taken.
    pub(in crate::ring) fn shutdown_write(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        socket.is_last = true;
        match socket.sending {
            Sending::Taken(..) => self.queue.is_awaited(),
            Sending::Idle | Sending::Watched => shut(&socket.fd),
        }
    }

    /// Whether sockets still send although their owners are gone.
    pub(in crate::ring) fn is_lingering(&mut self) -> bool {
        let sockets = &self.sockets;
        // A number may be another socket's by now, which may linger too, but not since then.
        let is_sending = |since: Instant, number: usize| {
            let socket = sockets.get(number);
            socket.is_some_and(|socket| {
                socket.dropped == Some(since) && matches!(socket.sending, Sending::Taken(..))
            })
        };
        self.lingering
            .retain(|&(since, number)| is_sending(since, number));
        !self.lingering.is_empty()
    }

    /// Gives up on those that have sent for too long.
    pub(in crate::ring) fn end_lingering(&mut self, now: Instant) {
        if self.lingering.is_empty() || !self.is_lingering() {
            return;
        }
        while let Some(&(since, number)) = self.lingering.first()
            && now >= since + LINGER
        {
            self.lingering.remove(0);
            self.sockets[number].is_given_up = true;
            self.cancel(Kind::Send.of(number));
        }
    }
}

/// An error means that the peer is gone, which the next read will tell.
fn shut(fd: &OwnedFd) {
    let _ = SockRef::from(fd).shutdown(std::net::Shutdown::Write);
}

/// Writes as much as the socket takes, without waiting and without a copy of our own.
fn write_directly(fd: &OwnedFd, outbox: &Outbox) -> io::Result<usize> {
    let mut pieces = [io::IoSlice::new(&[]); PIECES];
    let count = outbox.chunks(&mut pieces);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    loop {
        match SockRef::from(fd).send_vectored_with_flags(&pieces[..count], flags) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            wrote => return wrote,
        }
    }
}
