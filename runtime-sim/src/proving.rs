//! Scripted peers and services that speak TLS: any other one, with what it speaks beneath HTTP.
//!
//! What came of a handshake the simulation tells. Where there is none because the other side speaks clear text, bytes are
//! what a real peer would send into it: something that begins a handshake, or an alert.

use outrigger_core::time::{Duration, Instant};

use crate::beneath::{Beneath, Speaks};
use crate::errands::Bell;
use crate::peer::{Accept, Action, Event, Peer, Serve};

/// What stands for the beginning of a ClientHello (RFC 8446 §4.1.2).
const HELLO: &[u8] = b"\x16\x03\x01\x00\x04\x01\x00\x00\x00";

/// What is answered to what is no TLS: an alert, `decode_error`.
const ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x32";

/// How a peer hears that the other side speaks no TLS.
const NOT_TLS: &str = "the other side speaks no TLS";

/// A peer or a service that speaks TLS, and otherwise does what another one does.
pub struct Proving<T> {
    inner: T,
    speaks: Speaks,
    is_service: bool,
    life: Life,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Nobody has said what came of the handshake.
    Begins,
    Secured,
    /// A client that speaks into clear text, or a service that hears some.
    Misunderstood,
    Over,
}

impl<T> Proving<T> {
    /// Speaks like this.
    #[must_use]
    pub const fn new(inner: T, speaks: Speaks) -> Self {
        Self {
            inner,
            speaks,
            is_service: false,
            life: Life::Begins,
        }
    }
}

impl<T> core::fmt::Debug for Proving<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Proving").field(&self.speaks).finish()
    }
}

impl Proving<Box<dyn Peer>> {
    fn gives_up(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.life = Life::Over;
        self.inner
            .on_event(Event::NotSecured(NOT_TLS), now, actions);
        actions.push(Action::Close);
    }
}

impl Peer for Proving<Box<dyn Peer>> {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match (self.life, event) {
            (_, Event::Woken | Event::Signal(_)) | (Life::Secured, _) => {
                self.inner.on_event(event, now, actions);
            }
            (Life::Over, _) => {}
            (_, Event::Secured(_)) => {
                self.life = Life::Secured;
                self.inner.on_event(event, now, actions);
            }
            (_, Event::NotSecured(_)) => {
                self.life = Life::Over;
                self.inner.on_event(event, now, actions);
                actions.push(Action::Reset);
            }
            (_, Event::Refused) => {
                self.life = Life::Over;
                self.inner.on_event(event, now, actions);
            }
            (Life::Begins, Event::Opened) => {
                self.life = Life::Misunderstood;
                // A client speaks first.
                if !self.is_service {
                    actions.push(Action::Send(HELLO.to_vec()));
                }
            }
            (Life::Misunderstood, Event::Bytes(_)) if self.is_service => {
                actions.push(Action::Send(ALERT.to_vec()));
                self.gives_up(now, actions);
            }
            (
                Life::Begins | Life::Misunderstood,
                Event::Opened | Event::Bytes(_) | Event::Eof | Event::Broken,
            ) => self.gives_up(now, actions),
        }
    }

    fn seated(&mut self, bell: Bell) {
        self.inner.seated(bell);
    }

    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    fn is_reading(&self) -> bool {
        self.life != Life::Secured || self.inner.is_reading()
    }

    fn returns_after(&mut self) -> Option<Duration> {
        self.life = Life::Begins;
        self.inner.returns_after()
    }

    fn beneath(&self) -> Beneath {
        Beneath::Tls(Box::new(self.speaks.clone()))
    }
}

impl Serve for Proving<Box<dyn Serve>> {
    fn accept(&mut self, now: Instant) -> Accept {
        match self.inner.accept(now) {
            Accept::Peer(peer) => {
                let mut peer = Proving::new(peer, self.speaks.clone());
                peer.is_service = true;
                Accept::Peer(Box::new(peer))
            }
            other @ (Accept::Refuse | Accept::Ignore) => other,
        }
    }
}
