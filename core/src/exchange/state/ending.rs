//! How one of its sides goes away from a request, and how the request ends.

use super::State;
use crate::decision::{AttemptEnd, Details};
use crate::exchange::Turn;
use crate::exchange::attempts::Attempts;
use crate::exchange::call::Call;
use crate::exchange::client_stream::Parting;
use crate::exchange::endpoint_stream::EndpointStream;
use crate::exchange::relay::Relayed;
use crate::stream::{Broken, Reset};

/// Why a request ends without a reply whose client has left it so.
pub(in crate::exchange) const fn left_by(broken: Broken) -> Details {
    match broken {
        Broken::Refused(refused) => Details::Refused(refused),
        Broken::Reset(Reset::Cut) => Details::DownstreamRemoteDisconnect,
        Broken::Reset(Reset::Cancelled | Reset::Unprocessed | Reset::NoError | Reset::Failed) => {
            Details::DownstreamRemoteReset
        }
        Broken::Reset(Reset::Protocol) => Details::DownstreamProtocolError,
        Broken::Reset(Reset::Stalled) => Details::StreamIdleTimeout,
    }
}

impl State {
    /// The endpoint of a stream sends no more, or (`is_broken`) its connection cannot be used any more.
    pub(in crate::exchange) fn on_endpoint_end(
        &mut self,
        stream: EndpointStream,
        is_broken: bool,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) {
        // What arrived before the end is still good.
        match self {
            Self::Trying(attempts) if attempts.is_older(stream) => {
                self.have_tried(call, turn, Attempts::hear_older);
            }
            Self::Trying(_) | Self::Relaying(_) => self.pump_response(call, turn),
            // What was cut must not look whole (RFC 9113 §8.5).
            Self::Tunnel(_) if is_broken => self.end(Parting::Reset, call, turn),
            Self::Tunnel(tunnel) => tunnel.on_endpoint_eof(),
            Self::Asking(_) | Self::Delayed { .. } | Self::Flush { .. } | Self::Over => {}
        }
        match self {
            Self::Relaying(relay) if relay.attempt.stream == stream => {
                let relayed = match is_broken {
                    false => relay.on_eof(call, turn),
                    true => Relayed::Cut(relay.attempt.end_reason(turn)),
                };
                self.on_relayed(relayed, call, turn);
            }
            Self::Trying(_) => {
                let end = |attempts: &mut Attempts, call: &mut Call, turn: &mut Turn<'_>| {
                    attempts.on_end(stream, call, turn)
                };
                self.have_tried(call, turn, end);
            }
            Self::Asking(_)
            | Self::Delayed { .. }
            | Self::Relaying(_)
            | Self::Tunnel(_)
            | Self::Flush { .. }
            | Self::Over => {}
        }
    }

    /// The client sends no more.
    pub(in crate::exchange) fn on_client_eof(&mut self, call: &mut Call, turn: &mut Turn<'_>) {
        match self {
            // Who has said nothing by then wants nothing.
            Self::Asking(_) if call.ledger.is_connection() && call.client.unread(turn) == 0 => {
                self.cancel(Details::DownstreamRemoteDisconnect, call, turn);
            }
            // What it has said is still to be passed on.
            Self::Asking(_) | Self::Trying(_) if call.ledger.is_connection() => {}
            // As Envoy: a client that stops sending has gone away. See docs/differences.md on half-close.
            Self::Asking(_) | Self::Delayed { .. } | Self::Trying(_) | Self::Relaying(_) => {
                self.cancel(Details::DownstreamRemoteDisconnect, call, turn);
            }
            Self::Tunnel(tunnel) => tunnel.on_client_eof(),
            Self::Flush { keep_alive } => *keep_alive = false,
            Self::Over => {}
        }
    }

    /// The client went away in the middle: the attempts are given up and the record ends without a reply.
    pub(in crate::exchange) fn cancel(
        &mut self,
        details: Details,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) {
        if matches!(self, Self::Over) {
            return;
        }
        if self.is_served() {
            call.ledger.record.details = details;
            self.end_attempts(AttemptEnd::Cancelled, call, turn);
        }
        if let Self::Tunnel(tunnel) = self {
            tunnel.abort(turn);
        }
        self.end(Parting::Close, call, turn);
    }

    /// The response had begun and cannot be completed: ends so that the client can tell.
    pub(super) fn cut(&mut self, call: &mut Call, turn: &mut Turn<'_>) {
        self.close_attempts(turn);
        if call.client.would_seem_whole(turn) {
            self.end(Parting::Reset, call, turn);
        } else {
            *self = Self::Flush { keep_alive: false };
        }
    }

    /// The attempts under way end so, in the record; the older one with its connection.
    pub(super) fn end_attempts(&mut self, end: AttemptEnd, call: &mut Call, turn: &mut Turn<'_>) {
        if let Self::Trying(attempts) = self {
            attempts.give_up_older(end, call, turn);
            if let Some(newest) = attempts.newest.get() {
                call.ledger.end_attempt(newest.at, end, turn.now);
            }
        }
    }

    /// Closes whatever is open to endpoints.
    pub(super) fn close_attempts(&mut self, turn: &mut Turn<'_>) {
        match self {
            Self::Trying(attempts) => attempts.close(turn),
            Self::Relaying(relay) => relay.attempt.close(turn),
            Self::Tunnel(tunnel) => tunnel.attempt.close(turn),
            Self::Asking(asking) => turn.given_up.extend(asking.of),
            Self::Delayed { .. } | Self::Flush { .. } | Self::Over => {}
        }
    }

    /// The request is over.
    pub(super) fn end(&mut self, parting: Parting, call: &mut Call, turn: &mut Turn<'_>) {
        call.end_record(turn);
        self.close_attempts(turn);
        call.let_go();
        *self = Self::Over;
        (call.client).part(parting, call.body.is_complete(), turn);
    }
}
