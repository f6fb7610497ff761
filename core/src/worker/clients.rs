//! Clients between requests: how a connection begins, reads its next head, and ends when it serves nobody.

use super::alarms::Whose;
use super::client_streams::ClientStreams;
use super::connections::Sniffing;
use super::introductions::Introducing;
use super::turns::Turns;
use crate::connection::{Client, Phase, Sniffed};
use crate::decision::{Http1Limit, Refused};
use crate::entropy::Entropy;
use crate::exchange::Exchange;
use crate::io::{Input, Unintroduced};
use crate::overload::Action;
use crate::peer::{ClientId, Peer};
use crate::request;
use crate::stream::{Begins, StreamId};
use crate::time::Instant;

impl Turns {
    /// A client connected.
    pub(super) fn accept(&mut self, peer: Peer, entropy: Entropy, now: Instant) -> ClientId {
        self.forget_ended();
        let client = Client::new(peer, entropy, now, &self.local);
        let id = self.sockets.clients.insert(client);
        Introducing::of(self, id, now).begin();
        self.finish(now);
        id
    }

    pub(super) fn on_client(&mut self, id: ClientId, input: Input, now: Instant) {
        let Some(client) = self.sockets.clients.get_mut(id) else {
            return;
        };
        match input {
            Input::Read(count) => client.connection.on_read(count),
            Input::Wrote(count) => client.connection.on_wrote(count, &mut self.local),
            Input::Eof => client.eof = true,
            Input::Drain => client.is_ending = true,
            Input::Broken
            | Input::WriteFailed
            | Input::Connected(_)
            | Input::ConnectFailed(_)
            | Input::Secured(_)
            | Input::NotSecured(_) => {}
        }
        match client.phase {
            Phase::Introducing(_) => return Introducing::of(self, id, now).on_input(&input),
            Phase::Securing(_) => return self.on_securing(id, input, now),
            Phase::Sniffing(_) => return Sniffing::of(self, id, now).on_input(&input),
            Phase::Serving(exchange) => {
                self.run(exchange, now, |exchange, turn| {
                    exchange.on_client(&input, turn);
                });
                return;
            }
            Phase::Streams(_) => {
                ClientStreams {
                    turns: self,
                    id,
                    now,
                }
                .on_input(input);
                return;
            }
            Phase::Rest(_) | Phase::Head(_) | Phase::Farewell(_) | Phase::Linger(_) => {}
        }
        let is_over = match input {
            Input::Eof | Input::Broken | Input::WriteFailed => true,
            Input::Drain => {
                let deadline = client.deadline(&self.local);
                matches!(client.phase, Phase::Rest(_)) && deadline.is_some_and(|at| at <= now)
            }
            Input::Read(_)
            | Input::Wrote(_)
            | Input::Connected(_)
            | Input::ConnectFailed(_)
            | Input::Secured(_)
            | Input::NotSecured(_) => false,
        };
        if is_over {
            self.turn(now).close_client(id);
        } else {
            self.serve(id, now);
        }
    }

    /// Something happened on a connection of which it was not known what is spoken beneath HTTP.
    fn on_securing(&mut self, id: ClientId, input: Input, now: Instant) {
        match input {
            Input::Secured(facts) => {
                if let Some(client) = self.sockets.clients.get_mut(id) {
                    client.know().tls = facts;
                }
                Sniffing::of(self, id, now).begin();
            }
            Input::NotSecured(_) | Input::Eof | Input::Broken | Input::WriteFailed => {
                self.turn(now).close_client(id);
            }
            // One that is to end does so when nothing has come for a while on what is agreed on.
            Input::Drain
            | Input::Read(_)
            | Input::Wrote(_)
            | Input::Connected(_)
            | Input::ConnectFailed(_) => {}
        }
    }

