//! Sending: a socket takes bytes over and sends them, also when its owner is gone, for a while.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll};
use std::time::Instant;

use io_uring::{opcode, types::Fd};
use outrigger_core::outbox::Outbox;
use socket2::SockRef;

use super::super::queue::error;
use super::super::socket::Sending;
use super::super::timers::wait;
use super::{Driver, Kind, LINGER};

/// Bytes that are sent in one piece are copied up to here. More costs less to share, piece by piece.
const BLOCK: usize = 32 * 1024;

/// A send up to this long finds room in the socket unless its peer has stopped reading.
const SHORT: u32 = 4096;

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
        if socket.sending.is_some() {
            wait(&mut socket.writer, cx);
            return Poll::Pending;
        }
        let sending = match outbox.kept() {
            Some(piece) if outbox.len() > BLOCK => Sending::Shared(piece.clone()),
            _ => Sending::Copied(gather(outbox, self.spare.pop())),
        };
        let taken = sending.bytes().len();
        socket.sending = Some((sending, 0));
        self.send(number, taken < outbox.len());
        Poll::Ready(Ok(taken))
    }

    /// Sends what a socket has taken and not sent. `has_more` says that there will be more at once.
    fn send(&mut self, number: usize, has_more: bool) {
        let socket = &self.sockets[number];
        let Some((sending, sent)) = &socket.sending else {
            return;
        };
        let bytes = &sending.bytes()[*sent..];
        let more = if has_more { libc::MSG_MORE } else { 0 };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(Fd(socket.fd.as_raw_fd()), bytes.as_ptr(), length)
            // All of it is sent before the completion comes.
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more)
            .build();
        self.push(entry.user_data(Kind::Send.of(number)));
        if length <= SHORT {
            self.queue.last_is_quiet();
        }
    }

    pub(super) fn on_sent(&mut self, number: usize, result: i32) {
        let socket = &mut self.sockets[number];
        let Some((sending, sent)) = &mut socket.sending else {
            return;
        };
        match usize::try_from(result) {
            // A send that is cancelled half done tells of the half that is done, and not that it was cancelled.
            Ok(_) if socket.is_given_up => {}
            Ok(count) if count > 0 && *sent + count < sending.bytes().len() => {
                *sent += count;
                return self.send(number, false);
            }
            Ok(_) => {}
            Err(_) => socket.send_failed = Some(result),
        }
        if let Some((Sending::Copied(mut block), _)) = socket.sending.take()
            && self.spare.len() < SPARE_BLOCKS
        {
            block.clear();
            self.spare.push(block);
        }
        self.woken.extend(socket.writer.take());
        if socket.is_last {
            shut(&socket.fd);
        }
        self.remove_if_free(number);
    }

    /// Nothing more will be written after what was taken.
    pub(in crate::ring) fn shutdown_write(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        socket.is_last = true;
        if socket.sending.is_none() {
            shut(&socket.fd);
        }
    }

    /// Whether sockets still send although their owners are gone.
    pub(in crate::ring) fn is_lingering(&mut self) -> bool {
        let sockets = &self.sockets;
        // A number may be another socket's by now, which may linger too, but not since then.
        let is_sending = |since: Instant, number: usize| {
            let socket = sockets.get(number);
            socket.is_some_and(|socket| socket.dropped == Some(since) && socket.sending.is_some())
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

/// Copies the front of an outbox into a block, at most [`BLOCK`] bytes and up to the first long piece of many.
fn gather(outbox: &Outbox, spare: Option<Vec<u8>>) -> Vec<u8> {
    let mut block = spare.unwrap_or_default();
    let mut pieces = [io::IoSlice::new(&[]); 16];
    let count = outbox.chunks(&mut pieces);
    for piece in &pieces[..count] {
        let room = BLOCK - block.len();
        block.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    block
}
