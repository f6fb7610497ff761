//! Streams of a client that are closed, as far as it matters how: frames that were on their way are ignored, others are
//! the error that RFC 9113 §5.1 names.

use std::collections::VecDeque;

use super::stream_id::StreamId;

/// So many are remembered: more than were open at once when the last of them was.
const REMEMBERED: usize = 128;

/// How a stream was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Both sides ended it.
    Ended,
    /// We reset it, so the client may have sent what it could not know to be late.
    ResetByUs,
    /// The client reset it.
    ResetByPeer,
}

/// The streams that were closed last.
#[derive(Debug, Default)]
pub(super) struct Closed {
    ring: VecDeque<(StreamId, How)>,
}

impl Closed {
    pub(super) fn remember(&mut self, id: StreamId, how: How) {
        if self.ring.len() >= REMEMBERED {
            self.ring.pop_front();
        }
        self.ring.push_back((id, how));
    }

    /// How a stream was closed; `None` when that is long ago, or it never was open.
    pub(super) fn how(&self, id: StreamId) -> Option<How> {
        let mut latest = self.ring.iter().rev();
        latest.find(|(other, _)| *other == id).map(|(_, how)| *how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest() {
        let id = |n: u32| StreamId::new(n).expect("not 0");
        let mut closed = Closed::default();
        for n in 1..=2 * REMEMBERED as u32 {
            closed.remember(id(n), How::Ended);
        }
        closed.remember(id(9), How::ResetByUs);
        assert_eq!(closed.how(id(9)), Some(How::ResetByUs));
        assert_eq!(closed.how(id(REMEMBERED as u32 + 1)), None);
        assert_eq!(closed.how(id(REMEMBERED as u32 + 2)), Some(How::Ended));
        assert!(closed.ring.capacity() <= 2 * REMEMBERED);
    }
}
