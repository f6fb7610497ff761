//! Hedging: an attempt that takes longer than its time goes on, and another one is made beside it (Envoy's
//! `hedge_on_per_try_timeout`).
//!
//! The older attempt is set aside, and the exchange's own side of the endpoint is the newer one's.
//! The first good response wins: if it is the older one's, that is taken back into its place, and everything goes on as
//! if there had been no other. There are two at a time and no more. An attempt that was set aside is followed by no
//! other; what it comes to counts only if it is good, or if it is the last one left.

use core::mem;

use super::replay::Replay;
use super::upstream::Upstream;
use super::{Exchange, Turn};
use crate::decision::{AttemptEnd, Details, ResetReason};
use crate::request::{self, Judged};
use crate::stream::Answer;

/// An attempt that takes too long, beside which there is a newer one.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) up: Upstream,
    /// The request, of which it may not have been sent everything.
    replay: Replay,
}

impl Exchange {
    pub(super) fn on_per_try_timeout(&mut self, turn: &mut Turn<'_>) {
        // What asks for another protocol is a conversation with one endpoint.
        let may_hedge = self.record.timeouts.hedges && self.call.begins.upgrade.is_none();
        if !may_hedge {
            self.fail_attempt(ResetReason::PerTryTimeout, turn);
            return;
        }
        self.up.per_try_deadline = None;
        self.report_reset(ResetReason::PerTryTimeout, turn);
        self.up.is_judged = true;
        if self.aside.is_some() {
            return;
        }
        let can_repeat = self.can_repeat();
        let hedges = self.ask(
            |context, record, _| request::on_try_too_long(can_repeat, context, record),
            turn,
        );
        if let Some(later) = hedges {
            self.set_aside();
            self.back_off(later, turn);
        }
    }

    fn set_aside(&mut self) {
        let newer = self.up.beside();
        let mut up = mem::replace(&mut self.up, newer);
        up.was_hedged = true;
        self.aside = Some(Box::new(Aside {
            up,
            replay: self.call.replay.fork(),
        }));
    }

    /// The newer attempt has come to nothing: the older one is the only one again.
    pub(super) fn take_back(&mut self, turn: &mut Turn<'_>) {
        let Some(aside) = self.aside.take() else {
            return;
        };
        self.drop_upstream(turn);
        let Aside { up, replay } = *aside;
        self.up = up;
        self.call.replay = replay;
        self.record.older_counts = self.up.at;
        self.facts = turn.facts(self.up.conn);
    }

    /// Instead of an answer of our own, the older attempt goes on, if there is one.
    pub(super) fn falls_back(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.aside.is_none() {
            return false;
        }
        self.record.details = Details::None;
        self.take_back(turn);
        true
    }

    /// The older attempt is over; one that has ended already stays as it is.
    pub(super) fn give_up_aside(&mut self, end: AttemptEnd, turn: &mut Turn<'_>) {
        if let Some(mut aside) = self.aside.take() {
            aside.up.end(&mut self.record, end);
            if let Some(id) = aside.up.detach() {
                turn.close_upstream(id);
            }
        }
    }

    /// The older attempt has failed.
    pub(super) fn lose_aside(&mut self, reason: ResetReason, turn: &mut Turn<'_>) {
        if let Some(active) = self.aside.as_mut().and_then(|a| a.up.active.as_mut()) {
            active.fail();
        }
        self.give_up_aside(AttemptEnd::Reset(reason), turn);
    }

    /// Moves what the older attempt still has to send, and looks for its response. Whether that has just won.
    pub(super) fn pump_aside(&mut self, turn: &mut Turn<'_>) -> bool {
        let mark = self.charge.high_water();
        if let Some(aside) = &mut self.aside {
            let Aside { up, replay, .. } = &mut **aside;
            up.send_again(
                replay,
                true,
                self.call.request_trailers.as_ref(),
                mark,
                turn,
            );
        }
        while let Some(aside) = &mut self.aside {
            let Some((endpoint, _)) = turn.endpoint(aside.up.conn) else {
                return false;
            };
            match endpoint.head(&mut self.response) {
                Ok(None) => return false,
                Ok(Some(answer)) => {
                    if self.on_head_aside(&answer, turn) {
                        self.pump_response(turn);
                        return true;
                    }
                }
                Err(_refused) => self.lose_aside(ResetReason::ProtocolError, turn),
            }
        }
        false
    }

    /// A head of the older attempt's response. Whether it is the client's.
    fn on_head_aside(&mut self, answer: &Answer, turn: &mut Turn<'_>) -> bool {
        let Some(aside) = &mut self.aside else {
            return false;
        };
        if let Answer::Final(body) = answer {
            let (record, response) = (&mut self.record, &self.response);
            aside.up.on_head(*body, record, response);
            let judged = self.ask(
                |context, record, response| {
                    request::after_response(true, false, context, record, response)
                },
                turn,
            );
            if judged == Judged::Bad {
                // The newer one may do better.
                self.give_up_aside(AttemptEnd::Cancelled, turn);
                return false;
            }
        }
        self.up.end(&mut self.record, AttemptEnd::Overtaken);
        self.take_back(turn);
        match answer {
            Answer::Final(body) => self.pass_on(*body, turn),
            // Nobody who asks for another protocol is hedged.
            Answer::Interim | Answer::Switched(_) => self.pass_on_interim(turn),
        }
        true
    }

    pub(super) fn on_aside_eof(&mut self, turn: &mut Turn<'_>) {
        let has_won = self.pump_aside(turn);
        if let Some(aside) = &self.aside {
            let reason = aside.up.end_reason(turn);
            self.lose_aside(reason, turn);
        } else if has_won {
            // Its response has just won, and the end is that of its body.
            self.on_upstream_eof(turn);
        }
    }

    pub(super) fn on_aside_broken(&mut self, turn: &mut Turn<'_>) {
        let has_won = self.pump_aside(turn);
        if let Some(aside) = &self.aside {
            let reason = aside.up.end_reason(turn);
            self.lose_aside(reason, turn);
        } else if has_won {
            self.on_upstream_broken(turn);
        }
    }
}
