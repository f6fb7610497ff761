//! The stream of an attempt on an endpoint's connection, by name: how one is had, what is written to it and read from it, and
//! how it ends.
//!
//! The twin of `client_stream`. Nothing else of an exchange knows of connections to endpoints. When an attempt begins and ends,
//! and why, is decided elsewhere; what a connection is that nobody uses is `connection`'s, and which may be used the pool's.

use bytes::Bytes;

use super::turn::{Turn, Wish};
use crate::cluster::HostState;
use crate::connection::{Owner, Streams, ToEndpoint, Upstream};
use crate::decision::Refused;
use crate::entropy::Entropy;
use crate::io::{Facts, Handshake, Interest, Manner, Output};
use crate::local::{Link, Local, Slot, Taken, Wanted};
use crate::message::{Headers, RequestHead, ResponseHead};
use crate::peer::{ConnId, ExchangeId, UpstreamId};
use crate::request::Target;
use crate::snapshot::Spoken;
use crate::stream::{Answer, Begins, Broken, Part, Protocol, Reset, StreamId};

/// A stream on an endpoint's connection, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EndpointStream {
    connection: Option<UpstreamId>,
    place: Place,
}

/// Which part of a connection a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// All of it.
    #[default]
    Alone,
    /// It waits until a connection is made that others will use, too; for this request.
    Promised(ExchangeId),
    /// One among others.
    Shared(StreamId),
}

/// Whether an endpoint takes a request on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    Takes,
    /// That will be known when it has said what it takes; the request is told as when the connection was made.
    MayTake,
    /// Not on this connection.
    Refuses,
    /// On none: it is of a kind that the endpoint does not take.
    Never,
}

impl EndpointStream {
    /// Asks for a connection to an endpoint.
    pub(super) fn open(
        of: ExchangeId,
        target: &Target,
        host: &str,
        spoken: Spoken,
        link: Link,
        turn: &mut Turn<'_>,
    ) -> Self {
        let (address, protocol) = (target.address.clone(), link.protocol());
        let tls = target.tls.as_ref();
        let handshake = tls.map(|tls| Box::new(Handshake::new(tls, host, spoken)));
        let settings = turn.local.settings();
        let streams = target.http2.as_ref();
        let streams = streams.map(|options| settings.endpoint_streams(options));
        let id = turn.sockets.open(of, streams, turn.local);
        let manner = Manner {
            keepalive: target.keepalive,
            preface: target.preface.clone(),
            handshake,
        };
        turn.say(Output::Connect(id, address, manner));
        turn.local.pool().open(id, link);
        Self {
            connection: Some(id),
            place: match protocol {
                Protocol::Http1 => Place::Alone,
                Protocol::Http2 => Place::Promised(of),
            },
        }
    }

    /// A place on a connection to an endpoint that has room. Whether that is still being made.
    pub(super) fn reuse(
        of: ExchangeId,
        host: &HostState,
        protocol: Protocol,
        wanted: Wanted<'_>,
        turn: &mut Turn<'_>,
    ) -> Option<(Self, bool)> {
        let pool = turn.local.pool();
        let Taken { id, is_promised } = pool.take(host, protocol, wanted, turn.now)?;
        let upstream = turn.sockets.upstreams.get_mut(id)?;
        let place = match &mut upstream.owner {
            Owner::Streams(waiting) => {
                if is_promised {
                    waiting.push(of);
                }
                Place::Promised(of)
            }
            owner @ (Owner::Kept | Owner::Exchange(_)) => {
                *owner = Owner::Exchange(of);
                Place::Alone
            }
        };
        let connection = Some(id);
        Some((Self { connection, place }, is_promised))
    }

    /// The one on this connection, which has no other.
    pub(super) const fn of(id: UpstreamId) -> Self {
        Self {
            connection: Some(id),
            place: Place::Alone,
        }
    }

    /// The connection.
    pub(super) const fn id(self) -> Option<UpstreamId> {
        self.connection
    }

    /// Whether it is one of a connection that others use, too.
    pub(super) const fn is_shared(self) -> bool {
        matches!(self.place, Place::Shared(_))
    }

    /// The stream's number on its connection; there is none while that is being made.
    const fn stream(self) -> Option<StreamId> {
        match self.place {
            Place::Alone => Some(StreamId::ONLY),
            Place::Promised(_) => None,
            Place::Shared(stream) => Some(stream),
        }
    }

