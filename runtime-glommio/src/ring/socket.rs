//! What a socket has received and not yet handed over, what it still sends, and which operations it has in the ring.
//!
//! A socket outlives its owner until the ring has let go of it: an operation refers to its buffers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::task::Waker;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockAddr;

use super::buffers::Buffers;

/// More than this much that nobody has read, and receiving stops.
pub(super) const UNREAD: usize = 128 * 1024;

/// So do so many pieces: each holds a whole buffer, however short it is, or costs more than its bytes.
const PIECES: usize = 32;

/// A receive that was submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Receive {
    /// None is.
    #[default]
    Idle,
    /// It goes on until it is stopped.
    Armed,
    /// It has been told to stop and has not yet.
    Stopping,
}

/// How connecting goes.
#[derive(Debug)]
pub(super) enum Connect {
    /// It was accepted, or connecting has succeeded.
    Done,
    /// The address must stay where it is.
    Under(#[expect(dead_code, reason = "the kernel reads it")] Box<SockAddr>),
    /// It has failed with this error number.
    Failed(i32),
}

/// Something received.
#[derive(Debug)]
enum Arrived {
    /// The first `len` bytes of a buffer, of which `taken` have been read.
    Lent { id: u16, taken: usize, len: usize },
    /// Moved out of a buffer that others needed.
    Kept(Bytes),
}

/// Bytes that are being sent; they stay where they are until that is done.
#[derive(Debug)]
pub(super) enum Sending {
    /// Short ones, copied into a block.
    Copied(Vec<u8>),
    /// A long one, shared with whoever else holds it.
    Shared(Bytes),
}

impl Sending {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(block) => block,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) connect: Connect,
    pub(super) receive: Receive,
    arrived: VecDeque<Arrived>,
    unread: usize,
    /// After what has arrived: the end, or an error number.
    pub(super) end: Option<Result<(), i32>>,
    pub(super) reader: Option<Waker>,
    /// What is being sent, and how much of it has been.
    pub(super) sending: Option<(Sending, usize)>,
    /// Sending has failed with this error number.
    pub(super) send_failed: Option<i32>,
    pub(super) writer: Option<Waker>,
    /// Nothing is written after what is being sent.
    pub(super) is_last: bool,
    /// Since when nobody owns it.
    pub(super) dropped: Option<Instant>,
    /// What it still sends has been cancelled.
    pub(super) is_given_up: bool,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd, connect: Connect) -> Self {
        Self {
            fd,
            connect,
            receive: Receive::Idle,
            arrived: VecDeque::new(),
            unread: 0,
            end: None,
            reader: None,
            sending: None,
            send_failed: None,
            writer: None,
            is_last: false,
            dropped: None,
            is_given_up: false,
        }
    }

    /// A read would not wait.
    pub(super) fn is_readable(&self) -> bool {
        !self.arrived.is_empty() || self.end.is_some()
    }

    /// So much waits to be read that no more should come.
    pub(super) fn is_full(&self) -> bool {
        self.unread >= UNREAD || self.arrived.len() >= PIECES
    }

    /// The ring refers to nothing of it.
    pub(super) fn is_free(&self) -> bool {
        self.receive == Receive::Idle
            && self.sending.is_none()
            && !matches!(self.connect, Connect::Under(_))
    }

    /// A buffer was filled for it. Nobody wants to read what comes after its owner is gone.
    pub(super) fn on_arrived(&mut self, id: u16, len: usize, buffers: &mut Buffers) {
        if self.dropped.is_some() || len == 0 {
            buffers.give_back(id);
            return;
        }
        self.unread += len;
        self.arrived.push_back(Arrived::Lent { id, taken: 0, len });
    }

    /// Moves what has arrived into the spare room of `space`, as much as fits; `None` when nothing has arrived.
    pub(super) fn read(
        &mut self,
        space: &mut BytesMut,
        buffers: &mut Buffers,
    ) -> Option<io::Result<usize>> {
        if space.capacity() == space.len() {
            // No room would look like the end.
            space.reserve(UNREAD / 8);
        }
        let mut read = 0;
        while let Some(front) = self.arrived.front_mut() {
            let room = space.capacity() - space.len();
            if room == 0 {
                break;
            }
            let (count, is_empty) = match front {
                Arrived::Lent { id, taken, len } => {
                    let bytes = &buffers.filled(*id, *len)[*taken..];
                    let count = bytes.len().min(room);
                    space.extend_from_slice(&bytes[..count]);
                    *taken += count;
                    let is_empty = *taken == *len;
                    if is_empty {
                        buffers.give_back(*id);
                    }
                    (count, is_empty)
                }
                Arrived::Kept(bytes) => {
                    let count = bytes.len().min(room);
                    space.extend_from_slice(&bytes[..count]);
                    bytes.advance(count);
                    (count, bytes.is_empty())
                }
            };
            read += count;
            if is_empty {
                self.arrived.pop_front();
            }
        }
        self.unread -= read;
        match (read, self.end) {
            (0, None) => None,
            (0, Some(end)) => Some(end.map(|()| 0).map_err(io::Error::from_raw_os_error)),
            _ => Some(Ok(read)),
        }
    }

    /// Gives the buffers it holds to others, and keeps their bytes itself.
    pub(super) fn spill(&mut self, buffers: &mut Buffers) {
        for arrived in &mut self.arrived {
            if let Arrived::Lent { id, taken, len } = *arrived {
                let bytes = Bytes::copy_from_slice(&buffers.filled(id, len)[taken..]);
                buffers.give_back(id);
                *arrived = Arrived::Kept(bytes);
            }
        }
    }

    /// Forgets what nobody will read.
    pub(super) fn forget_arrived(&mut self, buffers: &mut Buffers) {
        self.unread = 0;
        for arrived in self.arrived.drain(..) {
            if let Arrived::Lent { id, .. } = arrived {
                buffers.give_back(id);
            }
        }
    }
}
