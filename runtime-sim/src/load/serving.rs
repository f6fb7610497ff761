//! One connection of an instance under load, and the request that is worked on for it.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::Instant;

use super::ask::is_again;
use super::capacity::Reception;
use super::conduct::{Conduct, Plan};
use super::fault::Fault;
use super::pool::{Cause, Round};
use crate::errands::Bell;
use crate::peer::{Action, Event, Peer};
use crate::reader::{Reader, SeenPiece};

/// One connection.
pub(super) struct Serving {
    instance: Rc<RefCell<Conduct>>,
    reader: Reader,
    bell: Option<Bell>,
    /// The request that is read, or worked on, would not be there without a retry.
    again: bool,
    /// Of that request, what goes on with the calls for it.
    carried: Vec<u8>,
    phase: Phase,
    /// The calls that are under way for it, or were.
    round: Option<Rc<Round>>,
    /// The connection has ended. What is worked on is done all the same.
    is_over: bool,
}

enum Phase {
    /// Within or between requests.
    Reading,
    /// A request waits for its turn.
    Waiting,
    /// A request is being worked on.
    Working(Plan),
    /// Others are asked before there is an answer.
    Calling(usize),
    /// Nothing more is answered, and what comes is read and forgotten.
    Deaf,
}

impl Serving {
    pub(super) fn new(instance: Rc<RefCell<Conduct>>) -> Self {
        Self {
            instance,
            reader: Reader::requests(),
            bell: None,
            again: false,
            carried: Vec::new(),
            phase: Phase::Reading,
            round: None,
            is_over: false,
        }
    }

    fn read(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while matches!(self.phase, Phase::Reading) && !self.is_over {
            match self.reader.next_seen() {
                Ok(None) => return,
                Ok(Some(SeenPiece::Head(head))) => {
                    self.again = is_again(&head);
                    self.instance.borrow().carry(&head, &mut self.carried);
                }
                Ok(Some(SeenPiece::Body(_))) => {}
                Ok(Some(SeenPiece::End(_))) => self.take(now, actions),
                Err(what) => {
                    self.instance.borrow_mut().log.complaints.push(what);
                    return self.close(Action::Reset, actions);
                }
            }
        }
    }

    /// A request is complete.
    fn take(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let entry = self.instance.borrow_mut().enter(self.bell.as_ref());
        match entry {
            Reception::Begins => self.work(now, actions),
            Reception::Waits => self.phase = Phase::Waiting,
            Reception::TurnedAway => self.answer(503, actions),
        }
    }

    /// It has a place.
    fn work(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let (time, plan) = self.instance.borrow_mut().plan(now);
        self.phase = Phase::Working(plan);
        if time.is_zero() {
            self.perform(plan, now, actions);
        } else {
            actions.push(Action::Sleep(time));
        }
    }

    fn perform(&mut self, plan: Plan, now: Instant, actions: &mut Vec<Action>) {
        match plan {
            Plan::Answer(200) => return self.call(0, now, actions),
            Plan::Answer(status) => self.answer(status, actions),
            Plan::Spoil(Fault::CloseMidBody) => {
                let bytes = self.instance.borrow().half_an_answer(self.buffer());
                actions.push(Action::Send(bytes));
                self.close(Action::Close, actions);
            }
            Plan::Spoil(Fault::Refuse | Fault::Reset) => self.close(Action::Reset, actions),
            Plan::Spoil(Fault::HalfClose) => {
                actions.push(Action::Shutdown);
                self.phase = Phase::Deaf;
            }
            Plan::Spoil(
                Fault::Unreachable | Fault::NeverAnswer | Fault::Slow(_) | Fault::Status(_),
            ) => self.phase = Phase::Deaf,
        }
        self.instance.borrow_mut().leave();
    }

    /// Asks others, from a stage on; with nobody left to ask there is an answer.
    fn call(&mut self, mut stage: usize, now: Instant, actions: &mut Vec<Action>) {
        let instance = &mut *self.instance.borrow_mut();
        let cause = Cause {
            again: self.again,
            carried: &self.carried,
        };
        match instance.call(&mut stage, cause, &mut self.round, self.bell.as_ref(), now) {
            Some(()) => self.phase = Phase::Calling(stage),
            None => {
                instance.leave();
                self.phase = Phase::Reading;
                let bytes = instance.answer(200, self.buffer());
                actions.push(Action::Send(bytes));
            }
        }
    }

    fn answer(&mut self, status: u16, actions: &mut Vec<Action>) {
        self.phase = Phase::Reading;
        let bytes = self.instance.borrow().answer(status, self.buffer());
        actions.push(Action::Send(bytes));
    }

    /// An empty buffer.
    fn buffer(&self) -> Vec<u8> {
        let bell = self.bell.as_ref();
        bell.map_or_else(Vec::new, |bell| bell.errands().buffers().take())
    }

    fn woken(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let round = self.round.as_deref();
        match &self.phase {
            Phase::Waiting => self.work(now, actions),
            Phase::Working(plan) => self.perform(*plan, now, actions),
            Phase::Calling(_) if round.is_some_and(|round| !round.is_over()) => {}
            Phase::Calling(_) if round.is_some_and(Round::has_failed) => {
                self.answer(500, actions);
                self.instance.borrow_mut().leave();
            }
            Phase::Calling(stage) => self.call(*stage, now, actions),
            Phase::Reading | Phase::Deaf => {}
        }
        self.read(now, actions);
    }

    fn close(&mut self, how: Action, actions: &mut Vec<Action>) {
        actions.push(how);
        self.closed();
    }

    fn closed(&mut self) {
        if let Phase::Reading | Phase::Deaf = self.phase {
            self.phase = Phase::Deaf;
        }
        if !std::mem::replace(&mut self.is_over, true) {
            self.instance.borrow_mut().log.open -= 1;
        }
    }
}

impl Peer for Serving {
    fn seated(&mut self, bell: Bell) {
        self.bell = Some(bell);
    }

    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Opened => self.instance.borrow_mut().opened(),
            Event::Bytes(_) if self.is_over || matches!(self.phase, Phase::Deaf) => {}
            Event::Bytes(bytes) => {
                self.reader.feed(bytes);
                self.read(now, actions);
            }
            Event::Woken => self.woken(now, actions),
            Event::Eof => self.close(Action::Close, actions),
            Event::Broken => self.closed(),
            Event::Secured(_) | Event::NotSecured(_) | Event::Refused | Event::Signal(_) => {}
        }
    }

    fn is_finished(&self) -> bool {
        self.is_over && matches!(self.phase, Phase::Reading | Phase::Deaf)
    }
}
