//! How an attempt stands with the request's body: what of it has been sent on its stream.

use crate::exchange::Turn;
use crate::exchange::endpoint_stream::EndpointStream;
use crate::exchange::replay::{Cursor, Replay};
use crate::message::Headers;

/// What has been said of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exchange) enum Sent {
    Open,
    /// Its end has been written.
    Ended,
    /// Writing failed: what is left of the request goes nowhere, and only the response is still of interest.
    Deaf,
}

/// The body on its way to one endpoint.
#[derive(Debug)]
pub(in crate::exchange) struct Upload {
    /// How far it has come in what is kept of the body.
    pub(in crate::exchange) cursor: Cursor,
    pub(super) state: Sent,
}

impl Upload {
    pub(super) const START: Self = Self {
        cursor: Cursor::START,
        state: Sent::Open,
    };

    /// Whether more of the request would go nowhere.
    pub(in crate::exchange) fn is_deaf(&self) -> bool {
        self.state == Sent::Deaf
    }

    /// Whether all of the request has been said.
    pub(in crate::exchange) fn has_ended(&self) -> bool {
        self.state == Sent::Ended
    }

    /// Sends what had arrived before the attempt began. Says whether it is level with the client now.
    pub(in crate::exchange) fn send_again(
        &mut self,
        stream: EndpointStream,
        replay: &mut Replay,
        is_complete: bool,
        trailers: Option<&Headers>,
        mark: usize,
        turn: &mut Turn<'_>,
    ) -> bool {
        if self.is_deaf() {
            return false;
        }
        while !stream.is_slow(mark, turn) {
            let Some(piece) = replay.next(&mut self.cursor) else {
                if is_complete {
                    self.end(stream, trailers, turn);
                }
                return true;
            };
            stream.data(piece, turn);
        }
        false
    }

    pub(in crate::exchange) fn end(
        &mut self,
        stream: EndpointStream,
        trailers: Option<&Headers>,
        turn: &mut Turn<'_>,
    ) {
        if self.state == Sent::Open {
            self.state = Sent::Ended;
            stream.end(trailers, turn);
        }
    }
}
