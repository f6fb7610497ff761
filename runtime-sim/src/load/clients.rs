//! Who asks: users, who wait for an answer before they ask again, and visitors, who come whatever happens.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::{Duration, Instant};

use super::ask::{Ask, Prepared};
use super::caller::{Caller, Next, Purpose, Question};
use super::latency::Latency;
use super::ledger::{ClientLog, Ledger, Outcome};
use crate::buffers::Buffers;
use crate::dice::Dice;
use crate::errands::Errands;
use crate::peer::Arrivals;
use crate::simulation::Simulation;

/// Nobody dials again at the same moment.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// A closed loop: so many users, each with one connection and at most one request under way.
#[derive(Clone, Debug)]
pub struct Users {
    /// How many.
    pub count: u32,
    /// Requests of each.
    pub requests: u64,
    /// Between an answer and the next request.
    pub think: Latency,
    /// How long they wait for an answer; `None` is for ever.
    pub patience: Option<Duration>,
    /// What they ask for.
    pub ask: Ask,
    /// Decides what is drawn.
    pub seed: u64,
}

impl Users {
    /// They connect now. What they see is written to the log.
    pub fn enter(self, world: &mut Simulation, address: &str) -> Rc<RefCell<ClientLog>> {
        let log = Rc::<RefCell<ClientLog>>::default();
        self.enter_with(world, address, Rc::clone(&log) as _, None);
        log
    }

    /// They connect now, and ask nothing from some moment on. What they see is told to a ledger.
    pub fn enter_with(
        self,
        world: &mut Simulation,
        address: &str,
        ledger: Rc<RefCell<dyn Ledger>>,
        until: Option<Instant>,
    ) {
        let crowd = Rc::new(RefCell::new(Crowd {
            method: self.ask.method.as_str().into(),
            request: self.ask.prepare(),
            buffers: world.errands().buffers().clone(),
            think: self.think,
            patience: self.patience,
            until,
            dice: Dice::new(self.seed),
            ledger,
        }));
        for _ in 0..self.count {
            let client = Client {
                crowd: Rc::clone(&crowd),
                left: self.requests,
            };
            world.connect(address, Box::new(Caller::new(client)));
        }
    }
}

/// An open loop: visitors come independently of how those before fared, ask once and leave.
#[derive(Clone, Debug)]
pub struct Visitors {
    /// How many.
    pub count: u64,
    /// Between one and the next; [`Latency::Exponential`] makes it a Poisson process.
    pub between: Latency,
    /// How long they wait for an answer; `None` is for ever.
    pub patience: Option<Duration>,
    /// What they ask for.
    pub ask: Ask,
    /// Decides what is drawn.
    pub seed: u64,
}

impl Visitors {
    /// From now on they come. What they see is written to the log.
    pub fn enter(self, world: &mut Simulation, address: &str) -> Rc<RefCell<ClientLog>> {
        let log = Rc::<RefCell<ClientLog>>::default();
        let crowd = Rc::new(RefCell::new(Crowd {
            method: self.ask.method.as_str().into(),
            request: self.ask.prepare(),
            buffers: world.errands().buffers().clone(),
            think: Latency::ZERO,
            patience: self.patience,
            until: None,
            dice: Dice::new(self.seed),
            ledger: Rc::clone(&log) as _,
        }));
        world.let_arrive(Box::new(Stream {
            left: self.count,
            between: self.between,
            crowd,
            address: address.into(),
        }));
        log
    }
}

/// What the clients of one load have in common.
struct Crowd {
    request: Prepared,
    buffers: Buffers,
    method: Rc<str>,
    think: Latency,
    patience: Option<Duration>,
    until: Option<Instant>,
    dice: Dice,
    ledger: Rc<RefCell<dyn Ledger>>,
}

impl Crowd {
    fn question(&self, now: Instant) -> Question {
        let number = self.ledger.borrow_mut().begin(false);
        let mut bytes = self.buffers.take();
        self.request.render(number, false, &[], &mut bytes);
        Question {
            bytes,
            method: Rc::clone(&self.method),
            patience: self.patience,
            number,
            began: now,
            ledger: Rc::clone(&self.ledger),
        }
    }
}

/// One client.
struct Client {
    crowd: Rc<RefCell<Crowd>>,
    /// Requests still to be sent.
    left: u64,
}

impl Client {
    fn pause(&self) -> Duration {
        let crowd = &mut *self.crowd.borrow_mut();
        crowd.think.draw(&mut crowd.dice)
    }
}

impl Purpose for Client {
    fn next(&mut self, now: Instant) -> Next {
        if self.crowd.borrow().until.is_some_and(|until| until <= now) {
            self.left = 0;
        }
        if self.left == 0 {
            return Next::Leave;
        }
        self.left -= 1;
        Next::Ask(self.crowd.borrow().question(now))
    }

    fn ended(&mut self, _outcome: Outcome, stays: bool) -> Next {
        if !stays || self.left == 0 {
            return Next::Leave;
        }
        Next::Wait(self.pause())
    }

    fn refused(&mut self, now: Instant) {
        self.left = self.left.saturating_sub(1);
        let crowd = self.crowd.borrow();
        let mut ledger = crowd.ledger.borrow_mut();
        let number = ledger.begin(false);
        ledger.end(number, now, now, Outcome::Refused);
    }

    fn returns_after(&mut self) -> Option<Duration> {
        (self.left > 0).then(|| self.pause().max(LEAST_PAUSE))
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }
}

/// Visitors still to come.
struct Stream {
    left: u64,
    between: Latency,
    crowd: Rc<RefCell<Crowd>>,
    address: Rc<str>,
}

impl Arrivals for Stream {
    fn next_arrival(&mut self, _now: Instant) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        Some(self.between.draw(&mut self.crowd.borrow_mut().dice))
    }

    fn arrive(&mut self, _now: Instant, errands: &Errands) {
        let client = Client {
            crowd: Rc::clone(&self.crowd),
            left: 1,
        };
        errands.connect(&self.address, Box::new(Caller::new(client)));
    }
}
