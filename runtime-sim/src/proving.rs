//! Scripted peers and services that speak TLS: any other one, with a certificate.

use outrigger_core::peer::PeerCertificate;
use outrigger_core::time::{Duration, Instant};

use crate::beneath::Beneath;
use crate::errands::Bell;
use crate::peer::{Accept, Action, Event, Peer, Serve};

/// A peer or a service that speaks TLS, and otherwise does what another one does.
pub struct Proving<T> {
    inner: T,
    certificate: PeerCertificate,
}

impl<T> Proving<T> {
    /// With this certificate.
    #[must_use]
    pub const fn new(inner: T, certificate: PeerCertificate) -> Self {
        Self { inner, certificate }
    }
}

impl<T> core::fmt::Debug for Proving<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Proving").field(&self.certificate).finish()
    }
}

impl Peer for Proving<Box<dyn Peer>> {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        self.inner.on_event(event, now, actions);
    }

    fn seated(&mut self, bell: Bell) {
        self.inner.seated(bell);
    }

    fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }

    fn is_reading(&self) -> bool {
        self.inner.is_reading()
    }

    fn returns_after(&mut self) -> Option<Duration> {
        self.inner.returns_after()
    }

    fn beneath(&self) -> Beneath {
        Beneath::Tls(self.certificate.clone())
    }
}

impl Serve for Proving<Box<dyn Serve>> {
    fn accept(&mut self, now: Instant) -> Accept {
        match self.inner.accept(now) {
            Accept::Peer(peer) => {
                Accept::Peer(Box::new(Proving::new(peer, self.certificate.clone())))
            }
            other @ (Accept::Refuse | Accept::Ignore) => other,
        }
    }
}
