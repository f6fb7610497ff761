//! The connections that one application keeps to its sidecar: a call takes one that is free, or makes another.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use outrigger_core::time::{Duration, Instant};

use super::ask::Prepared;
use super::caller::{Caller, Next, Purpose, Question};
use super::ledger::{Ledger, Outcome};
use crate::errands::{Bell, Errands};

/// Connections to one address.
#[derive(Clone)]
pub struct Pool(Rc<Kept>);

struct Kept {
    address: Rc<str>,
    errands: Errands,
    /// Those that are free, the one that was used last at the end.
    free: RefCell<Vec<Rc<Line>>>,
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Pool").field(&self.0.address).finish()
    }
}

/// What is asked through a pool, again and again.
#[derive(Clone)]
pub(super) struct Topic {
    pub(super) request: Prepared,
    pub(super) method: Rc<str>,
    pub(super) patience: Option<Duration>,
    pub(super) ledger: Rc<RefCell<dyn Ledger>>,
}

/// What a call has of the request that it is made for.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    /// The request would not be there without a retry.
    pub(super) again: bool,
    /// Lines of fields that go on.
    pub(super) carried: &'a [u8],
}

impl Cause<'_> {
    /// A client asks for itself.
    pub(super) const NONE: Self = Self {
        again: false,
        carried: &[],
    };
}

/// Several calls at a time, and who waits for all of them.
pub(super) struct Round {
    left: Cell<usize>,
    has_failed: Cell<bool>,
    bell: Bell,
}

impl Round {
    /// A round of so many calls, in the place of the one before, of which nothing is under way any more.
    pub(super) fn begin(place: &mut Option<Rc<Self>>, calls: usize, bell: &Bell) -> Rc<Self> {
        match place {
            Some(round) if Rc::strong_count(round) == 1 => {
                round.left.set(calls);
                round.has_failed.set(false);
                Rc::clone(round)
            }
            _ => Rc::clone(place.insert(Rc::new(Self {
                left: Cell::new(calls),
                has_failed: Cell::new(false),
                bell: bell.clone(),
            }))),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.left.get() == 0
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    fn ended(&self, is_good: bool) {
        self.left.set(self.left.get() - 1);
        self.has_failed.set(self.has_failed.get() || !is_good);
        if self.is_over() {
            self.bell.ring();
        }
    }
}

/// Who waits for a call.
pub(super) struct Waits {
    pub(super) round: Rc<Round>,
    /// It counts as good however it ends.
    pub(super) is_optional: bool,
}

/// A connection of a pool.
struct Line {
    order: RefCell<Option<(Question, Option<Waits>)>>,
    bell: OnceCell<Bell>,
    is_open: Cell<bool>,
}

impl Pool {
    /// No connections yet.
    #[must_use]
    pub fn new(address: &str, errands: &Errands) -> Self {
        Self(Rc::new(Kept {
            address: address.into(),
            errands: errands.clone(),
            free: RefCell::default(),
        }))
    }

    /// Asks.
    pub(super) fn call(&self, topic: &Topic, cause: Cause<'_>, now: Instant, waits: Option<Waits>) {
        let Cause { again, carried } = cause;
        let number = topic.ledger.borrow_mut().begin(again);
        let mut bytes = self.0.errands.buffers().take();
        topic.request.render(number, again, carried, &mut bytes);
        let question = Question {
            bytes,
            method: Rc::clone(&topic.method),
            patience: topic.patience,
            number,
            began: now,
            ledger: Rc::clone(&topic.ledger),
        };
        let mut free = self.0.free.borrow_mut();
        while let Some(line) = free.pop() {
            if let (true, Some(bell)) = (line.is_open.get(), line.bell.get()) {
                line.order.replace(Some((question, waits)));
                return bell.ring();
            }
        }
        drop(free);
        let line = Rc::new(Line {
            order: RefCell::new(Some((question, waits))),
            bell: OnceCell::new(),
            is_open: Cell::new(true),
        });
        let held = Held {
            pool: Rc::clone(&self.0),
            line,
            waits: None,
        };
        let address = &self.0.address;
        self.0.errands.connect(address, Box::new(Caller::new(held)));
    }
}

/// A connection, as the one who talks on it has it.
struct Held {
    pool: Rc<Kept>,
    line: Rc<Line>,
    /// Who waits for what is under way.
    waits: Option<Waits>,
}

impl Purpose for Held {
    fn seated(&mut self, bell: Bell) {
        // Told once, so nothing is there yet.
        let _ = self.line.bell.set(bell);
    }

    fn next(&mut self, _now: Instant) -> Next {
        match self.line.order.take() {
            Some((question, waits)) => {
                self.waits = waits;
                Next::Ask(question)
            }
            None => Next::Rest,
        }
    }

    fn ended(&mut self, outcome: Outcome, stays: bool) -> Next {
        if let Some(waits) = self.waits.take() {
            waits.round.ended(outcome.is_good() || waits.is_optional);
        }
        self.line.is_open.set(stays);
        if stays {
            self.pool.free.borrow_mut().push(Rc::clone(&self.line));
        }
        Next::Rest
    }

    fn refused(&mut self, now: Instant) {
        if let Some((question, waits)) = self.line.order.take() {
            let mut ledger = question.ledger.borrow_mut();
            ledger.end(question.number, question.began, now, Outcome::Refused);
            self.waits = waits;
            drop(ledger);
            self.ended(Outcome::Refused, false);
        }
    }

    fn closed(&mut self) {
        self.line.is_open.set(false);
    }

    fn returns_after(&mut self) -> Option<Duration> {
        None
    }

    fn is_done(&self) -> bool {
        true
    }
}
