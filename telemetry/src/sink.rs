//! The sink that every worker has, and what it hands requests on to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::decision::access_log::Place;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_runtime::{Ended, Sink, Sinks};

use crate::access_log::{LogFiles, LogSettings, WorkerLogs};
use crate::metrics::{Collected, Metrics, MetricsSettings, WorkerMetrics};
use crate::recent::{RecentRequests, RecentRings, RecentSettings, RecentWriter};
use crate::refusals::{Limit, Refusals, WorkerRefusals};
use crate::spans::{SpanBuffer, SpanCounts, SpanSettings, Spans};

/// Called with each request of a client that has ended, on the thread of its worker: for a program that runs a proxy within
/// itself.
pub type Hears = Arc<dyn Fn(&Ended<'_>) + Send + Sync>;

/// What is on.
#[derive(Default)]
pub struct Settings {
    /// Requests are counted, so.
    pub metrics: Option<MetricsSettings>,
    /// Requests that limits refuse are counted, for who tells of these.
    pub tells_limits: bool,
    /// How requests are logged where their snapshot says; `None` logs nothing.
    pub access_logs: Option<LogSettings>,
    /// Who hears of each request.
    pub hears: Option<Hears>,
    /// Where the proxy runs, which logs may show.
    pub place: Place,
    /// Which requests are kept with their stories, if any.
    pub recent: Option<RecentSettings>,
    /// How spans are sent, if they are; which requests have some, the configuration says.
    pub spans: Option<SpanSettings>,
}

/// Everything that is shown of requests, of all workers together. Copies mean the same one.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    parts: Arc<Parts>,
}

/// Each is there if it is on.
#[derive(Default)]
struct Parts {
    metrics: Option<Arc<Metrics>>,
    refusals: Option<Arc<Refusals>>,
    logs: Option<Arc<LogFiles>>,
    hears: Option<Hears>,
    place: Arc<Place>,
    recent: Option<RecentRings>,
    spans: Option<Arc<Spans>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Begins, before there are workers.
    #[must_use]
    pub fn start(settings: Settings) -> Self {
        let Settings {
            metrics,
            tells_limits,
            access_logs,
            hears,
            place,
            recent,
            spans,
        } = settings;
        let place = Arc::new(place);
        let parts = Parts {
            metrics: metrics.map(|settings| Arc::new(Metrics::new(settings))),
            refusals: tells_limits.then(Arc::default),
            logs: access_logs
                .map(|LogSettings { waiting, hear }| Arc::new(LogFiles::new(waiting, hear))),
            hears,
            recent: recent.map(RecentRings::new),
            spans: spans.map(|settings| Arc::new(Spans::new(settings, &place))),
            place,
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    /// What a runtime is given; `None` when nothing is on.
    #[must_use]
    pub fn sinks(&self) -> Option<Arc<dyn Sinks>> {
        let Parts {
            metrics,
            logs,
            hears,
            recent,
            spans,
            refusals,
            place: _,
        } = &*self.parts;
        let is_on = metrics.is_some()
            || refusals.is_some()
            || logs.is_some()
            || hears.is_some()
            || recent.is_some()
            || spans.is_some();
        is_on.then(|| Arc::clone(&self.parts) as Arc<dyn Sinks>)
    }

    /// What has been counted of requests, added up; nothing when that is off. `snapshot` is the configuration in use: what
    /// it does not have any more is forgotten once nobody uses it.
    #[must_use]
    pub fn collect(&self, snapshot: &Snapshot) -> Collected {
        let metrics = self.parts.metrics.as_ref();
        metrics
            .map(|metrics| metrics.collect(snapshot))
            .unwrap_or_default()
    }

    /// Ends sets of labels of Istio's metrics that nothing has been counted under for too long.
    pub fn end_idle_series(&self, now: Instant) {
        if let Some(metrics) = &self.parts.metrics {
            metrics.end_idle(now);
        }
    }

    /// How many requests each limit has refused since this was asked last, and how many lines access logs; nothing when that
    /// is off.
    #[must_use]
    pub fn take_refusals(&self) -> BTreeMap<Limit, u64> {
        let Some(refusals) = &self.parts.refusals else {
            return BTreeMap::new();
        };
        let mut refused = refusals.take();
        let lines = self.parts.logs.as_ref().map(|logs| logs.take_dropped());
        if let Some(lines) = lines.filter(|lines| *lines > 0) {
            refused.insert(Limit::of_access_logs(), lines);
        }
        refused
    }

    /// The last requests that failed, were slow or were sampled; `None` when none is kept.
    #[must_use]
    pub fn recent(&self) -> Option<RecentRequests> {
        self.parts.recent.as_ref().map(RecentRings::read)
    }

    /// Lines of access logs that were dropped because their file was stuck or failed.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        self.parts.logs.as_ref().map_or(0, |logs| logs.dropped())
    }

    /// Bytes of lines that wait to be written.
    #[must_use]
    pub fn log_bytes_waiting(&self) -> u64 {
        self.parts.logs.as_ref().map_or(0, |logs| logs.waiting())
    }

    /// From now on requests are decided by this: the files that it logs to are opened, and what sends spans
    /// begins, if it has some.
    pub fn prepare(&self, snapshot: &Snapshot) {
        if let Some(logs) = &self.parts.logs {
            logs.prepare(&snapshot.access_logs);
        }
        if let Some(spans) = &self.parts.spans {
            spans.prepare(&snapshot.tracing);
        }
    }

    /// Opens the files of access logs again, which somebody has moved away.
    pub fn reopen_logs(&self) {
        if let Some(logs) = &self.parts.logs {
            logs.reopen();
        }
    }

    /// What became of spans.
    #[must_use]
    pub fn spans(&self) -> SpanCounts {
        let spans = self.parts.spans.as_ref();
        spans.map(|spans| spans.counts()).unwrap_or_default()
    }
}

impl Sinks for Parts {
    fn sink(&self, worker: usize) -> Box<dyn Sink> {
        let metrics = self.metrics.as_ref();
        Box::new(WorkerSink {
            metrics: metrics.map(|metrics| WorkerMetrics::new(metrics, worker)),
            refusals: (self.refusals.as_ref())
                .map(|shared| WorkerRefusals::new(Arc::clone(shared))),
            logs: (self.logs.as_ref()).map(|logs| WorkerLogs::new(logs, &self.place)),
            hears: self.hears.clone(),
            recent: self.recent.as_ref().map(RecentRings::of_worker),
            spans: self.spans.as_ref().map(SpanBuffer::new),
        })
    }

