//! A client's connection that carries many requests at a time: what happened on it is told to those whose streams it
//! concerns, and what they all want to say is written in turn.

use super::turns::Turns;
use crate::connection::{Client, Phase};
use crate::exchange::Exchange;
use crate::http2::Event;
use crate::io::{Input, Output};
use crate::peer::ClientId;
use crate::stream::StreamId;
use crate::time::Instant;

/// One client's streams, while something is done about them.
pub(super) struct ClientStreams<'t> {
    pub(super) turns: &'t mut Turns,
    pub(super) id: ClientId,
    pub(super) now: Instant,
}

impl ClientStreams<'_> {
    fn client(&mut self) -> Option<&mut Client> {
        self.turns.sockets.clients.get_mut(self.id)
    }

    /// Something happened on the connection.
    pub(super) fn on_input(&mut self, input: Input) {
        let now = self.now;
        let Some(client) = self.client() else { return };
        let (mut is_gone, mut is_fatal) = (false, false);
        match input {
            Input::Read(_) => is_fatal = client.connection.understand(now).is_err(),
            Input::Drain => {
                client.is_ending = true;
                client.close_streams(now);
            }
            Input::Eof | Input::Broken | Input::WriteFailed => is_gone = true,
            Input::Wrote(_)
            | Input::Connected(_)
            | Input::ConnectFailed(_)
            | Input::Secured(_)
            | Input::NotSecured(_) => {}
        }
        if is_gone && let Some(streams) = client.connection.streams_mut() {
            streams.on_eof();
        }
        self.take_events();
        if is_gone {
            self.turns.turn(now).close_client(self.id);
            return;
        }
        if is_fatal {
            self.say_farewell();
        }
        self.turns.touched_clients.push(self.id);
    }

    /// Their time may be up.
    pub(super) fn on_due(&mut self) {
        let client = self.turns.sockets.clients.get_mut(self.id);
        let Some(client) = client else { return };
        let is_fatal = client.on_streams_due(self.now, &self.turns.local).is_err();
        self.take_events();
        if is_fatal {
            self.say_farewell();
        }
        self.turns.touched_clients.push(self.id);
    }

    /// Nothing more is understood or asked; what is still to be written is.
    fn say_farewell(&mut self) {
        let until = self.now + self.turns.local.settings().linger;
        if let Some(client) = self.client() {
            client.phase = Phase::Farewell(until);
        }
    }

    fn take_events(&mut self) {
        let now = self.now;
        while let Some(client) = self.client() {
            match client.connection.next_event() {
                None => return,
                Some(Event::Opened(stream)) => self.begin(stream),
                Some(Event::Progress(_, exchange)) => {
                    let act = Exchange::on_client_stream;
                    self.turns.run(exchange, now, act);
                }
                Some(Event::Settings) => {}
                // It begins no other stream, and is gone when those that it has are over.
                Some(Event::GoingAway) => client.close_streams(now),
            }
        }
    }

    /// A request has come on a stream of its own.
    fn begin(&mut self, stream: StreamId) {
        let Turns {
            sockets,
            local,
            spare,
            ..
        } = &mut *self.turns;
        let Some(client) = sockets.clients.get_mut(self.id) else {
            return;
        };
        let mut exchange = spare
            .pop()
            .unwrap_or_else(|| Box::new(Exchange::new(&client.who, local)));
        let head = exchange.expect_head(self.now);
        let begins = match client.connection.head(stream, head) {
            Ok(None) => {
                spare.push(exchange);
                return;
            }
            Ok(Some(begins)) => Ok(begins),
            Err(refused) => Err(refused),
        };
        (self.turns).begin(self.id, stream, exchange, begins, self.now);
    }

    /// What they have to say is written; what that lets them do is done. Whether the connection is there.
    pub(super) fn flush(&mut self) -> bool {
        self.write();
        self.take_events();
        if self
            .client()
            .is_some_and(|client| client.has_finished_streams())
        {
            self.say_farewell();
        }
        self.write();
        let linger = self.turns.local.settings().linger;
        let Turns {
            sockets,
            local,
            outputs,
            ..
        } = &mut *self.turns;
        let Some(client) = sockets.clients.get_mut(self.id) else {
            return false;
        };
        client.connection.pause(local);
        client.count();
        if matches!(client.phase, Phase::Farewell(_)) && client.connection.outbox.is_empty() {
            client.phase = Phase::Linger(self.now + linger);
            outputs.push_back(Output::ShutdownWrite(self.id.into()));
        }
        true
    }

    fn write(&mut self) {
        let Turns { sockets, local, .. } = &mut *self.turns;
        if let Some(client) = sockets.clients.get_mut(self.id) {
            client.connection.flush(local, self.now);
        }
    }
}
