//! One attempt to have a request answered, at one endpoint: how far it has come, on which stream, and what it counts for.
//!
//! It says what became of it. What follows, another attempt or an answer, is decided in `attempts`; how it comes by its
//! connection is in `connect`.

mod connect;
mod upload;

use core::mem;
use std::sync::Arc;

use super::Turn;
use super::admission::{Held, Waiting};
use super::endpoint_stream::{EndpointStream, Taking};
use super::ledger::Ledger;
use super::timers::Timer;
use crate::cluster::{HostState, Permit};
use crate::decision::{AttemptEnd, ResetReason};
use crate::peer::ExchangeId;
use crate::request::{Target, outcome};
use crate::stream::{Begins, BodyLength, Broken, Part, Reset};
use crate::time::Instant;

pub(super) use upload::{Sent, Upload};

/// How far an attempt has come.
#[derive(Debug)]
enum Stage {
    /// It waits for a connection, because of a limit.
    Waiting(Box<Waiting>),
    Connecting {
        /// It counts as pending until it is connected.
        pending: Option<Permit>,
        deadline: Instant,
    },
    Attached {
        kept: bool,
    },
}

/// What its connection has carried for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carried {
    Nothing,
    /// Some of the request has left.
    Request,
    /// Something has come back.
    Response,
}

/// How it stands with the time that it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// It does not run: there is no limit, or the request is not complete.
    Unset,
    Until(Instant),
    /// It has taken too long and goes on, and its endpoint has been told off for that.
    Judged,
    /// The same, and another attempt was made beside it.
    Hedged,
}

/// Why an attempt failed whose response ended so.
pub(super) const fn reason_of(broken: Broken) -> ResetReason {
    match broken {
        Broken::Refused(_) | Broken::Reset(Reset::Protocol) => ResetReason::ProtocolError,
        Broken::Reset(Reset::Unprocessed) => ResetReason::RemoteRefusedStreamReset,
        Broken::Reset(Reset::Cancelled | Reset::NoError | Reset::Failed) => {
            ResetReason::RemoteReset
        }
        Broken::Reset(Reset::Stalled) => ResetReason::LocalReset,
        Broken::Reset(Reset::Cut) => ResetReason::ConnectionTermination,
    }
}

impl Time {
    /// Whether it has taken too long, so that its endpoint has been told off already.
    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::Judged | Self::Hedged)
    }
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Its place in the record.
    pub(super) at: Option<usize>,
    pub(super) stream: EndpointStream,
    stage: Stage,
    target: Target,
    host: Arc<HostState>,
    pub(super) held: Held,
    carried: Carried,
    pub(super) upload: Upload,
    pub(super) time: Time,
}

impl Attempt {
    pub(super) const fn is_attached(&self) -> bool {
        matches!(self.stage, Stage::Attached { .. })
    }

    /// Its connection is the answer to a CONNECT.
    pub(super) const fn is_tunnel(&self) -> bool {
        self.target.tunnel
    }

    /// It has its connection: the request is written. That of a tunnel has no form of its own.
    pub(super) fn attach(
        &mut self,
        of: ExchangeId,
        begins: &Begins,
        is_complete: bool,
        ledger: &mut Ledger,
        turn: &mut Turn<'_>,
    ) -> Taking {
        let Stage::Attached { kept } = self.stage else {
            return Taking::MayTake;
        };
        ledger.report(ledger.on_connection(), turn.now);
        if let Some(attempt) = ledger.record.attempt_mut() {
            attempt.reused = kept;
        }
        ledger.facts = self.stream.facts(turn);
        if self.target.tunnel {
            return Taking::Takes;
        }
        let record = &ledger.record;
        let taking = (self.stream).ask(of, &record.request, begins, record.entropy, turn);
        match taking {
            Taking::Takes => {
                if self.stream.is_shared() {
                    // A head on a stream leaves at once, as far as anybody can tell here.
                    self.on_carried(Carried::Request);
                }
                if is_complete {
                    self.arm(ledger, turn.now);
                }
            }
            Taking::MayTake => {
                self.stage = Stage::Connecting {
                    pending: None,
                    deadline: turn.now + self.target.connect_timeout,
                };
            }
            Taking::Refuses | Taking::Never => {}
        }
        taking
    }

