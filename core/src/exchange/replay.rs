//! The body of a request as far as it has arrived, kept so that it can be sent again.
//!
//! One buffer serves both reasons to send a body twice: a retry by policy, and a kept connection that turns out dead.
//! Pieces are shared ranges of the read buffer, not copies. Past its bound the body is let go, and with it every chance
//! to send it again; the attempt under way goes on.

use bytes::Bytes;

/// Bytes kept for a retry: Envoy's connection buffer limit.
pub(super) const RETRY_LIMIT: usize = 1024 * 1024;

/// Bytes kept for a dead kept connection, when no policy retries.
pub(super) const STALE_LIMIT: usize = 64 * 1024;

/// The kept body, and how far the current attempt has come in it.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pieces: Vec<Bytes>,
    len: usize,
    /// The position of the next piece that the current attempt needs.
    next: usize,
    limit: usize,
    lost: bool,
}

impl Replay {
    /// Begins to keep the body of another request, up to `limit` bytes.
    pub(super) fn begin(&mut self, limit: usize) {
        self.pieces.clear();
        (self.len, self.next, self.limit, self.lost) = (0, 0, limit, false);
    }

    /// A piece arrived and goes to the current attempt.
    pub(super) fn push(&mut self, piece: &Bytes) {
        if self.lost {
            return;
        }
        self.len += piece.len();
        if self.len > self.limit {
            self.forget();
            return;
        }
        self.pieces.push(piece.clone());
        self.next = self.pieces.len();
    }

    /// The next piece that the current attempt has not been sent.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let piece = self.pieces.get(self.next)?.clone();
        self.next += 1;
        Some(piece)
    }

    /// Another attempt begins from the start.
    pub(super) const fn rewind(&mut self) {
        self.next = 0;
    }

    /// Nothing will be sent again.
    pub(super) fn forget(&mut self) {
        self.pieces.clear();
        (self.next, self.lost) = (0, true);
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
        replay.push(&Bytes::from_static(b"abc"));
        replay.push(&Bytes::from_static(b"de"));
        assert_eq!(replay.next(), None, "the attempt under way has it all");
        for _ in 0..2 {
            replay.rewind();
            assert_eq!(replay.next().as_deref(), Some(&b"abc"[..]));
            assert_eq!(replay.next().as_deref(), Some(&b"de"[..]));
            assert_eq!(replay.next(), None);
        }
        assert!(replay.is_whole());
        replay.push(&Bytes::from_static(b"f"));
        assert!(!replay.is_whole());
        replay.rewind();
        assert_eq!(replay.next(), None);
        replay.begin(5);
        assert!(replay.is_whole());
    }
}
