//! One connection of an instance under load.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::Instant;

use super::fault::Fault;
use super::instance::{Plan, State};
use crate::peer::{Action, Event, Peer};
use crate::reader::{Piece, Reader};

/// One connection.
pub(super) struct Serving {
    instance: Rc<RefCell<State>>,
    reader: Reader,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Within or between requests.
    Reading,
    /// A request is being worked on.
    Working(Plan),
    /// Nothing more is answered, and what comes is read and forgotten.
    Deaf,
    /// Over.
    Closed,
}

impl Serving {
    pub(super) fn new(instance: Rc<RefCell<State>>) -> Self {
        Self {
            instance,
            reader: Reader::requests(),
            phase: Phase::Reading,
        }
    }

    fn read(&mut self, now: Instant, actions: &mut Vec<Action>) {
        while self.phase == Phase::Reading {
            match self.reader.next_piece() {
                Ok(None) => return,
                Ok(Some(Piece::Head(_) | Piece::Body(_))) => {}
                Ok(Some(Piece::End(_))) => {
                    let (wait, plan) = self.instance.borrow_mut().plan(now);
                    self.phase = Phase::Working(plan);
                    if !wait.is_zero() {
                        return actions.push(Action::Sleep(wait));
                    }
                    self.perform(plan, actions);
                }
                Err(what) => {
                    self.instance.borrow_mut().log.complaints.push(what);
                    return self.close(Action::Reset, actions);
                }
            }
        }
    }

    fn perform(&mut self, plan: Plan, actions: &mut Vec<Action>) {
        match plan {
            Plan::Answer(status) => {
                let (mut bytes, body) = self.instance.borrow().answer(status);
                bytes.extend(body);
                actions.push(Action::Send(bytes));
                self.phase = Phase::Reading;
            }
            Plan::Spoil(Fault::CloseMidBody) => {
                let (mut bytes, body) = self.instance.borrow().answer(200);
                bytes.extend(&body[..body.len() / 2]);
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
    }

    fn close(&mut self, how: Action, actions: &mut Vec<Action>) {
        actions.push(how);
        self.closed();
    }

    fn closed(&mut self) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.instance.borrow_mut().log.open -= 1;
        }
    }
}

impl Peer for Serving {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match (event, self.phase) {
            (Event::Opened, _) => self.instance.borrow_mut().opened(),
            (Event::Bytes(_), Phase::Deaf | Phase::Closed) => {}
            (Event::Bytes(bytes), Phase::Reading | Phase::Working(_)) => {
                self.reader.feed(bytes);
                self.read(now, actions);
            }
            (Event::Woken, Phase::Working(plan)) => {
                self.perform(plan, actions);
                self.read(now, actions);
            }
            (Event::Eof, _) => self.close(Action::Close, actions),
            (Event::Broken, _) => self.closed(),
            (
                Event::Woken | Event::Refused | Event::Signal(_),
                Phase::Reading | Phase::Working(_) | Phase::Deaf | Phase::Closed,
            ) => {}
        }
    }
}
