//! One connection of a client: what is asked on it, read strictly, and how that ended.
//!
//! Owns the conversation. Who asks what, and when, is a [`Purpose`].

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::{Duration, Instant};

use super::ledger::{Ledger, Outcome};
use crate::errands::Bell;
use crate::peer::{Action, Event, Peer};
use crate::reader::{Reader, SeenPiece};

/// A request that is under way, and who wants to know how it ends.
pub(super) struct Question {
    pub(super) bytes: Vec<u8>,
    pub(super) method: Rc<str>,
    /// How long its client waits for an answer; `None` is for ever.
    pub(super) patience: Option<Duration>,
    pub(super) number: u64,
    pub(super) began: Instant,
    pub(super) ledger: Rc<RefCell<dyn Ledger>>,
}

/// What is done with a connection that is free.
pub(super) enum Next {
    /// This is asked.
    Ask(Question),
    /// Nothing, for so long.
    Wait(Duration),
    /// Nothing, until somebody rings.
    Rest,
    /// It is closed.
    Leave,
}

/// What a connection is for.
pub(super) trait Purpose {
    /// Told once, before anything else.
    fn seated(&mut self, _bell: Bell) {}

    /// The connection is free and its time has come.
    fn next(&mut self, now: Instant) -> Next;

    /// What was asked has ended; `stays`: the connection may be used again.
    fn ended(&mut self, outcome: Outcome, stays: bool) -> Next;

    /// No connection could be made.
    fn refused(&mut self, now: Instant);

    /// The connection has ended between two requests.
    fn closed(&mut self) {}

    /// After how long it wants another connection.
    fn returns_after(&mut self) -> Option<Duration>;

    /// Whether it will want no other connection.
    fn is_done(&self) -> bool;
}

/// One connection of a client.
pub(super) struct Caller<P> {
    purpose: P,
    reader: Reader,
    phase: Phase,
}

enum Phase {
    /// There is no connection, or none that is used any more.
    Away,
    /// Nothing is under way.
    Resting,
    /// A request waits for its answer.
    Asking {
        question: Question,
        head: Option<Head>,
    },
}

/// What counts of an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    close: bool,
}

impl<P: Purpose> Caller<P> {
    pub(super) fn new(purpose: P) -> Self {
        Self {
            purpose,
            reader: Reader::responses(),
            phase: Phase::Away,
        }
    }

    fn follow(&mut self, mut next: Next, now: Instant, actions: &mut Vec<Action>) {
        self.phase = Phase::Resting;
        loop {
            match next {
                Next::Ask(mut question) => {
                    self.reader.expect(&question.method);
                    actions.push(Action::Send(std::mem::take(&mut question.bytes)));
                    actions.extend(question.patience.map(Action::Sleep));
                    let head = None;
                    self.phase = Phase::Asking { question, head };
                    return;
                }
                Next::Wait(Duration::ZERO) => next = self.purpose.next(now),
                Next::Wait(time) => return actions.push(Action::Sleep(time)),
                Next::Rest => return,
                Next::Leave => return self.leave(actions),
            }
        }
    }

    fn read(&mut self, now: Instant, actions: &mut Vec<Action>) {
        loop {
            match self.reader.next_seen() {
                Ok(None) => return,
                Ok(Some(SeenPiece::Head(seen))) => {
                    let status = seen.status().unwrap_or_default();
                    let close = seen.has_token("connection", "close");
                    if let Phase::Asking { head, .. } = &mut self.phase
                        && status >= 200
                    {
                        *head = Some(Head { status, close });
                    }
                }
                Ok(Some(SeenPiece::Body(_))) => {}
                Ok(Some(SeenPiece::End(_))) => return self.answered(now, actions),
                Err(what) => {
                    // A body that was cut is no fault of the one who passes it on.
                    if !what.contains("in the middle of")
                        && let Phase::Asking { question, .. } = &self.phase
                    {
                        question.ledger.borrow_mut().complain(what);
                    }
                    self.over(Outcome::Cut, false, now);
                    return self.leave(actions);
                }
            }
        }
    }

    fn answered(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Phase::Asking {
            head: Some(head), ..
        } = self.phase
        else {
            return;
        };
        let outcome = Outcome::Answered(head.status);
        match self.over(outcome, !head.close, now) {
            Some(next) if !head.close => self.follow(next, now, actions),
            Some(_) | None => self.leave(actions),
        }
    }

    /// The request under way has ended.
    fn over(&mut self, outcome: Outcome, stays: bool, now: Instant) -> Option<Next> {
        let Phase::Asking { question, .. } = std::mem::replace(&mut self.phase, Phase::Resting)
        else {
            return None;
        };
        let mut ledger = question.ledger.borrow_mut();
        ledger.end(question.number, question.began, now, outcome);
        Some(self.purpose.ended(outcome, stays))
    }

    fn leave(&mut self, actions: &mut Vec<Action>) {
        actions.push(Action::Close);
        self.phase = Phase::Away;
    }

    /// The connection has ended.
    fn ended(&mut self, now: Instant) {
        match self.phase {
            Phase::Away => {}
            Phase::Resting => self.purpose.closed(),
            Phase::Asking { head, .. } => {
                let outcome = head.map_or(Outcome::Lost, |_| Outcome::Cut);
                self.over(outcome, false, now);
            }
        }
        self.phase = Phase::Away;
    }
}

impl<P: Purpose> Peer for Caller<P> {
    fn seated(&mut self, bell: Bell) {
        self.purpose.seated(bell);
    }

    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match (event, &self.phase) {
            (Event::Opened, _) => {
                self.reader = Reader::responses();
                let next = self.purpose.next(now);
                self.follow(next, now, actions);
            }
            (Event::Refused | Event::NotSecured(_), _) => self.purpose.refused(now),
            (Event::Bytes(bytes), _) => {
                self.reader.feed(bytes);
                self.read(now, actions);
            }
            (Event::Eof, _) => {
                self.reader.feed_eof();
                self.read(now, actions);
                self.ended(now);
                self.leave(actions);
            }
            (Event::Broken, _) => self.ended(now),
            (Event::Woken, Phase::Resting) => {
                let next = self.purpose.next(now);
                self.follow(next, now, actions);
            }
            (Event::Woken, Phase::Asking { question, .. }) => {
                // The clock of a question that was answered goes on where nobody set it anew.
                if question.patience.is_some() {
                    self.over(Outcome::Left, false, now);
                    self.leave(actions);
                }
            }
            (Event::Woken, Phase::Away) | (Event::Signal(_) | Event::Secured(_), _) => {}
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Away) && self.purpose.is_done()
    }

    fn returns_after(&mut self) -> Option<Duration> {
        self.purpose.returns_after()
    }
}
