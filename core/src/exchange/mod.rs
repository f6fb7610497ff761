//! One request: from its head to its record, with the attempts it takes. The joint between streams and the request machine.
//!
//! A connection (`connection`) knows bytes and no policy; the request machine (`request`) knows heads, outcomes and policy
//! and no bytes. An exchange translates between them. It has the stream of a client, or none when it is a copy for a
//! mirror, and a stream on an endpoint's connection, or two while an attempt that takes too long goes on beside a newer one.
//! Connections are not its own: it asks for them by name, and lets them go. It never waits, asks the time or draws a number
//! by itself, and knows of no other request.
//!
//! # Life of a request
//!
//! ```text
//! head ──► Asking ──► Delayed ──► Trying ──► Relaying ──► Flush ──► over
//!                                   │  └── no response ────▲          ▲
//!                                   └── 101 or CONNECT ──► Tunnel ────┘
//! ```
//!
//! What the worker asks of a request and tells it stands here. Where it stands is its `state`, which has `attempts`, or one
//! whose response is relayed (`relay`) or whose connection has become the client's (`tunnel`); what holds for it everywhere is
//! the `call`.

mod adaptive;
mod admission;
mod answer;
mod attempt;
mod attempts;
mod body;
mod call;
mod client_stream;
mod connection;
mod endpoint_stream;
mod hedge;
mod inquiry;
mod ledger;
mod mirror;
mod relay;
mod replay;
mod state;
mod timers;
mod tunnel;
mod turn;
mod web;

#[cfg(test)]
mod tests;

pub(crate) use answer::Answered;
pub(crate) use turn::{Exchanges, Turn, Wish};

use std::rc::Rc;
use std::sync::Arc;

use crate::connection::{Client, Sockets, Upstream, Who};
use crate::decision::{Connection, Details, Record, Refused};
use crate::entropy::Entropy;
use crate::io::{Facts, Input, Interest};
use crate::local::{Local, View};
use crate::message::{RequestHead, ResponseHead};
use crate::peer::{ClientId, ConnId, ExchangeId, Peer, TlsFacts, UpstreamId};
use crate::request::{Story, Verdict};
use crate::snapshot::{ChainRule, Snapshot};
use crate::stream::{Begins, StreamId};
use crate::time::Instant;
use attempt::{Attempt, Carried};
use attempts::Attempts;
use call::Call;
use client_stream::ClientStream;
use endpoint_stream::EndpointStream;
use state::State;

#[cfg(test)]
pub(crate) use timers::Timer;

/// One request.
#[derive(Debug)]
pub struct Exchange {
    call: Call,
    state: State,
    /// The deadline that a look is planned for.
    planned: Option<Instant>,
}

impl Exchange {
    /// One that is about nothing yet: its head is to be read into [`Exchange::expect_head`].
    pub(crate) fn new(who: &Rc<Who>, local: &Local) -> Self {
        Self {
            call: Call::new(who, local),
            state: State::Over,
            planned: None,
        }
    }

    /// Where the head of its request is read to, whose first byte came then. The memory of the last one is used again.
    pub(crate) fn expect_head(&mut self, began: Instant) -> &mut RequestHead {
        let record = &mut self.call.ledger.record;
        record.restart(began, Entropy::default());
        &mut record.request
    }

    /// The request is this client's. Its head is here, or cannot be had.
    pub(crate) fn start(
        &mut self,
        id: ExchangeId,
        client: ClientId,
        stream: StreamId,
        of: &mut Client,
    ) {
        (self.call.id, self.call.client) = (id, ClientStream::of(client, stream));
        let ledger = &mut self.call.ledger;
        ledger.facts = Facts::default();
        ledger.who.clone_from(&of.who);
        ledger.record.entropy = of.next_entropy();
        ledger.response.clear();
        self.planned = None;
        of.serve(id, stream);
    }

    /// A head is complete.
    pub(crate) fn begin(&mut self, begins: Begins, turn: &mut Turn<'_>) {
        let verdict = self.call.begin(begins, turn);
        self.state.obey(verdict, &mut self.call, turn);
        self.state.advance(&mut self.call, turn);
    }

    /// There will be no head: its client's connection is not HTTP, and goes where this rule says, if there is one for it.
    pub(crate) fn begin_connection(
        &mut self,
        connection: Connection,
        rule: Option<ChainRule>,
        turn: &mut Turn<'_>,
    ) {
        let verdict = connection::begin(connection, rule, &mut self.call, turn);
        self.state.obey(verdict, &mut self.call, turn);
        self.state.advance(&mut self.call, turn);
    }

