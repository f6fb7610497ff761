//! Who asks: users, who wait for an answer before they ask again, and visitors, who come whatever happens.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::Duration;

use super::ask::Ask;
use super::caller::{Caller, ClientLog, Crowd};
use super::latency::Latency;
use crate::dice::Dice;
use crate::peer::{Arrivals, Peer};
use crate::simulation::Simulation;

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
        let crowd = Rc::new(RefCell::new(Crowd {
            ask: self.ask,
            think: self.think,
            patience: self.patience,
            dice: Dice::new(self.seed),
            log: Rc::clone(&log),
        }));
        for _ in 0..self.count {
            world.connect(
                address,
                Box::new(Caller::new(Rc::clone(&crowd), self.requests)),
            );
        }
        log
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
            ask: self.ask,
            think: Latency::ZERO,
            patience: self.patience,
            dice: Dice::new(self.seed),
            log: Rc::clone(&log),
        }));
        let stream = Stream {
            left: self.count,
            between: self.between,
            crowd,
        };
        world.let_arrive(address, Box::new(stream));
        log
    }
}

/// Visitors still to come.
struct Stream {
    left: u64,
    between: Latency,
    crowd: Rc<RefCell<Crowd>>,
}

impl Arrivals for Stream {
    fn next_arrival(&mut self) -> Option<(Duration, Box<dyn Peer>)> {
        self.left = self.left.checked_sub(1)?;
        let wait = self.between.draw(&mut self.crowd.borrow_mut().dice);
        let caller = Caller::new(Rc::clone(&self.crowd), 1);
        Some((wait, Box::new(caller)))
    }
}
