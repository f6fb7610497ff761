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
//! head ──► Call ── response ──► Flush ──► over
//!           │                              ▲
//!           └── 101 or CONNECT ──► Tunnel ─┘
//! ```

mod adaptive;
mod admission;
mod attempt;
mod buffers;
mod call;
mod client_stream;
mod downstream;
mod endpoint_stream;
mod hedge;
mod mirror;
mod relay;
mod replay;
mod timers;
mod tunnel;
mod turn;
mod upstream;

#[cfg(test)]
mod tests;

pub(crate) use turn::{Exchanges, Turn};

use std::rc::Rc;

use crate::connection::{Client, Phase as ClientPhase, Sockets};
use crate::decision::{AttemptEnd, Details, Record, Story};
use crate::entropy::Entropy;
use crate::io::{Facts, Input, Interest, Output};
use crate::local::{Charge, Local, MirrorPlace, View};
use crate::message::{RequestHead, ResponseHead};
use crate::peer::{ClientId, ConnId, ExchangeId, Peer, UpstreamId};
use crate::snapshot::Snapshot;
use crate::time::Instant;
use call::Call;
use client_stream::ClientStream;
use hedge::Aside;
use tunnel::{Direction, Tunnel};
use upstream::Upstream;

#[cfg(test)]
pub(crate) use timers::Timer;

#[derive(Debug)]
enum Phase {
    /// The request is being served.
    Call,
    /// The response is complete, and its last bytes are being written.
    Flush { keep_alive: bool },
    /// Bytes pass both ways, uninterpreted.
    Tunnel(Tunnel),
    /// Over: nothing is held any more.
    Over,
}

/// One request.
#[derive(Debug)]
pub struct Exchange {
    id: ExchangeId,
    /// Where it comes from; from nobody when it is a copy for a mirror.
    down: ClientStream,
    peer: Peer,
    phase: Phase,
    up: Upstream,
    /// An older attempt, while there are two.
    aside: Option<Box<Aside>>,
    call: Call,
    /// What decides it: the configuration that it began with, or a later one that decides alike.
    view: Rc<View>,
    record: Record,
    response: ResponseHead,
    /// When something of the request or its response last came or went.
    moved_at: Instant,
    /// What is known of the connection to the endpoint that answered, or was asked last.
    facts: Facts,
    /// The deadline that a look is planned for.
    planned: Option<Instant>,
    /// What it holds in memory, in the account of its worker.
    charge: Charge,
    /// What it takes of its worker while it is a copy.
    place: Option<MirrorPlace>,
}

impl Exchange {
    /// One that is about nothing yet: its head is to be read into [`Exchange::request_mut`].
    pub(crate) fn new(peer: Peer, local: &Local) -> Self {
        Self {
            id: ExchangeId::default(),
            down: ClientStream::default(),
            peer,
            phase: Phase::Over,
            up: Upstream::default(),
            aside: None,
            call: Call::default(),
            view: Rc::clone(local.view()),
            record: Record::default(),
            response: ResponseHead::default(),
            moved_at: Instant::ZERO,
            facts: Facts::default(),
            planned: None,
            charge: local.charge(),
            place: None,
        }
    }

    /// Where the head of its request is read to, whose first byte came then. The memory of the last one is used again.
    pub(crate) fn expect_head(&mut self, began: Instant) -> &mut RequestHead {
        self.record.restart(began, Entropy::default());
        &mut self.record.request
    }

    /// The request is this client's. Its head is here, or cannot be had.
    pub(crate) fn start(&mut self, id: ExchangeId, client: ClientId, of: &mut Client) {
        (self.id, self.down, self.peer) = (id, ClientStream::of(client), of.peer);
        self.phase = Phase::Call;
        self.up = Upstream::default();
        self.facts = Facts::default();
        self.planned = None;
        self.record.entropy = of.next_entropy();
        self.response.clear();
        of.phase = ClientPhase::Serving(id);
    }

    /// It is to be decided by this, from its start; one that waits for a request to serve keeps no other alive.
    pub(crate) fn look_at(&mut self, view: &Rc<View>) {
        if !Rc::ptr_eq(&self.view, view) {
            self.view = Rc::clone(view);
        }
    }