    /// There is no head to serve: it broke the rules, or did not come in time.
    pub(crate) fn begin_refused(&mut self, refused: &Refused, turn: &mut Turn<'_>) {
        self.call.restart(Begins::default(), turn);
        match self.call.client.broken(turn) {
            // Its stream was reset for that: there is nobody to answer.
            Some(_) => {
                let details = Details::Refused(*refused);
                self.state = State::Flush { keep_alive: false };
                self.call.ledger.record.details = details.clone();
                self.state.cancel(details, &mut self.call, turn);
            }
            None => self.state.refuse(refused, &mut self.call, turn),
        }
        self.state.advance(&mut self.call, turn);
    }

    /// A copy of a request begins.
    fn begin_copy(call: Call, verdict: Verdict, turn: &mut Turn<'_>) {
        let mut copy = Box::new(Self {
            call,
            state: State::Over,
            planned: None,
        });
        copy.state.obey(verdict, &mut copy.call, turn);
        copy.state.advance(&mut copy.call, turn);
        turn.put(copy);
    }

    /// It is to be decided by this, from its start; one that waits for a request to serve keeps no other alive.
    pub(crate) fn look_at(&mut self, view: &Rc<View>) {
        self.call.ledger.look_at(view);
    }

    /// Whether bytes only pass.
    #[must_use]
    pub const fn is_tunnel(&self) -> bool {
        matches!(self.state, State::Tunnel(_))
    }

    /// Whether nothing that is read for it is understood: bytes pass, or will once that is decided.
    #[must_use]
    pub(crate) const fn reads_no_message(&self) -> bool {
        self.is_tunnel() || self.call.ledger.is_connection()
    }

    /// Its client's connection did something.
    pub(crate) fn on_client(&mut self, input: &Input, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        match input {
            Input::Read(_) | Input::Wrote(_) => call.clocks.moved_at = turn.now,
            Input::Eof => state.on_client_eof(call, turn),
            Input::Broken | Input::WriteFailed => {
                state.cancel(Details::DownstreamRemoteDisconnect, call, turn);
            }
            // Nothing is asked of a client's connection that these would answer; a drain it has noted itself.
            Input::Drain
            | Input::Connected(_)
            | Input::ConnectFailed(_)
            | Input::Secured(_)
            | Input::NotSecured(_) => {}
        }
        state.advance(call, turn);
    }

    /// One of its connections to endpoints did something.
    pub(crate) fn on_upstream(&mut self, id: UpstreamId, input: &Input, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        let stream = EndpointStream::of(id);
        match input {
            Input::Read(_) => {
                call.clocks.moved_at = turn.now;
                if let Some(attempt) = state.attempt_on(stream) {
                    attempt.on_carried(Carried::Response);
                }
            }
            Input::Wrote(count) => {
                call.clocks.moved_at = turn.now;
                if let Some(attempt) = state.attempt_on(stream).filter(|_| *count > 0) {
                    attempt.on_carried(Carried::Request);
                    call.body.is_sent = true;
                }
            }
            // An endpoint may answer and close without reading all of the request; its answer counts.
            Input::WriteFailed if !matches!(state, State::Tunnel(_)) => {
                if let Some(attempt) = state.attempt_on(stream) {
                    attempt.on_write_failed(turn);
                }
            }
            Input::Eof => state.on_endpoint_end(stream, false, call, turn),
            Input::WriteFailed | Input::Broken => state.on_endpoint_end(stream, true, call, turn),
            Input::Connected(_) => {
                self.on_connected(id, turn);
                return;
            }
            Input::ConnectFailed(fault) => {
                state.have_tried(call, turn, |attempts, call, turn| {
                    attempts.on_connect_failed(fault, call, turn)
                });
            }
            Input::Drain | Input::Secured(_) | Input::NotSecured(_) => {}
        }
        state.advance(call, turn);
    }

