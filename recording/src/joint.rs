//! The joint between a worker thread and core: everything that enters core passes here, and is recorded here if somebody
//! asked for that.
//!
//! Owns the thread's [`Worker`] and its random numbers. When to say what to core, and what to do with its answers, is left
//! to the loop that calls.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use bytes::BytesMut;
use outrigger_core::entropy::Entropy;
use outrigger_core::outbox::Outbox;
use outrigger_core::overload::Actions;
use outrigger_core::peer::{ClientId, ConnId, ExchangeId, Peer};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::{
    Buffered, Exchange, Http1Counted, Http2Counted, Input, Output, Shed, Worker, WorkerSettings,
};

use crate::frame::Frame;
use crate::recorder::{Tap, WorkerTurn};

/// One thread's way into core.
pub struct Joint {
    worker: RefCell<Worker>,
    seed: u64,
    /// Connections that were accepted.
    accepted: Cell<u64>,
    tap: Option<Tap>,
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

    /// A client connected. Take all of [`Joint::poll_output`] after this and every other method that takes the time.
    pub fn accept(&self, peer: Peer, now: Instant) -> ClientId {
        let before = self.accepted.get();
        self.accepted.set(before.wrapping_add(1));
        let entropy = Entropy::of_connection(self.seed, before);
        let worker = &mut self.worker.borrow_mut();
        let mut turn = self.turn();
        let client = worker.accept(peer, entropy, now);
        if let Some(turn) = &mut turn {
            turn.put(|worker| Frame::Accepted {
                worker,
                client,
                peer,
                entropy,
                now,
            });
            turn.said(worker);
        }
        client
    }

    /// Something happened on a connection. One that is closed has no more inputs.
    pub fn handle_input(&self, id: ConnId, input: Input, now: Instant) {
        let worker = &mut self.worker.borrow_mut();
        if worker.outbox(id).is_none() {
            return;
        }
        let mut turn = self.turn();
        if let Some(turn) = &mut turn {
            turn.came(id, &input, now, worker);
        }
        worker.handle_input(id, input, now);
        if let Some(turn) = &mut turn {
            turn.said(worker);
        }
    }

    /// What to do next; `None` when everything has been said.
    pub fn poll_output(&self) -> Option<Output> {
        let heard = self.tap.as_ref().and_then(Tap::next_heard);
        heard.or_else(|| self.worker.borrow_mut().poll_output())
    }

    /// Room to read into, of a connection that is there.
    pub fn with_space<R>(&self, id: ConnId, act: impl FnOnce(&mut BytesMut) -> R) -> Option<R> {
        self.worker.borrow_mut().space(id).map(act)
    }

    /// Nothing was read into [`Joint::with_space`] after all.
    pub fn leave_space(&self, id: ConnId) {
        self.worker.borrow_mut().leave_space(id);
    }

    /// What is to be written to a connection that is there.
    pub fn with_outbox<R>(&self, id: ConnId, act: impl FnOnce(&Outbox) -> R) -> Option<R> {
        self.worker.borrow().outbox(id).map(act)
    }

    /// A request that ended, from [`Output::Ended`] until the next call that takes the time.
    pub fn with_ended<R>(&self, id: ExchangeId, act: impl FnOnce(&Exchange) -> R) -> Option<R> {
        self.worker.borrow().ended(id).map(act)
    }

    /// Each request under way, and each connection that is none.
    pub fn with_exchanges(&self, mut act: impl FnMut(ExchangeId, &Exchange)) {
        let worker = self.worker.borrow();
        worker
            .exchanges()
            .for_each(|(id, exchange)| act(id, exchange));
    }

