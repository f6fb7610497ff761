//! What a worker owns, and how a request takes its turn with it.
//!
//! Who takes a turn because of what happened is in `events`.

use std::collections::VecDeque;

use slotmap::SlotMap;

use super::alarms::{Alarms, Whose};
use crate::connection::{Owner, Phase, Sockets};
use crate::exchange::{Answered, Exchange, Exchanges, Turn, Wish};
use crate::io::{Interest, Output};
use crate::local::Local;
use crate::peer::{ClientId, ConnId, ExchangeId, UpstreamId};
use crate::time::Instant;

/// Requests whose memory is kept for later ones.
const SPARE: usize = 64;

/// What a worker owns.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) local: Local,
    pub(super) sockets: Sockets,
    pub(super) exchanges: Exchanges,
    /// Those that ended since the last input; their stories can be read.
    pub(super) ended: Vec<(ExchangeId, Box<Exchange>)>,
    #[expect(
        clippy::vec_box,
        reason = "a request moves between its places as a pointer"
    )]
    pub(super) spare: Vec<Box<Exchange>>,
    pub(super) alarms: Alarms,
    /// Copies that have begun, clients that serve nobody and connections that were kept, of which it is to be said what they
    /// wait for.
    pub(super) begun: Vec<ExchangeId>,
    pub(super) touched_clients: Vec<ClientId>,
    pub(super) let_rest: Vec<UpstreamId>,
    /// Who is to try again for a connection.
    pub(super) woken: VecDeque<ExchangeId>,
    /// Questions that are over, for who asked, and those that nobody wants to know about any more.
    pub(super) answers: Vec<Answered>,
    pub(super) given_up: Vec<ExchangeId>,
    pub(super) outputs: VecDeque<Output>,
}

impl Turns {
    pub(super) fn new(local: Local) -> Self {
        Self {
            local,
            sockets: Sockets::default(),
            exchanges: SlotMap::with_key(),
            ended: Vec::new(),
            spare: Vec::new(),
            alarms: Alarms::default(),
            begun: Vec::new(),
            touched_clients: Vec::new(),
            let_rest: Vec::new(),
            woken: VecDeque::new(),
            answers: Vec::new(),
            given_up: Vec::new(),
            outputs: VecDeque::with_capacity(8),
        }
    }

