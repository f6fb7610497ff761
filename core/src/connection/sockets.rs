//! All connections of one worker, by name.

use slotmap::SlotMap;

use super::{Client, ToEndpoint};
use crate::io::{Facts, Interest};
use crate::local::Local;
use crate::peer::{ClientId, ExchangeId, UpstreamId};

/// Who uses a connection to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This request, from the moment the connection is asked for.
    Exchange(ExchangeId),
    /// Nobody: it is kept for another request.
    Kept,
}

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) connection: ToEndpoint,
    pub(crate) owner: Owner,
    pub(crate) facts: Facts,
    /// What the runtime was last told to wait for.
    pub(crate) told: Interest,
}

/// The connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) clients: SlotMap<ClientId, Client>,
    pub(crate) upstreams: SlotMap<UpstreamId, Upstream>,
}

impl Sockets {
    /// A connection to an endpoint that is to be made for a request.
    pub(crate) fn open(&mut self, exchange: ExchangeId, local: &Local) -> UpstreamId {
        self.upstreams.insert(Upstream {
            connection: ToEndpoint::new(local.settings().tells_bodies),
            owner: Owner::Exchange(exchange),
            facts: Facts::default(),
            told: Interest::default(),
        })
    }

    /// An endpoint's connection, if there is one.
    pub(crate) fn look_at(&self, id: Option<UpstreamId>) -> Option<&ToEndpoint> {
        Some(&self.upstreams.get(id?)?.connection)
    }

    /// Forgets a connection to an endpoint, which is closed; what it held is free, and its memory goes back.
    pub(crate) fn forget(&mut self, id: UpstreamId, local: &mut Local) {
        local.pool().close(id);
        if let Some(mut upstream) = self.upstreams.remove(id) {
            upstream.connection.inbox.clear();
            upstream.connection.rest(local);
        }
    }

    /// Forgets a client; its memory goes back.
    pub(crate) fn forget_client(&mut self, id: ClientId, local: &mut Local) {
        if let Some(mut client) = self.clients.remove(id) {
            client.connection.inbox.clear();
            client.connection.rest(local);
        }
    }
}
