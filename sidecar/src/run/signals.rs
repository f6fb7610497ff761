//! Signals, and what those that end a run mean.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::successors::Successor;

/// Why it is time to end.
#[derive(Debug)]
pub(super) enum Reason {
    /// SIGTERM, or the admin endpoint.
    Asked,
    /// SIGINT: somebody at a terminal waits for the end.
    Interrupted,
    /// This process serves in our place.
    TakenOver(Successor),
}

/// The signals that a run listens to.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hang_up: Signal,
    /// Files of logs were moved away.
    pub(super) reopen: Signal,
}

impl Signals {
    /// From now on none of them ends the program by itself.
    ///
    /// # Errors
    /// Signals cannot be received.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
        })
    }

    /// Somebody wants us to end.
    pub(super) async fn end(&mut self) -> Reason {
        tokio::select! {
            _ = self.terminate.recv() => Reason::Asked,
            _ = self.interrupt.recv() => Reason::Interrupted,
        }
    }
}
