//! One thread's connections and requests: what happened on a socket goes in, what is to be done comes out.
//!
//! The only room that knows two connections. It owns all of them by name, the requests under way, and what they share
//! (`local`); it finds out whom something concerns, and has every request that this concerns further on take its turn.
//!
//! # The loop of a runtime
//!
//! A runtime is a table of sockets. It gives each client a name ([`Worker::accept`]), and then, for ever:
//!
//! 1. After every call of a method that takes the time, it takes all outputs ([`Worker::poll_output`]) and performs them
//!    in order.
//! 2. What [`Output::Wait`] lets it write, it writes at once, and says how much ([`Input::Wrote`]).
//! 3. Then it waits for the first of: a socket that can be read and is to be; one that can be written again; a connection
//!    made; [`Worker::next_deadline`]. It says what happened with exactly one call.
//!
//! A worker never waits, asks the time or draws a number by itself.

mod alarms;
mod client_streams;
mod clients;
mod connections;
mod endpoint_streams;
mod events;
mod introductions;
mod recovery;
mod relief;
mod turns;

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;

use crate::connection::Phase;
#[cfg(test)]
use crate::connection::Sockets;
use crate::entropy::Entropy;
pub use crate::exchange::Exchange;
pub use crate::io::{
    ConnectFault, Facts, Handshake, Hearing, Input, Interest, Manner, Output, Unintroduced,
};
use crate::local::{self, Local};
pub use crate::local::{
    Buffered, Http1Counted, Http1Met, Http2Counted, Http2Side, Shed, Signatures, TokenLimits, View,
    WorkerSettings,
};
use crate::outbox::Outbox;
use crate::overload::Actions;
use crate::peer::{ClientId, ConnId, ExchangeId, Peer, UpstreamId};
pub use crate::policy::ourselves::ends_at_ourselves;
use crate::snapshot::Snapshot;
use crate::time::Instant;
use recovery::Recovery;
use relief::Relieving;
use turns::Turns;

/// How much a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Connections of clients.
    pub clients: usize,
    /// Connections to endpoints that are kept for the next request.
    pub idle: usize,
    /// Copies of requests that are under way for mirrors.
    pub mirrors: usize,
    /// What all its connections hold in memory.
    pub buffered: Buffered,
    /// What it has shed because the machine was full.
    pub shed: Shed,
    /// How often what [`Worker::protocols`] tells has changed.
    pub protocol_changes: u64,
}

/// Memory that nobody uses: buffers, and what a request needs. A worker has its own; a thread that drives many can have them share
/// one ([`Spare::swap`]), so that what was used last is used next, whoever used it.
#[derive(Debug, Default)]
pub struct Spare {
    buffers: local::Spare,
    #[expect(
        clippy::vec_box,
        reason = "a request moves between its places as a pointer"
    )]
    exchanges: Vec<Box<Exchange>>,
}

impl Spare {
    /// Gives this memory to a worker and takes what it had. The stories of its requests that ended are forgotten, as by the next call
    /// that takes the time. Nothing that a worker decides depends on it.
    pub fn swap(&mut self, worker: &mut Worker) {
        let turns = &mut worker.turns;
        turns.forget_ended();
        core::mem::swap(&mut turns.local.spare, &mut self.buffers);
        core::mem::swap(&mut turns.spare, &mut self.exchanges);
    }
}

/// One thread's part of a proxy: what a runtime tells it and asks it.
#[derive(Debug)]
pub struct Worker {
    turns: Turns,
}

