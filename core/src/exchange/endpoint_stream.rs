//! The stream of an attempt on an endpoint's connection, by name: how one is had, what is written to it and read from it, and
//! how it ends.
//!
//! The twin of `client_stream`. Nothing else of an exchange knows of connections to endpoints. When an attempt begins and ends,
//! and why, is decided elsewhere; what a connection is that nobody uses is `connection`'s, and which may be used the pool's.

use bytes::Bytes;

use super::Turn;
use crate::cluster::HostState;
use crate::connection::{Owner, Sockets, ToEndpoint};
use crate::decision::Refused;
use crate::io::{Facts, Interest, Output};
use crate::local::{Link, Local, Slot};
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::peer::{ConnId, ExchangeId, UpstreamId};
use crate::snapshot::Address;
use crate::stream::{Answer, Begins, Part};

/// A stream on an endpoint's connection, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EndpointStream(Option<UpstreamId>);

impl EndpointStream {
    /// Asks for a connection to an endpoint.
    pub(super) fn open(of: ExchangeId, address: Address, link: Link, turn: &mut Turn<'_>) -> Self {
        let id = turn.sockets.open(of, turn.local);
        turn.say(Output::Connect(id, address));
        turn.local.pool().open(id, link);
        Self(Some(id))
    }

    /// A connection to an endpoint that is kept and has room.
    pub(super) fn reuse(of: ExchangeId, host: &HostState, turn: &mut Turn<'_>) -> Option<Self> {
        let id = turn.local.pool().take(host, turn.now)?;
        if let Some(upstream) = turn.sockets.upstreams.get_mut(id) {
            upstream.owner = Owner::Exchange(of);
        }
        Some(Self(Some(id)))
    }

    /// The one on this connection.
    pub(super) const fn of(id: UpstreamId) -> Self {
        Self(Some(id))
    }

    fn get<'t>(self, turn: &'t Turn<'_>) -> Option<&'t ToEndpoint> {
        turn.sockets.look_at(self.0)
    }

    fn with<T>(
        self,
        turn: &mut Turn<'_>,
        act: impl FnOnce(&mut ToEndpoint, &mut Local) -> T,
    ) -> Option<T> {
        let upstream = turn.sockets.upstreams.get_mut(self.0?)?;
        Some(act(&mut upstream.connection, turn.local))
    }

    /// A request goes over the connection from now on. One that was just made ages from now.
    pub(super) fn attach(self, is_new: bool, turn: &mut Turn<'_>) {
        let Some(id) = self.0 else { return };
        let pool = turn.local.pool();
        if is_new {
            pool.on_connected(id, turn.now);
        }
        pool.on_request(id);
    }

    /// What is known of the connection.
    pub(super) fn facts(self, turn: &Turn<'_>) -> Facts {
        let upstream = self.0.and_then(|id| turn.sockets.upstreams.get(id));
        upstream.map_or_else(Facts::default, |upstream| upstream.facts)
    }

