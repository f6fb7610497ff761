//! The client's stream of a request, by name: what is read from it and written to it, and how it ends.
//!
//! A copy for a mirror has none: nothing comes from it, and what is written to it is gone. When it ends, and with what, the
//! exchange says; what a connection is between requests is `connection`'s.

use bytes::Bytes;

use super::Turn;
use crate::cluster::Bucket;
use crate::connection::{Client, Phase, Sockets, ToClient};
use crate::decision::Refused;
use crate::io::{Interest, Output};
use crate::local::Local;
use crate::message::{Headers, ResponseHead};
use crate::peer::{ClientId, ConnId};
use crate::stream::{BodyLength, Part};

/// A client's stream, or nobody's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClientStream(Option<ClientId>);

impl ClientStream {
    pub(super) const fn of(id: ClientId) -> Self {
        Self(Some(id))
    }

    pub(super) const fn id(self) -> Option<ClientId> {
        self.0
    }

    fn get<'t>(self, turn: &'t Turn<'_>) -> Option<&'t Client> {
        turn.sockets.clients.get(self.0?)
    }

    fn with<T>(
        self,
        turn: &mut Turn<'_>,
        act: impl FnOnce(&mut ToClient, &mut Local) -> T,
    ) -> Option<T> {
        let client = turn.sockets.clients.get_mut(self.0?)?;
        Some(act(&mut client.connection, turn.local))
    }

    /// The next part of the request's body; `None` from nobody.
    pub(super) fn body(self, turn: &mut Turn<'_>) -> Option<Result<Part, Refused>> {
        self.with(turn, |client, _| client.body())
    }

    /// How much has come and waits to be understood.
    pub(super) fn waiting(self, turn: &Turn<'_>) -> usize {
        let client = self.get(turn);
        client.map_or(0, |client| client.connection.inbox.len())
    }

    /// Whether so much waits to be written to it that no more should come. Nothing waits for nobody.
    pub(super) fn is_slow(self, mark: usize, turn: &Turn<'_>) -> bool {
        let client = self.get(turn);
        client.is_some_and(|client| client.connection.outbox.is_above(mark))
    }

    /// Whether all that was written has left.
    pub(super) fn has_left(self, turn: &Turn<'_>) -> bool {
        let client = self.get(turn);
        client.is_none_or(|client| client.connection.outbox.is_empty())
    }

    /// The bucket for rate limits that its connection has for itself; `None` for nobody.
    pub(super) fn own_bucket<'t>(self, turn: &'t Turn<'_>) -> Option<&'t Bucket> {
        Some(&self.get(turn)?.own_bucket)
    }

    /// Whether its connection can carry another request, as far as the client goes.
    pub(super) fn persists(self, turn: &Turn<'_>) -> bool {
        let client = self.get(turn);
        client.is_some_and(|client| client.connection.persists() && !client.eof)
    }

    /// Whether the client would take the response for whole if its connection closed now.
    pub(super) fn would_seem_whole(self, turn: &Turn<'_>) -> bool {
        let client = self.get(turn);
        client.is_some_and(|client| client.connection.would_seem_whole())
    }

    /// No other request follows this one.
    pub(super) fn end_turns(self, turn: &mut Turn<'_>) {
        self.with(turn, |client, _| client.end_turns());
    }

    /// Begins the response. `wish`: another request is welcome afterwards, unless the client sends no more or its connection
    /// is to end.
    pub(super) fn respond(
        self,
        head: &ResponseHead,
        body: BodyLength,
        wish: bool,
        turn: &mut Turn<'_>,
    ) {
        if let Some(client) = self.0.and_then(|id| turn.sockets.clients.get_mut(id)) {
            let wish = wish && !client.eof && !client.is_ending;
            client.connection.respond(head, body, wish, turn.local);
        }
    }

    /// Passes an interim head on.
    pub(super) fn inform(self, head: &ResponseHead, turn: &mut Turn<'_>) {
        self.with(turn, |client, local| client.inform(head, local));
    }

    /// Agrees to another protocol.
    pub(super) fn switch(self, head: &ResponseHead, protocol: Option<&str>, turn: &mut Turn<'_>) {
        self.with(turn, |client, local| client.switch(head, protocol, local));
    }

    /// A piece of the response's body.
    pub(super) fn data(self, data: Bytes, turn: &mut Turn<'_>) {
        self.with(turn, |client, local| client.data(data, local));
    }

    /// Ends the response.
    pub(super) fn end(self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        self.with(turn, |client, local| client.end(trailers, local));
    }

    /// What has come on a tunnel, as it is; `None` when nothing has.
    pub(super) fn take(self, turn: &mut Turn<'_>) -> Option<Bytes> {
        self.with(turn, |client, _| client.take()).flatten()
    }

    /// Bytes of a tunnel, as they are.
    pub(super) fn pass(self, bytes: Bytes, turn: &mut Turn<'_>) {
        self.with(turn, |client, local| client.pass(bytes, local));
    }

    /// Nothing more will be written.
    pub(super) fn shut_down(self, turn: &mut Turn<'_>) {
        if let Some(id) = self.0 {
            turn.say(Output::ShutdownWrite(ConnId::Client(id)));
        }
    }

    /// The response has left: the client may ask again, or its connection ends in good manners. `is_complete`: all of the
    /// request has been read.
    pub(super) fn finish(self, keep_alive: bool, is_complete: bool, turn: &mut Turn<'_>) {
        let (now, linger) = (turn.now, turn.local.settings().linger);
        let client = self.0.and_then(|id| turn.sockets.clients.get_mut(id));
        let Some((id, client)) = self.0.zip(client) else {
            return;
        };
        if keep_alive && !client.eof {
            client.phase = Phase::Rest(now);
        } else if client.eof || is_complete && client.connection.inbox.is_empty() {
            turn.close_client(id);
        } else {
            // Closing now would make the kernel answer unread bytes with a reset, which can overtake the response.
            client.phase = Phase::Linger(now + linger);
            turn.say(Output::ShutdownWrite(ConnId::Client(id)));
        }
    }

    /// Closes the connection.
    pub(super) fn close(self, turn: &mut Turn<'_>) {
        if let Some(id) = self.0 {
            turn.close_client(id);
        }
    }

    /// Closes the connection with a reset: an ordinary close would look like a whole message, or wait for who takes nothing.
    pub(super) fn reset(self, turn: &mut Turn<'_>) {
        if let Some(id) = self.0 {
            turn.sockets.forget_client(id, turn.local);
            turn.say(Output::Reset(id));
        }
    }

    /// Gives back what its boxes need not hold, and counts what they do hold. How many bytes wait to be understood, and how
    /// many to be written.
    pub(super) fn pause(self, sockets: &mut Sockets, local: &mut Local) -> (usize, usize) {
        let client = self.0.and_then(|id| sockets.clients.get_mut(id));
        client.map_or((0, 0), |client| {
            client.connection.pause(local);
            client.count();
            client.connection.lengths()
        })
    }

    /// What is waited for on its connection now, if that is news.
    pub(super) fn wait_for(
        self,
        interest: Interest,
        sockets: &mut Sockets,
    ) -> Option<(ConnId, Interest)> {
        let id = self.0?;
        let client = sockets.clients.get_mut(id)?;
        let is_news = client.told.is_news(interest);
        is_news.then_some((ConnId::Client(id), interest))
    }
}
