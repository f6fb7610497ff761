//! Counters, one set for each worker and listener, added up when somebody asks.

use std::net::SocketAddr;

use outrigger_core::decision::{MirrorFate, Record};
use outrigger_core::message::Version;
use outrigger_core::worker::{Buffered, Http2Counted};

use crate::counter::Counter;
use crate::http2_counters::Http2Counters;

/// What one worker's connections hold in memory.
#[derive(Debug, Default)]
pub(crate) struct BufferCounters {
    bytes: Counter,
    overflows: Counter,
    abandoned: Counter,
}

impl BufferCounters {
    pub(crate) fn set(&self, now: Buffered) {
        self.bytes.set(now.bytes);
        self.overflows.set(now.overflows);
        self.abandoned.set(now.abandoned);
    }

    fn add_to(&self, sum: &mut Buffered) {
        sum.bytes += self.bytes.value();
        sum.overflows += self.overflows.value();
        sum.abandoned += self.abandoned.value();
    }
}

/// What one worker counts.
#[derive(Debug)]
pub(crate) struct WorkerCounters {
    /// In the order of the listeners.
    pub(crate) listeners: Box<[ListenerStats<Counter>]>,
    pub(crate) mirrors: MirrorStats<Counter>,
    pub(crate) buffers: BufferCounters,
    pub(crate) http2: Http2Counters,
    /// The snapshot that new requests get.
    pub(crate) revision: Counter,
    pub(crate) panics: Counter,
    pub(crate) idle_upstream: Counter,
    pub(crate) log_lines_dropped: Counter,
}

impl WorkerCounters {
    pub(crate) fn new(addrs: &[SocketAddr]) -> Self {
        Self {
            listeners: addrs.iter().map(|addr| ListenerStats::new(*addr)).collect(),
            mirrors: MirrorStats::default(),
            buffers: BufferCounters::default(),
            http2: Http2Counters::default(),
            revision: Counter::default(),
            panics: Counter::default(),
            idle_upstream: Counter::default(),
            log_lines_dropped: Counter::default(),
        }
    }
}

/// Sums over all workers, as of one moment for each number (numbers of different moments may stand beside each other).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// In the order of the configured listeners.
    pub listeners: Vec<ListenerStats>,
    /// The oldest snapshot that a worker still gives to new requests: its revision. A published snapshot is in effect
    /// everywhere once this has reached it.
    pub revision: u64,
    /// Worker threads.
    pub workers: u64,
    /// Connections whose handling panicked.
    pub panics: u64,
    /// Upstream connections kept idle.
    pub idle_upstream: u64,
    /// Access log lines that were dropped because their writer was stuck or failed.
    pub log_lines_dropped: u64,
    /// Copies of requests for mirrors.
    pub mirrors: MirrorStats,
    /// What connections hold in memory.
    pub buffered: Buffered,
    /// Connections that speak HTTP/2.
    pub http2: Http2Counted,
}

/// What became of the copies that mirrors were to get: of one worker as counters, of all of them as sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorStats<N = u64> {
    /// Copies under way now.
    pub active: N,
    /// Copies that were sent.
    pub sent: N,
    /// Not made: the request ended before it was received whole.
    pub incomplete: N,
    /// Not made: there is no such service, port or subset.
    pub no_cluster: N,
    /// Not made: the mirror has no endpoint.
    pub no_endpoint: N,
    /// Not made: the body is longer than what is kept.
    pub body_too_long: N,
    /// Dropped: too many are under way.
    pub dropped: N,
}

impl MirrorStats<Counter> {
    /// What became of the copy for one mirror.
    pub(crate) fn on_fate(&self, fate: MirrorFate) {
        let counter = match fate {
            MirrorFate::Sent => &self.sent,
            MirrorFate::Incomplete => &self.incomplete,
            MirrorFate::NoCluster => &self.no_cluster,
            MirrorFate::NoEndpoint => &self.no_endpoint,
            MirrorFate::BodyTooLong => &self.body_too_long,
            MirrorFate::Dropped => &self.dropped,
        };
        counter.add(1);
    }

    fn add_to(&self, sum: &mut MirrorStats) {
        sum.active += self.active.value();
        sum.sent += self.sent.value();
        sum.incomplete += self.incomplete.value();
        sum.no_cluster += self.no_cluster.value();
        sum.no_endpoint += self.no_endpoint.value();
        sum.body_too_long += self.body_too_long.value();
        sum.dropped += self.dropped.value();
    }
}

/// What is counted on one listener: of one worker as counters, of all of them as sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStats<N = u64> {
    /// Its address.
    pub addr: SocketAddr,
    /// Connections accepted so far.
    pub connections: N,
    /// Connections open now.
    pub active: N,
    /// Failures to accept.
    pub accept_errors: N,
    /// Requests that ended.
    pub requests: N,
    /// Those of them that came by HTTP/2.
    pub http2_requests: N,
    /// The same by the hundreds of their status; index 0 counts those that got no response.
    pub status_classes: [N; 6],
    /// Body bytes from clients.
    pub bytes_received: N,
    /// Body bytes to clients.
    pub bytes_sent: N,
}

impl<N: Default> ListenerStats<N> {
    fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            connections: N::default(),
            active: N::default(),
            accept_errors: N::default(),
            requests: N::default(),
            http2_requests: N::default(),
            status_classes: Default::default(),
            bytes_received: N::default(),
            bytes_sent: N::default(),
        }
    }
}

impl ListenerStats<Counter> {
    pub(crate) fn on_request(&self, record: &Record) {
        self.requests.add(1);
        if record.request.version == Version::Http2 {
            self.http2_requests.add(1);
        }
        if let Some(class) = self.status_classes.get(usize::from(record.status / 100)) {
            class.add(1);
        }
        self.bytes_received.add(record.bytes_received);
        self.bytes_sent.add(record.bytes_sent);
    }

    fn add_to(&self, sum: &mut ListenerStats) {
        sum.connections += self.connections.value();
        sum.active += self.active.value();
        sum.accept_errors += self.accept_errors.value();
        sum.requests += self.requests.value();
        sum.http2_requests += self.http2_requests.value();
        for (sum, class) in sum.status_classes.iter_mut().zip(&self.status_classes) {
            *sum += class.value();
        }
        sum.bytes_received += self.bytes_received.value();
        sum.bytes_sent += self.bytes_sent.value();
    }
}

impl Stats {
    pub(crate) fn collect<'a>(
        addrs: &[SocketAddr],
        workers: impl Iterator<Item = &'a WorkerCounters>,
    ) -> Self {
        let mut stats = Self {
            listeners: addrs.iter().map(|addr| ListenerStats::new(*addr)).collect(),
            ..Self::default()
        };
        for worker in workers {
            let revision = worker.revision.value();
            stats.revision = match stats.workers {
                0 => revision,
                _ => stats.revision.min(revision),
            };
            stats.workers += 1;
            stats.panics += worker.panics.value();
            stats.idle_upstream += worker.idle_upstream.value();
            stats.log_lines_dropped += worker.log_lines_dropped.value();
            worker.mirrors.add_to(&mut stats.mirrors);
            worker.buffers.add_to(&mut stats.buffered);
            worker.http2.add_to(&mut stats.http2);
            for (sum, counters) in stats.listeners.iter_mut().zip(&worker.listeners) {
                counters.add_to(sum);
            }
        }
        stats
    }
}
