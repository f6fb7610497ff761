//! Sockets of idle upstream connections. Which one is used next, and how long one is kept, core decides.

use std::collections::HashMap;
use std::net::SocketAddr;

use outrigger_core::exchange::ConnectionId;

use crate::system::Stream;

/// An upstream connection as a connection task holds it.
#[derive(Debug)]
pub(crate) struct Upstream<T> {
    /// The socket.
    pub(crate) stream: T,
    /// Our address on it; known only when somebody logs it.
    pub(crate) local: Option<SocketAddr>,
}

/// The idle ones of one worker.
#[derive(Debug)]
pub(crate) struct IdleStore<T> {
    connections: HashMap<ConnectionId, Upstream<T>>,
}

impl<T> Default for IdleStore<T> {
    fn default() -> Self {
        Self {
            connections: HashMap::new(),
        }
    }
}

impl<T: Stream> IdleStore<T> {
    pub(crate) fn keep(&mut self, id: ConnectionId, upstream: Upstream<T>) {
        self.connections.insert(id, upstream);
    }

    /// The connection of this id, if it is there and was left alone by its peer.
    pub(crate) fn take(&mut self, id: ConnectionId) -> Option<Upstream<T>> {
        self.connections
            .remove(&id)
            .filter(|upstream| upstream.stream.is_quiet())
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// Closes those that their peers have closed or spoken on, and returns their ids.
    pub(crate) fn close_ended(&mut self) -> Vec<ConnectionId> {
        let ended = self
            .connections
            .extract_if(|_, upstream| !upstream.stream.is_quiet());
        ended.map(|(id, _)| id).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }
}