    /// Its time runs once it has a connection and the request is complete.
    pub(super) fn arm(&mut self, ledger: &Ledger, now: Instant) {
        if self.is_attached()
            && let Some(timeout) = ledger.record.timeouts.per_try
        {
            self.time = Time::Until(now + timeout);
        }
    }

    /// When its time is up, and which.
    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        match (&self.stage, self.time) {
            (Stage::Connecting { deadline, .. }, _) => Some((*deadline, Timer::Connect)),
            (Stage::Attached { .. }, Time::Until(at)) => Some((at, Timer::PerTry)),
            (Stage::Waiting(_), _)
            | (Stage::Attached { .. }, Time::Unset | Time::Judged | Time::Hedged) => None,
        }
    }

    /// Bytes went or came over its connection.
    pub(super) fn on_carried(&mut self, what: Carried) {
        self.carried = self.carried.max(what);
    }

    pub(super) fn on_write_failed(&mut self, turn: &mut Turn<'_>) {
        self.upload.state = Sent::Deaf;
        self.stream.forget_unwritten(turn);
    }

    /// The head of its response is here, and so much body follows.
    pub(super) fn on_head(&mut self, body: BodyLength, ledger: &mut Ledger, now: Instant) {
        let end = outcome::end(&ledger.record, &ledger.response);
        ledger.end_attempt(self.at, end, now);
        if let Some(active) = &mut self.held.active {
            let is_whole = matches!(body, BodyLength::None | BodyLength::Known(0));
            let (record, response) = (&ledger.record, &ledger.response);
            active.on_head(outcome::on_head(record, response, is_whole));
        }
    }

    /// It took so long, for a limit that follows response times.
    pub(super) fn report_adaptive(&self, ledger: &Ledger, now: Instant) {
        if let Some(adaptive) = &self.held.adaptive
            && !ledger.overslept
        {
            adaptive.report(ledger.cluster(&self.target), now);
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

    /// It ended without a response.
    pub(super) fn fail(&mut self, reason: ResetReason, ledger: &mut Ledger, turn: &mut Turn<'_>) {
        ledger.end_attempt(self.at, AttemptEnd::Reset(reason), turn.now);
        if !self.time.is_over() {
            ledger.report_reset(reason, turn.now);
        }
        if reason == ResetReason::PerTryTimeout {
            self.report_adaptive(ledger, turn.now);
        }
        self.held.fail();
        self.close(turn);
    }

    /// A response that is to be tried again: it is thrown away, with its connection unless all of it is here.
    pub(super) fn discard(&mut self, is_complete: bool, ledger: &Ledger, turn: &mut Turn<'_>) {
        let is_whole = loop {
            match self.stream.body(turn) {
                Some(Ok(Part::Data(_) | Part::Trailers(_))) => {}
                Some(Ok(Part::End)) => break true,
                Some(Ok(Part::NeedMore) | Err(_)) | None => break false,
            }
        };
        self.release(is_whole && is_complete, ledger, turn);
    }

    /// It is over: keeps its connection if request and response have gone over it whole and it can carry another request.
    pub(super) fn release(&mut self, is_whole: bool, ledger: &Ledger, turn: &mut Turn<'_>) {
        if is_whole && !self.upload.is_deaf() && self.is_attached() {
            let stream = mem::take(&mut self.stream);
            let address = &self.target.address;
            let still_has = (turn.local).still_has(
                Some(&self.host),
                address,
                self.target.tls.as_ref(),
                &ledger.view,
            );
            if !still_has || !stream.rest(turn) {
                stream.discard(turn);
            }
        }
        self.close(turn);
    }

    /// It is over: its connection is closed, made or being made, and it counts for nothing any more.
    pub(super) fn close(&mut self, turn: &mut Turn<'_>) {
        mem::take(&mut self.stream).close(turn);
        self.held = Held::default();
    }
}

#[cfg(test)]
impl Attempt {
    /// Whether its connection is being made.
    pub(super) const fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Connecting { .. })
    }

    /// Whether it waits for one within a limit.
    pub(super) const fn is_in_line(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }
}
