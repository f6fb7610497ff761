//! The client's stream of a request, by name: what is read from it and written to it, and how it ends.
//!
//! A copy for a mirror has none: nothing comes from it, and what is written to it is gone. When it ends, and with what, the
//! exchange says; what a connection is between requests is `connection`'s.

use bytes::Bytes;

use super::turn::{Turn, Wish};
use crate::cluster::Bucket;
use crate::connection::{Client, Phase, Streams, ToClient};
use crate::io::{Interest, Output};
use crate::local::Local;
use crate::message::{Headers, ResponseHead};
use crate::peer::{ClientId, ConnId};
use crate::stream::{BodyLength, Broken, Part, Reset, StreamId};

/// What becomes of the client when a request is over. On a connection that others use, too, it is the stream's.
#[derive(Clone, Copy)]
pub(super) enum Parting {
    /// The response has left: the client may ask again.
    Served {
        keep_alive: bool,
    },
    Close,
    /// An ordinary close would look like a whole message, or wait for who takes nothing.
    Reset,
}

/// A client's stream, or nobody's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClientStream {
    client: Option<ClientId>,
    stream: StreamId,
}

impl ClientStream {
    pub(super) const fn of(id: ClientId, stream: StreamId) -> Self {
        let client = Some(id);
        Self { client, stream }
    }

    pub(super) const fn id(self) -> Option<ClientId> {
        self.client
    }

    fn get<'t>(self, turn: &'t Turn<'_>) -> Option<&'t Client> {
        turn.sockets.clients.get(self.client?)
    }

    /// Does something with the connection, while the client is there.
    pub(super) fn with<T>(
        self,
        turn: &mut Turn<'_>,
        act: impl FnOnce(&mut ToClient, StreamId, &mut Local) -> T,
    ) -> Option<T> {
        let client = turn.sockets.clients.get_mut(self.client?)?;
        Some(act(&mut client.connection, self.stream, turn.local))
    }

    /// The next part of the request's body; `None` from nobody.
    pub(super) fn body(self, turn: &mut Turn<'_>) -> Option<Result<Part, Broken>> {
        self.with(turn, |client, stream, local| {
            local.http1.of_client(client.body(stream))
        })
    }

    /// Why no more comes of the request, if its stream on a connection of many has ended before it.
    pub(super) fn broken(self, turn: &Turn<'_>) -> Option<Broken> {
        self.get(turn)?.connection.broken(self.stream)
    }

    /// How much has come and waits to be understood.
    pub(super) fn unread(self, turn: &Turn<'_>) -> usize {
        let client = self.get(turn);
        client.map_or(0, |client| client.connection.unread(self.stream))
    }

    /// Whether so much waits to be written to it that no more should come. Nothing waits for nobody.
    pub(super) fn is_slow(self, mark: usize, turn: &Turn<'_>) -> bool {
        let client = self.get(turn);
        client.is_some_and(|client| client.connection.unsent(self.stream) >= mark)
    }

    /// Whether all that was written has left, or is on its way among what others have to say.
    pub(super) fn has_left(self, turn: &mut Turn<'_>) -> bool {
        let now = turn.now;
        let has_left = self.with(turn, |client, stream, local| {
            client.flush(local, now);
            client.is_sent(stream)
        });
        has_left.unwrap_or(true)
    }

    /// Whether it is one of a connection that others use, too.
    pub(super) fn is_shared(self, turn: &Turn<'_>) -> bool {
        let client = self.get(turn);
        client.is_some_and(|client| client.connection.streams().is_some())
    }

    /// The bucket for rate limits that its connection has for itself; `None` for nobody.
    pub(super) fn own_bucket<'t>(self, turn: &'t Turn<'_>) -> Option<&'t Bucket> {
        Some(&self.get(turn)?.own_bucket)
    }

    /// Whether its client will send nothing more.
    pub(super) fn has_ended(self, turn: &Turn<'_>) -> bool {
        self.get(turn).is_some_and(|client| client.eof)
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
        self.with(turn, |client, _, _| client.end_turns());
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
        if let Some(client) = self.client.and_then(|id| turn.sockets.clients.get_mut(id)) {
            let wish = wish && !client.eof && !client.is_ending;
            let (connection, local) = (&mut client.connection, &mut *turn.local);
            connection.respond(self.stream, head, body, wish, local);
        }
    }

