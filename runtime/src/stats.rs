//! Counters, one set for each worker and listener, added up when somebody asks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use outrigger_core::decision::MirrorFate;
use outrigger_core::worker::Buffered;

/// A number that one thread writes and any thread reads.
///
/// With one writer a load and a store do what a locked addition does, at the price of an ordinary memory access.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.value() + count, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0
            .store(self.value().saturating_sub(count), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts on one listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounters {
    pub(crate) connections: Counter,
    pub(crate) active: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) requests: Counter,
    /// By the hundreds of the status: 1xx to 5xx; 0 is "no response".
    pub(crate) status_classes: [Counter; 6],
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_sent: Counter,
}

impl ListenerCounters {
    pub(crate) fn on_request(&self, status: u16, received: u64, sent: u64) {
        self.requests.add(1);
        if let Some(class) = self.status_classes.get(usize::from(status / 100)) {
            class.add(1);
        }
        self.bytes_received.add(received);
        self.bytes_sent.add(sent);
    }
}

/// What one worker counts of mirrors.
#[derive(Debug, Default)]
pub(crate) struct MirrorCounters {
    pub(crate) active: Counter,
    sent: Counter,
    incomplete: Counter,
    no_cluster: Counter,
    no_endpoint: Counter,
    body_too_long: Counter,
    dropped: Counter,
}

impl MirrorCounters {
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
}

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
    pub(crate) listeners: Box<[ListenerCounters]>,
    pub(crate) mirrors: MirrorCounters,
    pub(crate) buffers: BufferCounters,
    /// The snapshot that new requests get.
    pub(crate) revision: Counter,
    pub(crate) panics: Counter,
    pub(crate) idle_upstream: Counter,
    pub(crate) log_lines_dropped: Counter,
}

impl WorkerCounters {
    pub(crate) fn new(listeners: usize) -> Self {
        Self {
            listeners: (0..listeners)
                .map(|_| ListenerCounters::default())
                .collect(),
            mirrors: MirrorCounters::default(),
            buffers: BufferCounters::default(),
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
}

/// Sums of what became of the copies that mirrors were to get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorStats {
    /// Copies under way now.
    pub active: u64,
    /// Copies that were sent.
    pub sent: u64,
    /// Not made: the request ended before it was received whole.
    pub incomplete: u64,
    /// Not made: there is no such service, port or subset.
    pub no_cluster: u64,
    /// Not made: the mirror has no endpoint.
    pub no_endpoint: u64,
    /// Not made: the body is longer than what is kept.
    pub body_too_long: u64,
    /// Dropped: too many are under way.
    pub dropped: u64,
}

impl MirrorStats {
    fn add(&mut self, counters: &MirrorCounters) {
        self.active += counters.active.value();
        self.sent += counters.sent.value();
        self.incomplete += counters.incomplete.value();
        self.no_cluster += counters.no_cluster.value();
        self.no_endpoint += counters.no_endpoint.value();
        self.body_too_long += counters.body_too_long.value();
        self.dropped += counters.dropped.value();
    }
}

/// Sums of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStats {
    /// Its address.
    pub addr: SocketAddr,
    /// Connections accepted so far.
    pub connections: u64,
    /// Connections open now.
    pub active: u64,
    /// Failures to accept.
    pub accept_errors: u64,
    /// Requests that ended.
    pub requests: u64,
    /// The same by the hundreds of their status; index 0 counts those that got no response.
    pub status_classes: [u64; 6],
    /// Body bytes from clients.
    pub bytes_received: u64,
    /// Body bytes to clients.
    pub bytes_sent: u64,
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
            stats.mirrors.add(&worker.mirrors);
            worker.buffers.add_to(&mut stats.buffered);
            for (sum, counters) in stats.listeners.iter_mut().zip(&worker.listeners) {
                sum.add(counters);
            }
        }
        stats
    }
}

impl ListenerStats {
    const fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            connections: 0,
            active: 0,
            accept_errors: 0,
            requests: 0,
            status_classes: [0; 6],
            bytes_received: 0,
            bytes_sent: 0,
        }
    }

    fn add(&mut self, counters: &ListenerCounters) {
        self.connections += counters.connections.value();
        self.active += counters.active.value();
        self.accept_errors += counters.accept_errors.value();
        self.requests += counters.requests.value();
        for (sum, class) in self.status_classes.iter_mut().zip(&counters.status_classes) {
            *sum += class.value();
        }
        self.bytes_received += counters.bytes_received.value();
        self.bytes_sent += counters.bytes_sent.value();
    }
}
