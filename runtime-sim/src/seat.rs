//! A peer's place at the end of a wire: what it wants to send and has not, and what it has not been told.

use std::collections::VecDeque;

use outrigger_core::snapshot::Address;
use outrigger_core::time::Duration;

use crate::beneath::Outcome;
use crate::fabric::{Fabric, Owner};
use crate::network::{End, Wire};
use crate::peer::{Action, Event, Peer};

/// What a peer reads at once.
const READ: usize = 16 * 1024;

/// What a peer is to be told about its wire.
pub(crate) enum Received {
    Bytes(Vec<u8>),
    Eof,
    Broken,
}

impl Received {
    pub(crate) fn as_event(&self) -> Event<'_> {
        match self {
            Self::Bytes(bytes) => Event::Bytes(bytes),
            Self::Eof => Event::Eof,
            Self::Broken => Event::Broken,
        }
    }
}

/// Where a peer is.
enum Whereabouts {
    /// Its connection is being made.
    Waiting,
    /// At an end of a wire.
    Sitting(Wire, End),
    /// Its connection is over, and it has not been asked whether it returns.
    Leaving,
    /// Gone, or about to return.
    Away,
}

pub(crate) struct Seat {
    pub(crate) peer: Box<dyn Peer>,
    /// Where it connects to; a peer that was accepted has none.
    address: Option<Address>,
    place: Whereabouts,
    outgoing: VecDeque<Action>,
    /// What it is to be told of TLS with its connection.
    pub(crate) meets: Option<Outcome>,
    naps: u64,
    told_eof: bool,
    told_broken: bool,
}

impl Seat {
    pub(crate) fn new(peer: Box<dyn Peer>, address: Option<Address>) -> Self {
        Self {
            peer,
            address,
            place: Whereabouts::Waiting,
            outgoing: VecDeque::new(),
            meets: None,
            naps: 0,
            told_eof: false,
            told_broken: false,
        }
    }

    pub(crate) fn sit(&mut self, wire: Wire, end: End) {
        self.place = Whereabouts::Sitting(wire, end);
        (self.told_eof, self.told_broken) = (false, false);
    }

    /// Nobody took its connection.
    pub(crate) fn refused(&mut self) {
        self.place = Whereabouts::Leaving;
    }

    /// When its connection has just ended and it wants another one: after how long.
    pub(crate) fn returns_after(&mut self) -> Option<Duration> {
        if !matches!(self.place, Whereabouts::Leaving) {
            return None;
        }
        self.place = Whereabouts::Away;
        self.address.as_ref()?;
        self.peer.returns_after()
    }

    /// Whether nobody needs it any more.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.place, Whereabouts::Away) && self.peer.is_finished()
    }

    /// It comes back: where it connects to. A sleep of before is over.
    pub(crate) fn come_back(&mut self) -> Option<Address> {
        self.place = Whereabouts::Waiting;
        self.naps += 1;
        self.outgoing.clear();
        self.address.clone()
    }

    const fn wire(&self) -> Option<(Wire, End)> {
        match self.place {
            Whereabouts::Sitting(wire, end) => Some((wire, end)),
            Whereabouts::Waiting | Whereabouts::Leaving | Whereabouts::Away => None,
        }
    }

    pub(crate) const fn next_nap(&mut self) -> u64 {
        self.naps += 1;
        self.naps
    }

    pub(crate) const fn wakes(&self, nap: u64) -> bool {
        self.naps == nap
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.outgoing.push_back(action);
    }

    /// Does what it wants to do, as far as the window allows.
    pub(crate) fn flush(&mut self, fabric: &mut Fabric) {
        while let Some((wire, end)) = self.wire() {
            let Some(action) = self.outgoing.pop_front() else {
                return;
            };
            match action {
                Action::Send(bytes) => {
                    let room = fabric.room(wire, end);
                    if bytes.len() > room {
                        fabric.send(wire, end, &bytes[..room]);
                        let rest = bytes[room..].to_vec();
                        self.outgoing.push_front(Action::Send(rest));
                        fabric.network.await_room(wire, end);
                        return;
                    }
                    fabric.hand_over(wire, end, bytes);
                }
                Action::Shutdown => fabric.shut(wire, end),
                Action::Close => {
                    fabric.close(wire, end);
                    self.leave(fabric);
                }
                Action::Reset => {
                    fabric.reset(wire, end);
                    self.leave(fabric);
                }
                // These two are the simulation's and never queued.
                Action::Sleep(_) | Action::Signal(_) => {}
            }
        }
    }

    fn leave(&mut self, fabric: &mut Fabric) {
        if let Some((wire, end)) = self.wire() {
            if matches!(fabric.owner(wire, end), Some(Owner::Peer(_))) {
                fabric.disown(wire, end);
            }
            self.place = Whereabouts::Leaving;
        }
        self.outgoing.clear();
    }

    /// What there is to see, if the peer reads.
    pub(crate) fn read(&mut self, fabric: &mut Fabric) -> Option<Received> {
        let (wire, end) = self.wire()?;
        if !self.peer.is_reading() {
            return None;
        }
        let sight = fabric.network.sight(wire, end);
        if sight.unread > 0 {
            return Some(Received::Bytes(fabric.take(wire, end, READ)));
        }
        if sight.broken && !std::mem::replace(&mut self.told_broken, true) {
            fabric.network.abandon(wire, end);
            self.leave(fabric);
            return Some(Received::Broken);
        }
        if sight.eof && !std::mem::replace(&mut self.told_eof, true) {
            return Some(Received::Eof);
        }
        None
    }
}