    /// Whether bytes only pass.
    pub(crate) const fn is_tunnel(&self) -> bool {
        matches!(self.phase, Phase::Tunnel(_))
    }

    /// Its client's connection did something.
    pub(crate) fn on_client(&mut self, input: Input, turn: &mut Turn<'_>) {
        match input {
            Input::Read(_) | Input::Wrote(_) => self.moved_at = turn.now,
            Input::Eof => self.on_downstream_eof(turn),
            Input::Broken | Input::WriteFailed => self.cancel(turn),
            // Nothing is asked of a client's connection that these would answer; a drain it has noted itself.
            Input::Drain | Input::Connected(_) | Input::ConnectFailed(_) => {}
        }
        self.advance(turn);
    }

    /// One of its connections to endpoints did something.
    pub(crate) fn on_upstream(&mut self, id: UpstreamId, input: Input, turn: &mut Turn<'_>) {
        if matches!(input, Input::Read(_) | Input::Wrote(_)) {
            self.moved_at = turn.now;
        }
        let is_aside = self
            .aside
            .as_ref()
            .is_some_and(|aside| aside.up.stream.id() == Some(id));
        match input {
            Input::Read(_) => self.side(is_aside).received = true,
            Input::Wrote(count) => self.side(is_aside).on_wrote(count),
            Input::WriteFailed if is_aside => self.side(true).on_write_failed(turn),
            Input::Eof if is_aside => self.on_aside_eof(turn),
            Input::Broken if is_aside => self.on_aside_broken(turn),
            // An endpoint may answer and close without reading all of the request; its answer counts.
            Input::WriteFailed if matches!(self.phase, Phase::Call) => {
                self.up.on_write_failed(turn);
            }
            Input::Eof => self.on_upstream_eof(turn),
            Input::WriteFailed | Input::Broken => self.on_upstream_broken(turn),
            Input::Connected(_) => self.on_connected(turn),
            Input::ConnectFailed(fault) => self.on_connect_failed(fault, turn),
            Input::Drain => {}
        }
        self.advance(turn);
    }

    /// The newest attempt, or the one that was set aside.
    fn side(&mut self, is_aside: bool) -> &mut Upstream {
        match &mut self.aside {
            Some(aside) if is_aside => &mut aside.up,
            Some(_) | None => &mut self.up,
        }
    }

