//! What the exchanges of one thread share (Envoy's thread-local part): the current snapshot, balancer positions, idle
//! connections, spare buffers.
//!
//! It needs no lock. What must hold for the whole process (load, limits, ejection) is in `cluster` instead, and is reached
//! only through the snapshot. Connections and requests themselves are the worker's.

mod buffered;
mod calendar;
mod drain;
mod http1_counts;
mod http2_counts;
mod line;
mod mirrors;
mod originals;
mod pool;
mod relief;
mod settings;
mod spare;
mod tokens;
mod view;

pub use buffered::Buffered;
pub use http2_counts::{Http2Counted, Http2Side};
pub use relief::Shed;
pub use view::View;

use std::rc::Rc;
use std::sync::Arc;

use crate::cluster::{ClusterState, HostState};
use crate::overload::Action;
use crate::peer::{ExchangeId, UpstreamId};
use crate::snapshot::{Address, ClientTls, Snapshot};
use crate::time::Instant;
use buffered::Budget;
pub(crate) use buffered::{Charge, KEPT_WHEN_SHORT, high_water};
use drain::Drain;
use http1_counts::Http1Counts;
pub use http1_counts::{Http1Counted, Http1Met};
pub(crate) use http2_counts::Http2Account;
use http2_counts::Sides;
use line::Lines;
pub(crate) use line::{Slot, Ticket};
pub(crate) use mirrors::MirrorPlace;
use mirrors::Mirrors;
use originals::Originals;
use pool::Pool;
pub(crate) use pool::{Link, Taken, Wanted};
use relief::Relief;
pub use settings::{Signatures, WorkerSettings};
pub(crate) use spare::LONG_BUFFER;
pub(crate) use spare::Spare;
pub use tokens::TokenLimits;
use tokens::Tokens;

/// What comes of [`Local::on_announced`].
#[derive(Debug, Default)]
pub(crate) struct Announced {
    /// Idle connections to close.
    pub(crate) close: Vec<UpstreamId>,
    /// Exchanges that are to try again.
    pub(crate) wake: Vec<ExchangeId>,
    /// Announce again, after closing.
    pub(crate) announce: bool,
}

/// The shared part of one thread.
#[derive(Debug)]
pub(crate) struct Local {
    view: Rc<View>,
    settings: WorkerSettings,
    pub(crate) pool: Pool,
    originals: Originals,
    lines: Lines,
    mirrors: Mirrors,
    budget: Budget,
    pub(crate) http1: Http1Counts,
    pub(crate) http2: Sides,
    /// Some body is translated, or was, so that what it says decides something.
    pub(crate) reads_bodies: bool,
    pub(crate) spare: Spare,
    date: [u8; 29],
    pub(crate) drain: Drain,
    pub(crate) relief: Relief,
}

impl Local {
    /// A worker on a snapshot. `seed` decides where balancers begin, so workers should have different ones.
    pub(crate) fn new(snapshot: Arc<Snapshot>, settings: WorkerSettings, seed: u64) -> Self {
        Self {
            reads_bodies: snapshot.reads_bodies(),
            view: Rc::new(View::new(
                snapshot,
                seed,
                Rc::new(Tokens::new(
                    settings.signatures.0,
                    settings.max_cached_tokens,
                    settings.token_limits,
                )),
            )),
            settings,
            pool: Pool::default(),
            originals: Originals::default(),
            lines: Lines::default(),
            mirrors: Mirrors::default(),
            budget: Budget::new(settings.max_buffered_bytes),
            http1: Http1Counts::default(),
            http2: Sides::default(),
            spare: Spare::default(),
            date: *b"Thu, 01 Jan 1970 00:00:00 GMT",
            drain: Drain::default(),
            relief: Relief::default(),
        }
    }

    /// Uses a new snapshot from the next request on; [`Local::on_announced`] is to be called too, because limits may
    /// have changed. Returns idle connections that are to be closed, because no
    /// endpoint of the new snapshot has them.
    pub(crate) fn adopt(&mut self, snapshot: Arc<Snapshot>, now: Instant) -> Vec<UpstreamId> {
        self.reads_bodies |= snapshot.reads_bodies();
        self.view.tokens.forget();
        self.view = Rc::new(self.view.next(snapshot, now));
        let originals = self.originals.retain(&self.view.snapshot);
        self.pool.unwanted(&self.view.snapshot, &originals, now)
    }

