//! Hedging: an attempt that takes longer than its time goes on, and another one is made beside it (Envoy's
//! `hedge_on_per_try_timeout`).
//!
//! The first good response wins: if it is the older one's, that becomes the newest, and everything goes on as if there had
//! been no other. There are two at a time and no more. The older one is followed by no other; what it comes to counts only
//! if it is good, or if it is the last one left.

use core::mem;

use super::Turn;
use super::attempt::{Attempt, Time, reason_of};
use super::attempts::{Attempts, Newest, Tried};
use super::call::Call;
use crate::decision::{AttemptEnd, ResetReason};
use crate::request::{self, Judged};
use crate::stream::Answer;

impl Attempts {
    /// The newest attempt takes longer than its time.
    pub(super) fn on_too_long(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        // What asks for another protocol is a conversation with one endpoint.
        let may_hedge = call.ledger.record.timeouts.hedges && call.body.begins.upgrade.is_none();
        let attempt = match self.newest.get_mut() {
            Some(attempt) if may_hedge => attempt,
            Some(_) | None => return self.fail(ResetReason::PerTryTimeout, call, turn),
        };
        (call.ledger).report_reset(ResetReason::PerTryTimeout, turn.now);
        attempt.time = Time::Judged;
        if self.older.is_some() {
            return Tried::Waits;
        }
        let can_repeat = call.can_repeat();
        let hedges = call.ask(
            |context, record, _| request::on_try_too_long(can_repeat, context, record),
            turn,
        );
        if let Some(later) = hedges {
            let newer = Newest::due(later, turn.now);
            if let Newest::UnderWay(mut attempt) = mem::replace(&mut self.newest, newer) {
                attempt.time = Time::Hedged;
                self.older = Some(Box::new(attempt));
            }
        }
        Tried::Waits
    }

    /// The newest attempt has come to nothing: the older one is the only one again.
    pub(super) fn fall_back(&mut self, older: Attempt, call: &mut Call, turn: &mut Turn<'_>) {
        if let Some(attempt) = self.newest.get_mut() {
            attempt.close(turn);
        }
        call.ledger.record.older_counts = older.at;
        call.ledger.facts = older.stream.facts(turn);
        self.newest = Newest::UnderWay(older);
    }

    /// The older attempt is over; one that has ended already stays as it is.
    pub(super) fn give_up_older(&mut self, end: AttemptEnd, call: &mut Call, turn: &mut Turn<'_>) {
        if let Some(mut older) = self.older.take() {
            call.ledger.end_attempt(older.at, end, turn.now);
            older.close(turn);
        }
    }

    /// The older attempt has failed.
    pub(super) fn lose_older(&mut self, reason: ResetReason, call: &mut Call, turn: &mut Turn<'_>) {
        if let Some(older) = &mut self.older {
            older.held.fail();
        }
        self.give_up_older(AttemptEnd::Reset(reason), call, turn);
    }

    /// Moves what the older attempt still has to send, and looks for its response. Whether that is the client's now.
    pub(super) fn hear_older(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Tried {
        if let Some(older) = &mut self.older {
            call.body.send_again(older, &call.charge, turn);
        }
        while let Some(older) = &self.older {
            match older.stream.head(&mut call.ledger.response, turn) {
                None | Some(Ok(None)) => break,
                Some(Ok(Some(answer))) => {
                    if let Some(tried) = self.on_older_head(&answer, call, turn) {
                        return tried;
                    }
                }
                Some(Err(broken)) => self.lose_older(reason_of(broken), call, turn),
            }
        }
        Tried::Waits
    }

    /// A head of the older attempt's response: what comes of it if it is the client's.
    fn on_older_head(
        &mut self,
        answer: &Answer,
        call: &mut Call,
        turn: &mut Turn<'_>,
    ) -> Option<Tried> {
        let mut older = self.older.take()?;
        if let Answer::Final(body) = answer {
            older.on_head(*body, &mut call.ledger, turn.now);
            let judged = call.ask(
                |context, record, response| {
                    request::after_response(true, false, context, record, response)
                },
                turn,
            );
            if judged == Judged::Bad {
                // The newer one may do better.
                older.close(turn);
                return None;
            }
        }
        if let Some(newest) = self.newest.get() {
            call.ledger
                .end_attempt(newest.at, AttemptEnd::Overtaken, turn.now);
        }
        self.fall_back(*older, call, turn);
        Some(match answer {
            Answer::Final(body) => Tried::Answered(*body),
            // Nobody who asks for another protocol is hedged.
            Answer::Interim | Answer::Switched(_) => {
                call.inform(turn);
                self.hear(call, turn)
            }
        })
    }
}
