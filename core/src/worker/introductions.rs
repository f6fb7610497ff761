//! Whose connection a proxy passes on, where it has to say so (PROXY protocol), before anything else is looked at.
//!
//! Only where the configuration says that it is said: nobody else is believed, because whoever connects could say anything. What does
//! not begin so is closed, and so is what takes longer than a handshake may.

use bytes::Buf as _;

use super::connections::{self, Sniffing};
use super::turns::Turns;
use crate::connection::Phase;
use crate::io::{Input, Output, Unintroduced};
use crate::peer::ClientId;
use crate::proxy_protocol::{self, Header, Malformed};
use crate::time::Instant;

/// A client's connection that has just been made.
pub(super) struct Introducing<'t> {
    turns: &'t mut Turns,
    id: ClientId,
    now: Instant,
}

impl<'t> Introducing<'t> {
    pub(super) const fn of(turns: &'t mut Turns, id: ClientId, now: Instant) -> Self {
        Self { turns, id, now }
    }

    pub(super) fn begin(self) {
        let Some(client) = self.turns.sockets.clients.get_mut(self.id) else {
            return;
        };
        let snapshot = &self.turns.local.view().snapshot;
        if !snapshot.is_introduced(client.who.peer.listener) {
            return self.go_on();
        }
        client.phase = Phase::Introducing(self.now);
        self.turns.touched_clients.push(self.id);
    }

    /// Something happened on it while that is waited for.
    pub(super) fn on_input(self, input: &Input) {
        match input {
            Input::Read(_) => self.look(),
            Input::Eof | Input::Broken | Input::WriteFailed => {
                let why = Unintroduced::Unsaid;
                self.turns.turn(self.now).refuse_client(self.id, why);
            }
            Input::Drain
            | Input::Wrote(_)
            | Input::Connected(_)
            | Input::ConnectFailed(_)
            | Input::Secured(_)
            | Input::NotSecured(_) => {}
        }
    }

    fn look(self) {
        let most = self.turns.local.settings().max_proxy_header_bytes;
        let Some(client) = self.turns.sockets.clients.get_mut(self.id) else {
            return;
        };
        let inbox = &mut client.connection.inbox;
        let Header { length, addresses } = match proxy_protocol::read(inbox, most) {
            Ok(Some(header)) => header,
            Ok(None) => {
                client.settle(&mut self.turns.local);
                return self.turns.touched_clients.push(self.id);
            }
            Err(why) => {
                let why = match why {
                    Malformed::TooLong => Unintroduced::TooLong,
                    Malformed::NotProxy
                    | Malformed::Line
                    | Malformed::Command
                    | Malformed::Family
                    | Malformed::Length => Unintroduced::Unsaid,
                };
                return self.turns.turn(self.now).refuse_client(self.id, why);
            }
        };
        inbox.advance(length);
        if let Some(addresses) = addresses {
            client.know().peer.remote = addresses.source;
        }
        self.go_on();
    }

    /// It is known whose it is: what it speaks is to be known next.
    fn go_on(self) {
        let Some(client) = self.turns.sockets.clients.get_mut(self.id) else {
            return;
        };
        let Some(hearing) = connections::beneath(&self.turns.local, &client.who.peer) else {
            return self.speak();
        };
        client.phase = Phase::Securing(self.now);
        let inbox = &mut client.connection.inbox;
        let came = inbox.split().to_vec().into();
        self.turns
            .outputs
            .push_back(Output::Secure(self.id, hearing, came));
        self.turns.touched_clients.push(self.id);
    }

    /// It speaks clear text. What has come with the header is here already.
    fn speak(self) {
        let Self { turns, id, now } = self;
        Sniffing::of(turns, id, now).begin();
        match turns.sockets.clients.get(id).map(|client| client.phase) {
            Some(Phase::Rest(_)) => turns.serve(id, now),
            Some(Phase::Sniffing(_)) => Sniffing::of(turns, id, now).look(None),
            _ => {}
        }
    }
}
