//! One stream: where both of its halves are, what waits on it, and its windows.
//!
//! The states of RFC 9113 §5.1 by halves: a stream that is not in the table is idle or closed; one that is [`State::Live`]
//! is open, half-closed (remote) when [`Receiving::Ended`], half-closed (local) when [`Sending::Ended`], and closed when it
//! is both, or [`State::Reset`]. It stays in the table until its owner is done with it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::code::Broken;
use super::heads::Asked;
use super::stream_id::StreamId;
use super::unread::Unread;
use super::window::{ReceiveWindow, SendWindow};
use crate::message::Headers;
use crate::time::Instant;

/// Who is told what happens on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<T> {
    /// Nobody knows of it yet.
    Untold,
    /// It was told that it opened, and nobody has said whose it is.
    Told,
    /// This one.
    Is(T),
    /// Nobody any more: what waits to be sent still is.
    Done,
}

impl<T> Owner<T> {
    /// What comes is not wanted any more.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live {
        receiving: Receiving,
        sending: Sending,
    },
    /// No more comes of it, because of that.
    Reset(Broken, By),
}

/// Who reset a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Us,
    Peer,
}

/// The peer's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiving {
    /// The head of a response is to come.
    Head,
    /// Data of a body of this many more bytes.
    Length(u64),
    /// Data of which the amount was not told, or bytes of a tunnel.
    Unknown,
    /// END_STREAM came.
    Ended,
}

/// Our half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// The head of the response is to be sent.
    Head,
    /// Data of a body of this many more bytes.
    Length(u64),
    /// Data of which the amount was not told, or bytes of a tunnel.
    Unknown,
    /// What waits, then the end.
    Ending(Ending),
    /// END_STREAM was written.
    Ended,
}

/// What a message ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The last DATA frame.
    Data,
    /// Trailers.
    Trailers,
}

/// What waits to be sent on one stream.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) bytes: usize,
    pub(super) trailers: Headers,
}

impl Unsent {
    fn clear(&mut self) {
        self.pieces.clear();
        if self.pieces.capacity() > 32 {
            self.pieces = VecDeque::new();
        }
        self.bytes = 0;
        self.trailers.clear();
    }

    /// The next piece, or the first `most` bytes of it.
    pub(super) fn take(&mut self, most: usize) -> Option<Bytes> {
        let front = self.pieces.front_mut()?;
        let piece = if front.len() <= most {
            self.pieces.pop_front()?
        } else {
            front.split_to(most)
        };
        self.bytes -= piece.len();
        Some(piece)
    }
}

/// Where a stream stands in line to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it has nothing to send.
    #[default]
    None,
    /// Among those whose turn comes.
    Ready,
    /// Among those who wait for credit of the connection.
    AwaitsConnection,
    /// Nowhere: it waits for credit of its own.
    AwaitsCredit,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream<T> {
    pub(super) id: StreamId,
    pub(super) owner: Owner<T>,
    pub(super) state: State,
    /// The request, as far as its response depends on it.
    pub(super) asked: Asked,
    /// Its owner will be told that something happened.
    pub(super) has_news: bool,
    /// It stands among those with data that may have to settle.
    pub(super) is_loose: bool,
    /// It stands among those whose credit is to be given back.
    pub(super) owes_credit: bool,
    /// DATA frames in a row that carried nothing.
    pub(super) empty_frames: u32,
    pub(super) unread: Unread,
    pub(super) credit: ReceiveWindow,
    pub(super) unsent: Unsent,
    pub(super) window: SendWindow,
    pub(super) place: Place,
    /// Since when it has had something to send and no credit for any of it.
    pub(super) stalled: Option<Instant>,
}

impl<T> Stream<T> {
    /// One whose memory was not used before.
    pub(super) fn new(id: StreamId) -> Self {
        Self {
            id,
            owner: Owner::Untold,
            state: State::Live {
                receiving: Receiving::Unknown,
                sending: Sending::Unknown,
            },
            asked: Asked::Usual,
            has_news: false,
            is_loose: false,
            owes_credit: false,
            empty_frames: 0,
            unread: Unread::default(),
            credit: ReceiveWindow::new(0),
            unsent: Unsent::default(),
            window: SendWindow::default(),
            place: Place::None,
            stalled: None,
        }
    }

    /// One that begins, in the memory of one that is gone.
    pub(super) fn begin(&mut self, id: StreamId) {
        debug_assert!(self.unread.is_empty() && self.unsent.bytes == 0);
        *self = Self {
            unread: core::mem::take(&mut self.unread),
            unsent: core::mem::take(&mut self.unsent),
            ..Self::new(id)
        };
    }

    /// The peer's half, unless the stream was reset.
    pub(super) const fn receiving(&self) -> Option<Receiving> {
        match self.state {
            State::Live { receiving, .. } => Some(receiving),
            State::Reset(..) => None,
        }
    }

    /// Our half, unless the stream was reset.
    pub(super) const fn sending(&self) -> Option<Sending> {
        match self.state {
            State::Live { sending, .. } => Some(sending),
            State::Reset(..) => None,
        }
    }

    pub(super) const fn set_receiving(&mut self, now: Receiving) {
        if let State::Live { receiving, .. } = &mut self.state {
            *receiving = now;
        }
    }

    pub(super) const fn set_sending(&mut self, now: Sending) {
        if let State::Live { sending, .. } = &mut self.state {
            *sending = now;
        }
    }

    /// Bytes that wait on it, in either direction.
    pub(super) const fn held(&self) -> usize {
        self.unread.bytes() + self.unsent.bytes
    }

    /// Nothing more is sent.
    pub(super) fn drop_unsent(&mut self) {
        self.unsent.clear();
        self.stalled = None;
    }

    /// Whether both sides have ended it.
    pub(super) const fn is_complete(&self) -> bool {
        matches!(
            self.state,
            State::Live {
                receiving: Receiving::Ended,
                sending: Sending::Ended,
            }
        )
    }

    /// Whether it is closed (§5.1), and here only because its owner is not done with it.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_complete() || matches!(self.state, State::Reset(..))
    }

    /// Whether it has something to write into frames: data, or its end.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent.bytes > 0 || matches!(self.sending(), Some(Sending::Ending(_)))
    }
}
