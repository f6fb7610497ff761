//! The connections of a worker by name: found by the place that the name has, as real runtimes find sockets.

use std::sync::Arc;

use outrigger_core::peer::{ClientId, ConnId, TlsFacts, UpstreamId};
use outrigger_core::worker::{Interest, Manner};
use slotmap::SecondaryMap;

use crate::network::{End, Wire};

/// A connection of the worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    /// `None` while it is being made.
    pub(super) wire: Option<(Wire, End)>,
    pub(super) interest: Interest,
    /// How it is to be made, and then what its endpoint has proved.
    pub(super) manner: Manner,
    pub(super) learnt: Option<Arc<TlsFacts>>,
}

/// Those of clients, and those to endpoints.
#[derive(Debug, Default)]
pub(super) struct Connections {
    clients: SecondaryMap<ClientId, Connection>,
    upstreams: SecondaryMap<UpstreamId, Connection>,
}

impl Connections {
    /// Puts a connection in, in the place of one that was there.
    pub(super) fn insert(&mut self, id: ConnId, connection: Connection) {
        match id {
            ConnId::Client(id) => self.clients.insert(id, connection),
            ConnId::Upstream(id) => self.upstreams.insert(id, connection),
        };
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Connection> {
        match id {
            ConnId::Client(id) => self.clients.remove(id),
            ConnId::Upstream(id) => self.upstreams.remove(id),
        }
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Connection> {
        match id {
            ConnId::Client(id) => self.clients.get(id),
            ConnId::Upstream(id) => self.upstreams.get(id),
        }
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        match id {
            ConnId::Client(id) => self.clients.get_mut(id),
            ConnId::Upstream(id) => self.upstreams.get_mut(id),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len() + self.upstreams.len()
    }

    /// All of them in the order of their names, clients first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Connection)> {
        let clients = self.clients.iter();
        let clients = clients.map(|(id, connection)| (ConnId::Client(id), connection));
        let upstreams = self.upstreams.iter();
        clients.chain(upstreams.map(|(id, connection)| (ConnId::Upstream(id), connection)))
    }
}
