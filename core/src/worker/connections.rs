//! What a client's connection is found to be before there is a request: HTTP, or something whose bytes pass as they are.
//!
//! What becomes of it is `policy::filter_chain`'s to choose; who waits for which bytes, and how long, stands here. One that
//! speaks HTTP by where it goes is not looked at.

use std::sync::Arc;

use super::turns::Turns;
use crate::connection::Phase;
use crate::decision::{Connection, ToldBy};
use crate::exchange::Exchange;
use crate::io::{Hearing, Input};
use crate::local::Local;
use crate::peer::{ClientId, Peer};
use crate::policy::filter_chain::{self, Chosen, Seen};
use crate::snapshot::{Alpn, ChainRule, HttpSpoken, MutualTls};
use crate::sniff::{self, FirstBytes};
use crate::stream::StreamId;
use crate::time::Instant;

/// What a client speaks beneath its bytes. Where it may be clear text, TLS of others than the mesh passes to the application, unless
/// HTTP is spoken there. And where HTTP never is, the application may be the one that speaks first: silence is clear text then, as in
/// Istio after `protocolDetectionTimeout`.
pub(super) fn beneath(local: &Local, peer: &Peer) -> Option<Hearing> {
    let snapshot = &local.view().snapshot;
    let plain = Hearing::from(Arc::clone(snapshot.server_tls(peer)?));
    let Some(at) = snapshot.inbound_ports.position(peer) else {
        return Some(plain);
    };
    let listener = snapshot.inbound_listeners.get(at);
    let spoken = listener.map(|one| filter_chain::spoken_to_application(one, peer));
    let silence = match spoken.unwrap_or_default() {
        _ if plain.tls.mode != MutualTls::Permissive => return Some(plain),
        HttpSpoken::Always => return Some(plain),
        HttpSpoken::Perhaps | HttpSpoken::Unsaid => None,
        HttpSpoken::Never => local.view().detection_timeout(local.settings()),
    };
    Some(Hearing {
        silence,
        passes: true,
        ..plain
    })
}

/// A client's connection of which it is to be known what is spoken on it.
pub(super) struct Sniffing<'t> {
    turns: &'t mut Turns,
    id: ClientId,
    now: Instant,
}

impl<'t> Sniffing<'t> {
    pub(super) const fn of(turns: &'t mut Turns, id: ClientId, now: Instant) -> Self {
        Self { turns, id, now }
    }

    /// It is known what lies beneath: what is spoken above that is to be known next.
    pub(super) fn begin(self) {
        let Some(client) = self.turns.sockets.clients.get_mut(self.id) else {
            return;
        };
        let snapshot = &self.turns.local.view().snapshot;
        let rule = match filter_chain::of_peer(
            snapshot,
            &client.who.peer,
            client.who.tls.as_deref(),
            Seen::Nothing,
        ) {
            Chosen::Http => {
                client.phase = Phase::Rest(self.now);
                return self.turns.touched_clients.push(self.id);
            }
            Chosen::Look => {
                client.phase = Phase::Sniffing(self.now);
                return self.turns.touched_clients.push(self.id);
            }
            Chosen::Rule(rule) => Some(rule),
            Chosen::Nowhere => return self.turns.turn(self.now).close_client(self.id),
            Chosen::Unknown => None,
        };
        let at = snapshot.inbound_ports.position(&client.who.peer);
        let application = at.and_then(|at| snapshot.inbound_listeners.get(at));
        let told_by = match application {
            Some(listener) if client.who.tls.is_some() && listener.is_to_look() => ToldBy::Alpn,
            Some(_) | None => ToldBy::Destination,
        };
        self.pass(told_by, rule, None);
    }

