//! What peers ask of their simulation beside what they do on their own connections: to wake another peer, and to let a
//! new one connect.
//!
//! Owns the list of what was asked. The simulation runs it after each thing that happens, in the order in which it was
//! asked, at the same moment.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::buffers::Buffers;
use crate::event::PeerId;
use crate::peer::Peer;

/// One thing that was asked.
pub(crate) enum Errand {
    /// This peer is to be woken.
    Ring(PeerId),
    /// This peer is to connect to this address.
    Connect(Rc<str>, Box<dyn Peer>),
}

/// Where errands of one simulation are left.
#[derive(Clone, Default)]
pub struct Errands(Rc<Shared>);

#[derive(Default)]
struct Shared {
    left: RefCell<VecDeque<Errand>>,
    buffers: Buffers,
}

impl core::fmt::Debug for Errands {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Errands")
            .field(&self.0.left.borrow().len())
            .finish()
    }
}

impl Errands {
    /// A new peer connects to an address, as it is written when it is exposed.
    pub fn connect(&self, address: &Rc<str>, peer: Box<dyn Peer>) {
        let errand = Errand::Connect(Rc::clone(address), peer);
        self.0.left.borrow_mut().push_back(errand);
    }

    pub(crate) fn bell(&self, of: PeerId) -> Bell {
        Bell {
            of,
            errands: self.clone(),
            rung: None,
        }
    }

    /// What peers write to, and what carries it.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.0.buffers
    }

    pub(crate) fn next(&self) -> Option<Errand> {
        self.0.left.borrow_mut().pop_front()
    }
}

/// Wakes one peer. Ringing for one that is gone does nothing.
#[derive(Clone, Debug)]
pub struct Bell {
    of: PeerId,
    errands: Errands,
    /// How often it was rung and nobody has looked, where the peer stands for several.
    rung: Option<Rings>,
}

/// How often one of several bells of a peer was rung.
pub(crate) type Rings = Rc<Cell<usize>>;

impl Bell {
    /// Has the peer told [`Event::Woken`](crate::Event::Woken), at this moment.
    pub fn ring(&self) {
        if let Some(rung) = &self.rung {
            rung.set(rung.get() + 1);
        }
        let mut left = self.errands.0.left.borrow_mut();
        left.push_back(Errand::Ring(self.of));
    }

    /// Another bell of the same peer, which tells how often it was rung.
    pub(crate) fn another(&self) -> (Self, Rings) {
        let rung = Rings::default();
        let bell = Self {
            rung: Some(Rings::clone(&rung)),
            ..self.clone()
        };
        (bell, rung)
    }

    /// Where its simulation's errands are left.
    #[must_use]
    pub const fn errands(&self) -> &Errands {
        &self.errands
    }
}
