//! What the exchanges of one thread share (Envoy's thread-local part): the current snapshot, balancer positions, idle
//! connections, spare buffers.
//!
//! It needs no lock. What must hold for the whole process (load, limits, ejection) is in `cluster` instead, and is reached
//! only through the snapshot. Connections and requests themselves are the worker's.

mod buffered;
mod calendar;
mod drain;
mod http2_counts;
mod line;
mod mirrors;
mod originals;
mod pool;
mod relief;
mod spare;
mod tokens;
mod view;

pub use buffered::Buffered;
pub use http2_counts::{Http2Counted, Http2Side};
pub use relief::Shed;
pub use view::View;

use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterState, HostState};
use crate::http2;
use crate::jose::CheckSignature;
use crate::overload::Action;
use crate::peer::{ExchangeId, ToldClients, UpstreamId};
use crate::snapshot::{Address, ClientTls, Http2Options, Snapshot};
use crate::time::{Duration, Instant};
use buffered::Budget;
pub(crate) use buffered::{Charge, KEPT_WHEN_SHORT, high_water};
use drain::Drain;
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
pub(crate) use spare::LONG_BUFFER;
pub(crate) use spare::Spare;
use tokens::Tokens;

/// Whoever checks signatures of tokens, if there is anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signatures(pub Option<CheckSignature>);

/// There is one way to check a signature, so two that do are the same.
impl PartialEq for Signatures {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

impl Eq for Signatures {}

/// Settings of a worker that do not come from Istio resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// From the first byte of a head to its last; then 408. `None` waits for ever.
    pub request_head_timeout: Option<Duration>,
    /// From a client's connection to what is known of it beneath HTTP: a TLS handshake, or the first byte that shows clear text;
    /// then it is closed. `None` waits for ever. (Envoy's `transport_socket_connect_timeout`, which Istio sets to 15 s.)
    pub tls_handshake_timeout: Option<Duration>,
    /// From a client's connection to a port of which nobody says what is spoken, to bytes that tell; then it is not HTTP, and may
    /// wait for its server to speak first. What the mesh says goes before (`protocolDetectionTimeout`). `None` waits for ever.
    #[serde(skip, default = "protocol_detection_timeout")]
    pub protocol_detection_timeout: Option<Duration>,
    /// As many first bytes are looked at; a connection that has not told by them what is spoken is not HTTP.
    #[serde(skip, default = "max_sniffed_bytes")]
    pub max_sniffed_bytes: usize,
    /// The longest header of the PROXY protocol (version 2) that is read, in bytes; who sends a longer one is refused.
    #[serde(skip, default = "max_proxy_header_bytes")]
    pub max_proxy_header_bytes: usize,
    /// A client connection without a request is closed after this (Envoy's default: one hour).
    pub idle_timeout: Option<Duration>,
    /// The same while the machine is full, where that is less.
    #[serde(skip, default = "overloaded_idle_timeout")]
    pub overloaded_idle_timeout: Duration,
    /// For how long nothing of a request or its response may move; then 408, 504 or a reset. `None` is for ever (Istio's
    /// default). A rule may have its own.
    pub stream_idle_timeout: Option<Duration>,
    /// How long we read on after the last response, so that the client sees it rather than a reset (Envoy's
    /// `delayed_close_timeout`).
    pub linger: Duration,
    /// The largest request body taken, in bytes; a longer one is answered 413. `None` is unlimited.
    pub max_request_body: Option<u64>,
    /// Bytes that the connections of the worker may hold in memory together before those that hold most are not read any
    /// more. `None` is unlimited.
    pub max_buffered_bytes: Option<u64>,
    /// What clients that speak HTTP/2 may do, and make us do.
    pub client_streams: http2::Limits,
    /// The same of endpoints.
    pub endpoint_streams: http2::Limits,
    /// Exchanges know where bodies lie in what is read and in what is to be written: for a recording that leaves them out.
    pub tells_bodies: bool,
    /// Accepted tokens that a worker keeps, so that each is checked once; 0 keeps none.
    pub max_cached_tokens: usize,
    /// How signatures of tokens are checked: core has no cryptography. Without it no token is accepted.
    #[serde(skip)]
    pub signatures: Signatures,
    /// Who is told in responses what was decided, if a request asks for it (`x-outrigger-explain: 1`).
    pub told_clients: ToldClients,
}

/// Recordings do not hold it: a run that is recorded has the default.
const fn protocol_detection_timeout() -> Option<Duration> {
    Some(Duration::from_secs(1))
}

/// As above.
const fn max_sniffed_bytes() -> usize {
    16 * 1024
}

/// As above.
const fn max_proxy_header_bytes() -> usize {
    crate::proxy_protocol::MOST
}

/// As above.
const fn overloaded_idle_timeout() -> Duration {
    Duration::from_secs(5)
}

impl WorkerSettings {
    /// What an endpoint may do on a connection of a cluster that has these options.
    pub(crate) fn endpoint_streams(&self, options: &Http2Options) -> http2::Limits {
        let keepalive = options.keepalive.map(|keepalive| http2::KeepAlive {
            interval: keepalive.interval,
            timeout: keepalive.timeout,
        });
        http2::Limits {
            keepalive,
            ..self.endpoint_streams
        }
    }
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            request_head_timeout: Some(Duration::from_secs(60)),
            tls_handshake_timeout: Some(Duration::from_secs(15)),
            protocol_detection_timeout: protocol_detection_timeout(),
            max_sniffed_bytes: max_sniffed_bytes(),
            max_proxy_header_bytes: max_proxy_header_bytes(),
            idle_timeout: Some(Duration::from_secs(3600)),
            overloaded_idle_timeout: overloaded_idle_timeout(),
            stream_idle_timeout: None,
            linger: Duration::from_secs(1),
            max_request_body: None,
            max_buffered_bytes: Some(256 * 1024 * 1024),
            client_streams: http2::Limits::SERVER,
            endpoint_streams: http2::Limits::CLIENT,
            tells_bodies: false,
            max_cached_tokens: 1000,
            signatures: Signatures::default(),
            told_clients: ToldClients::default(),
        }
    }
}

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
                )),
            )),
            settings,
            pool: Pool::default(),
            originals: Originals::default(),
            lines: Lines::default(),
            mirrors: Mirrors::default(),
            budget: Budget::new(settings.max_buffered_bytes),
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
