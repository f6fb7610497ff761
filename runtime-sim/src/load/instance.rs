//! One instance of a service under load, as whoever makes a world holds it.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::time::Instant;

use super::calls::Calls;
use super::conduct::{Behaviour, Conduct, InstanceLog};
use super::fault::Fault;
use super::serving::Serving;
use crate::peer::{Accept, Serve};

/// An instance. Its connections share it.
#[derive(Clone, Debug)]
pub struct Instance(Rc<RefCell<Conduct>>);

impl Instance {
    /// An instance; the seed decides its latencies and errors.
    #[must_use]
    pub fn new(behaviour: Behaviour, seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Conduct::new(behaviour, seed))))
    }

    /// It asks others before it answers a request well. When one of these calls fails, so does its answer, with 500.
    #[must_use]
    pub fn calling(self, calls: Calls) -> Self {
        self.0.borrow_mut().calls = Some(calls);
        self
    }

    /// What it saw so far.
    #[must_use]
    pub fn log(&self) -> InstanceLog {
        self.0.borrow().log.clone()
    }

    /// It behaves differently from now on.
    pub fn change(&self, behaviour: impl FnOnce(&mut Behaviour)) {
        behaviour(&mut self.0.borrow_mut().behaviour);
    }
}

impl Serve for Instance {
    fn accept(&mut self, now: Instant) -> Accept {
        match self.0.borrow_mut().fault(now, is_about_connecting) {
            Some(Fault::Refuse) => Accept::Refuse,
            Some(Fault::Unreachable) => Accept::Ignore,
            _ => Accept::Peer(Box::new(Serving::new(Rc::clone(&self.0)))),
        }
    }
}

const fn is_about_connecting(fault: Fault) -> bool {
    matches!(fault, Fault::Refuse | Fault::Unreachable)
}
