//! One client of a load: it asks, reads, thinks, and comes back when its connection is over.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::{Duration, Instant};

use super::ask::Ask;
use super::latency::Latency;
use crate::dice::Dice;
use crate::peer::{Action, Event, Peer};
use crate::reader::{Piece, Reader};

/// Nobody dials again at the same moment.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// How a request ended, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It has not.
    Open,
    /// With a whole answer of this status.
    Answered(u16),
    /// In the middle of an answer.
    Cut,
    /// Without any answer: the connection ended.
    Lost,
    /// The client had waited for long enough and left.
    Left,
    /// The client could not connect.
    Refused,
}

/// What clients saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLog {
    /// Each request's outcome; its position is its `x-request-id`.
    pub outcomes: Vec<Outcome>,
    /// Answers that a strict reader could not read.
    pub complaints: Vec<String>,
}

impl ClientLog {
    /// How many requests ended in this way.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.iter().filter(|o| **o == outcome).count()
    }

    fn begin(&mut self) -> usize {
        self.outcomes.push(Outcome::Open);
        self.outcomes.len() - 1
    }
}

/// What the clients of one load have in common.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) ask: Ask,
    pub(super) think: Latency,
    pub(super) patience: Option<Duration>,
    pub(super) dice: Dice,
    pub(super) log: Rc<RefCell<ClientLog>>,
}

/// One client.
pub(super) struct Caller {
    crowd: Rc<RefCell<Crowd>>,
    /// Requests still to be sent.
    left: u64,
    reader: Reader,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no connection, or none that is used any more.
    Away,
    /// Nothing is under way.
    Resting,
    /// A request waits for its answer.
    Asking { number: usize, head: Option<Head> },
}

/// What counts of an answer's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    close: bool,
}

impl Caller {
    pub(super) fn new(crowd: Rc<RefCell<Crowd>>, requests: u64) -> Self {
        Self {
            crowd,
            left: requests,
            reader: Reader::responses(),
            phase: Phase::Away,
        }
    }

    fn next(&mut self, actions: &mut Vec<Action>) {
        if self.left == 0 {
            return self.leave(actions);
        }
        self.left -= 1;
        let crowd = self.crowd.borrow();
        let number = crowd.log.borrow_mut().begin();
        self.phase = Phase::Asking { number, head: None };
        self.reader.expect(&crowd.ask.method);
        actions.push(Action::Send(crowd.ask.render(number as u64)));
        actions.extend(crowd.patience.map(Action::Sleep));
    }

    fn read(&mut self, actions: &mut Vec<Action>) {
        loop {
            match self.reader.next_piece() {
                Ok(None) => return,
                Ok(Some(Piece::Head(seen))) => {
                    let status = seen.status().unwrap_or_default();
                    let close = seen.has_token("connection", "close");
                    if let Phase::Asking { head, .. } = &mut self.phase
                        && status >= 200
                    {
                        *head = Some(Head { status, close });
                    }
                }
                Ok(Some(Piece::Body(_))) => {}
                Ok(Some(Piece::End(_))) => return self.answered(actions),
                Err(what) => {
                    // A body that was cut is no fault of the one who passes it on.
                    if !what.contains("in the middle of") {
                        self.crowd.borrow().log.borrow_mut().complaints.push(what);
                    }
                    self.over(Outcome::Cut);
                    return self.leave(actions);
                }
            }
        }
    }

    fn answered(&mut self, actions: &mut Vec<Action>) {
        let Phase::Asking {
            head: Some(head), ..
        } = self.phase
        else {
            return;
        };
        self.over(Outcome::Answered(head.status));
        if head.close || self.left == 0 {
            return self.leave(actions);
        }
        let pause = self.pause();
        if pause.is_zero() {
            self.next(actions);
        } else {
            actions.push(Action::Sleep(pause));
        }
    }

    /// The request under way has ended.
    fn over(&mut self, outcome: Outcome) {
        if let Phase::Asking { number, .. } = std::mem::replace(&mut self.phase, Phase::Resting) {
            self.crowd.borrow().log.borrow_mut().outcomes[number] = outcome;
        }
    }

    fn leave(&mut self, actions: &mut Vec<Action>) {
        actions.push(Action::Close);
        self.phase = Phase::Away;
    }

    /// The connection has ended.
    fn ended(&mut self) {
        match self.phase {
            Phase::Away | Phase::Resting => {}
            Phase::Asking { head: None, .. } => self.over(Outcome::Lost),
            Phase::Asking { head: Some(_), .. } => self.over(Outcome::Cut),
        }
        self.phase = Phase::Away;
    }

    fn pause(&self) -> Duration {
        let crowd = &mut *self.crowd.borrow_mut();
        crowd.think.draw(&mut crowd.dice)
    }
}

impl Peer for Caller {
    fn on_event(&mut self, event: Event<'_>, _now: Instant, actions: &mut Vec<Action>) {
        match (event, self.phase) {
            (Event::Opened, _) => {
                self.reader = Reader::responses();
                self.next(actions);
            }
            (Event::Refused, _) => {
                self.left = self.left.saturating_sub(1);
                let crowd = self.crowd.borrow();
                let mut log = crowd.log.borrow_mut();
                log.outcomes.push(Outcome::Refused);
            }
            (Event::Bytes(bytes), _) => {
                self.reader.feed(bytes);
                self.read(actions);
            }
            (Event::Eof, _) => {
                self.reader.feed_eof();
                self.read(actions);
                self.ended();
                self.leave(actions);
            }
            (Event::Broken, _) => self.ended(),
            (Event::Woken, Phase::Resting) => self.next(actions),
            (Event::Woken, Phase::Asking { .. }) => {
                self.over(Outcome::Left);
                self.leave(actions);
            }
            (Event::Woken, Phase::Away) | (Event::Signal(_), _) => {}
        }
    }

    fn returns_after(&mut self) -> Option<Duration> {
        (self.left > 0).then(|| self.pause().max(LEAST_PAUSE))
    }
}