    fn finish(&self) {
        if let Some(logs) = &self.logs {
            logs.finish();
        }
        if let Some(spans) = &self.spans {
            spans.finish();
        }
    }
}

/// One worker's ends of all parts that are on.
struct WorkerSink {
    metrics: Option<WorkerMetrics>,
    refusals: Option<WorkerRefusals>,
    logs: Option<WorkerLogs>,
    hears: Option<Hears>,
    recent: Option<RecentWriter>,
    spans: Option<SpanBuffer>,
}

impl Sink for WorkerSink {
    fn on_end(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        let Self {
            metrics,
            refusals,
            logs,
            hears,
            recent,
            spans,
        } = self;
        if let Some(metrics) = metrics {
            metrics.count(ended);
        }
        if let Some(hears) = hears.as_ref().filter(|_| ended.listener.is_some()) {
            hears(ended);
        }
        if let Some(recent) = recent {
            recent.on_end(ended);
        }
        let of_refusals = refusals.as_mut().and_then(|refusals| refusals.count(ended));
        let of_log = logs.as_mut().and_then(|logs| logs.add(ended));
        let of_spans = spans.as_mut().and_then(|spans| spans.add(ended));
        // What asks for less time has the rest handed on with it.
        [of_refusals, of_log, of_spans].into_iter().flatten().min()
    }

    fn hears_of_lasting(&self, snapshot: &Snapshot) -> Option<Duration> {
        let metrics = self.metrics.as_ref();
        metrics.map(|_| snapshot.metrics.reporting_interval)
    }

    fn on_lasting(&mut self, lasting: &Ended<'_>) {
        if let Some(metrics) = &mut self.metrics {
            metrics.go_on(lasting);
        }
    }

    fn flush(&mut self) {
        if let Some(refusals) = &mut self.refusals {
            refusals.flush();
        }
        if let Some(logs) = &mut self.logs {
            logs.flush();
        }
        if let Some(spans) = &mut self.spans {
            spans.flush();
        }
    }

    fn wants_local_addresses(&self) -> bool {
        self.hears.is_some()
            || self.logs.as_ref().is_some_and(WorkerLogs::is_on)
            || self.spans.as_ref().is_some_and(SpanBuffer::is_on)
    }
}
