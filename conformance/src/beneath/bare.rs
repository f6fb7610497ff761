//! A service in clear text that may be spoken to in TLS: it answers as servers of HTTP do, and is at the end then.

use outrigger_core::time::Instant;
use outrigger_sim::{Action, Event, Peer};

/// What a server of HTTP makes of a ClientHello.
const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The first byte of a record of a handshake, which begins no request.
const HANDSHAKE: u8 = 22;

pub(super) struct Bare {
    inner: Box<dyn Peer>,
    /// The first bytes have come.
    has_heard: bool,
    is_over: bool,
}

impl Bare {
    pub(super) fn new(inner: Box<dyn Peer>) -> Self {
        Self {
            inner,
            has_heard: false,
            is_over: false,
        }
    }
}

impl Peer for Bare {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        if let Event::Bytes(bytes) = event
            && !std::mem::replace(&mut self.has_heard, true)
            && bytes.first() == Some(&HANDSHAKE)
        {
            self.is_over = true;
            actions.push(Action::Send(ANSWER.to_vec()));
            actions.push(Action::Close);
            return self.inner.on_event(Event::Eof, now, actions);
        }
        match event {
            Event::Bytes(_) | Event::Eof | Event::Broken if self.is_over => {}
            _ => self.inner.on_event(event, now, actions),
        }
    }

    fn is_reading(&self) -> bool {
        self.inner.is_reading()
    }
}
