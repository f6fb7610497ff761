//! Ports of the application behind listeners for whatever the kernel brings: which position of the tables of inbound listeners
//! a connection has.

use crate::peer::{ListenerKind, Peer};

/// A port that has a position of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortOfApplication {
    /// The position of the listener.
    pub listener: usize,
    /// The port that a connection was to go to.
    pub port: u16,
    /// Its position in the tables.
    pub position: usize,
}

/// All of them, sorted by listener and port, and which listeners have them.
#[derive(Clone, Debug, Default)]
pub struct PortsOfApplication {
    all: Box<[PortOfApplication]>,
    /// Listeners for whatever the kernel brings, sorted.
    listeners: Box<[usize]>,
}

impl PortsOfApplication {
    /// The ports of these listeners.
    #[must_use]
    pub fn new(listeners: Vec<usize>, mut all: Vec<PortOfApplication>) -> Self {
        all.sort_by_key(|one| (one.listener, one.port));
        Self {
            all: all.into(),
            listeners: listeners.into(),
        }
    }

    /// Whether a listener is for what the kernel brings, and for nothing else.
    #[must_use]
    pub fn is_virtual(&self, listener: usize) -> bool {
        self.listeners.contains(&listener)
    }

    /// The position of a client's connection; `None` where it did not come to an application, or was to go nowhere.
    #[must_use]
    pub fn position(&self, peer: &Peer) -> Option<usize> {
        let ListenerKind::Inbound(listener) = peer.listener else {
            return None;
        };
        if !self.is_virtual(listener) {
            return Some(listener);
        }
        let port = peer.original?.port();
        let key = |one: &PortOfApplication| (one.listener, one.port);
        let found = self.all.binary_search_by_key(&(listener, port), key);
        Some(found.map_or(listener, |at| self.all[at].position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_of_the_port_that_it_was_to_go_to() {
        let port = |port, position| PortOfApplication {
            listener: 1,
            port,
            position,
        };
        let ports = PortsOfApplication::new(vec![1], vec![port(9090, 3), port(8080, 2)]);
        let peer = |listener, original: Option<&str>| Peer {
            remote: ([10, 0, 0, 9], 4000).into(),
            local: ([10, 0, 0, 1], 15006).into(),
            original: original.map(|to| to.parse().unwrap()),
            listener,
        };
        for (listener, original, want) in [
            (ListenerKind::Outbound, Some("10.0.0.1:8080"), None),
            (ListenerKind::Inbound(0), None, Some(0)),
            (ListenerKind::Inbound(0), Some("10.0.0.1:8080"), Some(0)),
            (ListenerKind::Inbound(1), Some("10.0.0.1:8080"), Some(2)),
            (ListenerKind::Inbound(1), Some("[fd00::1]:9090"), Some(3)),
            (ListenerKind::Inbound(1), Some("10.0.0.1:7070"), Some(1)),
            (ListenerKind::Inbound(1), None, None),
        ] {
            let got = ports.position(&peer(listener, original));
            assert_eq!(got, want, "{listener:?} {original:?}");
        }
    }
}
