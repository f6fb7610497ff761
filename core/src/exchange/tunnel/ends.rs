//! The two ends of a tunnel: bytes as they are, where a stream otherwise carries messages.

use bytes::Bytes;

use crate::exchange::Turn;
use crate::exchange::client_stream::ClientStream;
use crate::exchange::endpoint_stream::EndpointStream;
use crate::io::Output;
use crate::message::ResponseHead;
use crate::peer::ConnId;
use crate::stream::{Broken, Part};

/// The client's end.
#[derive(Clone, Copy)]
pub(super) struct ClientEnd(pub(super) ClientStream);

impl ClientEnd {
    /// What has come, as it is; `None` from nobody.
    pub(super) fn take(self, turn: &mut Turn<'_>) -> Option<Result<Part, Broken>> {
        self.0
            .with(turn, |client, stream, _| client.tunnelled(stream))
    }

    /// Agrees to another protocol.
    pub(super) fn switch(self, head: &ResponseHead, protocol: Option<&str>, turn: &mut Turn<'_>) {
        self.0.with(turn, |client, stream, local| {
            client.switch(stream, head, protocol, local);
        });
    }

    pub(super) fn pass(self, bytes: Bytes, turn: &mut Turn<'_>) {
        self.0.with(turn, |client, stream, local| {
            client.pass(stream, bytes, local);
        });
    }

    /// Nothing more will be written.
    pub(super) fn shut_down(self, turn: &mut Turn<'_>) {
        if self.0.is_shared(turn) {
            self.0.end(None, turn);
        } else if let Some(id) = self.0.id() {
            turn.say(Output::ShutdownWrite(ConnId::Client(id)));
        }
    }
}

/// The endpoint's end.
#[derive(Clone, Copy)]
pub(super) struct EndpointEnd(pub(super) EndpointStream);

impl EndpointEnd {
    /// What has come, as it is; `None` where there is no stream.
    pub(super) fn take(self, turn: &mut Turn<'_>) -> Option<Result<Part, Broken>> {
        self.0
            .with(turn, |endpoint, stream, _| endpoint.tunnelled(stream))
    }

    /// How much has come and waits to be passed on.
    pub(super) fn unread(self, turn: &mut Turn<'_>) -> usize {
        let unread = (self.0).with(turn, |endpoint, stream, _| endpoint.unread(stream));
        unread.unwrap_or(0)
    }

    /// Resets the connection, or its stream on one that others use, too.
    pub(super) fn abort(self, turn: &mut Turn<'_>) {
        match self.0.id().filter(|_| !self.0.is_shared()) {
            Some(id) => turn.reset_upstream(id),
            None => self.0.close(turn),
        }
    }

    pub(super) fn pass(self, bytes: Bytes, turn: &mut Turn<'_>) {
        self.0.with(turn, |endpoint, stream, local| {
            endpoint.pass(stream, bytes, local);
        });
    }

    /// Nothing more will be written.
    pub(super) fn shut_down(self, turn: &mut Turn<'_>) {
        if self.0.is_shared() {
            self.0.end(None, turn);
        } else if let Some(id) = self.0.id() {
            turn.say(Output::ShutdownWrite(ConnId::Upstream(id)));
        }
    }
}
