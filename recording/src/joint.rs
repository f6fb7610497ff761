//! The joint between a worker thread and core: everything that enters core passes here, and is recorded here if somebody
//! asked for that.
//!
//! Owns the thread's [`Worker`] and its random numbers. When to say what to core, and what to do with its answers, is left
//! to the tasks that call.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use bytes::BytesMut;
use outrigger_core::decision::Record;
use outrigger_core::entropy::Entropy;
use outrigger_core::exchange::{Ambient, ConnectionId, Exchange, Input, Output, Peer, Side};
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{Announced, Buffered, Worker, WorkerSettings};

use crate::recorder::{Place, Tap};

/// One thread's way into core.
pub struct Joint {
    worker: RefCell<Worker>,
    seed: u64,
    /// Connections that were accepted.
    accepted: Cell<u64>,
    tap: Option<Tap>,
}

/// An exchange, and its place in a recording.
pub struct Driven {
    exchange: Exchange,
    /// The connection's random number; a copy begins no request.
    entropy: Entropy,
    place: Place,
}

impl Joint {
    /// A worker that begins on this snapshot; its random numbers follow from its seed. `tap` is where it is recorded.
    #[must_use]
    pub fn new(
        snapshot: Arc<Snapshot>,
        settings: WorkerSettings,
        seed: u64,
        tap: Option<Tap>,
    ) -> Self {
        Self {
            worker: RefCell::new(Worker::new(snapshot, settings, seed)),
            seed,
            accepted: Cell::new(0),
            tap,
        }
    }

    /// A client connected.
    pub fn accept(&self, peer: Peer, now: Instant) -> Driven {
        let before = self.accepted.get();
        self.accepted.set(before.wrapping_add(1));
        Driven {
            exchange: Exchange::accept(peer, now, &self.worker.borrow()),
            entropy: Entropy::of_connection(self.seed, before),
            place: Place::of(&self.tap, |tap| tap.accepted(peer, now)),
        }
    }

    /// A copy for a mirror that [`Output::Mirror`] spoke of.
    pub fn take_mirror(&self, of: &mut Driven) -> Option<Driven> {
        let exchange = of.exchange.take_mirror()?;
        Some(Driven {
            exchange,
            entropy: of.entropy,
            place: Place::of(&self.tap, |tap| tap.copied(&of.place)),
        })
    }

    /// Something happened on a connection.
    pub fn handle_input(&self, driven: &mut Driven, input: Input, now: Instant) {
        let worker = &mut self.worker.borrow_mut();
        let Driven {
            exchange,
            entropy,
            place,
        } = driven;
        let entropy = *entropy;
        let ambient = Ambient { now, entropy };
        match &self.tap {
            None => exchange.handle_input(input, ambient, worker),
            Some(tap) => tap.handle_input(exchange, place, input, ambient, worker),
        }
    }

    /// What to do next for a connection.
    pub fn poll_output(&self, driven: &mut Driven) -> Output {
        let output = driven.exchange.poll_output();
        if let Some(tap) = &self.tap {
            tap.said(&output, driven.exchange.record(), &mut driven.place);
        }
        output
    }

    /// A connection is over: what its exchange holds is free.
    pub fn leave(&self, driven: &mut Driven) {
        if let Some(tap) = &self.tap {
            // A turn lasts until what was held has been let go; an exchange that just began holds nothing.
            let fresh = Exchange::accept(
                *driven.exchange.peer(),
                Instant::default(),
                &self.worker.borrow(),
            );
            tap.left(&mut driven.exchange, fresh, &driven.place);
        }
    }

    /// Room to read into.
    pub fn space<'a>(&self, driven: &'a mut Driven, side: Side) -> &'a mut BytesMut {
        let worker = &mut self.worker.borrow_mut();
        driven.exchange.space(side, worker)
    }

    /// Nothing was read into [`Joint::space`] after all.
    pub fn leave_space(&self, driven: &mut Driven) {
        driven.exchange.leave_space(&mut self.worker.borrow_mut());
    }

    /// What the connections of this worker hold in memory.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        self.worker.borrow().buffered()
    }

    /// Uses a new snapshot; returns idle connections to close.
    pub fn adopt(
        &self,
        load: impl FnOnce() -> Arc<Snapshot>,
        now: Instant,
    ) -> (u64, Vec<ConnectionId>) {
        let mut turn = self.tap.as_ref().and_then(Tap::turn);
        let snapshot = load();
        let revision = snapshot.revision;
        let closed = self.worker.borrow_mut().adopt(snapshot, now);
        if let Some(turn) = &mut turn {
            turn.adopted(now, &closed);
        }
        (revision, closed)
    }

    /// Sets the calendar date.
    pub fn set_date(&self, date: [u8; 29]) {
        self.worker.borrow_mut().set_date(date);
        if let Some(mut turn) = self.tap.as_ref().and_then(Tap::turn) {
            turn.date(&date);
        }
    }

    /// The worker drains.
    pub fn drain(&self) {
        self.worker.borrow_mut().drain();
        if let Some(mut turn) = self.tap.as_ref().and_then(Tap::turn) {
            turn.draining();
        }
    }

    /// Somebody announced.
    pub fn on_announced(&self) -> Announced {
        let mut turn = self.tap.as_ref().and_then(Tap::turn);
        let told = self.worker.borrow_mut().on_announced();
        if let Some(turn) = &mut turn {
            turn.announced(&told);
        }
        told
    }

    /// Idle connections that are to be closed by now.
    pub fn expire(&self, now: Instant) -> Vec<ConnectionId> {
        let mut turn = self.tap.as_ref().and_then(Tap::turn);
        let closed = self.worker.borrow_mut().expire(now);
        if let Some(turn) = &mut turn {
            turn.expired(now, &closed);
        }
        closed
    }

    /// Before this [`Joint::expire`] has nothing to do; `None` while nothing expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.worker.borrow().next_expiry()
    }

    /// An idle connection ended.
    pub fn forget(&self, id: ConnectionId) {
        let mut turn = self.tap.as_ref().and_then(Tap::turn);
        self.worker.borrow_mut().forget(id);
        if let Some(turn) = &mut turn {
            turn.forgot(id);
        }
    }
}

impl Drop for Joint {
    fn drop(&mut self) {
        // What an ending worker keeps counts against limits that others still go by, so letting it go is a turn, too.
        if let Some(mut turn) = self.tap.as_ref().and_then(Tap::turn) {
            let worker = self.worker.get_mut();
            let (snapshot, settings) = (Arc::clone(&worker.view().snapshot), *worker.settings());
            *worker = Worker::new(snapshot, settings, 0);
            turn.gone();
        }
    }
}

impl Driven {
    /// Who connected.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        self.exchange.peer()
    }

    /// The story of its current request.
    #[must_use]
    pub fn record(&self) -> &Record {
        self.exchange.record()
    }

    /// What is to be written to a side.
    #[must_use]
    pub fn outbox(&self, side: Side) -> &Outbox {
        self.exchange.outbox(side)
    }
}
