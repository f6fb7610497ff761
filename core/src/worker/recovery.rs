//! What a worker does after a call that panicked: whatever was at work is given up, and all others go on.

use super::turns::Turns;
use crate::connection::{Owner, Phase};
use crate::exchange::{Answered, Exchange};
use crate::peer::{ConnId, ExchangeId};
use crate::time::Instant;

/// A worker that has lost what was at work.
pub(super) struct Recovery<'t> {
    pub(super) turns: &'t mut Turns,
    pub(super) now: Instant,
}

impl Recovery<'_> {
    /// The call was about this connection, if it was about one.
    pub(super) fn of(mut self, about: Option<ConnId>) {
        self.turns.forget_ended();
        let all = self.turns.exchanges.iter();
        let at_work = all.filter(|(_, exchange)| exchange.is_none());
        let mut broken: Vec<_> = at_work.map(|(id, _)| id).collect();
        let about = about.filter(|_| broken.is_empty());
        if let Some(about) = about {
            broken = self.who_uses(about);
        }
        for id in broken {
            // What it counts for is given back before others are looked at.
            drop(self.turns.exchanges.remove(id));
            self.tell_who_asked(id);
            self.give_up_question_of(id);
            self.close_connections_of(id);
        }
        if let Some(about) = about {
            self.close_broken(about);
        }
        self.turns.finish(self.now);
    }

    /// Who waits for a question that is gone is told.
    fn tell_who_asked(&mut self, gone: ExchangeId) {
        let all = self.turns.exchanges.iter();
        let asks = |exchange: &Exchange| exchange.question() == Some(gone);
        let asking = all.filter(|(_, exchange)| exchange.as_deref().is_some_and(asks));
        let answers = asking.map(|(id, _)| Answered::lost(id, gone));
        self.turns.answers.extend(answers.collect::<Vec<_>>());
    }

    /// Nobody wants to know any more what one that is gone has asked.
    fn give_up_question_of(&mut self, gone: ExchangeId) {
        let all = self.turns.exchanges.iter();
        let is_asked = |exchange: &Exchange| exchange.asked_by() == Some(gone);
        let asked = all.filter(|(_, exchange)| exchange.as_deref().is_some_and(is_asked));
        self.turns.given_up.extend(asked.map(|(id, _)| id));
    }

    fn who_uses(&self, connection: ConnId) -> Vec<ExchangeId> {
        let all = self.turns.exchanges.iter();
        let uses = all.filter(|(_, exchange)| {
            let exchange = exchange.as_ref();
            exchange.is_some_and(|exchange| exchange.connections().any(|id| id == connection))
        });
        uses.map(|(id, _)| id).collect()
    }

    fn close_connections_of(&mut self, id: ExchangeId) {
        let clients = self.turns.sockets.clients.iter();
        let clients: Vec<_> = (clients.filter(|(_, client)| client.phase == Phase::Serving(id)))
            .map(|(client, _)| client)
            .collect();
        let upstreams = self.turns.sockets.upstreams.iter();
        let upstreams: Vec<_> = upstreams
            .filter(|(_, upstream)| upstream.owner == Owner::Exchange(id))
            .map(|(upstream, _)| upstream)
            .collect();
        self.reset_streams_of(id);
        let mut turn = self.turns.turn(self.now);
        clients.into_iter().for_each(|id| turn.close_client(id));
        upstreams.into_iter().for_each(|id| turn.close_upstream(id));
    }

    /// A request is gone in the middle of its work: so are its streams, and its place in the line for a connection.
    fn reset_streams_of(&mut self, gone: ExchangeId) {
        let (turns, now) = (&mut *self.turns, self.now);
        for (id, client) in &mut turns.sockets.clients {
            let streams = client.connection.streams_mut();
            if streams.is_some_and(|streams| streams.reset_all_of(gone) > 0) {
                client.on_stream_end(now);
                turns.touched_clients.push(id);
            }
        }
        for (id, upstream) in &mut turns.sockets.upstreams {
            let mut given_up = 0;
            if let Owner::Streams(waiting) = &mut upstream.owner {
                let before = waiting.len();
                waiting.retain(|waiting| *waiting != gone);
                given_up += before - waiting.len();
            }
            if let Some(streams) = upstream.connection.streams_mut() {
                given_up += streams.reset_all_of(gone);
            }
            for _ in 0..given_up {
                turns.local.pool().give_back(id, now);
                turns.let_rest.push(id);
            }
        }
    }

    /// What a call was about that panicked is closed, whatever state that has left it in.
    fn close_broken(&mut self, id: ConnId) {
        let (turns, now) = (&mut *self.turns, self.now);
        match id {
            ConnId::Client(id) if turns.sockets.clients.contains_key(id) => {
                turns.turn(now).close_client(id);
            }
            ConnId::Upstream(id) if turns.sockets.upstreams.contains_key(id) => {
                turns.turn(now).close_upstream(id);
            }
            ConnId::Client(_) | ConnId::Upstream(_) => {}
        }
    }
}
