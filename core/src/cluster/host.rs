//! Live state of one endpoint of one cluster.

use std::sync::Arc;

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::bucket::Origin;
use super::health::Health;
use super::outlier::OutlierDetection;
use super::peak_ewma::PeakEwma;
use super::reason::Ejected;
use super::state::ClusterState;
use crate::time::Instant;

/// Counters of one endpoint, shared by all workers and by all snapshots that name it.
///
/// Orderings are relaxed: each counter stands alone, and no other memory is published through it.
#[derive(Debug)]
pub struct HostState {
    id: u32,
    cluster: Arc<ClusterState>,
    active: AtomicU32,
    connections: AtomicU32,
    connections_begun: AtomicU64,
    requests: AtomicU64,
    failures: AtomicU64,
    connect_failures: AtomicU64,
    health: Health,
    response_time: PeakEwma,
    /// Nanoseconds, or `UNSEEN`.
    joined: AtomicU64,
}

/// Nobody has seen the endpoint in its cluster yet.
const UNSEEN: u64 = u64::MAX;

impl HostState {
    pub(super) fn new(id: u32, cluster: Arc<ClusterState>) -> Self {
        Self {
            id,
            cluster,
            active: AtomicU32::default(),
            connections: AtomicU32::default(),
            connections_begun: AtomicU64::default(),
            requests: AtomicU64::default(),
            failures: AtomicU64::default(),
            connect_failures: AtomicU64::default(),
            health: Health::default(),
            response_time: PeakEwma::default(),
            joined: AtomicU64::new(UNSEEN),
        }
    }

    /// The state of the same endpoint in another process that has just begun.
    #[must_use]
    pub fn apart(&self, cluster: &Arc<ClusterState>) -> Arc<Self> {
        Arc::new(Self::new(self.id, Arc::clone(cluster)))
    }

    /// A copy to try something on: as busy as this one, and ejected if this one is.
    #[must_use]
    pub fn to_try(&self, cluster: &Arc<ClusterState>) -> Arc<Self> {
        let copy = Self::new(self.id, Arc::clone(cluster));
        copy.active.store(self.active(), Ordering::Relaxed);
        if let Some(ejected) = self.ejected() {
            copy.health.begin_out(ejected, cluster);
        }
        Arc::new(copy)
    }

    /// The state of an endpoint that a client named itself; only the worker whose id it is uses it.
    #[must_use]
    pub fn original(id: u32, cluster: Arc<ClusterState>) -> Self {
        Self::new(id, cluster)
    }

    /// A small number, unique among the live endpoints of one registry; idle connections are kept by it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The state of its cluster.
    #[must_use]
    pub const fn cluster(&self) -> &Arc<ClusterState> {
        &self.cluster
    }

