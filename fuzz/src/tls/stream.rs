//! A stream in memory, whose other end says what it likes, in pieces of lengths that it is given.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::Keepalive;
use outrigger_runtime::Stream;

#[derive(Default)]
struct Both {
    comes: VecDeque<u8>,
    is_over: bool,
    goes: Vec<u8>,
    cuts: Vec<u8>,
    reads: usize,
}

/// The client's end.
pub(super) struct Line(Rc<RefCell<Both>>);

/// The server's end.
pub(super) struct End(Rc<RefCell<Both>>);

/// Both ends; what the client says comes in pieces of so many bytes, in turn, or as it is.
pub(super) fn line(cuts: &[u8]) -> (Line, End) {
    let both = Rc::new(RefCell::new(Both {
        cuts: cuts.to_vec(),
        ..Both::default()
    }));
    (Line(Rc::clone(&both)), End(both))
}

impl Line {
    /// What follows the end is not heard.
    pub(super) fn say(&self, bytes: &[u8]) {
        let mut both = self.0.borrow_mut();
        if !both.is_over {
            both.comes.extend(bytes);
        }
    }

    pub(super) fn end(&self) {
        self.0.borrow_mut().is_over = true;
    }

    pub(super) fn heard(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().goes)
    }
}

impl Stream for End {
    fn poll_readable(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.has_unread() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn poll_read(&mut self, _: &mut Context<'_>, space: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut both = self.0.borrow_mut();
        if both.comes.is_empty() {
            return match both.is_over {
                true => Poll::Ready(Ok(0)),
                false => Poll::Pending,
            };
        }
        let cut = both.cuts.get(both.reads % both.cuts.len().max(1));
        let most = cut.map_or(usize::MAX, |cut| usize::from(*cut).max(1));
        both.reads += 1;
        let room = space.capacity() - space.len();
        let count = both.comes.len().min(most).min(room);
        space.extend(both.comes.drain(..count));
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<usize>> {
        let mut both = self.0.borrow_mut();
        outbox
            .pieces()
            .for_each(|piece| both.goes.extend_from_slice(piece));
        Poll::Ready(Ok(outbox.len()))
    }

    fn shutdown_write(&mut self) {}

    fn reset(self) {}

    fn keep_alive(&self, _: Keepalive) -> io::Result<()> {
        Ok(())
    }

    fn has_unread(&self) -> bool {
        let both = self.0.borrow();
        !both.comes.is_empty() || both.is_over
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn original_dst(&self) -> Option<SocketAddr> {
        None
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }
}
