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

use super::buffers::{self, Buffers};

/// With so many pieces that nobody has read receiving stops: each holds a whole buffer, however short it is, or costs more
/// than its bytes. So no more than 128 KiB wait.
const PIECES: usize = 32;

/// Room that a read gets where there is none.
const ROOM: usize = 16 * 1024;

/// A receive that was submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Receive {
    /// None is.
    #[default]
    Idle,
    /// It goes on until it is stopped.
    Armed,
    /// That something has come will be told each time, and nothing is received.
    Watched,
    /// It has been told to stop and has not yet.
    Stopping,
}

/// How bytes are to come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Into buffers that the kernel takes when it needs them: one copy more, no call, nothing held while nothing comes.
    #[default]
    Provided,
    /// By calls, straight to where they should be.
    Direct {
        /// A read may find something.
        is_ready: bool,
        /// The end, or an error, comes after what is there: reads find something until they have found that.
        is_ending: bool,
        /// So many reads one after the other found less than a buffer holds.
        short: u8,
    },
}

/// So many short reads in a row, and messages are taken to be short again. An answer in one long piece brings two or
/// three of them: its end, and the little that came with its head.
const SHORT_READS: u8 = 8;

impl Incoming {
    /// A buffer was filled to its end: more is coming than fits.
    fn on_filled(&mut self) {
        *self = Self::Direct {
            is_ready: true,
            is_ending: false,
            short: 0,
        };
    }

    /// A direct read may find something.
    pub(super) fn is_ready(self) -> bool {
        matches!(self, Self::Direct { is_ready: true, .. })
    }

    /// Something has come. That the end has come as well is not told a second time.
    pub(super) fn on_ready(&mut self, with_end: bool) {
        if let Self::Direct {
            is_ready,
            is_ending,
            ..
        } = self
        {
            *is_ready = true;
            *is_ending |= with_end;
        }
    }

    /// A direct read found so many bytes where so many were asked for.
    pub(super) fn on_read(&mut self, count: usize, offered: usize) {
        let Self::Direct {
            is_ready,
            is_ending,
            short,
        } = self
        else {
            return;
        };
        // One that leaves room has taken all there was.
        *is_ready = count == offered || *is_ending;
        match count < buffers::SIZE {
            true if *short + 1 == SHORT_READS => *self = Self::Provided,
            true => *short += 1,
            false => *short = 0,
        }
    }

    /// A direct read found nothing.
    pub(super) fn on_nothing(&mut self) {
        if let Self::Direct { is_ready, .. } = self {
            *is_ready = false;
        }
    }
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

/// What the ring does for bytes that go out.
#[derive(Debug)]
pub(super) enum Sending {
    /// Nothing.
    Idle,
    /// It sends a copy of them, of which so many are sent. The copy stays where it is until that is done.
    Taken(Vec<u8>, usize),
    /// It will tell when the socket has room again.
    Watched,
}

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) connect: Connect,
    pub(super) receive: Receive,
    pub(super) incoming: Incoming,
    arrived: VecDeque<Arrived>,
    /// After what has arrived: the end, or an error number.
    pub(super) end: Option<Result<(), i32>>,
    pub(super) reader: Option<Waker>,
    pub(super) sending: Sending,
    /// Sending has failed with this error number.
    pub(super) send_failed: Option<i32>,
    pub(super) writer: Option<Waker>,
    /// What is sent behind what is being sent, and nothing after it.
    pub(super) last_words: Option<Box<[u8]>>,
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
            incoming: Incoming::Provided,
            arrived: VecDeque::new(),
            end: None,
            reader: None,
            sending: Sending::Idle,
            send_failed: None,
            writer: None,
            last_words: None,
            is_last: false,
            dropped: None,
            is_given_up: false,
        }
    }

    /// A read would not wait.
    pub(super) fn is_readable(&self) -> bool {
        // What receives into buffers must have stopped, or bytes would overtake others.
        let may_ask = matches!(self.receive, Receive::Idle | Receive::Watched);
        self.has_arrived() || may_ask && self.incoming.is_ready()
    }

    /// Something has come in, or the end, and nobody has read it.
    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty() || self.end.is_some()
    }

    /// So much waits to be read that no more should come.
    pub(super) fn is_full(&self) -> bool {
        self.arrived.len() >= PIECES
    }

    /// The ring refers to nothing of it.
    pub(super) fn is_free(&self) -> bool {
        self.receive == Receive::Idle
            && matches!(self.sending, Sending::Idle)
            && !matches!(self.connect, Connect::Under(_))
    }

    /// A buffer was filled for it. Nobody wants to read what comes after its owner is gone.
    pub(super) fn on_arrived(&mut self, id: u16, len: usize, buffers: &mut Buffers) {
        if self.dropped.is_some() || len == 0 {
            buffers.give_back(id);
            return;
        }
        self.arrived.push_back(Arrived::Lent { id, taken: 0, len });
        if len == buffers::SIZE {
            self.incoming.on_filled();
        }
    }

    /// Moves what has arrived into the spare room of `space`, as much as fits; `None` when nothing has arrived.
    pub(super) fn read(
        &mut self,
        space: &mut BytesMut,
        buffers: &mut Buffers,
    ) -> Option<io::Result<usize>> {
        if space.capacity() == space.len() {
            // No room would look like the end.
            space.reserve(ROOM);
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
        for arrived in self.arrived.drain(..) {
            if let Arrived::Lent { id, .. } = arrived {
                buffers.give_back(id);
            }
        }
    }
}
