//! The last requests that failed, were slow or were sampled, with their stories.
//!
//! Owns which requests are kept and for how long. A request that is none of these costs a few comparisons. One that is gets
//! its story told at once, on its worker, because a snapshot that a story could be told from later would keep the state of
//! endpoints alive that no configuration names any more. So there is a bound on how many are told in a second, and what is
//! beyond it is counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_core::decision::{AttemptEnd, Details, Record, RouteDecision};
use outrigger_core::entropy::Draw;
use outrigger_core::snapshot::PerMillion;
use outrigger_core::time::Instant;
use outrigger_explain::told::Told;
use outrigger_runtime::Ended;
use serde::Serialize;

/// Stories that one worker tells in a second; further requests are passed over.
pub const TOLD_A_SECOND: u32 = 200;

/// A story is cut off here.
const MOST_STORY_BYTES: usize = 16 * 1024;

/// Paths and the like are cut off here, in the facts that a request is found by.
const MOST_FACT_BYTES: usize = 1024;

/// Which requests are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentSettings {
    /// So many, at least 1; of each worker as many, so that the last ones of all are among them.
    pub keep: usize,
    /// One that takes this long is slow; `None` calls none slow.
    pub slow: Option<Duration>,
    /// The share of others that is kept.
    pub sample: PerMillion,
    /// Bytes that they may take on one worker.
    pub bytes: usize,
}

/// Why a request is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its client saw an error, or nothing.
    Failed,
    /// It took long.
    Slow,
    /// It was drawn.
    Sampled,
}

/// A request that is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Recent {
    /// When it began, since 1970-01-01 UTC.
    #[serde(skip)]
    pub began: Duration,
    /// Why it is kept.
    pub why: Why,
    /// The client's address.
    pub client: String,
    /// It came from the mesh, and not from the application.
    pub inbound: bool,
    /// Whether no virtual host or none of its rules was found for it.
    #[serde(skip)]
    pub is_unrouted: bool,
    /// The request.
    #[serde(flatten)]
    pub told: Told,
}

/// What is kept, and what is not.
#[derive(Clone, Debug, Default)]
pub struct RecentRequests {
    /// The newest first.
    pub requests: Vec<Arc<Recent>>,
    /// Requests that were to be kept, ever.
    pub kept: u64,
    /// Requests that were not told because too many were in their second, or somebody was reading.
    pub passed_over: u64,
    /// Bytes that they take now.
    pub bytes: u64,
}

/// The rings of all workers.
#[derive(Debug)]
pub(crate) struct RecentRings {
    settings: RecentSettings,
    workers: Mutex<Vec<Arc<Ring>>>,
}

impl RecentRings {
    pub(crate) fn new(settings: RecentSettings) -> Self {
        Self {
            settings,
            workers: Mutex::default(),
        }
    }

    /// The ring of a worker that begins.
    pub(crate) fn of_worker(&self) -> RecentWriter {
        let ring = Arc::<Ring>::default();
        self.workers().push(Arc::clone(&ring));
        RecentWriter {
            settings: self.settings,
            ring,
            second: Instant::ZERO,
            told: 0,
        }
    }