    /// The story; complete once the request has ended.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The configuration that decides it, in which its story's names stand.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.view.snapshot
    }

    /// The story for people.
    #[must_use]
    pub fn story(&self) -> Story<'_> {
        self.record.story(self.snapshot())
    }

    /// The response head last seen or made, for logs.
    #[must_use]
    pub const fn response(&self) -> &ResponseHead {
        &self.response
    }

    /// Who asked.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whose request it is; `None` for a copy, which has no client.
    #[must_use]
    pub const fn client(&self) -> Option<ClientId> {
        self.down.id()
    }

    /// Whether this is a copy, and so has no client.
    #[must_use]
    pub const fn is_mirror(&self) -> bool {
        self.record.is_mirror()
    }

    /// What is known of the connection to the endpoint that answered, or was asked last.
    #[must_use]
    pub const fn facts(&self) -> Facts {
        self.facts
    }

    /// How many attempts are under way.
    #[must_use]
    pub const fn attempts_under_way(&self) -> usize {
        1 + self.aside.is_some() as usize
    }

    /// When it is to be looked at because its time may be up, if that is news.
    pub(crate) fn next_look(&mut self) -> Option<Instant> {
        let deadline = self.deadline().map(|(at, _)| at);
        let is_news = core::mem::replace(&mut self.planned, deadline) != deadline;
        deadline.filter(|_| is_news)
    }

    /// Whether it has ended.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Does everything that can be done without waiting.
    pub(crate) fn advance(&mut self, turn: &mut Turn<'_>) {
        loop {
            let moved = match &self.phase {
                Phase::Call => self.advance_call(turn),
                Phase::Flush { keep_alive } => {
                    let keep_alive = *keep_alive;
                    self.down.has_left(turn) && self.finish(keep_alive, turn)
                }
                Phase::Tunnel(_) => self.advance_tunnel(turn),
                Phase::Over => false,
            };
            if !moved {
                break;
            }
        }
    }

    /// Its turn is over: gives back what it need not hold, counts what it does hold, and says what it waits for on its
    /// connections, where that is news.
    pub(crate) fn settle(
        &mut self,
        sockets: &mut Sockets,
        local: &mut Local,
        mut say: impl FnMut(ConnId, Interest),
    ) {
        let (waiting, to_client) = self.down.pause(sockets, local);
        let (mut held, to_endpoint) = self.up.stream.pause(sockets, local);
        // What waits for the endpoint and is kept for another attempt is the same memory.
        held += to_endpoint.max(self.call.replay.kept());
        self.charge.set(held);
        let mark = self.charge.high_water();
        let (is_endpoint_slow, is_client_slow) = (to_endpoint >= mark, to_client >= mark);
        let is_attached = self.up.is_attached();
        let (reads_client, reads_endpoint) = match &self.phase {
            Phase::Call => {
                let reads = self.wants_request_bytes(is_endpoint_slow, waiting);
                (reads, is_attached && !is_client_slow)
            }
            Phase::Tunnel(tunnel) => (
                tunnel.downstream == Direction::Open && !is_endpoint_slow,
                tunnel.upstream == Direction::Open && !is_client_slow,
            ),
            Phase::Flush { .. } | Phase::Over => (false, false),
        };
        let of_client = Interest {
            read: reads_client,
            write: to_client > 0,
        };
        let of_endpoint = Interest {
            read: reads_endpoint,
            write: is_attached && to_endpoint > 0,
        };
        let mut say = |news: Option<(ConnId, Interest)>| {
            if let Some((id, interest)) = news {
                say(id, interest);
            }
        };
        say(self.down.wait_for(of_client, sockets));
        say(self.up.stream.wait_for(of_endpoint, sockets));
        if let Some(aside) = &self.aside {
            let (inbox, outbox) = aside.up.stream.pause(sockets, local);
            self.charge.set(held + inbox);
            let (read, write) = (true, outbox > 0);
            let interest = Interest { read, write };
            say(aside.up.stream.wait_for(interest, sockets));
        }
    }

    fn on_downstream_eof(&mut self, turn: &mut Turn<'_>) {
        match &mut self.phase {
            // As Envoy: a client that stops sending has gone away. See docs/differences.md on half-close.
            Phase::Call => self.cancel(turn),
            Phase::Tunnel(tunnel) => tunnel.end_of_client(),
            Phase::Flush { keep_alive } => *keep_alive = false,
            Phase::Over => {}
        }
    }

    /// The client went away in the middle: the attempt is given up and the record ends without a reply.
    fn cancel(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        if !matches!(self.phase, Phase::Flush { .. } | Phase::Tunnel(_)) {
            self.record.details = Details::DownstreamRemoteDisconnect;
            self.give_up_aside(AttemptEnd::Cancelled, turn);
            self.up.cancel(&mut self.record);
        }
        self.end_record(turn);
        self.close(turn);
    }

    /// The record is complete.
    fn end_record(&mut self, turn: &mut Turn<'_>) {
        self.record.ended = turn.now;
        self.record.retry_slot = None;
        turn.say(Output::Ended(self.id));
    }

    /// Closes whatever is open.
    fn close(&mut self, turn: &mut Turn<'_>) {
        self.let_go(turn);
        self.down.close(turn);
    }

    /// Nothing is held any more; what becomes of its client is decided elsewhere.
    fn let_go(&mut self, turn: &mut Turn<'_>) {
        self.give_up_aside(AttemptEnd::Cancelled, turn);
        self.drop_upstream(turn);
        self.call.replay.forget();
        self.place = None;
        self.charge.set(0);
        self.phase = Phase::Over;
    }

    /// Closes the upstream connection, made or being made.
    fn drop_upstream(&mut self, turn: &mut Turn<'_>) {
        self.up.detach().close(turn);
    }
}
