//! A question of a request to somebody else, which it waits for (AuthorizationPolicy `CUSTOM`).
//!
//! A question is an exchange of its own without a client, as a copy for a mirror is: it goes through the same attempt as any
//! other request, by the limits and kept connections of its cluster. Its response is kept for who asked, who is told when it is
//! over, and gives it up when nobody wants to know any more. It has no record that others see: what came of it stands in
//! the record of the request.

use bytes::Bytes;

use super::answer::Asker;
use super::body::Body;
use super::call::Call;
use super::timers::Clocks;
use super::{Exchange, Turn};
use crate::peer::ExchangeId;
use crate::request::{self, Asked, Context, Question, Verdict};

/// A request asks, and waits.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) question: Question,
    /// The question under way; `None` while the body is awaited that is to be shown.
    pub(super) of: Option<ExchangeId>,
}

/// What came of trying to ask.
#[must_use]
pub(super) enum Begun {
    /// There is something to wait for.
    Waits,
    /// The body is longer than what may be shown.
    TooLong,
}

impl Asking {
    pub(super) const fn new(question: Question) -> Self {
        Self { question, of: None }
    }

    /// Asks, once so much of the body is here as is to be shown.
    pub(super) fn begin(&mut self, call: &mut Call, turn: &mut Turn<'_>) -> Begun {
        if self.of.is_some() {
            return Begun::Waits;
        }
        let (mut body, mut is_partial) = (Bytes::new(), false);
        if let Some(wanted) = self.question.body {
            let (here, is_complete) = (call.body.replay.len(), call.body.is_complete());
            is_partial = !is_complete || here > wanted.most;
            let is_enough = is_complete || here > wanted.most;
            if !is_enough && call.body.replay.is_whole() {
                return Begun::Waits;
            }
            if is_partial && !wanted.allow_partial || !call.body.replay.is_whole() {
                return Begun::TooLong;
            }
            body = call.body.replay.first(wanted.most);
        }
        let question = self.question;
        let Asked {
            record,
            target,
            body,
        } = call.ask(
            |context, record, _| {
                let context = Context {
                    upgrade: None,
                    complete_since: Some(context.now),
                    ..*context
                };
                request::begin_question(question, &body, is_partial, &context, record)
            },
            turn,
        );
        let mut side = Call::new(&call.ledger.who, turn.local);
        side.id = turn.exchanges.insert(None);
        side.ledger.look_at(&call.ledger.view);
        side.clocks = Clocks {
            route: record.timeouts.whole.map(|whole| turn.now + whole),
            moved_at: turn.now,
            ..Clocks::default()
        };
        side.body = Body::of(&record.request.method, body, turn.now);
        side.ledger.record = record;
        side.asker = Some(Box::new(Asker::of(call.id)));
        self.of = Some(side.id);
        let verdict = target.map_or_else(|| Verdict::Reply(Bytes::new()), Verdict::Attempt);
        Exchange::begin_copy(side, verdict, turn);
        Begun::Waits
    }
}
