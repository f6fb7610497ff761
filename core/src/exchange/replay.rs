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

/// The kept body.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pieces: Vec<Bytes>,
    /// Short pieces that are being joined; what follows the last piece.
    joined: BytesMut,
    len: usize,
    limit: usize,
    lost: bool,
}

/// How far an attempt has come in the kept body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    /// It has everything that arrived, and gets what arrives at once.
    Level,
    /// The position of the next piece that it needs.
    At(usize),
}

impl Cursor {
    /// Nothing has been sent.
    pub(super) const START: Self = Self::At(0);
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

    /// A piece arrived. There is another limit besides its own.
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

    /// The next piece that an attempt has not been sent.
    pub(super) fn next(&mut self, cursor: &mut Cursor) -> Option<Bytes> {
        let Cursor::At(at) = *cursor else {
            return None;
        };
        self.end_joined();
        let piece = self.pieces.get(at).cloned();
        *cursor = match piece {
            Some(_) => Cursor::At(at + 1),
            None => Cursor::Level,
        };
        if piece.is_none() && self.lost {
            self.forget();
        }
        piece
    }

    /// There will be no attempt after this one, so the body goes once it has all of it.
    pub(super) fn end_repeats(&mut self, cursor: Cursor) {
        self.lost = true;
        if cursor == Cursor::Level {
            self.forget();
        }
    }

    /// Nothing will be sent again.
    pub(super) fn forget(&mut self) {
        self.pieces.clear();
        self.joined = BytesMut::new();
        self.lost = true;
    }

    /// All of a body that is here.
    pub(super) fn of(body: Bytes) -> Self {
        let len = body.len();
        Self {
            pieces: if len > 0 { vec![body] } else { Vec::new() },
            len,
            limit: len,
            ..Self::default()
        }
    }

    /// The beginning of what is kept.
    pub(super) fn first(&mut self, most: usize) -> Bytes {
        self.end_joined();
        if let [only] = &*self.pieces {
            return only.slice(..only.len().min(most));
        }
        let mut first = BytesMut::with_capacity(self.len.min(most));
        for piece in &self.pieces {
            let room = most - first.len();
            first.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        first.freeze()
    }

    /// The same body for somebody else to send, sharing its memory. It is complete.
    pub(super) fn share(&mut self) -> Self {
        self.end_joined();
        Self {
            pieces: self.pieces.clone(),
            len: self.len,
            limit: self.limit,
            ..Self::default()
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
        let mut level = Cursor::Level;
        assert_eq!(replay.next(&mut level), None, "the attempt has it all");
        for _ in 0..2 {
            let mut cursor = Cursor::START;
            assert_eq!(replay.next(&mut cursor).as_deref(), Some(&b"abcde"[..]));
            assert_eq!(replay.next(&mut cursor), None);
            assert_eq!(cursor, Cursor::Level);
        }
        assert!(replay.is_whole());
        replay.push(&Bytes::from_static(b"f"), usize::MAX);
        assert!(!replay.is_whole());
        assert_eq!(replay.next(&mut Cursor::START.clone()), None);
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
        let mut cursor = Cursor::START;
        while let Some(piece) = shared.next(&mut cursor) {
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
        let mut cursor = Cursor::START;
        assert_eq!(replay.next(&mut cursor), Some(first));
        replay.end_repeats(cursor);
        assert!(!replay.is_whole());
        assert_eq!(replay.next(&mut cursor), Some(second));
        assert_eq!(replay.next(&mut cursor), None);
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
            let (mut cursor, mut sent) = (Cursor::START, Vec::new());
            while let Some(piece) = replay.next(&mut cursor) {
                sent.extend_from_slice(&piece);
            }
            assert!(sent == want);
        }
    }

    #[test]
    fn what_arrives_while_an_attempt_is_behind_comes_to_it_in_order() {
        let mut replay = Replay::default();
        replay.begin(5);
        let mut cursor = Cursor::START;
        replay.push(&Bytes::from_static(b"abc"), usize::MAX);
        assert!(replay.has_room(2, 9) && !replay.has_room(3, 9) && !replay.has_room(2, 4));
        assert_eq!(replay.next(&mut cursor).as_deref(), Some(&b"abc"[..]));
        replay.push(&Bytes::from_static(b"de"), usize::MAX);
        assert_eq!(replay.next(&mut cursor).as_deref(), Some(&b"de"[..]));
        assert_eq!(replay.next(&mut cursor), None);
    }
}