    /// All that waited for its endpoint has left, and was so little that nothing waits for that. Whether it need not take its
    /// turn: nothing follows but that what the connection holds is given back and counted.
    pub(crate) fn note_sent(
        &mut self,
        id: UpstreamId,
        upstream: &mut Upstream,
        local: &mut Local,
        now: Instant,
    ) -> bool {
        let Self { call, state, .. } = self;
        let stream = EndpointStream::of(id);
        let attempt = match state {
            State::Trying(attempts) if attempts.older.is_none() => attempts.newest.get_mut(),
            State::Relaying(relay) => Some(&mut relay.attempt),
            State::Asking(_)
            | State::Delayed { .. }
            | State::Trying(_)
            | State::Tunnel(_)
            | State::Flush { .. }
            | State::Over => None,
        };
        let Some(attempt) = attempt.filter(|attempt| attempt.stream == stream) else {
            return false;
        };
        call.clocks.moved_at = now;
        attempt.on_carried(Carried::Request);
        call.body.is_sent = true;
        let lengths = stream.pause(Some(upstream), local);
        let held = held_by(stream, lengths, call.body.replay.kept());
        call.charge.set(held);
        true
    }

    /// A connection to an endpoint can be used now, perhaps the one that it waits for.
    pub(crate) fn on_connected(&mut self, id: UpstreamId, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        state.have_tried(call, turn, |attempts, call, turn| {
            attempts.on_connected(id, call, turn)
        });
        state.advance(call, turn);
    }

    /// Something has happened to its stream on its client's connection.
    pub(crate) fn on_client_stream(&mut self, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        call.clocks.moved_at = turn.now;
        if let Some(broken) = call.client.broken(turn) {
            state.cancel(state::left_by(broken), call, turn);
        }
        state.advance(call, turn);
    }

    /// Something has happened to one of its streams on a connection to an endpoint.
    pub(crate) fn on_endpoint_stream(&mut self, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        call.clocks.moved_at = turn.now;
        state.advance(call, turn);
    }

    /// The connections that it uses.
    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnId> {
        let client = self.call.client.id().map(ConnId::Client);
        let attempts = [self.state.attempt(), self.state.older()].into_iter();
        let upstreams = attempts.filter_map(|attempt| attempt?.stream.id());
        client.into_iter().chain(upstreams.map(ConnId::Upstream))
    }

    /// Perhaps there is a connection now that it waits for.
    pub(crate) fn on_woken(&mut self, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        state.have_tried(call, turn, Attempts::on_woken);
        state.advance(call, turn);
    }

    /// The time that was planned has come.
    pub(crate) fn on_deadline(&mut self, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        // Whatever comes of this look, the next one is to be planned.
        self.planned = None;
        // A deadline may have moved since it was planned; then this means nothing.
        if let Some((due, timer)) = state.deadline(call).filter(|(at, _)| *at <= turn.now) {
            call.ledger.overslept = timers::has_overslept(due, turn.now);
            state.on_time_up(timer, call, turn);
            call.ledger.overslept = false;
            state.advance(call, turn);
        }
    }

    /// The connections of its direction are to end, and it is a copy.
    pub(crate) fn hurry_if_drained(&mut self, turn: &Turn<'_>) {
        self.call.hurry_if_drained(turn);
    }

