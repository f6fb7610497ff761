//! Whom something concerns, and in which order requests take their turns because of it.

use super::alarms::Whose;
use super::endpoint_streams::EndpointStreams;
use super::turns::Turns;
use crate::connection::Owner;
use crate::io::{Input, Interest, Output};
use crate::outbox::LOW_WATER;
use crate::peer::{ConnId, ExchangeId, UpstreamId};
use crate::time::Instant;

impl Turns {
    /// One thing happened on a connection.
    pub(super) fn handle_input(&mut self, id: ConnId, input: Input, now: Instant) {
        self.forget_ended();
        match id {
            ConnId::Client(id) => self.on_client(id, input, now),
            ConnId::Upstream(id) => self.on_upstream(id, input, now),
        }
        self.finish(now);
    }

    fn on_upstream(&mut self, id: UpstreamId, input: Input, now: Instant) {
        let Some(upstream) = self.sockets.upstreams.get_mut(id) else {
            return;
        };
        match upstream.owner {
            Owner::Streams(_) => EndpointStreams {
                turns: self,
                id,
                now,
            }
            .on_input(input),
            Owner::Exchange(exchange) => {
                match &input {
                    Input::Read(count) => upstream.connection.on_read(*count),
                    Input::Wrote(count) => {
                        let waited = upstream.connection.outbox.len();
                        upstream.connection.on_wrote(*count, &mut self.local);
                        // Nobody can have waited for so little to leave.
                        if *count > 0
                            && waited < LOW_WATER
                            && upstream.connection.outbox.is_empty()
                            && note_sent(self, id, exchange, now)
                        {
                            return;
                        }
                    }
                    Input::Connected(facts) => {
                        upstream.facts.clone_from(&**facts);
                        let tls = facts.tls.as_deref();
                        self.local.pool().on_outcome(id, Ok(tls), now);
                    }
                    Input::ConnectFailed(fault) => {
                        if let Some(kind) = fault.tls() {
                            self.local.pool().on_outcome(id, Err(kind), now);
                        }
                    }
                    Input::Eof
                    | Input::Broken
                    | Input::WriteFailed
                    | Input::Drain
                    | Input::Secured(_)
                    | Input::NotSecured(_) => {}
                }
                self.run(exchange, now, |exchange, turn| {
                    exchange.on_upstream(id, &input, turn);
                });
            }
            // It has ended, or its endpoint speaks out of turn.
            Owner::Kept => self.close_unused(id.into(), now),
        }
    }

    /// Closes a connection that serves nobody.
    pub(super) fn close_unused(&mut self, id: ConnId, now: Instant) {
        match id {
            ConnId::Client(id) if self.sockets.clients.contains_key(id) => {
                self.turn(now).close_client(id);
            }
            ConnId::Upstream(id) => {
                if self.is_kept(id) {
                    self.turn(now).close_upstream(id);
                }
            }
            ConnId::Client(_) => {}
        }
    }

    /// Its time may be up.
    pub(super) fn on_due(&mut self, whose: Whose, now: Instant) {
        match whose {
            Whose::Client(id) => self.on_client_due(id, now),
            Whose::Upstream(id) => EndpointStreams {
                turns: self,
                id,
                now,
            }
            .on_due(),
            Whose::Exchange(id) => {
                self.run(id, now, |exchange, turn| exchange.on_deadline(turn));
            }
        }
    }

    /// Everything that follows from what happened: who waits for a connection tries again, and it is said what is waited
    /// for now.
    pub(super) fn finish(&mut self, now: Instant) {
        loop {
            if self.local.lines().has_freed() || !self.woken.is_empty() {
                self.wake_next(now);
            } else if let Some(id) = self.begun.pop() {
                // A copy, which may have come to nothing as it began.
                if let Some(copy) = self.exchanges.get_mut(id).and_then(Option::take) {
                    self.put_back(id, copy);
                }
            } else if let Some(answered) = self.answers.pop() {
                self.run(answered.to, now, |exchange, turn| {
                    exchange.on_answer(&answered, turn);
                });
            } else if let Some(id) = self.given_up.pop() {
                self.run(id, now, |exchange, turn| exchange.give_up(turn));
            } else if let Some(id) = self.touched_clients.pop() {
                self.tell_client(id, now);
            } else if let Some(id) = self.let_rest.pop() {
                self.tell_upstream(id, now);
            } else {
                return;
            }
        }
    }

    /// Who waits for a connection tries again.
    fn wake_next(&mut self, now: Instant) {
        let woken = &mut self.woken;
        if self.local.lines().settle(|waiter| woken.push_back(waiter)) {
            self.outputs.push_back(Output::Announce);
        }
        let Some(waiter) = self.woken.pop_front() else {
            return;
        };
        self.run(waiter, now, |exchange, turn| exchange.on_woken(turn));
    }

    fn tell_upstream(&mut self, id: UpstreamId, now: Instant) {
        match self
            .sockets
            .upstreams
            .get(id)
            .map(|upstream| &upstream.owner)
        {
            Some(Owner::Streams(_)) => EndpointStreams {
                turns: self,
                id,
                now,
            }
            .tell(),
            Some(Owner::Kept) => {
                let (read, write) = (true, false);
                self.tell(ConnId::Upstream(id), Interest { read, write });
            }
            // It has been taken again, or closed.
            Some(Owner::Exchange(_)) | None => {}
        }
    }
}

/// What waited for an endpoint has left. Whether that is all there is to it: a request that waits for the answer need not take
/// its turn.
fn note_sent(turns: &mut Turns, id: UpstreamId, of: ExchangeId, now: Instant) -> bool {
    let exchange = turns.exchanges.get_mut(of).and_then(Option::as_deref_mut);
    let upstream = turns.sockets.upstreams.get_mut(id);
    let Some((exchange, upstream)) = exchange.zip(upstream) else {
        return false;
    };
    if !exchange.note_sent(id, upstream, &mut turns.local, now) {
        return false;
    }
    let interest = Interest {
        write: false,
        ..upstream.told
    };
    if upstream.told.is_news(interest) {
        turns.outputs.push_back(Output::Wait(id.into(), interest));
    }
    true
}
