//! Names that clients give, looked up when connections are made: a host that no service has, or one under `DYNAMIC_DNS`.
//!
//! A thread of its own asks, whatever runtime the connections are made on, with the resolver that names of endpoints are asked with.
//! Answers are kept for as long as they hold, and only so many; who asks for what is being asked for waits for the same answer.

mod cache;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinSet, LocalSet};

use crate::ask::{Answer, Failure, ask};
use crate::system::System;
use cache::Cache;

/// What is known of a name: where it leads, or why nowhere.
type Outcome = Result<Vec<IpAddr>, Failure>;

/// How names are looked up.
#[derive(Clone, Debug)]
pub struct LookupSettings {
    /// Asked in the place of the machine's name servers, if there are any.
    pub servers: Vec<SocketAddr>,
    /// Names of which the answer is kept, at most.
    pub most_kept: usize,
    /// Names that are asked for at a time, and connections that wait for them, at most; those beyond fail.
    pub most_pending: usize,
}

/// Looks names up until the last copy is dropped.
#[derive(Clone)]
pub struct Lookup {
    orders: mpsc::Sender<Order>,
    counts: Arc<LookupCounts>,
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

/// A name that somebody waits for.
struct Order {
    name: Box<str>,
    answer: oneshot::Sender<Outcome>,
}

/// What is counted of names that clients give.
#[derive(Debug, Default)]
pub struct LookupCounts {
    /// Names that connections were to be made to.
    requests: AtomicU64,
    /// Of those, answered from what is kept.
    hits: AtomicU64,
    /// Of those that were asked for, without an answer.
    failures: AtomicU64,
    /// Those that came while as many waited as may.
    overflow: AtomicU64,
    /// Names that are asked for.
    pending: AtomicU64,
    /// Names of which the answer is kept.
    names: AtomicU64,
}

impl LookupCounts {
    /// Each with its name; the last two are no counters but how it stands.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("requests", &self.requests),
            ("hits", &self.hits),
            ("failures", &self.failures),
            ("overflow", &self.overflow),
            ("pending", &self.pending),
            ("names", &self.names),
        ]
        .map(|(name, count)| (name, count.load(Relaxed)))
    }
}

impl Lookup {
    /// Begins to look names up.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn start(settings: LookupSettings) -> io::Result<Self> {
        let counts = Arc::<LookupCounts>::default();
        let (orders, received) = mpsc::channel(settings.most_pending.max(1));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let of_thread = Arc::clone(&counts);
        let body = move || {
            let serving = serve(settings, received, of_thread);
            LocalSet::new().block_on(&runtime, serving);
        };
        thread::Builder::new().name("names".into()).spawn(body)?;
        Ok(Self { orders, counts })
    }

    /// Where a name leads, in the order in which it was answered; one address at least.
    ///
    /// # Errors
    /// Nowhere, in words.
    pub fn resolve(
        &self,
        name: &str,
    ) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + use<> {
        self.counts.requests.fetch_add(1, Relaxed);
        let (answer, answered) = oneshot::channel();
        let order = Order {
            name: name.to_ascii_lowercase().into(),
            answer,
        };
        let is_taken = self.orders.try_send(order).is_ok();
        if !is_taken {
            self.counts.overflow.fetch_add(1, Relaxed);
        }
        async move {
            match answered.await {
                Ok(outcome) => outcome.map_err(|failure| io::Error::other(failure.to_string())),
                Err(_) => Err(io::Error::other("too many names are asked for")),
            }
        }
    }

    /// What it counts.
    #[must_use]
    pub const fn counts(&self) -> &Arc<LookupCounts> {
        &self.counts
    }
}

/// Answers orders until nobody can give any.
async fn serve(
    settings: LookupSettings,
    mut orders: mpsc::Receiver<Order>,
    counts: Arc<LookupCounts>,
) {
    let mut asked = Asked {
        cache: Cache::new(settings.most_kept),
        waiting: HashMap::new(),
        waiters: 0,
        asking: JoinSet::new(),
        tasks: HashMap::new(),
        settings,
        counts,
    };
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => asked.take(order),
                None => return,
            },
            Some(done) = asked.asking.join_next_with_id(), if !asked.asking.is_empty() => {
                let (id, outcome) = match done {
                    Ok(done) => done,
                    // Of one that panicked the system has told.
                    Err(panicked) => (panicked.id(), Err(Failure::NoName)),
                };
                asked.put(id, outcome);
            }
        }
        asked.tell();
    }
}

/// What is known and asked for.
struct Asked {
    cache: Cache<Outcome>,
    waiting: HashMap<Box<str>, Vec<oneshot::Sender<Outcome>>>,
    /// How many wait for all of them.
    waiters: usize,
    asking: JoinSet<Result<Answer, Failure>>,
    /// Which name a task asks for.
    tasks: HashMap<Id, Box<str>>,
    settings: LookupSettings,
    counts: Arc<LookupCounts>,
}

impl Asked {
    fn take(&mut self, Order { name, answer }: Order) {
        if let Some(known) = self.cache.find(&name, Instant::now()) {
            self.counts.hits.fetch_add(1, Relaxed);
            // Who is gone needs no answer.
            let _ = answer.send(known.clone());
            return;
        }
        if self.waiters >= self.settings.most_pending {
            // Dropped, it says so.
            self.counts.overflow.fetch_add(1, Relaxed);
            return;
        }
        self.waiters += 1;
        let waiting = self.waiting.entry(name.clone()).or_default();
        waiting.push(answer);
        if waiting.len() == 1 {
            let servers = self.settings.servers.clone();
            let asked = name.clone();
            let asking = async move { ask(&asked, &System::read(&servers)).await };
            let task = self.asking.spawn_local(asking);
            self.tasks.insert(task.id(), name);
        }
    }

    /// Something came of asking.
    fn put(&mut self, task: Id, outcome: Result<Answer, Failure>) {
        let Some(name) = self.tasks.remove(&task) else {
            return;
        };
        let (outcome, ttl) = match outcome {
            Ok(answer) => (Ok(answer.addresses), answer.ttl),
            Err(failure) => {
                self.counts.failures.fetch_add(1, Relaxed);
                (Err(failure), cache::SHORTEST)
            }
        };
        let waiting = self.waiting.remove(&name).unwrap_or_default();
        self.waiters -= waiting.len();
        for answer in waiting {
            let _ = answer.send(outcome.clone());
        }
        self.cache.put(name, outcome, ttl, Instant::now());
    }

    fn tell(&self) {
        let tell = |count: &AtomicU64, number: usize| count.store(number as u64, Relaxed);
        tell(&self.counts.pending, self.waiting.len());
        tell(&self.counts.names, self.cache.len());
    }
}