    /// Does something with the connection, while the stream is there.
    pub(super) fn with<T>(
        self,
        turn: &mut Turn<'_>,
        act: impl FnOnce(&mut ToEndpoint, StreamId, &mut Local) -> T,
    ) -> Option<T> {
        let upstream = turn.sockets.upstreams.get_mut(self.connection?)?;
        let stream = self.stream()?;
        Some(act(&mut upstream.connection, stream, turn.local))
    }

    /// What is known of the connection.
    pub(super) fn facts(self, turn: &Turn<'_>) -> Facts {
        let id = self.connection;
        let upstream = id.and_then(|id| turn.sockets.upstreams.get(id));
        upstream.map_or_else(Facts::default, |upstream| upstream.facts.clone())
    }

    /// Begins the request, if the endpoint takes it on this connection.
    pub(super) fn ask(
        &mut self,
        of: ExchangeId,
        head: &RequestHead,
        begins: &Begins,
        entropy: Entropy,
        turn: &mut Turn<'_>,
    ) -> Taking {
        let id = self.connection;
        let Some(upstream) = id.and_then(|id| turn.sockets.upstreams.get_mut(id)) else {
            return Taking::Refuses;
        };
        let connection = &mut upstream.connection;
        if !connection.may_take(head, begins) {
            return Taking::Never;
        }
        let asked = connection.ask(head, begins, of, entropy, turn.local);
        let is_unknown = begins.upgrade.is_some() && !connection.is_known();
        match (asked, self.place, &mut upstream.owner) {
            (Some(_), Place::Alone, _) => Taking::Takes,
            (Some(stream), Place::Promised(_) | Place::Shared(_), _) => {
                self.place = Place::Shared(stream);
                Taking::Takes
            }
            // RFC 8441 §3: nobody asks for another protocol before the other side has said that it knows of that.
            (None, Place::Promised(_), Owner::Streams(waiting)) if is_unknown => {
                waiting.push(of);
                Taking::MayTake
            }
            (None, _, _) => Taking::Refuses,
        }
    }

