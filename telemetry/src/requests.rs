//! How many requests ended how, by listener and by mirror: counters of each worker, added up when somebody asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrigger_core::decision::{MirrorFate, Record};
use outrigger_core::message::Version;
use outrigger_runtime::{Counter, Ended};

/// What all workers have counted, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// In the order of the listeners.
    pub listeners: Vec<ListenerRequests>,
    /// Copies of requests for mirrors.
    pub mirrors: MirrorFates,
}

/// What is counted of requests on one listener: of one worker as counters, of all of them as sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerRequests<N = u64> {
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

/// What became of the copies that mirrors were to get: of one worker as counters, of all of them as sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorFates<N = u64> {
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

/// The counters of all workers.
#[derive(Debug, Default)]
pub(crate) struct RequestCounters {
    workers: Mutex<Vec<Arc<WorkerRequests>>>,
}

impl RequestCounters {
    /// Those of a worker that begins.
    pub(crate) fn of_worker(&self, listeners: usize) -> Arc<WorkerRequests> {
        let worker = Arc::new(WorkerRequests {
            listeners: (0..listeners).map(|_| Default::default()).collect(),
            mirrors: MirrorFates::default(),
        });
        self.workers().push(Arc::clone(&worker));
        worker
    }

    /// Added up, as of one moment for each number.
    pub(crate) fn sum(&self) -> Requests {
        let mut sum = Requests::default();
        for worker in &*self.workers() {
            let listeners = sum.listeners.len().max(worker.listeners.len());
            sum.listeners.resize_with(listeners, Default::default);
            for (sum, counters) in sum.listeners.iter_mut().zip(&worker.listeners) {
                counters.add_to(sum);
            }
            worker.mirrors.add_to(&mut sum.mirrors);
        }
        sum
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Arc<WorkerRequests>>> {
        // What is in it only ever gets longer, in one step.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one worker counts.
#[derive(Debug)]
pub(crate) struct WorkerRequests {
    listeners: Box<[ListenerRequests<Counter>]>,
    mirrors: MirrorFates<Counter>,
}

impl WorkerRequests {
    /// A copy for a mirror is no client's request: what became of it is counted with the request that it is a copy of.
    pub(crate) fn count(&self, ended: &Ended<'_>) {
        if let Some(listener) = ended.listener.and_then(|at| self.listeners.get(at)) {
            listener.count(ended.record);
        }
        for mirrored in &ended.record.mirrors {
            self.mirrors.count(mirrored.fate);
        }
    }
}

impl ListenerRequests<Counter> {
    fn count(&self, record: &Record) {
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

    fn add_to(&self, sum: &mut ListenerRequests) {
        sum.requests += self.requests.value();
        sum.http2_requests += self.http2_requests.value();
        for (sum, class) in sum.status_classes.iter_mut().zip(&self.status_classes) {
            *sum += class.value();
        }
        sum.bytes_received += self.bytes_received.value();
        sum.bytes_sent += self.bytes_sent.value();
    }
}

impl MirrorFates<Counter> {
    fn count(&self, fate: MirrorFate) {
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

    fn add_to(&self, sum: &mut MirrorFates) {
        sum.sent += self.sent.value();
        sum.incomplete += self.incomplete.value();
        sum.no_cluster += self.no_cluster.value();
        sum.no_endpoint += self.no_endpoint.value();
        sum.body_too_long += self.body_too_long.value();
        sum.dropped += self.dropped.value();
    }
}