    /// The newest of all workers.
    pub(crate) fn read(&self) -> RecentRequests {
        let mut read = RecentRequests::default();
        for ring in &*self.workers() {
            read.kept += ring.kept.load(Ordering::Relaxed);
            read.passed_over += ring.passed_over.load(Ordering::Relaxed);
            let kept = ring.lock();
            read.bytes += kept.bytes as u64;
            read.requests.extend(kept.requests.iter().cloned());
        }
        // Those that began at one moment stay in the order of their workers.
        (read.requests).sort_by_key(|request| core::cmp::Reverse(request.began));
        read.requests.truncate(self.settings.keep);
        read
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Arc<Ring>>> {
        // What is in it only ever gets longer, in one step.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one worker keeps.
#[derive(Debug, Default)]
struct Ring {
    kept: AtomicU64,
    passed_over: AtomicU64,
    requests: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    requests: VecDeque<Arc<Recent>>,
    bytes: usize,
}

impl Ring {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic leaves at most a count of bytes that is wrong by one request.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's end.
#[derive(Debug)]
pub(crate) struct RecentWriter {
    settings: RecentSettings,
    ring: Arc<Ring>,
    /// When the second began in which so many were told.
    second: Instant,
    told: u32,
}

impl RecentWriter {
    /// A request has ended.
    pub(crate) fn on_end(&mut self, ended: &Ended<'_>) {
        if let Some(why) = self.settings.why(ended.record) {
            self.keep(why, ended);
        }
    }

    fn keep(&mut self, why: Why, ended: &Ended<'_>) {
        let ring = &self.ring;
        if ended.now.since(self.second) >= Duration::from_secs(1) {
            (self.second, self.told) = (ended.now, 0);
        }
        // Nobody waits for a reader.
        let kept = ring.requests.try_lock().ok();
        let Some(mut kept) = kept.filter(|_| self.told < TOLD_A_SECOND) else {
            ring.passed_over.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.told += 1;
        ring.kept.fetch_add(1, Ordering::Relaxed);
        kept.push(Arc::new(Recent::new(why, ended)), &self.settings);
    }
}

impl Kept {
    fn push(&mut self, recent: Arc<Recent>, settings: &RecentSettings) {
        self.bytes += recent.bytes();
        self.requests.push_back(recent);
        // A single one is kept whatever it takes, which is bounded.
        while self.requests.len() > settings.keep
            || (self.bytes > settings.bytes && self.requests.len() > 1)
        {
            let Some(oldest) = self.requests.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }
}

impl RecentSettings {
    /// Why a request is kept; `None` when it is not.
    fn why(&self, record: &Record) -> Option<Why> {
        if record.is_mirror() {
            return None;
        }
        if is_failed(record) {
            return Some(Why::Failed);
        }
        let is_slow = |slow| record.ended.since(record.began) >= slow;
        if self.slow.is_some_and(is_slow) {
            return Some(Why::Slow);
        }
        let is_sampled = self.sample.get() > 0
            && self
                .sample
                .takes(record.entropy.draw(Draw::RecentSample, 0));
        is_sampled.then_some(Why::Sampled)
    }
}

/// Whether its client saw an error of the server or of ours, no response, or a gRPC status that is none of success.
fn is_failed(record: &Record) -> bool {
    if record.connection.is_none() && record.status == 0 || record.status >= 500 {
        return true;
    }
    match &record.details {
        Details::ViaUpstream => matches!(
            record.attempt().map(|attempt| attempt.end),
            Some(AttemptEnd::Call { code: 1.., .. })
        ),
        Details::None
        | Details::DirectResponse
        | Details::CorsPreflight
        | Details::ConnectionIdleTimeout
        | Details::MaxConnectionDuration => false,
        Details::RouteNotFound
        | Details::ClusterNotFound
        | Details::NoHealthyUpstream
        | Details::ResetBeforeResponse(_)
        | Details::ResetAfterResponse(_)
        | Details::Refused(_)
        | Details::DownstreamRemoteDisconnect
        | Details::DownstreamRemoteReset
        | Details::DownstreamProtocolError
        | Details::ResponseTimeout
        | Details::PerTryTimeout
        | Details::FaultAbort
        | Details::StreamIdleTimeout
        | Details::MaxDurationTimeout
        | Details::AccessDenied(_)
        | Details::ExternalAuthorizationDenied
        | Details::ExternalAuthorizationError
        | Details::RateLimited
        | Details::RequestRateLimited
        | Details::RateLimiterError
        | Details::JwtDenied(_)
        | Details::ConcurrencyLimit
        | Details::Overload => true,
    }
}

impl Recent {
    fn new(why: Why, ended: &Ended<'_>) -> Self {
        let mut told = Told::new(ended.record, ended.snapshot);
        cut(&mut told.story, MOST_STORY_BYTES);
        for fact in [&mut told.path, &mut told.host]
            .into_iter()
            .chain(&mut told.request_id)
        {
            cut(fact, MOST_FACT_BYTES);
        }
        Self {
            began: ended.began(),
            why,
            client: ended.peer.remote.to_string(),
            inbound: ended.peer.listener.is_inbound(),
            is_unrouted: matches!(
                ended.record.route,
                RouteDecision::UnknownHost | RouteDecision::NoRule { .. }
            ),
            told,
        }
    }

    /// What it takes in memory, its parts of fixed size included.
    fn bytes(&self) -> usize {
        let Told {
            method,
            host,
            path,
            flags,
            details,
            route,
            endpoint,
            request_id,
            story,
            ..
        } = &self.told;
        let all = [method, host, path, flags, details, story, &self.client];
        let some = [route, endpoint, request_id].into_iter().flatten();
        let texts: usize = all.into_iter().chain(some).map(String::capacity).sum();
        size_of::<Self>() + texts
    }
}

/// Cuts a text off, between characters, and gives what it does not need back.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests;
