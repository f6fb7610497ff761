//! The attempts of a request until an answer is the client's, or there is nothing more to try: how one begins, fails and is
//! followed by another.
//!
//! There are two at a time and no more (`hedge`). What an attempt does by itself is in `attempt`; what becomes of the request
//! is told to its `state`.

use bytes::Bytes;

use super::Turn;
use super::attempt::{Attempt, Carried, Time, reason_of};
use super::call::Call;
use super::endpoint_stream::{EndpointStream, Taking};
use super::timers::Timer;
use crate::decision::{AttemptEnd, Details, ResetReason};
use crate::io::ConnectFault;
use crate::peer::UpstreamId;
use crate::request::{self, Failure, Judged, Later, Verdict};
use crate::stream::{Answer, BodyLength, Broken, Reset};
use crate::time::Instant;

/// How often a request is sent again by itself: an endpoint that refuses every stream would be asked for ever.
const MOST_REPEATS: u32 = 3;

/// What came of it.
#[must_use]
pub(super) enum Tried {
    /// There is something to wait for.
    Waits,
    /// The head of the newest attempt's response is the client's, and so is this much body.
    Answered(BodyLength),
    /// The endpoint of the newest attempt agrees to speak another protocol.
    Switched(Option<Box<str>>),
    /// The connection that a CONNECT asked for is made.
    Connected,
    /// There is nothing more to try: the answer is made, and this is its text. On a connection there is none.
    Failed(Bytes),
}

/// The newest of a request's attempts.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every request has one under way and none that is due"
)]
pub(super) enum Newest {
    UnderWay(Attempt),
    /// It begins then: a retry waits its back-off.
    Due {
        at: Instant,
        later: Later,
    },
}

impl Newest {
    pub(super) fn due(later: Later, now: Instant) -> Self {
        let at = now + later.wait;
        Self::Due { at, later }
    }

    /// It, if it has begun.
    pub(super) const fn get(&self) -> Option<&Attempt> {
        match self {
            Self::UnderWay(attempt) => Some(attempt),
            Self::Due { .. } => None,
        }
    }

    pub(super) const fn get_mut(&mut self) -> Option<&mut Attempt> {
        match self {
            Self::UnderWay(attempt) => Some(attempt),
            Self::Due { .. } => None,
        }
    }
}

/// The attempts of a request.
#[derive(Debug)]
pub(super) struct Attempts {
    /// One that takes too long, while there is a newer one beside it.
    pub(super) older: Option<Box<Attempt>>,
    pub(super) newest: Newest,
}

impl Attempts {
    /// One has begun.
    pub(super) const fn of(attempt: Attempt) -> Self {
        Self {
            older: None,
            newest: Newest::UnderWay(attempt),
        }
    }

    /// One is to begin after a wait.
    pub(super) fn later(later: Later, now: Instant) -> Self {
        Self {
            older: None,
            newest: Newest::due(later, now),
        }
    }

    /// Whether a stream is that of the older attempt.
    pub(super) fn is_older(&self, stream: EndpointStream) -> bool {
        let older = self.older.as_ref();
        older.is_some_and(|older| older.stream == stream)
    }

    /// The older one if that is on a stream, else the newest.
    pub(super) fn on(&mut self, stream: EndpointStream) -> Option<&mut Attempt> {
        match self.is_older(stream) {
            true => self.older.as_deref_mut(),
            false => self.newest.get_mut(),
        }
    }