    pub(super) fn turn(&mut self, now: Instant) -> Turn<'_> {
        Turn {
            now,
            local: &mut self.local,
            sockets: &mut self.sockets,
            exchanges: &mut self.exchanges,
            begun: &mut self.begun,
            let_rest: &mut self.let_rest,
            answers: &mut self.answers,
            given_up: &mut self.given_up,
            outputs: &mut self.outputs,
        }
    }

    pub(super) fn close_kept(&mut self, ids: Vec<UpstreamId>, now: Instant) {
        let upstreams = &self.sockets.upstreams;
        // One that ends is closed when its endpoint has been told why.
        let is_ending = |id: &UpstreamId| upstreams.get(*id).is_some_and(|u| u.ending.is_some());
        let (_, kept): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_ending);
        let mut turn = self.turn(now);
        kept.into_iter().for_each(|id| turn.close_upstream(id));
    }

    /// Lets a request take its turn, and its client ask for the next one.
    pub(super) fn run(
        &mut self,
        id: ExchangeId,
        now: Instant,
        act: impl FnOnce(&mut Exchange, &mut Turn<'_>),
    ) {
        let Some(mut exchange) = self.exchanges.get_mut(id).and_then(Option::take) else {
            return;
        };
        act(&mut exchange, &mut self.turn(now));
        let client = exchange.client().filter(|_| exchange.is_over());
        self.put_back(id, exchange);
        if let Some(client) = client {
            self.serve(client, now);
        }
    }

    /// A request has taken its turn: it is over, or it is said what it waits for.
    pub(super) fn put_back(&mut self, id: ExchangeId, mut exchange: Box<Exchange>) {
        if exchange.is_over() {
            self.exchanges.remove(id);
            self.ended.push((id, exchange));
            return;
        }
        let Self {
            outputs,
            touched_clients,
            let_rest,
            ..
        } = self;
        // What is to be said on a connection that others use, too, is said when all have had their turn.
        exchange.settle(&mut self.sockets, &mut self.local, |id, wish| {
            match (wish, id) {
                (Wish::Wait(interest), id) => outputs.push_back(Output::Wait(id, interest)),
                (Wish::Shared, ConnId::Client(id)) => touched_clients.push(id),
                (Wish::Shared, ConnId::Upstream(id)) => let_rest.push(id),
            }
        });
        if let Some(at) = exchange.next_look() {
            self.alarms.plan(Whose::Exchange(id), at);
        }
        if let Some(place) = self.exchanges.get_mut(id) {
            *place = Some(exchange);
        }
    }

    /// Nobody reads their stories any more; their memory is used again.
    pub(super) fn forget_ended(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        while let Some((_, mut exchange)) = self.ended.pop() {
            if self.spare.len() < SPARE {
                exchange.look_at(self.local.view());
                self.spare.push(exchange);
            }
        }
    }

    /// Gives up what other workers wait for, and lets the first in each line try again.
    pub(super) fn look_around(&mut self, now: Instant) {
        let told = self.local.on_announced();
        self.close_kept(told.close, now);
        if told.announce {
            self.outputs.push_back(Output::Announce);
        }
        self.woken.extend(told.wake);
    }

    /// Says what is waited for on a connection, if that is news.
    pub(super) fn tell(&mut self, id: ConnId, interest: Interest) {
        let told = match id {
            ConnId::Client(id) => self.sockets.clients.get_mut(id).map(|c| &mut c.told),
            ConnId::Upstream(id) => self.sockets.upstreams.get_mut(id).map(|u| &mut u.told),
        };
        if told.is_some_and(|told| told.is_news(interest)) {
            self.outputs.push_back(Output::Wait(id, interest));
        }
    }

    /// The request that a connection serves, or is asked for, if there is one.
    pub(super) fn exchange_on(&self, id: ConnId) -> Option<ExchangeId> {
        match id {
            ConnId::Client(id) => match self.sockets.clients.get(id)?.phase {
                Phase::Serving(exchange) => Some(exchange),
                Phase::Introducing(_)
                | Phase::Securing(_)
                | Phase::Sniffing(_)
                | Phase::Rest(_)
                | Phase::Head(_)
                | Phase::Streams(_)
                | Phase::Farewell(_)
                | Phase::Linger(_) => None,
            },
            ConnId::Upstream(id) => match self.sockets.upstreams.get(id)?.owner {
                Owner::Exchange(exchange) => Some(exchange),
                Owner::Kept | Owner::Streams(_) => None,
            },
        }
    }

    pub(super) fn is_kept(&self, id: UpstreamId) -> bool {
        let upstream = self.sockets.upstreams.get(id);
        // What comes on a connection of streams is understood, whether or not there are any.
        upstream.is_some_and(|upstream| upstream.owner == Owner::Kept)
    }

    /// Whether what is read from a connection is only passed on, or thrown away.
    pub(super) fn reads_no_message(&self, id: ConnId) -> bool {
        let is_thrown_away = match id {
            ConnId::Client(id) => {
                let client = self.sockets.clients.get(id);
                client.is_some_and(|client| {
                    matches!(client.phase, Phase::Farewell(_) | Phase::Linger(_))
                })
            }
            ConnId::Upstream(id) => self.is_kept(id),
        };
        let exchange = self.exchange_on(id).and_then(|id| self.exchanges.get(id));
        is_thrown_away
            || exchange
                .is_some_and(|exchange| exchange.as_ref().is_some_and(|e| e.reads_no_message()))
    }
}