    /// Begins the request.
    pub(super) fn ask(self, head: &RequestHead, begins: &Begins, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, local| endpoint.ask(head, begins, local));
    }

    /// A piece of the request's body.
    pub(super) fn data(self, data: Bytes, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, local| endpoint.data(data, local));
    }

    /// Ends the request.
    pub(super) fn end(self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, local| endpoint.end(trailers, local));
    }

    /// Writing failed: what was still to be written goes nowhere.
    pub(super) fn forget_unwritten(self, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, _| endpoint.outbox.clear());
    }

    /// The next head of the response, once all of it is here; `None` where there is no stream.
    pub(super) fn head(
        self,
        into: &mut ResponseHead,
        turn: &mut Turn<'_>,
    ) -> Option<Result<Option<Answer>, Refused>> {
        self.with(turn, |endpoint, _| endpoint.head(into))
    }

    /// The next part of the response's body; `None` where there is no stream.
    pub(super) fn body(self, turn: &mut Turn<'_>) -> Option<Result<Part, Refused>> {
        self.with(turn, |endpoint, _| endpoint.body())
    }

    /// The endpoint sends no more.
    ///
    /// # Errors
    /// The end cuts a response.
    pub(super) fn on_eof(self, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let ended = self.with(turn, |endpoint, _| endpoint.on_eof());
        ended.unwrap_or(Ok(()))
    }

    /// Whether so much waits to be written to it that no more should come.
    pub(super) fn is_slow(self, mark: usize, turn: &Turn<'_>) -> bool {
        let endpoint = self.get(turn);
        endpoint.is_some_and(|endpoint| endpoint.outbox.is_above(mark))
    }

    /// Whether all that was written has left.
    pub(super) fn has_left(self, turn: &Turn<'_>) -> bool {
        let endpoint = self.get(turn);
        endpoint.is_none_or(|endpoint| endpoint.outbox.is_empty())
    }

    /// What has come on a tunnel, as it is; `None` when nothing has.
    pub(super) fn take(self, turn: &mut Turn<'_>) -> Option<Bytes> {
        self.with(turn, |endpoint, _| endpoint.take()).flatten()
    }

    /// Bytes of a tunnel, as they are.
    pub(super) fn pass(self, bytes: Bytes, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, local| endpoint.pass(bytes, local));
    }

    /// Nothing more will be written.
    pub(super) fn shut_down(self, turn: &mut Turn<'_>) {
        if let Some(id) = self.0 {
            turn.say(Output::ShutdownWrite(ConnId::Upstream(id)));
        }
    }

    /// The connection is over, and another one is to take its place in the limit.
    pub(super) fn hand_over(self, turn: &mut Turn<'_>) -> Option<Slot> {
        turn.local.pool().hand_over(self.0?)
    }

    /// The connection could not be made.
    pub(super) fn fail(self, turn: &mut Turn<'_>) {
        if let Some(id) = self.0 {
            turn.local.pool().on_failed(id);
            turn.sockets.forget(id, turn.local);
        }
    }

    /// The connection waits for the next request to its endpoint, if it can carry one: everything on it is read and written,
    /// and neither its age, its endpoint nor those who wait stand against it. Whether it can.
    pub(super) fn rest(self, turn: &mut Turn<'_>) -> bool {
        let Turn { sockets, local, .. } = turn;
        let upstream = self.0.and_then(|id| sockets.upstreams.get_mut(id));
        let Some((id, upstream)) = self.0.zip(upstream) else {
            return false;
        };
        let endpoint = &mut upstream.connection;
        let may_rest = endpoint.persists()
            && endpoint.outbox.is_empty()
            && endpoint.inbox.is_empty()
            && local.pool().may_go_on(id, turn.now)
            && local.may_keep(id);
        if may_rest {
            upstream.owner = Owner::Kept;
            endpoint.restart();
            endpoint.rest(local);
            local.keep(id, turn.now);
            turn.let_rest.push(id);
        }
        may_rest
    }

    /// Closes the connection, made or being made.
    pub(super) fn close(self, turn: &mut Turn<'_>) {
        if let Some(id) = self.0 {
            turn.close_upstream(id);
        }
    }

    /// Gives back what its boxes need not hold. How many bytes wait to be understood, and how many to be written.
    pub(super) fn pause(self, sockets: &mut Sockets, local: &mut Local) -> (usize, usize) {
        let upstream = self.0.and_then(|id| sockets.upstreams.get_mut(id));
        upstream.map_or((0, 0), |upstream| {
            upstream.connection.pause(local);
            upstream.connection.lengths()
        })
    }

    /// What is waited for on its connection now, if that is news.
    pub(super) fn wait_for(
        self,
        interest: Interest,
        sockets: &mut Sockets,
    ) -> Option<(ConnId, Interest)> {
        let id = self.0?;
        let upstream = sockets.upstreams.get_mut(id)?;
        let is_news = upstream.told.is_news(interest);
        is_news.then_some((ConnId::Upstream(id), interest))
    }
}

#[cfg(test)]
impl EndpointStream {
    pub(super) const fn id(self) -> Option<UpstreamId> {
        self.0
    }
}
