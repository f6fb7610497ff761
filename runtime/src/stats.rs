//! Counters, one set for each worker and listener, added up when somebody asks.

use std::net::{Ipv4Addr, SocketAddr};

use outrigger_core::peer::ListenerKind;
use outrigger_core::worker::{Buffered, Http1Counted, Http2Counted, Shed, Unintroduced};

use crate::counter::Counter;
use crate::http1_counters::Http1Counters;
use crate::http2_counters::Http2Counters;
use crate::tls_counters::TlsStats;

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

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.value()
    }

    fn add_to(&self, sum: &mut Buffered) {
        sum.bytes += self.bytes.value();
        sum.overflows += self.overflows.value();
        sum.abandoned += self.abandoned.value();
    }
}

/// What one worker has shed because the machine was full.
#[derive(Debug, Default)]
pub(crate) struct ShedCounters {
    requests: Counter,
    keep_alives: Counter,
    idle: Counter,
    kept: Counter,
}

impl ShedCounters {
    pub(crate) fn set(&self, now: Shed) {
        self.requests.set(now.requests);
        self.keep_alives.set(now.keep_alives);
        self.idle.set(now.idle);
        self.kept.set(now.kept);
    }

    fn add_to(&self, sum: &mut Shed) {
        sum.requests += self.requests.value();
        sum.keep_alives += self.keep_alives.value();
        sum.idle += self.idle.value();
        sum.kept += self.kept.value();
    }
}

/// What one worker counts.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters {
    pub(crate) mirrors: Counter,
    pub(crate) buffers: BufferCounters,
    pub(crate) http1: Http1Counters,
    pub(crate) http2: Http2Counters,
    pub(crate) shed: ShedCounters,
    /// What it does because the machine is full, as a number.
    pub(crate) relief: Counter,
    /// The snapshot that new requests get.
    pub(crate) revision: Counter,
    pub(crate) panics: Counter,
    pub(crate) idle_upstream: Counter,
}

/// Sums over all workers, as of one moment for each number (numbers of different moments may stand beside each other).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Those that are open, or have connections, in the order in which they were opened first.
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
    /// Copies of requests that are under way for mirrors.
    pub mirrors: u64,
    /// What connections hold in memory.
    pub buffered: Buffered,
    /// How often peers met a limit of HTTP/1.
    pub http1: Http1Counted,
    /// Connections that speak HTTP/2.
    pub http2: Http2Counted,
    /// What was shed because the machine was full.
    pub shed: Shed,
}

/// What is counted of connections on one listener: of one worker as counters, of all of them as sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStats<N = u64> {
    /// Its place among all that were ever opened, by which [`Sink`](crate::Sink)s know it.
    pub at: usize,
    /// Its address.
    pub addr: SocketAddr,
    /// What comes in there.
    pub kind: ListenerKind,
    /// Whether anybody gets in. Without, the connections that it had before drain.
    pub is_open: bool,
    /// Connections accepted so far.
    pub connections: N,
    /// Connections open now.
    pub active: N,
    /// Failures to accept.
    pub accept_errors: N,
    /// Connections that were closed as they came because the machine was full.
    pub overload_rejects: N,
    /// Connections that were closed as they came because there were as many as may be.
    pub global_overflows: N,
    /// Connections that the kernel brought here and that were to go to a port that is nobody's.
    pub no_filter_chain_match: N,
    /// Connections that were closed because no proxy said whose they are.
    pub proxy_protocol_errors: N,
    /// Those of them that sent a header that is longer than is read.
    pub proxy_protocol_long: N,
    /// Those of them of which no header came in time.
    pub proxy_protocol_late: N,
    /// TLS handshakes.
    pub tls: TlsStats<N>,
}

impl<N: Default> Default for ListenerStats<N> {
    fn default() -> Self {
        Self {
            at: 0,
            addr: (Ipv4Addr::UNSPECIFIED, 0).into(),
            kind: ListenerKind::Outbound,
            is_open: false,
            connections: N::default(),
            active: N::default(),
            accept_errors: N::default(),
            overload_rejects: N::default(),
            global_overflows: N::default(),
            no_filter_chain_match: N::default(),
            proxy_protocol_errors: N::default(),
            proxy_protocol_long: N::default(),
            proxy_protocol_late: N::default(),
            tls: TlsStats::default(),
        }
    }
}

impl ListenerStats<Counter> {
    /// A connection was closed because no proxy said whose it is.
    pub(crate) fn unintroduced(&self, why: Unintroduced) {
        self.proxy_protocol_errors.add(1);
        match why {
            Unintroduced::Unsaid => {}
            Unintroduced::TooLong => self.proxy_protocol_long.add(1),
            Unintroduced::Late => self.proxy_protocol_late.add(1),
        }
    }

    pub(crate) fn add_to(&self, sum: &mut ListenerStats) {
        sum.connections += self.connections.value();
        sum.active += self.active.value();
        sum.accept_errors += self.accept_errors.value();
        sum.overload_rejects += self.overload_rejects.value();
        sum.global_overflows += self.global_overflows.value();
        sum.no_filter_chain_match += self.no_filter_chain_match.value();
        sum.proxy_protocol_errors += self.proxy_protocol_errors.value();
        sum.proxy_protocol_long += self.proxy_protocol_long.value();
        sum.proxy_protocol_late += self.proxy_protocol_late.value();
        self.tls.add_to(&mut sum.tls);
    }
}

impl Stats {
    pub(crate) fn collect<'a>(
        listeners: Vec<ListenerStats>,
        workers: impl Iterator<Item = &'a WorkerCounters>,
    ) -> Self {
        let mut stats = Self {
            listeners,
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
            stats.mirrors += worker.mirrors.value();
            worker.buffers.add_to(&mut stats.buffered);
            worker.http1.add_to(&mut stats.http1);
            worker.http2.add_to(&mut stats.http2);
            worker.shed.add_to(&mut stats.shed);
        }
        stats
    }
}