    /// When the newest one's time is up, and which.
    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        match &self.newest {
            Newest::UnderWay(attempt) => attempt.deadline(),
            Newest::Due { at, .. } => Some((*at, Timer::Backoff)),
        }
    }

    /// Writes the request, if the newest attempt has a connection.
    pub(super) fn attach(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        let attempt = self.newest.get_mut();
        let Some(attempt) = attempt.filter(|attempt| attempt.is_attached()) else {
            return Tried::Waits;
        };
        let (of, is_complete) = (call.id, call.body.is_complete());
        let begins = &call.body.begins;
        match attempt.attach(of, begins, is_complete, &mut call.ledger, turn) {
            Taking::Takes if attempt.is_tunnel() => Tried::Connected,
            Taking::Takes => {
                call.body.is_sent |= attempt.stream.is_shared();
                Tried::Waits
            }
            Taking::MayTake => Tried::Waits,
            Taking::Refuses => self.lose(Broken::Reset(Reset::Unprocessed), call, turn),
            // RFC 8441 §3.
            Taking::Never => self.fail(ResetReason::ProtocolError, call, turn),
        }
    }

    /// No response comes on the newest attempt's stream. What the endpoint has not looked at is sent again, whatever it asks
    /// for (RFC 9113 §8.7), and so is what may have met a connection that was dead before.
    fn lose(&mut self, broken: Broken, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        let Some(attempt) = self.newest.get_mut() else {
            return Tried::Waits;
        };
        let end = match broken {
            Broken::Reset(Reset::Unprocessed) => Some(AttemptEnd::Unprocessed),
            Broken::Reset(Reset::Cut) if attempt.may_be_stale(&call.ledger) => {
                Some(AttemptEnd::StaleConnection)
            }
            Broken::Reset(_) | Broken::Refused(_) => None,
        };
        let may_repeat = call.can_repeat() && call.repeats < MOST_REPEATS;
        let Some(end) = end.filter(|_| may_repeat) else {
            return self.fail(reason_of(broken), call, turn);
        };
        call.repeats += 1;
        let target = attempt.again(end, &mut call.ledger, turn);
        self.obey(Verdict::Attempt(target), call, turn)
    }

    /// Perhaps there is a connection now for the newest one, if it waits for one.
    pub(super) fn on_woken(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        let Some(attempt) = self
            .newest
            .get_mut()
            .filter(|attempt| !attempt.is_attached())
        else {
            return Tried::Waits;
        };
        match attempt.on_woken(call.id, &call.ledger, turn) {
            Ok(()) => self.attach(call, turn),
            Err(reason) => self.fail(reason, call, turn),
        }
    }

    /// The connection of the newest one is made.
    pub(super) fn on_connected(
        &mut self,
        id: UpstreamId,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Tried {
        let newest = self.newest.get_mut();
        match newest.is_some_and(|attempt| attempt.on_connected(id)) {
            true => self.attach(call, turn),
            false => Tried::Waits,
        }
    }

    pub(super) fn on_connect_failed(
        &mut self,
        fault: &ConnectFault,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Tried {
        let attempt = self.newest.get_mut();
        match attempt.and_then(|attempt| attempt.on_connect_failed(fault, &mut call.ledger, turn)) {
            Some(reason) => self.fail(reason, call, turn),
            None => Tried::Waits,
        }
    }

    /// The time of the newest one is up: of its connection, its own, or that of a back-off.
    pub(super) fn on_time_up(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        match &mut self.newest {
            Newest::Due { later, .. } => {
                let later = *later;
                self.retry(later, call, turn)
            }
            Newest::UnderWay(attempt) if attempt.is_attached() => self.on_too_long(call, turn),
            Newest::UnderWay(attempt) => {
                attempt.give_up_connecting(turn);
                self.fail(ResetReason::ConnectionTimeout, call, turn)
            }
        }
    }

    fn retry(&mut self, later: Later, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        if self.older.is_none() {
            let (record, view) = (&mut call.ledger.record, &mut call.ledger.view);
            request::catch_up(record, view, turn.local.view());
        }
        let verdict = call.ask(
            |context, record, response| request::retry(later, context, record, response),
            turn,
        );
        self.obey(verdict, call, turn)
    }

    /// The newest attempt ended without a response; the request machine says what now.
    pub(super) fn fail(
        &mut self,
        reason: ResetReason,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Tried {
        let Some(attempt) = self.newest.get_mut() else {
            return Tried::Waits;
        };
        attempt.fail(reason, &mut call.ledger, turn);
        let was_hedged = attempt.time == Time::Hedged;
        let verdict = after_failure(reason, was_hedged, call, turn);
        self.obey(verdict, call, turn)
    }

    fn obey(&mut self, verdict: Verdict, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        match verdict {
            Verdict::Attempt(target) => match Attempt::begin(call.id, target, &call.ledger, turn) {
                Ok(attempt) => {
                    self.newest = Newest::UnderWay(attempt);
                    self.attach(call, turn)
                }
                Err(reason) => {
                    let verdict = refused(reason, call, turn);
                    self.obey(verdict, call, turn)
                }
            },
            Verdict::Retry(later) | Verdict::Delay(later) => {
                self.newest = Newest::due(later, turn.now);
                Tried::Waits
            }
            Verdict::Ask(_) | Verdict::Close => Tried::Failed(Bytes::new()),
            Verdict::Reply(text) => match self.older.take() {
                // Instead of an answer of our own, the older attempt goes on.
                Some(older) => {
                    call.ledger.record.details = Details::None;
                    self.fall_back(*older, call, turn);
                    Tried::Waits
                }
                None => Tried::Failed(text),
            },
        }
    }

    /// Looks for heads of the newest attempt's response, for as long as the client takes something. Interim heads count too:
    /// an endpoint may send many of them.
    pub(super) fn hear(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        while !call.is_client_slow(turn) {
            let Some(attempt) = self.newest.get().filter(|attempt| attempt.is_attached()) else {
                break;
            };
            let tried = match attempt.stream.head(&mut call.ledger.response, turn) {
                None | Some(Ok(None)) => break,
                Some(Ok(Some(answer))) if call.refuses(&answer, turn) => {
                    self.fail(ResetReason::ProtocolError, call, turn)
                }
                Some(Ok(Some(Answer::Interim))) => {
                    self.give_up_older(AttemptEnd::Overtaken, call, turn);
                    call.inform(turn);
                    Tried::Waits
                }
                Some(Ok(Some(Answer::Switched(protocol)))) => Tried::Switched(protocol),
                Some(Ok(Some(Answer::Final(body)))) => self.on_head(body, call, turn),
                Some(Err(broken)) => self.lose(broken, call, turn),
            };
            if !matches!(tried, Tried::Waits) {
                return tried;
            }
        }
        Tried::Waits
    }

    /// The head of the newest attempt's response.
    fn on_head(&mut self, body: BodyLength, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        let Newest::UnderWay(attempt) = &mut self.newest else {
            return Tried::Waits;
        };
        attempt.on_carried(Carried::Response);
        attempt.on_head(body, &mut call.ledger, turn.now);
        if !attempt.time.is_over() {
            call.ledger.report_response(turn.now);
        }
        let (was_hedged, can_repeat) = (attempt.time == Time::Hedged, call.can_repeat());
        let judged = call.ask(
            |context, record, response| {
                request::after_response(was_hedged, can_repeat, context, record, response)
            },
            turn,
        );
        let is_complete = call.body.is_complete();
        match judged {
            Judged::Retry(later) => {
                attempt.discard(is_complete, &call.ledger, turn);
                self.newest = Newest::due(later, turn.now);
                return Tried::Waits;
            }
            Judged::Bad => {
                if let Some(older) = self.older.take() {
                    attempt.discard(is_complete, &call.ledger, turn);
                    self.fall_back(*older, call, turn);
                    return Tried::Waits;
                }
            }
            Judged::Good => self.give_up_older(AttemptEnd::Overtaken, call, turn),
        }
        Tried::Answered(body)
    }

    /// The endpoint of an attempt closed, or its connection broke, and all that had come before has been looked at.
    pub(super) fn on_end(
        &mut self,
        stream: EndpointStream,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Tried {
        if let Some(older) = self.older.as_ref().filter(|older| older.stream == stream) {
            let reason = older.end_reason(turn);
            self.lose_older(reason, call, turn);
            return Tried::Waits;
        }
        let can_repeat = call.can_repeat();
        let newest = self.newest.get_mut();
        let attempt = newest.filter(|newest| newest.is_attached() && newest.stream == stream);
        match attempt.map(|attempt| attempt.replace(call.id, can_repeat, &mut call.ledger, turn)) {
            Some(Err(reason)) => self.fail(reason, call, turn),
            Some(Ok(())) | None => Tried::Waits,
        }
    }

    /// None of them goes on.
    pub(super) fn close(&mut self, turn: &mut Turn<'_>) {
        if let Some(mut older) = self.older.take() {
            older.close(turn);
        }
        if let Some(newest) = self.newest.get_mut() {
            newest.close(turn);
        }
    }
}

/// A limit was reached before an attempt began; the request machine says what now.
pub(super) fn refused(reason: ResetReason, call: &mut Call, turn: &Turn<'_>) -> Verdict {
    let last = call.ledger.record.last_attempt();
    (call.ledger).end_attempt(last, AttemptEnd::Reset(reason), turn.now);
    after_failure(reason, false, call, turn)
}

/// An attempt ended without a response; the request machine says what now.
fn after_failure(
    reason: ResetReason,
    was_hedged: bool,
    call: &mut Call,
    turn: &Turn<'_>,
) -> Verdict {
    let failure = Failure {
        reason,
        can_repeat: call.can_repeat(),
        request_sent: call.body.is_sent,
        was_hedged,
    };
    call.ask(
        |context, record, response| request::on_attempt_failed(context, failure, record, response),
        turn,
    )
}
