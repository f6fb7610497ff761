//! The body of a request as far as it has arrived, kept so that it can be sent again.
//!
//! One buffer serves all reasons to send a body twice: a retry by policy, a kept connection that turns out dead, and a
//! copy for a mirror. Long pieces are shared ranges of the read buffer; short ones are copied and joined, so that a few
//! bytes that wait for a slow endpoint do not hold the block they were read into. Past its bound the body is let go, and
//! with it every chance to send it again; the attempt under way goes on.

use bytes::{Bytes, BytesMut};

/// Bytes kept for a retry or a mirror: Envoy's connection buffer limit.
pub(super) const RETRY_LIMIT: usize = 1024 * 1024;

/// Bytes kept for a dead kept connection, when no policy retries.
pub(super) const STALE_LIMIT: usize = 64 * 1024;

/// Joined pieces are sent again as one, which must not flood the outbox.
const JOINED_LIMIT: usize = 16 * 1024;

/// A piece at least this long is always shared.
const LONG: usize = 4096;

/// The kept body, and how far the current attempt has come in it.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pieces: Vec<Bytes>,
    /// Short pieces that are being joined; what follows the last piece.
    joined: BytesMut,
    len: usize,
    /// The position of the next piece that the current attempt needs.
    next: usize,
    /// The current attempt does not have everything that arrived.
    behind: bool,
    limit: usize,
    lost: bool,
}

impl Replay {
    /// Begins to keep the body of another request, up to `limit` bytes.
    pub(super) fn begin(&mut self, limit: usize) {
        self.forget();
        (self.len, self.limit, self.lost) = (0, limit, false);
    }

    /// Whether this many more bytes can be kept, up to another limit besides its own.
    pub(super) fn has_room(&self, count: usize, limit: usize) -> bool {
        !self.lost && count <= self.limit.min(limit).saturating_sub(self.len)
    }

    /// A piece arrived. It goes to the current attempt at once, unless that is behind and comes to it later. There is
    /// another limit besides its own.
    pub(super) fn push(&mut self, piece: &Bytes, limit: usize) {
        if self.lost {
            return;
        }
        self.len += piece.len();
        if self.len > self.limit.min(limit) {
            self.forget();
            return;
        }
        if piece.len() >= LONG {
            self.end_joined();
            self.pieces.push(piece.clone());
        } else {
            self.joined.extend_from_slice(piece);
            if self.joined.len() >= JOINED_LIMIT {
                self.end_joined();
            }
        }
    }

    fn end_joined(&mut self) {
        if !self.joined.is_empty() {
            self.pieces.push(self.joined.split().freeze());
        }
    }

