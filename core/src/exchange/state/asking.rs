//! A request that somebody is asked about: how that begins, and how the request goes on.

use super::State;
use crate::decision::Details;
use crate::exchange::answer::{Answered, Asker};
use crate::exchange::body::Arrival;
use crate::exchange::call::Call;
use crate::exchange::inquiry::Begun;
use crate::exchange::{Exchange, Turn};
use crate::peer::ExchangeId;
use crate::request;

/// The question that is waited for.
const fn question(state: &State) -> Option<ExchangeId> {
    match state {
        State::Asking(asking) => asking.of,
        State::Delayed { .. }
        | State::Trying(_)
        | State::Relaying(_)
        | State::Tunnel(_)
        | State::Flush { .. }
        | State::Over => None,
    }
}

/// Asks, if that is what the request is at, and enough of it is here.
pub(super) fn ask(state: &mut State, call: &mut Call, turn: &mut Turn<'_>) {
    let State::Asking(asking) = state else {
        return;
    };
    match asking.begin(call, turn) {
        Begun::Waits => {}
        Begun::TooLong => state.refuse(&request::TOO_LARGE, call, turn),
    }
}

/// A question was answered, or came to nothing.
fn on_answer(state: &mut State, answered: &Answered, call: &mut Call, turn: &mut Turn<'_>) {
    let State::Asking(asking) = state else {
        return;
    };
    if asking.of != Some(answered.from) {
        return;
    }
    let question = asking.question;
    // The time of its rule runs from here, as after a delay.
    if let Arrival::Whole(since) = &mut call.body.arrival {
        *since = turn.now;
    }
    call.clocks.moved_at = turn.now;
    let heard = answered.heard.as_ref();
    let verdict = call.ask(
        |context, record, response| {
            request::after_answer(question, heard, context, record, response)
        },
        turn,
    );
    call.arm_route();
    state.obey(verdict, call, turn);
}

impl Exchange {
    /// A question of its own was answered, or came to nothing.
    pub(crate) fn on_answer(&mut self, answered: &Answered, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        on_answer(state, answered, call, turn);
        state.advance(call, turn);
    }

    /// It is a question, and nobody wants to know any more.
    pub(crate) fn give_up(&mut self, turn: &mut Turn<'_>) {
        let Self { call, state, .. } = self;
        state.cancel(Details::DownstreamRemoteDisconnect, call, turn);
    }

    /// It is a question: who waits for it.
    pub(crate) fn asked_by(&self) -> Option<ExchangeId> {
        self.call.asker.as_deref().map(Asker::who)
    }

    /// The question that it waits for.
    pub(crate) fn question(&self) -> Option<ExchangeId> {
        question(&self.state)
    }
}
