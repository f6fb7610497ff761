//! What the exchanges of one thread share: the current snapshot, balancer positions, idle connections, spare buffers.
//!
//! A worker is `!Send` and needs no lock. What must hold for the whole process (load, limits, ejection) is in
//! `cluster` instead, and the worker reaches it only through the snapshot.

mod idle;
mod view;

pub use view::View;

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;

use crate::cluster::HostState;
use crate::decision::Record;
use crate::outbox::Outbox;
use crate::peer::ConnectionId;
use crate::snapshot::Snapshot;
use crate::time::{Duration, Instant};
use idle::IdleConnections;
pub(crate) use idle::Link;

/// The size of a fresh read buffer: a head and a body of 16 KiB in one read.
const BUFFER: usize = 32 * 1024;

/// Spare buffers kept; the rest are freed.
const SPARE: usize = 64;

/// Settings of a worker that do not come from Istio resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// From the first byte of a head to its last; then 408. `None` waits for ever.
    pub request_head_timeout: Option<Duration>,
    /// A client connection without a request is closed after this (Envoy's default: one hour).
    pub idle_timeout: Option<Duration>,
    /// How long we read on after the last response, so that the client sees it rather than a reset (Envoy's
    /// `delayed_close_timeout`).
    pub linger: Duration,
    /// The largest request body taken, in bytes; a longer one is answered 413. `None` is unlimited.
    pub max_request_body: Option<u64>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            request_head_timeout: Some(Duration::from_secs(60)),
            idle_timeout: Some(Duration::from_secs(3600)),
            linger: Duration::from_secs(1),
            max_request_body: None,
        }
    }
}

/// The shared part of one thread.
#[derive(Debug)]
pub struct Worker {
    view: Rc<View>,
    settings: WorkerSettings,
    idle: IdleConnections,
    spare: Vec<BytesMut>,
    date: [u8; 29],
    draining: bool,
}

impl Worker {
    /// A worker on a snapshot. `seed` decides where balancers begin, so workers should have different ones.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, settings: WorkerSettings, seed: u64) -> Self {
        Self {
            view: Rc::new(View::new(snapshot, seed)),
            settings,
            idle: IdleConnections::default(),
            spare: Vec::new(),
            date: *b"Thu, 01 Jan 1970 00:00:00 GMT",
            draining: false,
        }
    }

    /// Uses a new snapshot from the next request on. Returns idle connections that are to be closed, because no
    /// endpoint of the new snapshot has them.
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>) -> Vec<ConnectionId> {
        self.view = Rc::new(self.view.next(snapshot));
        self.idle.retain_hosts(&self.view.snapshot)
    }

    /// The current snapshot and this worker's balancers.
    #[must_use]
    pub const fn view(&self) -> &Rc<View> {
        &self.view
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &WorkerSettings {
        &self.settings
    }

    /// Sets what responses without a `date` get (RFC 9110 §5.6.7, IMF-fixdate). A runtime calls it once a second.
    pub const fn set_date(&mut self, imf_fixdate: [u8; 29]) {
        self.date = imf_fixdate;
    }

    /// The date last set.
    #[must_use]
    pub const fn date(&self) -> &[u8; 29] {
        &self.date
    }

    /// From now on responses say `connection: close`. The runtime also tells every exchange ([`Input::Drain`]).
    ///
    /// [`Input::Drain`]: crate::exchange::Input::Drain
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether the worker drains.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Idle connections that have been idle for too long; they are forgotten, and the runtime closes them.
    pub fn expire(&mut self, now: Instant) -> Vec<ConnectionId> {
        self.idle.expire(now)
    }

    /// When [`Worker::expire`] will next have something to do.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.idle.next_expiry()
    }

    /// The runtime saw an idle connection end.
    pub fn forget(&mut self, id: ConnectionId) {
        self.idle.forget(id);
    }

    /// How many connections are kept idle.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.idle.len()
    }

    /// Whether a connection to an endpoint is worth keeping: the current snapshot may have dropped the endpoint meanwhile.
    pub(crate) fn still_has(&self, host: Option<&HostState>, record: &Record) -> bool {
        let same_view = record
            .view
            .as_ref()
            .is_some_and(|view| Rc::ptr_eq(view, &self.view));
        same_view || host.is_some_and(|host| self.view.has_host(host.id()))
    }

    pub(crate) const fn idle(&mut self) -> &mut IdleConnections {
        &mut self.idle
    }

    /// A buffer to read into.
    pub(crate) fn take_buffer(&mut self) -> BytesMut {
        self.spare
            .pop()
            .unwrap_or_else(|| BytesMut::with_capacity(BUFFER))
    }

    /// Gives an outbox that has no block one to write into.
    pub(crate) fn lend_block(&mut self, outbox: &mut Outbox) {
        if !outbox.has_block() {
            outbox.give_block(self.take_buffer());
        }
    }

    /// A buffer nobody reads into any more. It is kept only if its memory can be written again, and if it is not one of
    /// the large ones that a long body needed.
    pub(crate) fn give_buffer(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        let is_usual = buffer.try_reclaim(BUFFER) && buffer.capacity() <= 2 * BUFFER;
        if is_usual && self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
    }
}
