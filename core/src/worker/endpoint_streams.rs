//! A connection to an endpoint that carries many requests at a time: what happened on it is told to those whose streams it
//! concerns, and to those who wait for it; and what they all want to say is written in turn.

use core::mem;

use super::alarms::Whose;
use super::turns::Turns;
use crate::connection::{Ending, Owner, Upstream};
use crate::exchange::Exchange;
use crate::http2::Event;
use crate::io::{ConnectFault, Facts, Input, Interest};
use crate::outbox::HIGH_WATER;
use crate::peer::{ExchangeId, UpstreamId};
use crate::time::Instant;

/// The streams on one connection to an endpoint, while something is done about them.
pub(super) struct EndpointStreams<'t> {
    pub(super) turns: &'t mut Turns,
    pub(super) id: UpstreamId,
    pub(super) now: Instant,
}

impl EndpointStreams<'_> {
    fn upstream(&mut self) -> Option<&mut Upstream> {
        self.turns.sockets.upstreams.get_mut(self.id)
    }

    /// Something happened on the connection.
    pub(super) fn on_input(&mut self, input: Input) {
        let (now, farewell) = (self.now, self.farewell());
        let Some(upstream) = self.upstream() else {
            return;
        };
        let (connection, is_ending) = (&mut upstream.connection, upstream.ending.is_some());
        let mut ending = None;
        match input {
            Input::Read(count) => {
                connection.on_read(count);
                match is_ending {
                    true => connection.inbox.clear(),
                    false if connection.understand(now).is_err() => ending = Some(farewell),
                    false => {}
                }
            }
            Input::Wrote(count) => connection.outbox.advance(count),
            // What it has sent before may still be waiting to be read.
            Input::WriteFailed => {
                connection.outbox.clear();
                self.turns.local.pool().retire(self.id, now);
            }
            Input::Eof | Input::Broken => ending = Some(Ending::Gone),
            Input::Connected(facts) => self.on_connected(*facts),
            Input::ConnectFailed(fault) => {
                self.on_refused(*fault);
                return;
            }
            Input::Drain | Input::Secured(_) | Input::NotSecured(_) => {}
        }
        self.go_on_or_end(ending);
    }

    /// Their time may be up.
    pub(super) fn on_due(&mut self) {
        let (now, farewell) = (self.now, self.farewell());
        let Some(upstream) = self.upstream() else {
            return;
        };
        let ending = match upstream.ending {
            Some(Ending::Farewell(until)) if until <= now => Some(Ending::Gone),
            Some(_) => None,
            None => {
                let streams = upstream.connection.streams_mut();
                let is_over = streams.is_some_and(|streams| streams.on_time(now).is_err());
                is_over.then_some(farewell)
            }
        };
        self.go_on_or_end(ending);
    }

    /// The endpoint is to be told why nothing more is understood (RFC 9113 §5.4.1).
    fn farewell(&self) -> Ending {
        let linger = self.turns.local.settings().linger;
        Ending::Farewell(self.now + linger)
    }

    fn go_on_or_end(&mut self, ending: Option<Ending>) {
        match ending {
            Some(ending) => self.end(ending),
            None => self.take_events(),
        }
        self.turns.let_rest.push(self.id);
    }

    /// None of them goes on. What has come of responses that are complete can still be taken.
    fn end(&mut self, ending: Ending) {
        // Nobody is to begin another one while those that had one look for another connection.
        self.turns.local.pool().retire(self.id, self.now);
        if let Some(upstream) = self.upstream() {
            upstream.ending = Some(ending);
            if let Some(streams) = upstream.connection.streams_mut() {
                streams.on_eof();
            }
        }
        self.take_events();
        self.turn_away(ConnectFault::Refused);
    }

    fn on_connected(&mut self, facts: Facts) {
        let (id, now) = (self.id, self.now);
        let tls = facts.tls.as_deref();
        self.turns.local.pool().on_outcome(id, Ok(tls), now);
        if let Some(upstream) = self.upstream() {
            upstream.facts = facts;
        }
        self.go_on();
        // Who waited may have gone.
        let pool = self.turns.local.pool();
        if pool.streams(id) == 0 && !pool.may_go_on(id, now) {
            self.turns.turn(now).close_upstream(id);
        }
    }

    /// The connection could not be made; its name is free.
    fn on_refused(&mut self, fault: ConnectFault) {
        let waiting = self.take_waiting();
        let Turns { local, sockets, .. } = &mut *self.turns;
        if let Some(kind) = fault.tls() {
            local.pool().on_outcome(self.id, Err(kind), self.now);
        }
        local.pool().on_failed(self.id);
        sockets.forget(self.id, local);
        self.fail(waiting, fault);
    }

    /// Those who wait for the connection, or for what its endpoint says of itself, go on.
    fn go_on(&mut self) {
        let id = self.id;
        for exchange in self.take_waiting() {
            self.turns.run(exchange, self.now, |exchange, turn| {
                exchange.on_connected(id, turn);
            });
        }
    }

    /// They look for another one.
    fn turn_away(&mut self, fault: ConnectFault) {
        let waiting = self.take_waiting();
        self.fail(waiting, fault);
    }

    fn fail(&mut self, waiting: Vec<ExchangeId>, fault: ConnectFault) {
        let (id, failed) = (self.id, Input::ConnectFailed(fault.into()));
        for exchange in waiting {
            self.turns.run(exchange, self.now, |exchange, turn| {
                exchange.on_upstream(id, &failed, turn);
            });
        }
    }

    fn take_waiting(&mut self) -> Vec<ExchangeId> {
        match self.upstream().map(|upstream| &mut upstream.owner) {
            Some(Owner::Streams(waiting)) => mem::take(waiting),
            Some(Owner::Exchange(_) | Owner::Kept) | None => Vec::new(),
        }
    }

    fn take_events(&mut self) {
        let now = self.now;
        while let Some(upstream) = self.upstream() {
            match upstream.connection.next_event() {
                None => return,
                Some(Event::Progress(_, exchange)) => {
                    let act = Exchange::on_endpoint_stream;
                    self.turns.run(exchange, now, act);
                }
                Some(Event::Settings) => {
                    let streams = upstream.connection.streams();
                    let most = streams.map_or(0, |streams| streams.capacity());
                    self.turns.local.on_peer_limit(self.id, most);
                    self.go_on();
                }
                Some(Event::GoingAway) => self.turns.local.pool().retire(self.id, now),
                // An endpoint begins no streams: the codec refuses what it pushes.
                Some(Event::Opened(_)) => {}
            }
        }
    }

    /// What they have to say is written, and it is said what is waited for. Nothing is before the connection is made: it
    /// would wait in memory for somebody to take it.
    pub(super) fn tell(&mut self) {
        if !self.turns.local.pool().is_made(self.id) {
            return;
        }
        self.write();
        self.take_events();
        self.write();
        let (id, now) = (self.id, self.now);
        let Turns { sockets, local, .. } = &mut *self.turns;
        let Some(upstream) = sockets.upstreams.get_mut(id) else {
            return;
        };
        if upstream.ending == Some(Ending::Gone) {
            upstream.connection.outbox.clear();
        }
        let is_ending = upstream.ending.is_some();
        if is_ending && upstream.connection.outbox.is_empty() && local.pool().streams(id) == 0 {
            return self.turns.turn(now).close_upstream(id);
        }
        upstream.connection.pause(local);
        upstream.count();
        let interest = Interest {
            read: !upstream.connection.outbox.is_above(HIGH_WATER) && !is_ending,
            write: !upstream.connection.outbox.is_empty(),
        };
        let streams = upstream.connection.streams();
        let deadline = match upstream.ending {
            None => streams.and_then(|streams| streams.deadline()),
            Some(Ending::Farewell(until)) => interest.write.then_some(until),
            Some(Ending::Gone) => None,
        };
        self.turns.tell(self.id.into(), interest);
        if let Some(at) = deadline {
            self.turns.alarms.plan(Whose::Upstream(self.id), at);
        }
    }

    fn write(&mut self) {
        let Turns { sockets, local, .. } = &mut *self.turns;
        if let Some(upstream) = sockets.upstreams.get_mut(self.id) {
            upstream.connection.flush(local, self.now);
        }
    }
}