    /// A piece of the request's body.
    pub(super) fn data(self, data: Bytes, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, stream, local| {
            endpoint.data(stream, data, local);
        });
    }

    /// Ends the request.
    pub(super) fn end(self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, stream, local| {
            endpoint.end(stream, trailers, local);
        });
    }

    /// Writing failed: what was still to be written goes nowhere.
    pub(super) fn forget_unwritten(self, turn: &mut Turn<'_>) {
        self.with(turn, |endpoint, _, _| endpoint.outbox.clear());
    }

    /// The next head of the response, once all of it is here; `None` where there is no stream.
    pub(super) fn head(
        self,
        into: &mut ResponseHead,
        turn: &mut Turn<'_>,
    ) -> Option<Result<Option<Answer>, Broken>> {
        self.with(turn, |endpoint, stream, local| {
            local.http1.of_endpoint(endpoint.head(stream, into))
        })
    }

    /// The next part of the response's body; `None` where there is no stream.
    pub(super) fn body(self, turn: &mut Turn<'_>) -> Option<Result<Part, Broken>> {
        self.with(turn, |endpoint, stream, local| {
            local.http1.of_endpoint(endpoint.body(stream))
        })
    }

    /// The endpoint sends no more.
    ///
    /// # Errors
    /// The end cuts a response.
    pub(super) fn on_eof(self, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let ended = self.with(turn, |endpoint, _, _| endpoint.on_eof());
        ended.unwrap_or(Ok(()))
    }

    /// Whether so much waits to be written to it that no more should come.
    pub(super) fn is_slow(self, mark: usize, turn: &mut Turn<'_>) -> bool {
        let waits = self.with(turn, |endpoint, stream, _| endpoint.unsent(stream) >= mark);
        waits.unwrap_or(false)
    }

    /// Whether all that was written has left, or is on its way among what others have to say.
    pub(super) fn has_left(self, turn: &mut Turn<'_>) -> bool {
        let now = turn.now;
        let has_left = self.with(turn, |endpoint, stream, local| {
            endpoint.flush(local, now);
            endpoint.is_sent(stream)
        });
        has_left.unwrap_or(true)
    }

    /// The connection is over, and another one is to take its place in the limit.
    pub(super) fn hand_over(self, turn: &mut Turn<'_>) -> Option<Slot> {
        let id = self.connection.filter(|_| self.place == Place::Alone);
        turn.local.pool().hand_over(id?)
    }

    /// The connection could not be made, as far as this request waits for it.
    pub(super) fn fail(self, turn: &mut Turn<'_>) {
        let Some(id) = self.connection else { return };
        match self.place {
            Place::Alone => {
                turn.local.pool().on_failed(id);
                turn.sockets.forget(id, turn.local);
            }
            // Others may wait for it longer.
            Place::Promised(_) if turn.local.pool().streams(id) == 1 => {
                turn.local.pool().on_failed(id);
            }
            Place::Promised(_) | Place::Shared(_) => {}
        }
    }

    /// The connection waits for the next request to its endpoint, if it can carry one: everything on it is read and written,
    /// and neither its age, its endpoint nor those who wait stand against it. Whether it can.
    pub(super) fn rest(self, turn: &mut Turn<'_>) -> bool {
        let Turn { sockets, local, .. } = turn;
        let id = self.connection;
        let upstream = id.and_then(|id| sockets.upstreams.get_mut(id));
        let Some((id, upstream)) = id.zip(upstream) else {
            return false;
        };
        let endpoint = &mut upstream.connection;
        let is_empty = || endpoint.outbox.is_empty() && endpoint.inbox.is_empty();
        let may_rest = endpoint.persists()
            && (self.place != Place::Alone || is_empty())
            && local.pool().may_go_on(id, turn.now)
            && local.may_keep(id);
        if may_rest {
            match (self.place, endpoint.streams_mut()) {
                (Place::Shared(stream), Some(streams)) => streams.close(stream),
                (Place::Alone | Place::Promised(_) | Place::Shared(_), _) => {
                    upstream.owner = Owner::Kept;
                    endpoint.restart(local.settings());
                    endpoint.rest(local);
                }
            }
            local.keep(id, turn.now);
            turn.let_rest.push(id);
        }
        may_rest
    }

    /// All has been said, and its connection is not worth keeping: what is still to be written leaves, as far as others use it.
    pub(super) fn discard(self, turn: &mut Turn<'_>) {
        if let Some(id) = self.connection.filter(|_| self.place != Place::Alone) {
            turn.local.pool().retire(id, turn.now);
        }
        self.leave(turn, |_, _| {});
    }

    /// Closes the connection, made or being made, or resets the stream on one that is shared.
    pub(super) fn close(self, turn: &mut Turn<'_>) {
        self.leave(turn, |streams, stream| {
            streams.reset(stream, Reset::Cancelled);
        });
    }

    fn leave(self, turn: &mut Turn<'_>, act: impl FnOnce(&mut Streams, StreamId)) {
        let Some(id) = self.connection else { return };
        let now = turn.now;
        match (self.place, turn.sockets.upstreams.get_mut(id)) {
            (Place::Alone, _) => turn.close_upstream(id),
            (Place::Promised(_) | Place::Shared(_), None) => {}
            (place, Some(upstream)) => {
                let is_made = turn.local.pool().is_made(id);
                if let (Place::Promised(of), Owner::Streams(waiting)) = (place, &mut upstream.owner)
                {
                    waiting.retain(|waiter| *waiter != of);
                }
                if let (Place::Shared(stream), Some(streams)) =
                    (place, upstream.connection.streams_mut())
                {
                    act(streams, stream);
                    streams.close(stream);
                }
                turn.local.keep(id, now);
                let pool = turn.local.pool();
                // One that ends is closed when all is said on it.
                let is_unused = pool.streams(id) == 0 && upstream.ending.is_none();
                if is_unused && (!is_made || !pool.may_go_on(id, now)) {
                    turn.close_upstream(id);
                } else {
                    turn.let_rest.push(id);
                }
            }
        }
    }

    /// Gives back what its boxes need not hold. How many bytes wait to be understood, and how many to be written.
    pub(super) fn pause(
        self,
        upstream: Option<&mut Upstream>,
        local: &mut Local,
    ) -> (usize, usize) {
        upstream.map_or((0, 0), |upstream| {
            let connection = &upstream.connection;
            match self.place {
                Place::Alone => {}
                Place::Promised(_) => return (0, 0),
                Place::Shared(id) => return (connection.unread(id), connection.unsent(id)),
            }
            upstream.connection.pause(local);
            upstream.connection.lengths()
        })
    }

    /// What is to be said of its connection now, if there is news.
    pub(super) fn wait_for(
        self,
        interest: Interest,
        upstream: Option<&mut Upstream>,
    ) -> Option<(ConnId, Wish)> {
        let (id, upstream) = self.connection.zip(upstream)?;
        let wish = match self.place {
            Place::Alone => upstream
                .told
                .is_news(interest)
                .then_some(Wish::Wait(interest)),
            Place::Promised(_) | Place::Shared(_) => {
                matches!(upstream.owner, Owner::Streams(_)).then_some(Wish::Shared)
            }
        };
        Some((id.into(), wish?))
    }
}