    /// Something happened on it while its first bytes are waited for.
    pub(super) fn on_input(self, input: &Input) {
        let client = self.turns.sockets.clients.get(self.id);
        let is_empty = client.is_none_or(|client| client.connection.inbox.is_empty());
        match input {
            Input::Read(_) => self.look(None),
            Input::Eof if !is_empty => self.look(Some(ToldBy::FirstBytes)),
            // Who says nothing at all wants nothing.
            Input::Eof | Input::Broken | Input::WriteFailed => {
                self.turns.turn(self.now).close_client(self.id);
            }
            Input::Drain
            | Input::Wrote(_)
            | Input::Connected(_)
            | Input::ConnectFailed(_)
            | Input::Secured(_)
            | Input::NotSecured(_) => {}
        }
    }

    /// The time for them is up.
    pub(super) fn on_due(self) {
        self.look(Some(ToldBy::Silence));
    }

    /// `at_last`: nothing more is waited for, and this is why.
    pub(super) fn look(self, at_last: Option<ToldBy>) {
        let Self { turns, id, now } = self;
        let Some(client) = turns.sockets.clients.get_mut(id) else {
            return;
        };
        let inbox = &client.connection.inbox;
        let is_long = inbox.len() >= turns.local.settings().max_sniffed_bytes;
        let is_inbound = client.who.peer.listener.is_inbound();
        let at_last = at_last.or_else(|| is_long.then_some(ToldBy::Length));
        let hello;
        let (seen, told_by) = match (sniff::look(inbox), at_last) {
            (FirstBytes::Http, _) => (Seen::Http, ToldBy::FirstBytes),
            (FirstBytes::Tls(said), _) => {
                hello = said;
                let mut offered = hello.alpn.iter();
                let seen = Seen::Tls {
                    name: hello.server_name.as_deref(),
                    of_mesh: offered.any(|one| Alpn::is_of_the_mesh(one.as_bytes())),
                };
                (seen, ToldBy::Tls)
            }
            (FirstBytes::Other, _) => (Seen::Other, ToldBy::FirstBytes),
            // Rules for requests hold at an application: who keeps his first bytes to himself does not get past them.
            (FirstBytes::Undecided, Some(_)) if is_inbound => (Seen::Http, ToldBy::FirstBytes),
            (FirstBytes::Undecided, Some(why)) => (Seen::Other, why),
            (FirstBytes::Undecided, None) => {
                client.settle(&mut turns.local);
                return turns.touched_clients.push(id);
            }
        };
        let snapshot = &turns.local.view().snapshot;
        let rule = match filter_chain::of_peer(
            snapshot,
            &client.who.peer,
            client.who.tls.as_deref(),
            seen,
        ) {
            Chosen::Http | Chosen::Look => {
                client.phase = Phase::Rest(now);
                return turns.serve(id, now);
            }
            Chosen::Rule(rule) => Some(rule),
            Chosen::Nowhere => return turns.turn(now).close_client(id),
            Chosen::Unknown => None,
        };
        let server_name = match seen {
            Seen::Tls { name, .. } => name.map(Box::from),
            Seen::Nothing | Seen::Http | Seen::Other => None,
        };
        Self { turns, id, now }.pass(told_by, rule, server_name);
    }

    /// It is not HTTP: its bytes pass to where this rule says, or as those of connections that nobody knows.
    fn pass(self, told_by: ToldBy, rule: Option<ChainRule>, server_name: Option<Box<str>>) {
        let Self { turns, now, .. } = self;
        let Some(client) = turns.sockets.clients.get_mut(self.id) else {
            return;
        };
        let destination = client.who.peer.destination();
        let connection = Connection {
            destination,
            to: destination.to_string().into(),
            told_by,
            server_name,
        };
        let mut exchange = (turns.spare.pop())
            .unwrap_or_else(|| Box::new(Exchange::new(&client.who, &turns.local)));
        exchange.expect_head(now);
        let id = turns.exchanges.insert(None);
        exchange.start(id, self.id, StreamId::ONLY, client);
        exchange.begin_connection(connection, rule, &mut turns.turn(now));
        turns.put_back(id, exchange);
    }
}
