//! What came on one stream and was not taken yet, in order.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::message::{Headers, RequestHead, ResponseHead};
use crate::stream::{Answer, Begins};

/// Pieces shorter than this are joined when they wait behind one another: each has a price beside its bytes.
const SHORT: usize = 512;

/// So many bytes are joined in one piece.
const JOINED: usize = 16 * 1024;

/// Room for more pieces than this is given back.
const FEW: usize = 32;

/// What is read of a message.
#[derive(Debug)]
pub(super) enum Received {
    Request(Box<RequestHead>, Begins),
    Response(Box<ResponseHead>, Answer),
    /// A part of what was read from the socket, which it keeps in memory as a whole.
    Data(Bytes),
    /// Pieces that waited, with memory of their own.
    Joined(BytesMut),
    Trailers(Headers),
}

/// What waits to be taken from one stream.
#[derive(Debug, Default)]
pub(super) struct Unread {
    queue: VecDeque<Received>,
    /// Of data.
    bytes: usize,
}

impl Unread {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Received> {
        self.queue.front()
    }

    /// How many heads of responses wait.
    pub(super) fn heads(&self) -> usize {
        let is_head = |item: &&Received| matches!(item, Received::Response(..));
        self.queue.iter().take_while(is_head).count()
    }

    pub(super) fn push(&mut self, item: Received) {
        self.queue.push_back(item);
    }

    /// Adds data; never empty.
    pub(super) fn push_data(&mut self, data: Bytes) {
        self.bytes += data.len();
        match self.queue.back_mut() {
            Some(Received::Joined(joined)) if fits(joined.len(), data.len()) => {
                joined.extend_from_slice(&data);
            }
            Some(Received::Data(last)) if fits(last.len(), data.len()) && last.len() < SHORT => {
                let mut joined = BytesMut::with_capacity(SHORT.max(last.len() + data.len()));
                joined.extend_from_slice(last);
                joined.extend_from_slice(&data);
                self.queue.pop_back();
                self.queue.push_back(Received::Joined(joined));
            }
            Some(_) | None => self.queue.push_back(Received::Data(data)),
        }
    }

    /// The next of what waits.
    pub(super) fn pop(&mut self) -> Option<Received> {
        let item = self.queue.pop_front()?;
        match &item {
            Received::Data(data) => self.bytes -= data.len(),
            Received::Joined(joined) => self.bytes -= joined.len(),
            Received::Request(..) | Received::Response(..) | Received::Trailers(_) => {}
        }
        Some(item)
    }

    /// What is here was not taken at once and may wait for long: it moves to memory of its own, so that a few bytes do not
    /// keep all of what was read with them. Each byte is moved once.
    pub(super) fn settle(&mut self) {
        let is_loose = |item: &Received| matches!(item, Received::Data(_));
        if !self.queue.iter().any(is_loose) {
            return;
        }
        // Pieces are joined in place: `open` is the last of them, into which the next one goes.
        let mut settled = VecDeque::with_capacity(self.queue.len().min(FEW));
        for item in self.queue.drain(..) {
            match (item, settled.back_mut()) {
                (Received::Data(data), Some(Received::Joined(open))) if open.len() < JOINED => {
                    open.extend_from_slice(&data);
                }
                (Received::Data(data), _) => {
                    settled.push_back(Received::Joined(BytesMut::from(&data[..])));
                }
                (item, _) => settled.push_back(item),
            }
        }
        self.queue = settled;
    }

    /// Forgets everything and keeps a little memory. Boxes of heads are handed out for other streams.
    pub(super) fn clear(&mut self, mut spare: impl FnMut(Received)) {
        self.queue.drain(..).for_each(&mut spare);
        self.bytes = 0;
        if self.queue.capacity() > FEW {
            self.queue = VecDeque::new();
        }
    }

    /// Bytes of memory for its order, without what it holds.
    #[cfg(test)]
    pub(super) fn owned(&self) -> usize {
        self.queue.capacity() * size_of::<Received>()
    }
}

/// Whether `data` bytes are joined to a piece of `last`.
const fn fits(last: usize, data: usize) -> bool {
    data < SHORT && last < JOINED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(unread: &mut Unread) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(item) = unread.pop() {
            match item {
                Received::Data(data) => all.extend(data),
                Received::Joined(joined) => all.extend(joined),
                Received::Request(..) | Received::Response(..) | Received::Trailers(_) => {}
            }
        }
        all
    }

    #[test]
    fn order_and_counts_are_kept_however_pieces_are_joined() {
        for sizes in [
            &[1, 1, 1, 600, 1, 600, 600, 2, 3][..],
            &[5000, 1, 5000, 511, 512, 511],
            &[1; 3000],
            &[20_000, 20_000],
        ] {
            for settled_every in [1, 3, usize::MAX] {
                let mut unread = Unread::default();
                let mut want = Vec::new();
                for (n, size) in sizes.iter().enumerate() {
                    let data = vec![n as u8; *size];
                    want.extend_from_slice(&data);
                    unread.push_data(data.into());
                    if n % settled_every == 0 {
                        unread.settle();
                    }
                }
                assert_eq!(unread.bytes(), want.len());
                assert_eq!(taken(&mut unread), want);
                assert_eq!((unread.bytes(), unread.is_empty()), (0, true));
            }
        }
    }

    #[test]
    fn many_small_pieces_do_not_take_much_memory() {
        let block = Bytes::from(vec![0; 64 * 1024]);
        let mut unread = Unread::default();
        for at in 0..block.len() {
            unread.push_data(block.slice(at..=at));
        }
        assert!(unread.owned() < 1024, "{}", unread.owned());
        let mut unread = Unread::default();
        unread.push_data(block.slice(7..8));
        unread.settle();
        assert!(
            block.is_unique(),
            "a byte that waits does not keep its block"
        );
    }
}
