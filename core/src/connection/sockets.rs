//! All connections of one worker, by name.

use slotmap::SlotMap;

use super::{Client, ToEndpoint};
use crate::http2::Limits;
use crate::io::{Facts, Interest};
use crate::local::{Charge, Http2Account, Local};
use crate::peer::{ClientId, ExchangeId, UpstreamId};
use crate::time::Instant;

/// Who uses a connection to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This request, from the moment the connection is asked for.
    Exchange(ExchangeId),
    /// Nobody: it is kept for another request.
    Kept,
    /// Whoever has a stream on it, and these requests, which wait for it to be made.
    Streams(Vec<ExchangeId>),
}

/// How a connection that carries streams ends, on which nothing more comes: when nobody has anything to take from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The endpoint is told why before; at the latest then.
    Farewell(Instant),
    /// There is nobody to tell.
    Gone,
}

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) connection: ToEndpoint,
    pub(crate) owner: Owner,
    pub(crate) facts: Facts,
    /// It ends as soon as it may, if that is said.
    pub(crate) ending: Option<Ending>,
    /// What the runtime was last told to wait for.
    pub(crate) told: Interest,
    /// What it holds in the account of the worker while its owners are many; what one owner uses is that one's.
    charge: Charge,
    /// What it is counted as if it speaks HTTP/2.
    http2: Option<Http2Account>,
}

impl Upstream {
    /// Counts what it holds, if many use it, and what there is to count of its streams.
    pub(crate) fn count(&mut self) {
        let (inbox, outbox) = self.connection.lengths();
        if let Some((account, streams)) = self.http2.as_mut().zip(self.connection.streams_mut()) {
            let report = streams.report();
            self.charge.set(inbox + outbox + report.held);
            account.on_report(&report);
        }
    }
}

/// The connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) clients: SlotMap<ClientId, Client>,
    pub(crate) upstreams: SlotMap<UpstreamId, Upstream>,
}

impl Sockets {
    /// A connection to an endpoint that is to be made for a request. `streams`: what its endpoint may do with them, if it is
    /// to have any.
    pub(crate) fn open(
        &mut self,
        exchange: ExchangeId,
        streams: Option<Limits>,
        local: &Local,
    ) -> UpstreamId {
        let owner = match streams {
            None => Owner::Exchange(exchange),
            Some(_) => Owner::Streams(Vec::from([exchange])),
        };
        self.upstreams.insert(Upstream {
            connection: ToEndpoint::new(streams.as_ref(), local.settings()),
            owner,
            facts: Facts::default(),
            ending: None,
            told: Interest::default(),
            charge: local.charge(),
            http2: streams.is_some().then(|| local.http2.endpoints.open()),
        })
    }

    /// A client's connection and an endpoint's, as far as they are there.
    pub(crate) fn pair(
        &mut self,
        client: Option<ClientId>,
        upstream: Option<UpstreamId>,
    ) -> (Option<&mut Client>, Option<&mut Upstream>) {
        (
            client.and_then(|id| self.clients.get_mut(id)),
            upstream.and_then(|id| self.upstreams.get_mut(id)),
        )
    }

    /// An endpoint's connection, if there is one.
    pub(crate) fn look_at(&self, id: Option<UpstreamId>) -> Option<&ToEndpoint> {
        Some(&self.upstreams.get(id?)?.connection)
    }

    /// Forgets a connection to an endpoint, which is closed; what it held is free, and its memory goes back.
    pub(crate) fn forget(&mut self, id: UpstreamId, local: &mut Local) {
        local.pool().close(id);
        if let Some(mut upstream) = self.upstreams.remove(id) {
            upstream.count();
            upstream.connection.inbox.clear();
            upstream.connection.rest(local);
        }
    }

    /// Forgets a client; its memory goes back.
    pub(crate) fn forget_client(&mut self, id: ClientId, local: &mut Local) {
        if let Some(mut client) = self.clients.remove(id) {
            client.count();
            client.connection.inbox.clear();
            client.connection.rest(local);
        }
    }
}
