//! Spans: what is told of a request's way to those who follow it through a mesh.
//!
//! A worker describes the requests that are sampled (`describe`) and hands their spans on; a thread of its own sends them to
//! the collectors that the configuration names (`lane`, `post`), in the form that each speaks (`otlp`, `zipkin`). No worker
//! waits for a collector: as many spans wait as there is room for, more are dropped and counted. Which requests are sampled,
//! and what they are called, core has decided.

mod counts;
mod describe;
#[cfg(test)]
mod fixture;
mod identity;
mod lane;
mod otlp;
mod post;
mod span;
mod zipkin;

use std::fmt;
use std::io;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use outrigger_core::decision::access_log::Place;
use outrigger_core::snapshot::{Collector, Tracing};
use outrigger_runtime::Ended;
use tokio::sync::{mpsc, watch};

use counts::Counts;
pub use counts::SpanCounts;
use identity::Identity;
use lane::{Around, Lane};
pub use post::{Protect, Protecting, Wire};
use span::Told;

/// What a worker has is handed on after this long.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// Or when it has spans of so many requests.
const BLOCK: usize = 64;

/// How long the end of the process waits for what collectors have not taken yet.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// What an operator should know of collectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanNotice {
    /// A collector does not take spans. Told once, until it does.
    NotTaken {
        /// What users call it.
        collector: String,
        /// Why, in words.
        reason: String,
    },
    /// Nothing is sent, because the thread for it can not be started: why.
    NotStarted(String),
    /// It takes spans again.
    Taken {
        /// What users call it.
        collector: String,
    },
}

impl fmt::Display for SpanNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTaken { collector, reason } => {
                write!(
                    f,
                    "the trace collector {collector} takes no spans: {reason}"
                )
            }
            Self::NotStarted(error) => write!(f, "no spans are sent: {error}"),
            Self::Taken { collector } => {
                write!(f, "the trace collector {collector} takes spans again")
            }
        }
    }
}

/// Where notices go; called on the thread that sends, rarely.
pub(crate) type Tell = Arc<dyn Fn(SpanNotice) + Send + Sync>;

/// How spans are sent.
pub struct SpanSettings {
    /// The namespace of the workload.
    pub namespace: String,
    /// How many spans may wait for collectors, at least 1.
    pub room: u64,
    /// Where notices go.
    pub tell: Tell,
    /// How connections are protected to collectors that want it.
    pub protect: Arc<dyn Protect>,
}

impl fmt::Debug for SpanSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = f.debug_struct("SpanSettings");
        settings.field("room", &self.room).finish_non_exhaustive()
    }
}

/// What workers hand spans on to.
#[derive(Debug)]
pub(crate) struct Spans {
    settings: SpanSettings,
    identity: Arc<Identity>,
    /// Where the proxy runs, which format strings may show.
    place: Arc<Place>,
    counts: Arc<Counts>,
    /// Not begun before the first configuration that has spans; without, when it cannot be.
    thread: OnceLock<Option<SpanThread>>,
}

/// The thread that sends.
#[derive(Debug)]
struct SpanThread {
    /// Gone once the last spans are handed on.
    queue: Mutex<Option<mpsc::UnboundedSender<Vec<Told>>>>,
    ending: watch::Sender<bool>,
    /// Its other end goes with the thread.
    ended: Mutex<blocking::Receiver<()>>,
}

impl Spans {
    pub(crate) fn new(settings: SpanSettings, place: &Arc<Place>) -> Self {
        Self {
            identity: Arc::new(Identity::new(&settings.namespace, place)),
            place: Arc::clone(place),
            counts: Arc::default(),
            thread: OnceLock::new(),
            settings,
        }
    }

    /// Requests may be traced so from now on.
    pub(crate) fn prepare(&self, tracing: &Tracing) {
        if tracing.outbound.is_some() || tracing.inbound.is_some() {
            self.thread.get_or_init(|| self.start());
        }
    }

    /// Whether some configuration had spans.
    pub(crate) fn is_on(&self) -> bool {
        self.thread.get().is_some()
    }

    fn start(&self) -> Option<SpanThread> {
        let started = SpanThread::start(&self.settings, &self.identity, &self.counts);
        started
            .map_err(|error| (self.settings.tell)(SpanNotice::NotStarted(error.to_string())))
            .ok()
    }

    fn queue(&self) -> Option<mpsc::UnboundedSender<Vec<Told>>> {
        let thread = self.thread.get()?.as_ref()?;
        let queue = thread.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clone()
    }