    /// The current snapshot and this worker's balancers.
    pub(crate) const fn view(&self) -> &Rc<View> {
        &self.view
    }

    /// The settings.
    pub(crate) const fn settings(&self) -> &WorkerSettings {
        &self.settings
    }

    /// Sets what responses without a `date` get (RFC 9110 §5.6.7, IMF-fixdate). A runtime calls it once a second.
    pub(crate) fn set_date(&mut self, imf_fixdate: [u8; 29]) {
        self.date = imf_fixdate;
        self.view.tokens.set_time(calendar::seconds(&imf_fixdate));
    }

    /// The date last set.
    pub(crate) const fn date(&self) -> &[u8; 29] {
        &self.date
    }

    /// Whether memory is short, so that lower limits are in force.
    pub(crate) fn is_short(&self) -> bool {
        self.budget.is_short()
    }

    /// How many copies of requests are under way for mirrors.
    pub(crate) fn mirrors_under_way(&self) -> usize {
        self.mirrors.under_way()
    }

    /// An endpoint takes so many streams on a connection: the first one in line may have one of them.
    pub(crate) fn on_peer_limit(&mut self, id: UpstreamId, streams: u32) {
        self.pool.on_peer_limit(id, streams);
        if let Some(cluster) = self.pool.limited_by(id) {
            self.lines.offer(cluster);
        }
    }

    /// What the connections of this worker hold in memory.
    pub(crate) fn buffered(&self) -> Buffered {
        self.budget.counted()
    }

    /// The account of one more connection.
    pub(crate) fn charge(&self) -> Charge {
        self.budget.charge()
    }

    /// A place for one more copy, whose body has this length; `None` when it is to be dropped.
    pub(crate) fn place_for_mirror(&self, body: usize) -> Option<MirrorPlace> {
        self.mirrors.place(body)
    }

    /// Somebody waits for a connection, or let one go: gives up idle connections that another worker waits for, and
    /// says who of this worker is to try again.
    pub(crate) fn on_announced(&mut self) -> Announced {
        let lines = &mut self.lines;
        let close = self
            .pool
            .of_clusters(|cluster| lines.is_wanted_elsewhere(cluster));
        let announce = lines.settle(|_| {});
        let wake = lines.all_first();
        Announced {
            close,
            wake,
            announce,
        }
    }

    pub(crate) const fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    /// Whether a connection may be kept as far as limits go: not if only other workers wait for one, and not while the machine is full.
    pub(crate) fn may_keep(&mut self, id: UpstreamId) -> bool {
        if self.relief.does(Action::CloseIdleUpstream) {
            self.relief.count(|shed| shed.kept += 1);
            return false;
        }
        let cluster = self.pool.limited_by(id);
        cluster.is_none_or(|cluster| !self.lines.is_wanted_elsewhere(cluster))
    }

    /// Keeps a connection, and has the first one in line woken.
    pub(crate) fn keep(&mut self, id: UpstreamId, now: Instant) {
        if let Some(cluster) = self.pool.limited_by(id) {
            self.lines.offer(cluster);
        }
        self.pool.give_back(id, now);
    }

    /// The endpoint at an address that a client named, reached through a cluster or through none; and idle connections
    /// that are to be closed, because one too many such endpoints was known.
    pub(crate) fn original(
        &mut self,
        cluster: Option<&Arc<ClusterState>>,
        address: &Address,
    ) -> (Arc<HostState>, Vec<UpstreamId>) {
        let (host, gone) = self.originals.find(cluster, address);
        let close = gone.map(|id| self.pool.of_host(id));
        (host, close.unwrap_or_default())
    }

    /// Whether a connection to an endpoint of a view is worth keeping: the current snapshot may have dropped the endpoint
    /// meanwhile, or want its connections protected otherwise.
    pub(crate) fn still_has(
        &self,
        host: Option<&HostState>,
        address: &Address,
        tls: Option<&Arc<ClientTls>>,
        view: &Rc<View>,
    ) -> bool {
        if let Some(has) = host.and_then(|host| self.originals.has(host, address)) {
            return has;
        }
        Rc::ptr_eq(view, &self.view) || host.is_some_and(|host| self.view.has_host(host.id(), tls))
    }

    pub(crate) const fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }
}
