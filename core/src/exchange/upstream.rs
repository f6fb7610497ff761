//! The endpoint's side of an exchange: on which connection an attempt is, what that has carried for it, and how far it has
//! come.
//!
//! How attempts begin, fail and are followed by others is in `attempt`.

use super::adaptive::UnderWay;
use super::admission::Waiting;
use super::endpoint_stream::EndpointStream;
use super::replay::Replay;
use super::turn::Turn;
use crate::cluster::{ActiveRequest, Permit};
use crate::decision::{AttemptEnd, Record, ResetReason};
use crate::message::Headers;
use crate::request::Target;
use crate::time::Instant;

/// How far an attempt has come.
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    None,
    Connecting {
        target: Target,
        /// It counts as pending until it is connected.
        pending: Option<Permit>,
        deadline: Instant,
    },
    Attached {
        target: Target,
        kept: bool,
    },
    /// It waits for a connection, because of a limit.
    Waiting(Box<Waiting>),
    /// A retry waits until then.
    BackingOff {
        until: Instant,
    },
}

/// The endpoint's side.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    /// Its place in the record, once it has begun.
    pub(super) at: Option<usize>,
    /// Its stream, from the moment its connection is asked for.
    pub(super) stream: EndpointStream,
    pub(super) state: State,
    pub(super) active: Option<ActiveRequest>,
    /// It counts against the limit of requests.
    pub(super) admitted: Option<Permit>,
    /// It counts against a limit that follows response times.
    pub(super) adaptive: Option<UnderWay>,
    pub(super) wrote: bool,
    /// Writing failed: what is left of the request goes nowhere, and only the response is still of interest.
    deaf: bool,
    pub(super) received: bool,
    /// The end of the request's body has been written to this connection.
    pub(super) body_ended: bool,
    /// Some of the request has been written to an endpoint, in this attempt or an earlier one.
    pub(super) request_sent: bool,
    /// When this attempt has taken too long.
    pub(super) per_try_deadline: Option<Instant>,
    /// It has taken too long, and its endpoint has been told off for that.
    pub(super) is_judged: bool,
    /// Another attempt was made beside it.
    pub(super) was_hedged: bool,
}

impl Upstream {
    /// The next attempt of a request that goes on beside this one.
    pub(super) fn beside(&self) -> Self {
        Self {
            request_sent: self.request_sent,
            ..Self::default()
        }
    }

    pub(super) const fn on_wrote(&mut self, count: usize) {
        self.wrote |= count > 0;
        self.request_sent |= count > 0;
    }

    pub(super) fn on_write_failed(&mut self, turn: &mut Turn<'_>) {
        self.deaf = true;
        self.stream.forget_unwritten(turn);
    }

    pub(super) const fn is_deaf(&self) -> bool {
        self.deaf
    }

    pub(super) const fn is_attached(&self) -> bool {
        matches!(self.state, State::Attached { .. })
    }

    pub(super) const fn connect_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting { deadline, .. } => Some(*deadline),
            State::None | State::Waiting(_) | State::Attached { .. } | State::BackingOff { .. } => {
                None
            }
        }
    }

    pub(super) const fn backoff_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::BackingOff { until } => Some(*until),
            State::None | State::Waiting(_) | State::Connecting { .. } | State::Attached { .. } => {
                None
            }
        }
    }

    /// Forgets the stream and everything about it; its connection is to be closed.
    pub(super) fn detach(&mut self) -> EndpointStream {
        let stream = core::mem::take(&mut self.stream);
        self.state = State::None;
        self.active = None;
        self.admitted = None;
        self.adaptive = None;
        self.forget_bytes();
        stream
    }

    /// The next attempt begins with nothing sent and nothing received.
    pub(super) const fn forget_bytes(&mut self) {
        self.wrote = false;
        self.body_ended = false;
        self.per_try_deadline = None;
        self.is_judged = false;
        self.was_hedged = false;
        self.deaf = false;
        self.received = false;
    }

    /// Sends what had arrived before this attempt began. Says whether the attempt is level with the client now.
    pub(super) fn send_again(
        &mut self,
        replay: &mut Replay,
        is_complete: bool,
        trailers: Option<&Headers>,
        mark: usize,
        turn: &mut Turn<'_>,
    ) -> bool {
        if self.deaf {
            return false;
        }
        while !self.stream.is_slow(mark, turn) {
            let Some(piece) = replay.next() else {
                if is_complete {
                    self.end_request_body(trailers, turn);
                }
                return true;
            };
            self.stream.data(piece, turn);
        }
        false
    }

    pub(super) fn end_request_body(&mut self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        if !self.body_ended {
            self.body_ended = true;
            self.stream.end(trailers, turn);
        }
    }

    /// Why the response failed if the connection ended now: as in Envoy, a message that has begun and is cut is a broken
    /// protocol, and a body without a length, whose end a reset makes doubtful, is not.
    pub(super) fn end_reason(&self, turn: &mut Turn<'_>) -> ResetReason {
        match self.stream.on_eof(turn) {
            Err(_cut) => ResetReason::ProtocolError,
            Ok(()) => ResetReason::ConnectionTermination,
        }
    }

    /// It ends so; if it has ended already, that stays as it is.
    pub(super) fn end(&self, record: &mut Record, end: AttemptEnd) {
        let attempt = self.at.and_then(|at| record.attempts.get_mut(at));
        if let Some(attempt) = attempt.filter(|attempt| attempt.end == AttemptEnd::Open) {
            attempt.end = end;
        }
    }

    /// The client went away.
    pub(super) fn cancel(&self, record: &mut Record) {
        if self.active.is_some() || !matches!(self.state, State::None) {
            self.end(record, AttemptEnd::Cancelled);
        }
    }

    /// The response's status is known.
    pub(super) fn on_status(&mut self, status: u16, record: &mut Record) {
        self.end(record, AttemptEnd::Response(status));
        if let Some(active) = self.active.as_mut().filter(|_| status >= 500) {
            active.fail();
        }
    }
}