impl Worker {
    /// A worker on a snapshot. `seed` decides where balancers begin, so workers should have different ones.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, settings: WorkerSettings, seed: u64) -> Self {
        Self {
            turns: Turns::new(Local::new(snapshot, settings, seed)),
        }
    }

    /// A client connected. `entropy` is the connection's random number: each of its requests gets its own from it.
    pub fn accept(&mut self, peer: Peer, entropy: Entropy, now: Instant) -> ClientId {
        self.turns.accept(peer, entropy, now)
    }

    /// Takes one thing that happened on a connection. Take all of [`Worker::poll_output`] afterwards.
    pub fn handle_input(&mut self, id: ConnId, input: Input, now: Instant) {
        self.turns.handle_input(id, input, now);
    }

    /// What to do next; `None` when everything has been said.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.turns.outputs.pop_front()
    }

    /// A request that ended, from [`Output::Ended`] until the next call that takes the time.
    #[must_use]
    pub fn ended(&self, id: ExchangeId) -> Option<&Exchange> {
        let ended = self.turns.ended.iter().find(|(ended, _)| *ended == id);
        ended.map(|(_, exchange)| &**exchange)
    }

    /// Requests under way.
    pub fn exchanges(&self) -> impl Iterator<Item = (ExchangeId, &Exchange)> {
        let all = self.turns.exchanges.iter();
        all.filter_map(|(id, exchange)| Some((id, exchange.as_deref()?)))
    }

    /// Where to append what is read from a connection; it has room. An idle connection has none until it is asked for.
    pub fn space(&mut self, id: ConnId) -> Option<&mut BytesMut> {
        let is_short = self.turns.local.is_short();
        match id {
            ConnId::Client(id) => {
                let client = self.turns.sockets.clients.get_mut(id)?;
                Some(client.connection.space(is_short, &mut self.turns.local))
            }
            ConnId::Upstream(id) => {
                let upstream = self.turns.sockets.upstreams.get_mut(id)?;
                Some(upstream.connection.space(is_short, &mut self.turns.local))
            }
        }
    }

    /// Nothing was read into [`Worker::space`] after all.
    pub fn leave_space(&mut self, id: ConnId) {
        match id {
            ConnId::Client(id) => {
                if let Some(client) = self.turns.sockets.clients.get_mut(id) {
                    match client.phase {
                        Phase::Serving(_) | Phase::Streams(_) => {
                            client.connection.pause(&mut self.turns.local);
                        }
                        Phase::Introducing(_)
                        | Phase::Securing(_)
                        | Phase::Sniffing(_)
                        | Phase::Rest(_)
                        | Phase::Head(_)
                        | Phase::Farewell(_)
                        | Phase::Linger(_) => {
                            client.connection.rest(&mut self.turns.local);
                        }
                    }
                }
            }
            ConnId::Upstream(id) => {
                if let Some(upstream) = self.turns.sockets.upstreams.get_mut(id) {
                    upstream.connection.pause(&mut self.turns.local);
                }
            }
        }
    }

    /// What is to be written to a connection.
    #[must_use]
    pub fn outbox(&self, id: ConnId) -> Option<&Outbox> {
        match id {
            ConnId::Client(id) => self.turns.sockets.clients.get(id).map(|c| c.outbox()),
            ConnId::Upstream(id) => {
                let upstream = self.turns.sockets.upstreams.get(id);
                upstream.map(|upstream| &upstream.connection.outbox)
            }
        }
    }

    /// Which of the last `count` bytes of [`Worker::space`], which were just read and not told yet, are of bodies, or are
    /// only passed on or thrown away. Ranges count from the first of them. For a recording that leaves bodies out: no
    /// decision depends on what a body says, only on where it begins and ends. Bodies of gRPC-Web are an exception, and are not
    /// known from others before they are understood: where a port is of that kind, nothing is told.
    #[must_use]
    pub fn bodies_read(&self, id: ConnId, count: usize) -> Vec<Range<usize>> {
        if self.turns.local.reads_bodies {
            return Vec::new();
        }
        if self.turns.reads_no_message(id) {
            return Vec::from([Range {
                start: 0,
                end: count,
            }]);
        }
        let ahead = match id {
            ConnId::Client(id) => self.turns.sockets.clients.get(id).map(|client| {
                let client = &client.connection;
                (client.bodies_ahead(), client.inbox.len())
            }),
            ConnId::Upstream(id) => self
                .turns
                .sockets
                .look_at(Some(id))
                .map(|endpoint| (endpoint.bodies_ahead(), endpoint.inbox.len())),
        };
        let (bodies, unread) = ahead.unwrap_or_default();
        let before = unread.saturating_sub(count);
        let bodies = bodies.into_iter();
        bodies
            .map(|body| body.start.saturating_sub(before)..body.end.saturating_sub(before))
            .filter(|body| !body.is_empty())
            .collect()
    }

    /// Uses a new snapshot from the next request on.
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>, now: Instant) {
        self.turns.forget_ended();
        let unwanted = self.turns.local.adopt(snapshot, now);
        // The memory of requests that are over keeps no old snapshot alive.
        for spare in &mut self.turns.spare {
            spare.look_at(self.turns.local.view());
        }
        self.turns.close_kept(unwanted, now);
        // Limits may have changed.
        self.turns.look_around(now);
        self.turns.finish(now);
    }

    /// Somebody waits for a connection, or let one go.
    pub fn on_announced(&mut self, now: Instant) {
        self.turns.forget_ended();
        self.turns.look_around(now);
        self.turns.finish(now);
    }

    /// From now on inbound responses say `connection: close`. Connections end when they are told ([`Input::Drain`]).
    pub const fn drain(&mut self) {
        self.turns.local.drain.begin();
    }

    /// Copies for mirrors of requests that came from the mesh (`inbound`), or from the application, are hurried from now on,
    /// because the connections of that direction are to end.
    pub fn hurry_copies(&mut self, inbound: bool, now: Instant) {
        self.turns.forget_ended();
        self.turns.local.drain.hurry_copies(inbound);
        let copies: Vec<_> = (self
            .exchanges()
            .filter(|(_, exchange)| exchange.is_mirror()))
        .map(|(id, _)| id)
        .collect();
        for id in copies {
            self.turns
                .run(id, now, |copy, turn| copy.hurry_if_drained(turn));
        }
        self.turns.finish(now);
    }

    /// The machine is full, or has room again: this is done about it from now on.
    pub fn relieve(&mut self, actions: Actions, now: Instant) {
        self.turns.forget_ended();
        Relieving {
            turns: &mut self.turns,
            now,
        }
        .take(actions);
        self.turns.finish(now);
    }

    /// The time for which [`Worker::next_deadline`] asked has come, or any other.
    pub fn on_time(&mut self, now: Instant) {
        self.turns.forget_ended();
        while let Some(whose) = self.turns.alarms.due(now) {
            self.turns.on_due(whose, now);
        }
        let expired = self.turns.local.pool.expired(now);
        self.turns.close_kept(expired, now);
        self.turns.finish(now);
    }

    /// Before this [`Worker::on_time`] has nothing to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.turns
            .alarms
            .next()
            .into_iter()
            .chain(self.turns.local.pool.next_expiry())
            .min()
    }

    /// A call of this worker has panicked, and the panic was caught: the connections of the request that was at work are
    /// closed, and its streams reset. If none was, the connection that the call was about is closed, with the requests that
    /// it serves. All others go on.
    pub fn recover(&mut self, about: Option<ConnId>, now: Instant) {
        Recovery {
            turns: &mut self.turns,
            now,
        }
        .of(about);
    }

    /// Sets what responses without a `date` get (RFC 9110 §5.6.7, IMF-fixdate). A runtime calls it once a second.
    pub fn set_date(&mut self, imf_fixdate: [u8; 29]) {
        self.turns.local.set_date(imf_fixdate);
    }

    /// The current snapshot and this worker's balancers.
    #[must_use]
    pub const fn view(&self) -> &Rc<View> {
        self.turns.local.view()
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &WorkerSettings {
        self.turns.local.settings()
    }

    /// How much it holds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Turns { local, sockets, .. } = &self.turns;
        Counts {
            clients: sockets.clients.len(),
            idle: local.pool.idle(),
            mirrors: local.mirrors_under_way(),
            buffered: local.buffered(),
            shed: local.relief.shed(),
            protocol_changes: local.http1.changes() + local.http2.changes(),
        }
    }

    /// How often peers met limits of HTTP/1, and what is counted of the connections that speak HTTP/2.
    #[must_use]
    pub fn protocols(&self) -> (Http1Counted, Http2Counted) {
        let local = &self.turns.local;
        (local.http1.counted(), local.http2.counted())
    }

    /// Whether a connection to an endpoint is made, and no request uses it.
    #[must_use]
    pub fn is_idle(&self, id: UpstreamId) -> bool {
        self.turns.local.pool.is_idle(id)
    }

    /// The request that a connection serves, or is asked for, if there is one.
    #[must_use]
    pub fn exchange_on(&self, id: ConnId) -> Option<ExchangeId> {
        self.turns.exchange_on(id)
    }
}

#[cfg(test)]
impl Worker {
    /// What a test looks at that no runtime sees.
    pub(crate) const fn parts(&self) -> (&Local, &Sockets) {
        (&self.turns.local, &self.turns.sockets)
    }

    /// A request under way.
    pub(crate) fn exchange(&self, id: ExchangeId) -> Option<&Exchange> {
        self.turns.exchanges.get(id)?.as_deref()
    }

    /// As if this request had been at work in a call that panicked.
    pub(crate) fn lose(&mut self, id: ExchangeId) {
        drop(self.turns.exchanges.get_mut(id).and_then(Option::take));
    }
}
