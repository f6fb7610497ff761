//! The endpoint's side of an exchange: on which connection an attempt is, what that has carried for it, and how far it has
//! come.
//!
//! How attempts begin, fail and are followed by others is in `attempt`.

use super::adaptive::UnderWay;
use super::admission::Waiting;
use super::replay::Replay;
use super::turn::Turn;
use crate::cluster::{ActiveRequest, Permit};
use crate::decision::{AttemptEnd, Record, ResetReason};
use crate::message::{Headers, ResponseHead};
use crate::peer::UpstreamId;
use crate::request::{Later, Target, outcome};
use crate::stream::BodyLength;
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
        later: Later,
    },
}

/// The endpoint's side.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    /// Its place in the record, once it has begun.
    pub(super) at: Option<usize>,
    /// Its connection, from the moment it is asked for.
    pub(super) conn: Option<UpstreamId>,
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

    pub(super) fn on_read(&mut self, count: usize, turn: &mut Turn<'_>) {
        self.received = true;
        if let Some((endpoint, _)) = turn.endpoint(self.conn) {
            endpoint.on_read(count);
        }
    }

    pub(super) fn on_wrote(&mut self, count: usize, turn: &mut Turn<'_>) {
        self.wrote |= count > 0;
        self.request_sent |= count > 0;
        if let Some((endpoint, _)) = turn.endpoint(self.conn) {
            endpoint.outbox.advance(count);
        }
    }

    pub(super) fn on_write_failed(&mut self, turn: &mut Turn<'_>) {
        self.deaf = true;
        if let Some((endpoint, _)) = turn.endpoint(self.conn) {
            endpoint.outbox.clear();
        }
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
            State::BackingOff { until, .. } => Some(*until),
            State::None | State::Waiting(_) | State::Connecting { .. } | State::Attached { .. } => {
                None
            }
        }
    }

    /// Forgets the connection and everything about it; the connection that is to be closed, if there is one.
    pub(super) fn detach(&mut self) -> Option<UpstreamId> {
        let conn = self.conn.take();
        self.state = State::None;
        self.active = None;
        self.admitted = None;
        self.adaptive = None;
        self.forget_bytes();
        conn
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
        let Some((endpoint, local)) = turn.endpoint(self.conn) else {
            return false;
        };
        while !endpoint.outbox.is_above(mark) {
            let Some(piece) = replay.next() else {
                if is_complete && !self.body_ended {
                    self.body_ended = true;
                    endpoint.end(trailers, local);
                }
                return true;
            };
            endpoint.data(piece, local);
        }
        false
    }

    pub(super) fn end_request_body(&mut self, trailers: Option<&Headers>, turn: &mut Turn<'_>) {
        if !self.body_ended
            && let Some((endpoint, local)) = turn.endpoint(self.conn)
        {
            self.body_ended = true;
            endpoint.end(trailers, local);
        }
    }

    /// Why the response failed if the connection ended now: as in Envoy, a message that has begun and is cut is a broken
    /// protocol, and a body without a length, whose end a reset makes doubtful, is not.
    pub(super) fn end_reason(&self, turn: &mut Turn<'_>) -> ResetReason {
        let cut = turn
            .endpoint(self.conn)
            .map(|(endpoint, _)| endpoint.on_eof());
        match cut {
            Some(Err(_cut)) => ResetReason::ProtocolError,
            Some(Ok(())) | None => ResetReason::ConnectionTermination,
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

    /// The connection carries something else than messages from here on, as this status says.
    pub(super) fn on_status(&self, status: u16, record: &mut Record) {
        self.end(record, AttemptEnd::Response(status));
    }

    /// The head of the response is here.
    pub(super) fn on_head(
        &mut self,
        body: BodyLength,
        record: &mut Record,
        response: &ResponseHead,
    ) {
        self.end(record, AttemptEnd::Response(response.status.as_u16()));
        if let Some(active) = &mut self.active {
            let is_whole = matches!(body, BodyLength::None | BodyLength::Known(0));
            active.on_head(outcome::on_head(record, response, is_whole));
        }
    }
}