    /// Serves the requests of a client, one after the other, for as long as their heads are here and none waits.
    pub(super) fn serve(&mut self, id: ClientId, now: Instant) {
        loop {
            let Some(client) = self.sockets.clients.get_mut(id) else {
                return;
            };
            let began = match client.phase {
                Phase::Serving(_)
                | Phase::Introducing(_)
                | Phase::Securing(_)
                | Phase::Sniffing(_) => return,
                Phase::Rest(_) | Phase::Head(_) if client.connection.inbox.is_empty() => break,
                Phase::Streams(_) | Phase::Farewell(_) | Phase::Linger(_) => break,
                Phase::Rest(_) => now,
                Phase::Head(since) => since,
            };
            match client.sniff(&self.local, now) {
                Sniffed::Http1 => {}
                Sniffed::Undecided => {
                    client.phase = Phase::Head(began);
                    break;
                }
                Sniffed::Http2 => {
                    let count = client.connection.inbox.len();
                    ClientStreams {
                        turns: self,
                        id,
                        now,
                    }
                    .on_input(Input::Read(count));
                    return;
                }
            }
            let mut exchange = self
                .spare
                .pop()
                .unwrap_or_else(|| Box::new(Exchange::new(&client.who, &self.local)));
            match client
                .connection
                .head(StreamId::ONLY, exchange.expect_head(began))
            {
                Ok(None) => {
                    client.phase = Phase::Head(began);
                    self.spare.push(exchange);
                    break;
                }
                Ok(Some(begins)) => self.begin(id, StreamId::ONLY, exchange, Ok(begins), now),
                Err(refused) => {
                    self.local.http1.on_client(refused.limit);
                    self.begin(id, StreamId::ONLY, exchange, Err(refused), now);
                }
            }
        }
        if let Some(client) = self.sockets.clients.get_mut(id) {
            client.settle(&mut self.local);
            self.touched_clients.push(id);
        }
    }

    pub(super) fn begin(
        &mut self,
        of: ClientId,
        stream: StreamId,
        mut exchange: Box<Exchange>,
        begins: Result<Begins, Refused>,
        now: Instant,
    ) {
        let Some(client) = self.sockets.clients.get_mut(of) else {
            return;
        };
        let id = self.exchanges.insert(None);
        exchange.start(id, of, stream, client);
        let turn = &mut self.turn(now);
        match begins {
            Ok(begins) => exchange.begin(begins, turn),
            Err(refused) => {
                exchange.look_at(turn.local.view());
                exchange.begin_refused(&refused, turn);
            }
        }
        self.put_back(id, exchange);
    }

    /// A client's time may be up.
    pub(super) fn on_client_due(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.sockets.clients.get_mut(id) else {
            return;
        };
        let Some(deadline) = client.deadline(&self.local) else {
            return;
        };
        if deadline > now {
            self.alarms.plan(Whose::Client(id), deadline);
            return;
        }
        match client.phase {
            Phase::Rest(_) => {
                if self.local.relief.does(Action::ReduceTimeouts) {
                    self.local.relief.count(|shed| shed.idle += 1);
                } else if !client.is_ending {
                    self.local.http1.on_client(Some(Http1Limit::IdleTime));
                }
                self.turn(now).close_client(id);
            }
            Phase::Securing(_) | Phase::Farewell(_) | Phase::Linger(_) => {
                self.turn(now).close_client(id);
            }
            Phase::Introducing(_) => self.turn(now).refuse_client(id, Unintroduced::Late),
            Phase::Sniffing(_) => Sniffing::of(self, id, now).on_due(),
            Phase::Streams(_) => ClientStreams {
                turns: self,
                id,
                now,
            }
            .on_due(),
            Phase::Head(since) => {
                client.connection.give_up_head();
                let mut exchange = Box::new(Exchange::new(&client.who, &self.local));
                exchange.expect_head(since);
                self.begin(id, StreamId::ONLY, exchange, Err(request::SLOW_HEAD), now);
                self.serve(id, now);
            }
            Phase::Serving(_) => {}
        }
    }

    /// Says what a client that serves nobody, or streams, waits for.
    pub(super) fn tell_client(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.sockets.clients.get(id) else {
            return;
        };
        match client.phase {
            Phase::Serving(_) => return,
            Phase::Streams(_) | Phase::Farewell(_) => {
                let mut streams = ClientStreams {
                    turns: self,
                    id,
                    now,
                };
                if !streams.flush() {
                    return;
                }
            }
            Phase::Introducing(_)
            | Phase::Securing(_)
            | Phase::Sniffing(_)
            | Phase::Rest(_)
            | Phase::Head(_)
            | Phase::Linger(_) => {}
        }
        let Some(client) = self.sockets.clients.get(id) else {
            return;
        };
        let (interest, deadline) = (client.interest(), client.deadline(&self.local));
        self.tell(id.into(), interest);
        if let Some(at) = deadline {
            self.alarms.plan(Whose::Client(id), at);
        }
    }
}
