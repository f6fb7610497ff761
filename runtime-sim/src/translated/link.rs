//! The end of an HTTP/2 connection that a sidecar has the other end of: frames in, frames out.

use bytes::BytesMut;
use outrigger_core::http2::{Connection, HeadLimits, Limits, Rate};
use outrigger_core::outbox::Outbox;
use outrigger_core::time::Instant;

use crate::peer::Action;
use crate::service::Complaints;

/// What a client's connection begins with (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head (RFC 9113 §4.1).
const FRAME_HEAD: usize = 9;

/// A peer of a test is no place to defend: what a sidecar does too often is judged by counting.
const OFTEN: Rate = Rate {
    burst: 1_000_000,
    per_second: 1_000_000,
};

/// An HTTP/2 connection. `T` says whose a stream is.
#[derive(Debug)]
pub(super) struct Link<T> {
    pub(super) codec: Connection<T>,
    /// Frames that are not complete.
    heard: BytesMut,
    inbox: BytesMut,
    /// Bytes before the first frame.
    preface: usize,
    pub(super) outbox: Outbox,
    complaints: Complaints,
    /// Only one stream is on it.
    pub(super) is_lone: bool,
}

impl<T: Copy> Link<T> {
    /// The client's end.
    pub(super) fn client(complaints: Complaints) -> Self {
        Self::with(Connection::client(&limits(Limits::CLIENT)), 0, complaints)
    }

    /// The service's end.
    pub(super) fn server(complaints: Complaints) -> Self {
        let codec = Connection::server(&limits(Limits::SERVER));
        Self::with(codec, PREFACE.len(), complaints)
    }

    fn with(codec: Connection<T>, preface: usize, complaints: Complaints) -> Self {
        Self {
            codec,
            heard: BytesMut::new(),
            inbox: BytesMut::new(),
            preface,
            outbox: Outbox::default(),
            complaints,
            is_lone: true,
        }
    }

    /// Bytes of the sidecar have come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
    }

    /// Understands the next frame, if it is here, and says whether it was right. What came before a stream was reset is
    /// looked at before that, as a peer would that reads as it comes.
    pub(super) fn understand(&mut self, now: Instant) -> Option<bool> {
        let preface = self.preface;
        let [a, b, c] = *self.heard.get(preface..)?.first_chunk()?;
        let end =
            preface + FRAME_HEAD + usize::from(a) * 65536 + usize::from(b) * 256 + usize::from(c);
        if self.heard.len() < end {
            return None;
        }
        self.preface = 0;
        let frame = self.heard.split_to(end);
        self.inbox.extend_from_slice(&frame);
        match self.codec.read(&mut self.inbox, now) {
            Ok(()) => Some(true),
            Err(fatal) => {
                self.complain(&format!("{:?}: {}", fatal.code, fatal.explain));
                Some(false)
            }
        }
    }

    pub(super) fn complain(&self, what: &str) {
        self.complaints.borrow_mut().push(what.to_owned());
    }

    /// Says that no other stream is taken, before anything else is said.
    pub(super) fn say_goaway(&mut self, now: Instant) {
        self.codec.finish_drain();
        self.codec.flush(&mut self.outbox, usize::MAX, now);
    }

    /// Sends what may leave now.
    pub(super) fn flush(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.codec.flush(&mut self.outbox, usize::MAX, now);
        if let Some(bytes) = drain(&mut self.outbox) {
            actions.push(Action::Send(bytes));
        }
    }
}

fn limits(of: Limits) -> Limits {
    Limits {
        heads: HeadLimits {
            list_bytes: 16 * 1024 * 1024,
            fields: 1024,
        },
        block_bytes: 16 * 1024 * 1024,
        continuation_frames: 1024,
        resets: OFTEN,
        made_resets: OFTEN,
        concurrent_streams: 1024,
        ..of
    }
}

/// All that waits in a box, unless it is empty.
pub(super) fn drain(outbox: &mut Outbox) -> Option<Vec<u8>> {
    if outbox.is_empty() {
        return None;
    }
    let bytes = outbox.pieces().flatten().copied().collect();
    outbox.clear();
    Some(bytes)
}