    /// The next piece that the current attempt has not been sent.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        if !self.behind {
            return None;
        }
        self.end_joined();
        let piece = self.pieces.get(self.next).cloned();
        self.next += 1;
        self.behind = piece.is_some();
        if !self.behind && self.lost {
            self.forget();
        }
        piece
    }

    /// There will be no other attempt, so the body goes once the current one has all of it.
    pub(super) fn end_repeats(&mut self) {
        self.lost = true;
        if !self.behind {
            self.forget();
        }
    }

    /// Another attempt begins from the start.
    pub(super) const fn rewind(&mut self) {
        (self.next, self.behind) = (0, true);
    }

    /// Nothing will be sent again.
    pub(super) fn forget(&mut self) {
        self.pieces.clear();
        self.joined = BytesMut::new();
        (self.next, self.behind, self.lost) = (0, false, true);
    }

    /// The same body for somebody else to send, sharing its memory. It is complete, and nothing has been sent of it.
    pub(super) fn share(&mut self) -> Self {
        self.end_joined();
        Self {
            pieces: self.pieces.clone(),
            len: self.len,
            limit: self.limit,
            behind: true,
            ..Self::default()
        }
    }

    /// The same body for an attempt that goes on beside a newer one, from where it is.
    pub(super) fn fork(&mut self) -> Self {
        Self {
            next: self.next,
            behind: self.behind,
            ..self.share()
        }
    }

    /// How many bytes are in memory for it.
    pub(super) fn kept(&self) -> usize {
        let is_empty = self.pieces.is_empty() && self.joined.is_empty();
        if is_empty { 0 } else { self.len }
    }

    /// How long the body is that is kept.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Whether everything that arrived can be sent again.
    pub(super) const fn is_whole(&self) -> bool {
        !self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_is_sent_again_until_it_is_too_much() {
        let mut replay = Replay::default();
        replay.begin(5);
        replay.push(&Bytes::from_static(b"abc"), usize::MAX);
        replay.push(&Bytes::from_static(b"de"), usize::MAX);
        assert_eq!(replay.next(), None, "the attempt under way has it all");
        for _ in 0..2 {
            replay.rewind();
            assert_eq!(replay.next().as_deref(), Some(&b"abcde"[..]));
            assert_eq!(replay.next(), None);
        }
        assert!(replay.is_whole());
        replay.push(&Bytes::from_static(b"f"), usize::MAX);
        assert!(!replay.is_whole());
        replay.rewind();
        assert_eq!(replay.next(), None);
        replay.begin(5);
        assert!(replay.is_whole());
    }

    #[test]
    fn a_shared_body_is_whole_whatever_becomes_of_the_first_one() {
        let mut replay = Replay::default();
        replay.begin(RETRY_LIMIT);
        let pieces: Vec<Bytes> = (0..100u8).map(|n| Bytes::from(vec![n; 3])).collect();
        pieces
            .iter()
            .for_each(|piece| replay.push(piece, usize::MAX));
        let mut shared = replay.share();
        replay.forget();
        assert_eq!((shared.len(), shared.is_whole()), (300, true));
        let mut sent = Vec::new();
        while let Some(piece) = shared.next() {
            sent.extend_from_slice(&piece);
        }
        assert!(sent == pieces.concat());
    }

    #[test]
    fn the_last_attempt_still_gets_what_it_does_not_have() {
        let mut replay = Replay::default();
        replay.begin(2 * LONG);
        let [first, second] = [b'a', b'b'].map(|byte| Bytes::from(vec![byte; LONG]));
        replay.push(&first, usize::MAX);
        replay.push(&second, usize::MAX);
        replay.rewind();
        assert_eq!(replay.next(), Some(first));
        replay.end_repeats();
        assert!(!replay.is_whole());
        assert_eq!(replay.next(), Some(second));
        assert_eq!(replay.next(), None);
        assert!(replay.pieces.is_empty());
    }

    #[test]
    fn a_body_of_single_bytes_takes_little_more_than_its_length() {
        let mut replay = Replay::default();
        replay.begin(RETRY_LIMIT);
        let body: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        for byte in body.chunks(1) {
            replay.push(&Bytes::copy_from_slice(byte), usize::MAX);
        }
        replay.push(&Bytes::from(vec![7; LONG]), usize::MAX);
        replay.push(&Bytes::from_static(b"end"), usize::MAX);
        assert!(replay.pieces.len() < 20);
        let want = [&body[..], &[7; LONG], b"end"].concat();
        for _ in 0..2 {
            replay.rewind();
            let mut sent = Vec::new();
            while let Some(piece) = replay.next() {
                sent.extend_from_slice(&piece);
            }
            assert!(sent == want);
        }
    }

    #[test]
    fn what_arrives_while_an_attempt_is_behind_comes_to_it_in_order() {
        let mut replay = Replay::default();
        replay.begin(5);
        replay.rewind();
        replay.push(&Bytes::from_static(b"abc"), usize::MAX);
        assert!(replay.has_room(2, 9) && !replay.has_room(3, 9) && !replay.has_room(2, 4));
        assert_eq!(replay.next().as_deref(), Some(&b"abc"[..]));
        replay.push(&Bytes::from_static(b"de"), usize::MAX);
        assert_eq!(replay.next().as_deref(), Some(&b"de"[..]));
        assert_eq!(replay.next(), None);
    }
}