    /// Its connection is to end, which is said as its protocol has it: here where that is not the response's to say. It is
    /// said before the response, so that nobody who has that asks again on this connection (as Envoy does).
    pub(super) fn close_soon(self, turn: &mut Turn<'_>) {
        let client = self.client.and_then(|id| turn.sockets.clients.get_mut(id));
        if let Some(client) = client {
            client.close_streams(turn.now);
            client.connection.flush(turn.local, turn.now);
        }
    }

    /// Passes an interim head on.
    pub(super) fn inform(self, head: &ResponseHead, turn: &mut Turn<'_>) {
        self.with(turn, |client, stream, local| {
            client.inform(stream, head, local);
        });
    }

    /// A piece of the response's body.
    pub(super) fn data(self, data: Bytes, turn: &mut Turn<'_>) {
        self.with(turn, |client, stream, local| {
            client.data(stream, data, local);
        });
    }

    /// Ends the response.
    pub(super) fn end(self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        self.with(turn, |client, stream, local| {
            client.end(stream, trailers, local);
        });
    }

    /// Its stream is over, where it shares its connection. Whether it does.
    fn leave(self, turn: &mut Turn<'_>, act: impl FnOnce(&mut Streams)) -> bool {
        let now = turn.now;
        let client = self.client.and_then(|id| turn.sockets.clients.get_mut(id));
        let Some(client) = client else { return false };
        let Some(streams) = client.connection.streams_mut() else {
            return false;
        };
        act(streams);
        streams.close(self.stream);
        client.on_stream_end(now);
        true
    }

    /// The request is over. `is_complete`: all of it has been read.
    pub(super) fn part(self, parting: Parting, is_complete: bool, turn: &mut Turn<'_>) {
        let stream = self.stream;
        let has_left = self.leave(turn, |streams| match parting {
            Parting::Served { .. } => {}
            Parting::Close => streams.reset(stream, Reset::Cancelled),
            Parting::Reset => streams.reset(stream, Reset::Failed),
        });
        let Some(id) = self.client.filter(|_| !has_left) else {
            return;
        };
        match parting {
            Parting::Served { keep_alive } => self.finish(keep_alive, is_complete, turn),
            Parting::Close => turn.close_client(id),
            Parting::Reset => {
                turn.sockets.forget_client(id, turn.local);
                turn.say(Output::Reset(id));
            }
        }
    }

    /// The response has left: the client may ask again, or its connection ends in good manners.
    fn finish(self, keep_alive: bool, is_complete: bool, turn: &mut Turn<'_>) {
        let (now, linger) = (turn.now, turn.local.settings().linger);
        let client = self.client.and_then(|id| turn.sockets.clients.get_mut(id));
        let Some((id, client)) = self.client.zip(client) else {
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

    /// Gives back what its boxes need not hold, and counts what they do hold. How many bytes wait to be understood, and how
    /// many to be written.
    pub(super) fn pause(self, client: Option<&mut Client>, local: &mut Local) -> (usize, usize) {
        client.map_or((0, 0), |client| {
            let connection = &client.connection;
            if connection.streams().is_some() {
                return (
                    connection.unread(self.stream),
                    connection.unsent(self.stream),
                );
            }
            client.connection.pause(local);
            client.count();
            client.connection.lengths()
        })
    }

    /// What is to be said of its connection now, if there is news.
    pub(super) fn wait_for(
        self,
        interest: Interest,
        client: Option<&mut Client>,
    ) -> Option<(ConnId, Wish)> {
        let (id, client) = self.client.zip(client)?;
        let wish = if client.connection.streams().is_none() {
            client
                .told
                .is_news(interest)
                .then_some(Wish::Wait(interest))
        } else {
            matches!(client.phase, Phase::Streams(_)).then_some(Wish::Shared)
        };
        Some((id.into(), wish?))
    }
}
