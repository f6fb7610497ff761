//! Sockets that the Sidecar resource opens: opened when the program starts, and told where a reload asks for others.

use outrigger_core::compile::Inbound;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{OwnSocket, Snapshot};
use outrigger_runtime::Listen;
use tracing::warn;

/// What is open.
#[derive(Debug, Default)]
pub(super) struct Opened(Vec<OwnSocket>);

impl Opened {
    /// What a snapshot asks for, in its order.
    pub(super) fn by(snapshot: &Snapshot) -> Self {
        Self(snapshot.own_sockets.all.to_vec())
    }

    /// Whether some of what comes in goes to the application.
    pub(super) fn has_inbound(&self) -> bool {
        self.0.iter().any(|socket| socket.is_inbound)
    }

    /// What the workers listen on. `inbound`: the listener whose ports are told apart by where connections were to go.
    pub(super) fn listens(&self, inbound: Option<usize>) -> impl Iterator<Item = Listen> {
        self.0.iter().filter_map(move |socket| {
            let kind = match socket.is_inbound {
                true => ListenerKind::Inbound(inbound?),
                false => ListenerKind::Outbound,
            };
            Some(Listen::own(kind, &socket.place))
        })
    }

    /// Tells what a snapshot asks for that is not open.
    pub(super) fn tell_missing(&self, snapshot: &Snapshot) {
        let wanted = snapshot.own_sockets.all.iter();
        for missing in wanted.filter(|socket| !self.0.contains(socket)) {
            warn!(
                target: "config",
                "the Sidecar has a listener at {} that is not open: it is when the program starts again",
                missing.place
            );
        }
    }

    /// Where they are, in words.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|socket| socket.place.to_string())
    }
}

/// The listener for whatever port connections were to go to.
pub(super) fn position(inbound: &[Inbound]) -> Option<usize> {
    inbound.iter().position(Inbound::is_virtual)
}