    /// The configuration in use.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.worker.borrow().view().snapshot)
    }

    /// What the connections of this worker hold in memory.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        self.worker.borrow().counts().buffered
    }

    /// How often limits of HTTP/1 were met, and what is counted of the connections that speak HTTP/2, if any of that has changed
    /// since so many changes.
    pub fn protocols(&self, seen: &Cell<u64>) -> Option<(Http1Counted, Http2Counted)> {
        let worker = self.worker.borrow();
        let changes = worker.counts().protocol_changes;
        (seen.replace(changes) != changes).then(|| worker.protocols())
    }

    /// How many connections clients have.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.worker.borrow().counts().clients
    }

    /// How many copies of requests are under way for mirrors.
    #[must_use]
    pub fn mirrors_under_way(&self) -> usize {
        self.worker.borrow().counts().mirrors
    }

    /// How many connections are kept idle.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.worker.borrow().counts().idle
    }

    /// Uses a new snapshot; returns its revision.
    pub fn adopt(&self, load: impl FnOnce() -> Arc<Snapshot>, now: Instant) -> u64 {
        let frame = |worker| Frame::Adopted { worker, now };
        self.call(frame, |worker| {
            let snapshot = load();
            let revision = snapshot.revision;
            worker.adopt(snapshot, now);
            revision
        })
    }

    /// Somebody announced.
    pub fn on_announced(&self, now: Instant) {
        let frame = |worker| Frame::Announced { worker, now };
        self.call(frame, |worker| worker.on_announced(now));
    }

    /// The time for which [`Joint::next_deadline`] asked has come, or any other.
    pub fn on_time(&self, now: Instant) {
        let frame = |worker| Frame::Time { worker, now };
        self.call(frame, |worker| worker.on_time(now));
    }

    /// Before this [`Joint::on_time`] has nothing to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.worker.borrow().next_deadline()
    }

    /// Copies of requests that came from the mesh (`inbound`), or from the application, are hurried from now on.
    pub fn hurry_copies(&self, inbound: bool, now: Instant) {
        let frame = |worker| Frame::Hurried {
            worker,
            inbound,
            now,
        };
        self.call(frame, |worker| worker.hurry_copies(inbound, now));
    }

    /// This is done from now on because the machine is full, or has room again.
    pub fn relieve(&self, actions: Actions, now: Instant) {
        let frame = |worker| Frame::Relieved {
            worker,
            actions,
            now,
        };
        self.call(frame, |worker| worker.relieve(actions, now));
    }

    /// What was shed so far.
    #[must_use]
    pub fn shed(&self) -> Shed {
        self.worker.borrow().counts().shed
    }

    /// The worker drains.
    pub fn drain(&self) {
        let mut turn = self.turn();
        self.worker.borrow_mut().drain();
        if let Some(turn) = &mut turn {
            turn.put(|worker| Frame::Draining { worker });
        }
    }

    /// Sets the calendar date.
    pub fn set_date(&self, date: [u8; 29]) {
        let mut turn = self.turn();
        self.worker.borrow_mut().set_date(date);
        if let Some(turn) = &mut turn {
            let date = String::from_utf8_lossy(&date).into_owned();
            turn.put(|worker| Frame::Date {
                worker,
                date: Cow::Owned(date),
            });
        }
    }

    /// A call panicked, which was about this connection if it was about one, and the panic was caught: it ends the
    /// recording, and the worker goes on without what was at work.
    pub fn panicked(&self, about: Option<ConnId>, now: Instant) {
        if let Some(turn) = self.turn() {
            turn.panicked();
        }
        self.worker.borrow_mut().recover(about, now);
    }

    /// Calls the worker, in a turn of its own where it is recorded.
    fn call<R>(
        &self,
        frame: impl FnOnce(u32) -> Frame<'static>,
        act: impl FnOnce(&mut Worker) -> R,
    ) -> R {
        let worker = &mut self.worker.borrow_mut();
        let mut turn = self.turn();
        if let Some(turn) = &mut turn {
            turn.put(frame);
        }
        let result = act(worker);
        if let Some(turn) = &mut turn {
            turn.said(worker);
        }
        result
    }

    fn turn(&self) -> Option<WorkerTurn<'_>> {
        self.tap.as_ref().and_then(Tap::turn)
    }
}

impl Drop for Joint {
    fn drop(&mut self) {
        // What an ending worker keeps counts against limits that others still go by, so letting it go is a turn, too.
        if let Some(mut turn) = self.tap.as_ref().and_then(Tap::turn) {
            let worker = self.worker.get_mut();
            let (snapshot, settings) = (Arc::clone(&worker.view().snapshot), *worker.settings());
            *worker = Worker::new(snapshot, settings, 0);
            turn.put(|worker| Frame::Gone { worker });
        }
    }
}
