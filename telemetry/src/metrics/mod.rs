//! Metrics of requests and of connections that are not HTTP: Istio's standard ones, and Envoy's by cluster, listener and route.
//!
//! Each worker counts what it sees in memory of its own, without a lock (`worker`). Who asks adds up what all have counted,
//! on his own thread (`Metrics::collect`). What they are called outside is the business of whoever shows them.

mod clusters;
mod codes;
mod connections;
mod histogram;
mod kept;
mod labels;
mod life;
mod listeners;
mod mirrors;
mod peers;
mod place;
mod routes;
mod seen;
mod series;
#[cfg(test)]
mod tests;
mod worker;

pub use clusters::{ClusterEvent, ClusterRequests};
pub use codes::StatusCounts;
pub use connections::ClusterConnections;
pub use histogram::{Distribution, ISTIO_BOUNDS};
pub use listeners::{ListenerEvent, ListenerRequests};
pub use mirrors::MirrorFates;
pub use routes::RouteRequests;
pub use series::Told;

pub(crate) use worker::WorkerMetrics;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_core::peer::Identity;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::snapshot::telemetry::{Metric, MetricRules};
use outrigger_core::time::Instant;
use outrigger_runtime::Counter;

use clusters::ClusterCells;
use connections::{Connections, ConnectionsSum};
use kept::Kept;
use listeners::ListenerCells;
use routes::RouteCells;
use series::{Messages, MessagesSum, Series, SeriesSum, Sum};

/// Tells rules apart: when they change, series begin anew.
fn rules_id(rules: &MetricRules) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}{:?}", rules.outbound, rules.inbound).hash(&mut hasher);
    hasher.finish()
}

/// Whose metrics they are, and how much they may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The workload that the proxy stands beside.
    pub ourselves: Identity,
    /// How many sets of labels Istio's metrics may have at a time. What is counted beyond that goes into one more set for each
    /// reporter, whose labels say `overflow`.
    pub max_series: usize,
    /// How long a set of labels stays that nothing is counted under; `None` for ever.
    pub series_idle: Option<Duration>,
}

impl MetricsSettings {
    /// How long a set of labels stays where nobody says: longer than anybody looks back for what happens rarely.
    pub const SERIES_IDLE: Duration = Duration::from_secs(24 * 60 * 60);

    /// The most sets of labels where nobody says.
    pub const MAX_SERIES: usize = 10_000;
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            ourselves: Identity::default(),
            max_series: Self::MAX_SERIES,
            series_idle: Some(Self::SERIES_IDLE),
        }
    }
}

/// What all workers count.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    settings: MetricsSettings,
    listeners: Mutex<Vec<Arc<WorkerListeners>>>,
    clusters: Kept<ClusterCells>,
    routes: Kept<RouteCells>,
    series: Kept<Series>,
    messages: Kept<Messages>,
    connections: Kept<Connections>,
    /// The configuration whose routes are kept.
    routes_of: AtomicU64,
    /// What is changed of Istio's metrics in the configuration in use, see [`rules_id`].
    rules: Arc<AtomicU64>,
    /// Which configuration that is.
    rules_of: AtomicU64,
    /// Sets of labels that have ended because nothing was counted under them.
    ended: AtomicU64,
    /// When room was made last, in seconds.
    made_room: AtomicU64,
}

/// What one worker counts by listener, and of mirrors.
#[derive(Debug)]
pub(crate) struct WorkerListeners {
    /// By the numbers that the runtime gives them; longer when another one is heard of.
    listeners: Mutex<Vec<Arc<ListenerCells>>>,
    mirrors: MirrorFates<Counter>,
}

impl WorkerListeners {
    /// At least as many as it takes for one to be among them.
    fn up_to(&self, at: usize) -> Vec<Arc<ListenerCells>> {
        let mut listeners = self.lock();
        if listeners.len() <= at {
            listeners.resize_with(at + 1, Arc::default);
        }
        listeners.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<ListenerCells>>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has been counted, added up, as of one moment for each number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// By the numbers that the runtime gives listeners ([`outrigger_runtime::ListenerStats::at`]); as far as one was asked.
    pub listeners: Vec<ListenerRequests>,
    /// Copies of requests for mirrors.
    pub mirrors: MirrorFates,
    /// By the name of the cluster; where nothing has happened there is nothing.
    pub clusters: HashMap<Arc<str>, ClusterRequests>,
    /// By virtual host and name of the route, with `.` between.
    pub routes: HashMap<Arc<str>, RouteRequests>,
    series: HashMap<Arc<str>, SeriesSum>,
    /// Of gRPC.
    messages: HashMap<Arc<str>, MessagesSum>,
    /// That are not HTTP.
    connections: HashMap<Arc<str>, ConnectionsSum>,
    /// Requests in series whose labels say `overflow`, because there was no room for another one.
    pub overflowed: u64,
    /// Sets of labels that have ended because nothing was counted under them for too long.
    pub ended: u64,
}

impl Collected {
    /// How many sets of labels Istio's standard metrics have.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series.len() + self.messages.len() + self.connections.len()
    }

