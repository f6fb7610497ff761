//! Live state of one endpoint of one cluster.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Counters of one endpoint, shared by all workers and by all snapshots that name it.
///
/// Orderings are relaxed: each counter stands alone, and no other memory is published through it.
#[derive(Debug)]
pub struct HostState {
    id: u32,
    active: AtomicU32,
    connections: AtomicU32,
    requests: AtomicU64,
    failures: AtomicU64,
    connect_failures: AtomicU64,
}

impl HostState {
    pub(super) const fn new(id: u32) -> Self {
        Self {
            id,
            active: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            connect_failures: AtomicU64::new(0),
        }
    }

    /// A small number, unique among the live endpoints of one registry; idle connections are kept by it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Requests in flight (Envoy's `rq_active`), what least-request balancing compares.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// Open connections, idle ones included (`cx_active`).
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Requests sent so far (`rq_total`).
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that ended in a 5xx or without a response (`rq_error`).
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Connections that could not be made (`cx_connect_fail`).
    #[must_use]
    pub fn connect_failures(&self) -> u64 {
        self.connect_failures.load(Ordering::Relaxed)
    }

    /// A request was given to this endpoint; [`HostState::on_request_end`] must follow exactly once.
    pub fn on_request(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The request ended, well or not.
    pub fn on_request_end(&self, failed: bool) {
        let before = self.active.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a request ended that never began");
        if failed {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection was begun; [`HostState::on_connection_end`] must follow exactly once.
    pub fn on_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed, or could not be made.
    pub fn on_connection_end(&self, failed_to_connect: bool) {
        let before = self.connections.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a connection ended that never began");
        if failed_to_connect {
            self.connect_failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}