    /// Whether it is out of rotation (Envoy's health flag `failed_outlier_check`).
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.health.is_out()
    }

    /// Why it is out of rotation and until when; `None` when it is not.
    #[must_use]
    pub fn ejected(&self) -> Option<Ejected> {
        self.health.ejected()
    }

    /// How often it has been ejected. A connection that was made before an ejection is not used after it.
    #[must_use]
    pub fn ejections(&self) -> u64 {
        self.health.ejections()
    }

    /// The percentage of successes that the last sweep found. `None` when no detector asked, when there were too few
    /// results, and for an endpoint that was out.
    #[must_use]
    pub fn success_rate(&self, origin: Origin) -> Option<f64> {
        self.health.last_rate(origin).get()
    }

    /// The newest snapshot ejects by these settings: what they do not know of is forgotten.
    pub fn settle(&self, detection: Option<&OutlierDetection>) {
        if detection.is_none() {
            self.health.stay_in(&self.cluster);
        }
        if !detection.is_some_and(OutlierDetection::looks_at_rates) {
            self.health.forget_results();
        }
    }

    /// How long it takes to answer; fed only where balancing looks at it.
    #[must_use]
    pub const fn response_time(&self) -> &PeakEwma {
        &self.response_time
    }

    /// When it was first seen to be in its cluster: now, if nobody has looked before.
    pub fn joined(&self, now: Instant) -> Instant {
        let seen = self.joined.compare_exchange(
            UNSEEN,
            now.as_nanos(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        seen.map_or_else(Instant::from_nanos, |_| now)
    }

    /// The newest snapshot names it. If the one before did not, it joins its cluster anew.
    pub(super) fn join(&self) {
        if self.health.has_left() {
            self.joined.store(UNSEEN, Ordering::Relaxed);
        }
        self.health.join();
    }

    pub(super) const fn health(&self) -> &Health {
        &self.health
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

    /// Connections begun so far, whether or not they could be made (`cx_total`).
    #[must_use]
    pub fn connections_begun(&self) -> u64 {
        self.connections_begun.load(Ordering::Relaxed)
    }

    /// Requests sent so far (`rq_total`).
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that ended in a 5xx, in the gRPC status of one, or without a response (`rq_error`).
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Connections that could not be made (`cx_connect_fail`).
    #[must_use]
    pub fn connect_failures(&self) -> u64 {
        self.connect_failures.load(Ordering::Relaxed)
    }

    /// A request is given to this endpoint; it counts as active until the guard is dropped.
    #[must_use]
    pub fn begin_request(self: &Arc<Self>) -> ActiveRequest {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        ActiveRequest {
            host: Arc::clone(self),
            ending: Ending::Good,
        }
    }

    /// A connection is begun; it counts until the guard is dropped.
    #[must_use]
    pub fn begin_connection(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_begun.fetch_add(1, Ordering::Relaxed);
        OpenConnection {
            host: Arc::clone(self),
        }
    }
}

/// What a request comes to at its endpoint, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The endpoint has done nothing wrong.
    Good,
    /// A 5xx, a gRPC status that stands for one, or no response.
    Bad,
    /// The end of the response says it: a gRPC call, whose status is in its trailers.
    Unsaid,
}

/// A request in flight at an endpoint. A guard, so that no way out of an exchange can leave the count too high.
#[derive(Debug)]
pub struct ActiveRequest {
    host: Arc<HostState>,
    ending: Ending,
}

impl ActiveRequest {
    /// The request ended badly: there was no response, or not all of it.
    pub const fn fail(&mut self) {
        self.ending = Ending::Bad;
    }

    /// The head of its response says so much.
    pub const fn on_head(&mut self, ending: Ending) {
        self.ending = ending;
    }

    /// Its response has ended so; that counts only if the head left it unsaid, and then it is news.
    pub fn on_end(&mut self, ending: Ending) -> Option<Ending> {
        (self.ending == Ending::Unsaid).then(|| {
            self.ending = ending;
            ending
        })
    }

    /// What is known by now.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        self.ending
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.host.active.fetch_sub(1, Ordering::Relaxed);
        // A call that its client gives up before the end is nobody's failure.
        if self.ending == Ending::Bad {
            self.host.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A connection to an endpoint, being made, in use or idle.
#[derive(Debug)]
pub struct OpenConnection {
    host: Arc<HostState>,
}

impl OpenConnection {
    /// Whose connection it is.
    #[must_use]
    pub const fn host(&self) -> &Arc<HostState> {
        &self.host
    }

    /// It could not be made.
    pub fn fail(self) {
        self.host.connect_failures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.host.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;
    use crate::cluster::{HostKey, Registry};

    #[test]
    fn counts_what_was_done_and_what_failed() {
        let host = Registry::default().host(HostKey {
            cluster: "c".into(),
            address: "a".into(),
        });
        let counts = || {
            (
                (host.active(), host.requests(), host.failures()),
                (
                    host.connections(),
                    host.connections_begun(),
                    host.connect_failures(),
                ),
            )
        };
        assert_eq!(counts(), ((0, 0, 0), (0, 0, 0)));
        let (first, mut second) = (host.begin_request(), host.begin_request());
        let (made, refused) = (host.begin_connection(), host.begin_connection());
        assert_eq!(counts(), ((2, 2, 0), (2, 2, 0)));
        second.fail();
        refused.fail();
        assert_eq!(counts(), ((2, 2, 0), (1, 2, 1)));
        drop((first, second, made));
        assert_eq!(counts(), ((0, 2, 1), (0, 2, 1)));
    }

    #[test]
    fn a_call_counts_by_its_end_where_its_head_does_not_say() {
        use Ending::{Bad, Good, Unsaid};
        for (head, end, news, failures) in [
            (Good, None, None, 0),
            (Bad, None, None, 1),
            (Unsaid, None, None, 0),
            (Good, Some(Bad), None, 0),
            (Bad, Some(Good), None, 1),
            (Unsaid, Some(Good), Some(Good), 0),
            (Unsaid, Some(Bad), Some(Bad), 1),
        ] {
            let host = Registry::default().host(HostKey {
                cluster: "c".into(),
                address: "a".into(),
            });
            let mut request = host.begin_request();
            request.on_head(head);
            assert_eq!(end.and_then(|end| request.on_end(end)), news);
            drop(request);
            assert_eq!(host.failures(), failures, "{head:?} {end:?}");
        }
    }
}