    pub(crate) fn counts(&self) -> SpanCounts {
        self.counts.now()
    }

    /// All workers have ended: what waits is sent, for a while at most.
    pub(crate) fn finish(&self) {
        let Some(Some(thread)) = self.thread.get() else {
            return;
        };
        let mut queue = thread.queue.lock().unwrap_or_else(PoisonError::into_inner);
        drop(queue.take());
        thread.ending.send_replace(true);
        let ended = thread.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: the other end goes with the thread.
        let _ = ended.recv_timeout(LAST_SPANS);
    }
}

impl SpanThread {
    fn start(
        settings: &SpanSettings,
        identity: &Arc<Identity>,
        counts: &Arc<Counts>,
    ) -> io::Result<Self> {
        let (queue, told) = mpsc::unbounded_channel();
        let (ending, is_ending) = watch::channel(false);
        let (alive, ended) = blocking::channel::<()>();
        let around = Around {
            identity: Arc::clone(identity),
            counts: Arc::clone(counts),
            tell: Arc::clone(&settings.tell),
            protect: Arc::clone(&settings.protect),
            ending: is_ending,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new().name("spans".into()).spawn(move || {
            runtime.block_on(share_out(told, around));
            drop(alive);
        })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            ending,
            ended: Mutex::new(ended),
        })
    }
}

/// Gives each collector its spans, until nobody has any, and then waits for the collectors.
async fn share_out(mut told: mpsc::UnboundedReceiver<Vec<Told>>, around: Around) {
    let mut lanes: Vec<(Arc<Collector>, mpsc::UnboundedSender<Told>)> = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(block) = told.recv().await {
        for told in block {
            let collector = &told.policy.collector;
            let known = lanes.iter().position(|(known, _)| known == collector);
            let at = known.unwrap_or_else(|| {
                let (spans, queue) = mpsc::unbounded_channel();
                let lane = Lane::new(Arc::clone(collector), around.clone());
                tasks.spawn(lane.run(queue));
                lanes.push((Arc::clone(collector), spans));
                lanes.len() - 1
            });
            // A lane runs for as long as it has a sender.
            let _ = lanes[at].1.send(told);
        }
    }
    drop(lanes);
    while tasks.join_next().await.is_some() {}
}

/// One worker's end.
pub(crate) struct SpanBuffer {
    spans: Arc<Spans>,
    /// To the thread, once there is one.
    queue: Option<mpsc::UnboundedSender<Vec<Told>>>,
    block: Vec<Told>,
    flush_is_due: bool,
}

impl SpanBuffer {
    pub(crate) fn new(spans: &Arc<Spans>) -> Self {
        Self {
            spans: Arc::clone(spans),
            queue: None,
            block: Vec::new(),
            flush_is_due: false,
        }
    }

    /// Whether some configuration had spans.
    pub(crate) fn is_on(&self) -> bool {
        self.spans.is_on()
    }

    /// Describes a request if it is sampled. Says when what waits is to be handed on, unless that has been said.
    pub(crate) fn add(&mut self, ended: &Ended<'_>) -> Option<Duration> {
        let trace = ended.record.trace?;
        if !trace.sampled.is_sampled() {
            return None;
        }
        let spans = 1 + ended.record.attempts.len() as u64;
        // Asked before they are described, which costs more.
        if !self.spans.counts.admit(spans, self.spans.settings.room) {
            return None;
        }
        match describe::spans(ended, &self.spans.identity.node, &self.spans.place) {
            Some(told) => self.put(told),
            None => {
                self.spans.counts.settle(0, spans);
                None
            }
        }
    }

    fn put(&mut self, told: Told) -> Option<Duration> {
        self.block.push(told);
        if self.block.len() >= BLOCK {
            self.flush();
            return None;
        }
        (!std::mem::replace(&mut self.flush_is_due, true)).then_some(FLUSH_AFTER)
    }

    /// Hands on what there is.
    pub(crate) fn flush(&mut self) {
        self.flush_is_due = false;
        let block = std::mem::take(&mut self.block);
        if block.is_empty() {
            return;
        }
        if self.queue.is_none() {
            self.queue = self.spans.queue();
        }
        let left = match &self.queue {
            Some(queue) => queue.send(block).err().map(|error| error.0),
            None => Some(block),
        };
        if let Some(block) = left {
            let spans = block.iter().map(|told| told.spans.len() as u64).sum();
            self.spans.counts.settle(0, spans);
        }
    }
}

#[cfg(test)]
mod tests;