    /// The story; complete once the request has ended.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.call.ledger.record
    }

    /// The configuration that decides it, in which its story's names stand.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.call.ledger.view.snapshot
    }

    /// The story for people.
    #[must_use]
    pub fn story(&self) -> Story<'_> {
        self.record().story(self.snapshot())
    }

    /// The response head last seen or made, for logs.
    #[must_use]
    pub const fn response(&self) -> &ResponseHead {
        &self.call.ledger.response
    }

    /// Who asked.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.call.ledger.who.peer
    }

    /// Whose request it is; `None` for a copy, which has no client.
    #[must_use]
    pub const fn client(&self) -> Option<ClientId> {
        self.call.client.id()
    }

    /// Whether this is a copy, and so has no client.
    #[must_use]
    pub const fn is_mirror(&self) -> bool {
        self.record().is_mirror()
    }

    /// What is known of the connection to the endpoint that answered, or was asked last.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.call.ledger.facts
    }

    /// What TLS has proved of the client; `None` for clear text.
    #[must_use]
    pub fn client_tls(&self) -> Option<&Arc<TlsFacts>> {
        self.call.ledger.who.tls.as_ref()
    }

    /// How many attempts are under way.
    #[must_use]
    pub fn attempts_under_way(&self) -> usize {
        1 + usize::from(self.state.older().is_some())
    }

    /// When it is to be looked at because its time may be up, if that is news.
    pub(crate) fn next_look(&mut self) -> Option<Instant> {
        let deadline = self.state.deadline(&self.call).map(|(at, _)| at);
        let is_news = core::mem::replace(&mut self.planned, deadline) != deadline;
        deadline.filter(|_| is_news)
    }

    /// Whether it has ended.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Its turn is over: gives back what it need not hold, counts what it does hold, and says what it waits for on its
    /// connections, where that is news, and which of them others use, too.
    pub(crate) fn settle(
        &mut self,
        sockets: &mut Sockets,
        local: &mut Local,
        mut say: impl FnMut(ConnId, Wish),
    ) {
        let Self { call, state, .. } = self;
        let attempt = state.attempt();
        let stream = attempt.map_or_else(EndpointStream::default, |attempt| attempt.stream);
        let (mut client, mut endpoint) = sockets.pair(call.client.id(), stream.id());
        let (waiting, to_client) = call.client.pause(client.as_deref_mut(), local);
        let (from_endpoint, to_endpoint) = stream.pause(endpoint.as_deref_mut(), local);
        let kept = call.body.replay.kept();
        let held = held_by(stream, (from_endpoint, to_endpoint), kept);
        call.charge.set(held);
        let mark = call.charge.high_water();
        let (is_endpoint_slow, is_client_slow) = (to_endpoint >= mark, to_client >= mark);
        let is_attached = attempt.is_some_and(Attempt::is_attached);
        let (reads_client, reads_endpoint) = match state {
            // A client that leaves while somebody is asked is to be seen, so some of what it says waits here.
            State::Asking(_) if call.ledger.is_connection() => {
                let is_open = client.as_ref().is_some_and(|client| !client.eof);
                (is_open && body::may_wait(waiting, &call.charge), false)
            }
            // What comes before there is somebody for it waits in the kernel, and the end behind it.
            State::Trying(_) if call.ledger.is_connection() => (false, false),
            State::Asking(_) | State::Delayed { .. } | State::Trying(_) | State::Relaying(_) => {
                let (body, charge) = (&call.body, &call.charge);
                let reads = body.wants_bytes(attempt, is_endpoint_slow, waiting, charge);
                (reads, is_attached && !is_client_slow)
            }
            State::Tunnel(tunnel) => {
                let (client, endpoint) = tunnel.reads();
                (client && !is_endpoint_slow, endpoint && !is_client_slow)
            }
            State::Flush { .. } | State::Over => (false, false),
        };
        let of_client = Interest {
            read: reads_client,
            write: to_client > 0,
        };
        let of_endpoint = Interest {
            read: reads_endpoint,
            write: is_attached && to_endpoint > 0,
        };
        let mut say = |news: Option<(ConnId, Wish)>| {
            if let Some((id, wish)) = news {
                say(id, wish);
            }
        };
        say(call.client.wait_for(of_client, client));
        say(stream.wait_for(of_endpoint, endpoint));
        if let Some(older) = state.older() {
            let (_, mut endpoint) = sockets.pair(None, older.stream.id());
            let (inbox, outbox) = older.stream.pause(endpoint.as_deref_mut(), local);
            call.charge.set(held + held_by(older.stream, (inbox, 0), 0));
            let (read, write) = (true, outbox > 0);
            say(older.stream.wait_for(Interest { read, write }, endpoint));
        }
    }
}

/// What an attempt holds in the account of its request: these bytes that wait to be understood and to be written on its
/// stream, and those that are kept for another attempt.
fn held_by(stream: EndpointStream, (from, to): (usize, usize), kept: usize) -> usize {
    // What waits for the endpoint and is kept is the same memory.
    match stream.is_shared() {
        // What waits on a connection that others use, too, is counted with that.
        true => kept.saturating_sub(to),
        false => from + to.max(kept),
    }
}

#[cfg(test)]
impl Exchange {
    /// When its time is up, and for what.
    fn deadline(&self) -> Option<(Instant, Timer)> {
        self.state.deadline(&self.call)
    }

    /// The connections of its newest attempt and of an older one.
    fn streams(&self) -> [Option<UpstreamId>; 2] {
        let attempts = [self.state.attempt(), self.state.older()];
        attempts.map(|attempt| attempt?.stream.id())
    }

    fn is_connecting(&self) -> bool {
        self.state.attempt().is_some_and(Attempt::is_connecting)
    }

    fn is_in_line(&self) -> bool {
        self.state.attempt().is_some_and(Attempt::is_in_line)
    }
}
