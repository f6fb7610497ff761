//! The sink that every worker has, and what it hands requests on to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use outrigger_runtime::{Ended, Sink, Sinks};

use crate::access_log::{AccessLog, LogBuffer, LogThread};
use crate::recent::{RecentRequests, RecentRings, RecentSettings, RecentWriter};
use crate::requests::{RequestCounters, Requests, WorkerRequests};

/// What is on.
#[derive(Debug, Default)]
pub struct Settings {
    /// Requests are counted.
    pub counts: bool,
    /// Where requests are logged, if anywhere.
    pub access_log: Option<AccessLog>,
    /// Which requests are kept with their stories, if any.
    pub recent: Option<RecentSettings>,
}

/// Everything that is shown of requests, of all workers together. Copies mean the same one.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    parts: Arc<Parts>,
}

/// Each is there if it is on.
#[derive(Debug, Default)]
struct Parts {
    requests: Option<RequestCounters>,
    log: Option<LogThread>,
    recent: Option<RecentRings>,
}

impl Telemetry {
    /// Begins, before there are workers.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let Settings {
            counts,
            access_log,
            recent,
        } = settings;
        let parts = Parts {
            requests: counts.then(RequestCounters::default),
            log: access_log.map(LogThread::start).transpose()?,
            recent: recent.map(RecentRings::new),
        };
        Ok(Self {
            parts: Arc::new(parts),
        })
    }

    /// What a runtime is given; `None` when nothing is on.
    #[must_use]
    pub fn sinks(&self) -> Option<Arc<dyn Sinks>> {
        let Parts {
            requests,
            log,
            recent,
        } = &*self.parts;
        let is_on = requests.is_some() || log.is_some() || recent.is_some();
        is_on.then(|| Arc::clone(&self.parts) as Arc<dyn Sinks>)
    }

    /// What has been counted of requests, added up; nothing when that is off.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let counters = self.parts.requests.as_ref();
        counters.map(RequestCounters::sum).unwrap_or_default()
    }

    /// The last requests that failed, were slow or were sampled; `None` when none is kept.
    #[must_use]
    pub fn recent(&self) -> Option<RecentRequests> {
        self.parts.recent.as_ref().map(RecentRings::read)
    }

    /// Lines of the access log that were dropped because their writer was stuck or failed.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        self.parts.log.as_ref().map_or(0, LogThread::dropped)
    }
}

impl Sinks for Parts {
    fn sink(&self, _: usize, listeners: usize) -> Box<dyn Sink> {
        let requests = self.requests.as_ref();
        Box::new(WorkerSink {
            requests: requests.map(|requests| requests.of_worker(listeners)),
            log: self.log.as_ref().and_then(LogThread::buffer),
            recent: self.recent.as_ref().map(RecentRings::of_worker),
        })
    }

    fn finish(&self) {
        if let Some(log) = &self.log {
            log.finish();
        }
    }
}

/// One worker's ends of all parts that are on.
struct WorkerSink {
    requests: Option<Arc<WorkerRequests>>,
    log: Option<LogBuffer>,
    recent: Option<RecentWriter>,
}

impl Sink for WorkerSink {
    fn on_end(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        let Self {
            requests,
            log,
            recent,
        } = self;
        if let Some(requests) = requests {
            requests.count(ended);
        }
        if let Some(recent) = recent {
            recent.on_end(ended);
        }
        log.as_mut().and_then(|log| log.add(ended))
    }

    fn flush(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    fn wants_local_addresses(&self) -> bool {
        self.log.is_some()
    }
}
