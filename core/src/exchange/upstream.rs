//! The endpoint's side of an exchange: the connection, what it has carried, and how far the attempt on it has come.
//!
//! How attempts begin, fail and are followed by others is in `attempt`.

use super::adaptive::UnderWay;
use super::admission::Waiting;
use super::replay::Replay;
use crate::cluster::{ActiveRequest, Permit};
use crate::connection::ToEndpoint;
use crate::decision::{AttemptEnd, Record, ResetReason};
use crate::message::Headers;
use crate::peer::WaiterId;
use crate::request::Target;
use crate::time::Instant;
use crate::worker::{Link, Worker, WorkerSettings};

/// The connection to the endpoint, or what stands in its place.
#[derive(Debug)]
pub(super) enum State {
    None,
    Connecting {
        target: Target,
        link: Option<Link>,
        /// It counts as pending until it is connected.
        pending: Option<Permit>,
        deadline: Instant,
    },
    Reusing {
        target: Target,
        link: Link,
    },
    Attached {
        target: Target,
        link: Option<Link>,
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
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) connection: ToEndpoint,
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
    pub(super) fn new(settings: &WorkerSettings) -> Self {
        Self {
            connection: ToEndpoint::new(settings.tells_bodies),
            state: State::None,
            active: None,
            admitted: None,
            adaptive: None,
            wrote: false,
            deaf: false,
            received: false,
            body_ended: false,
            request_sent: false,
            per_try_deadline: None,
            is_judged: false,
            was_hedged: false,
        }
    }

    pub(super) fn on_read(&mut self, count: usize) {
        self.received = true;
        self.connection.on_read(count);
    }

    pub(super) fn on_wrote(&mut self, count: usize) {
        self.wrote |= count > 0;
        self.request_sent |= count > 0;
        self.connection.outbox.advance(count);
    }

    pub(super) fn on_write_failed(&mut self) {
        self.deaf = true;
        self.connection.outbox.clear();
    }

    pub(super) const fn is_deaf(&self) -> bool {
        self.deaf
    }

    pub(super) const fn is_attached(&self) -> bool {
        matches!(self.state, State::Attached { .. })
    }

    pub(super) const fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. } | State::Reusing { .. })
    }

    pub(super) const fn connect_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting { deadline, .. } => Some(*deadline),
            State::None
            | State::Waiting(_)
            | State::Reusing { .. }
            | State::Attached { .. }
            | State::BackingOff { .. } => None,
        }
    }

    pub(super) const fn backoff_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::BackingOff { until } => Some(*until),
            State::None
            | State::Waiting(_)
            | State::Connecting { .. }
            | State::Reusing { .. }
            | State::Attached { .. } => None,
        }
    }

    /// Its name in the line, while it waits.
    pub(super) fn waiter(&self) -> Option<WaiterId> {
        match &self.state {
            State::Waiting(waiting) => Some(waiting.ticket().id()),
            State::None
            | State::Connecting { .. }
            | State::Reusing { .. }
            | State::Attached { .. }
            | State::BackingOff { .. } => None,
        }
    }

    /// Forgets the connection and everything about it; says whether the runtime has one to close.
    pub(super) fn detach(&mut self) -> bool {
        let had = !matches!(
            self.state,
            State::None | State::Waiting(_) | State::BackingOff { .. }
        );
        self.state = State::None;
        self.active = None;
        self.admitted = None;
        self.adaptive = None;
        self.forget_bytes();
        had
    }

    pub(super) fn forget_bytes(&mut self) {
        self.connection.restart();
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
        worker: &mut Worker,
    ) -> bool {
        if self.deaf {
            return false;
        }
        while !self.connection.outbox.is_above(mark) {
            let Some(piece) = replay.next() else {
                if is_complete {
                    self.end_request_body(trailers, worker);
                }
                return true;
            };
            self.connection.data(piece, worker);
        }
        false
    }

    pub(super) fn end_request_body(&mut self, trailers: Option<&Headers>, worker: &mut Worker) {
        if !self.body_ended {
            self.body_ended = true;
            self.connection.end(trailers, worker);
        }
    }

    /// Why the response failed if the connection ended now: as in Envoy, a message that has begun and is cut is a broken
    /// protocol, and a body without a length, whose end a reset makes doubtful, is not.
    pub(super) fn end_reason(&mut self) -> ResetReason {
        match self.connection.on_eof() {
            Ok(()) => ResetReason::ConnectionTermination,
            Err(_cut) => ResetReason::ProtocolError,
        }
    }

    /// The client went away.
    pub(super) fn cancel(&self, record: &mut Record) {
        if self.active.is_some() || !matches!(self.state, State::None) {
            end_attempt(record, AttemptEnd::Cancelled);
        }
    }

    /// The response's status is known.
    pub(super) fn on_status(&mut self, status: u16, record: &mut Record) {
        end_attempt(record, AttemptEnd::Response(status));
        if let Some(active) = self.active.as_mut().filter(|_| status >= 500) {
            active.fail();
        }
    }
}

/// The attempt under way ends so; one that has ended already stays as it is.
pub(super) fn end_attempt(record: &mut Record, end: AttemptEnd) {
    if let Some(attempt) = record.attempt_mut().filter(|a| a.end == AttemptEnd::Open) {
        attempt.end = end;
    }
}