    /// Istio's standard metrics, each with the text of its labels, without the braces around.
    pub fn told(&self, mut tell: impl FnMut(Metric, &str, Told<'_>)) {
        let of = |range| &Metric::ALL[range];
        told(&self.series, of(Metric::OF_REQUESTS), &mut tell);
        told(&self.messages, of(Metric::OF_CALLS), &mut tell);
        told(&self.connections, of(Metric::OF_CONNECTIONS), &mut tell);
    }
}

fn told<S: Sum>(
    sums: &HashMap<Arc<str>, S>,
    metrics: &[Metric],
    tell: &mut impl FnMut(Metric, &str, Told<'_>),
) {
    let mut changed: BTreeMap<(usize, &str), S> = BTreeMap::new();
    for (name, sum) in sums {
        if !name.contains(labels::NEXT) {
            let of_metric = |metric: &Metric| tell(*metric, name, sum.told(*metric));
            metrics.iter().for_each(of_metric);
            continue;
        }
        // Where labels are left out, several series are one.
        let texts = name.split(labels::NEXT).enumerate();
        for (metric, text) in texts.filter(|(_, text)| *text != labels::DISABLED) {
            let same = changed.entry((metric, text)).or_default();
            same.add(sum.clone());
        }
    }
    for ((metric, text), sum) in &changed {
        if let Some(metric) = metrics.get(*metric) {
            tell(*metric, text, sum.told(*metric));
        }
    }
}

impl Metrics {
    pub(crate) fn new(settings: MetricsSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// What is changed of metrics in a configuration, see [`rules_id`]. If it is the newest, that holds from now on, and series by
    /// other rules end.
    fn hold(&self, snapshot: &Snapshot) -> u64 {
        let id = rules_id(&snapshot.metrics);
        let newest = self
            .rules_of
            .fetch_max(snapshot.revision, Ordering::Relaxed);
        if newest <= snapshot.revision {
            self.rules.store(id, Ordering::Relaxed);
        }
        id
    }

    /// Ends sets of labels that nothing has been counted under for too long; whether there were some.
    pub(crate) fn end_idle(&self, now: Instant) -> bool {
        let since = self.settings.series_idle;
        let since = since.and_then(|idle| now.since(Instant::ZERO).checked_sub(idle));
        let Some(since) = since else {
            return false;
        };
        let since = Instant::ZERO + since;
        // What had no room is told by itself, too, as a counter that only grows.
        let ended = self.series.end_idle(since, labels::is_overflow)
            + self.messages.end_idle(since, labels::is_overflow)
            + self.connections.end_idle(since, labels::is_overflow);
        self.ended.fetch_add(ended as u64, Ordering::Relaxed);
        ended > 0
    }

    /// The same when there is no room, once a second at most.
    fn makes_room(&self, now: Instant) -> bool {
        let second = now.since(Instant::ZERO).as_secs();
        self.made_room.swap(second, Ordering::Relaxed) != second && self.end_idle(now)
    }

    fn begin(&self) -> Arc<WorkerListeners> {
        let worker = Arc::new(WorkerListeners {
            listeners: Mutex::default(),
            mirrors: MirrorFates::default(),
        });
        let mut all = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&worker));
        worker
    }

    /// Adds up, and forgets what stands for something that is gone.
    pub(crate) fn collect(&self, snapshot: &Snapshot) -> Collected {
        self.hold(snapshot);
        if self.routes_of.swap(snapshot.revision, Ordering::Relaxed) != snapshot.revision {
            let names = routes::names(snapshot);
            self.routes.keep(|name| names.contains(name));
        }
        let series = self.series.sum();
        let overflowed = series.iter().filter(|(text, _)| labels::is_overflow(text));
        let mut all = Collected {
            clusters: self.clusters.sum(),
            routes: self.routes.sum(),
            overflowed: overflowed.map(|(_, sum)| sum.requests).sum(),
            series,
            messages: self.messages.sum(),
            connections: self.connections.sum(),
            ended: self.ended.load(Ordering::Relaxed),
            ..Collected::default()
        };
        let workers = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for worker in workers {
            let counted = worker.lock();
            let listeners = all.listeners.len().max(counted.len());
            all.listeners
                .resize_with(listeners, ListenerRequests::default);
            for (sum, cells) in all.listeners.iter_mut().zip(counted.iter()) {
                cells.add_to(sum);
            }
            worker.mirrors.add_to(&mut all.mirrors);
        }
        all
    }
}
