//! The world that is served, and when its clients are told of changes.
//!
//! Owns the moment of a push: changes come in bursts, and clients compile for each push.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use outrigger_xds::carried::name_of;
use outrigger_xds::{Change, Kind};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::followers::followers;
use crate::world::{Touched, World};

/// A push waits until nothing has changed for so long, as istiod's.
pub const QUIET: Duration = Duration::from_millis(100);

/// And no longer than that.
pub const AT_MOST: Duration = Duration::from_secs(1);

/// Changes of so many pushes are remembered; who was away for longer is compared as a whole.
const REMEMBERED: usize = 256;

/// The world, and who hears of it.
#[derive(Debug)]
pub struct Hub {
    state: RwLock<State>,
    pushed: watch::Sender<u64>,
    /// What is counted.
    pub counts: Counts,
}

/// What is counted of all clients, since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Streams that are open.
    pub streams: AtomicU64,
    /// Streams that were opened.
    pub opened: AtomicU64,
    /// Clients that were sent away, with who they are unclear.
    pub strangers: AtomicU64,
    /// Streams that were refused because there were too many.
    pub too_many: AtomicU64,
    /// Streams that were ended because what their clients had proved was over.
    pub over: AtomicU64,
    /// Responses that were sent.
    pub responses: AtomicU64,
    /// Objects that were sent in them.
    pub objects: AtomicU64,
    /// Bytes that they had.
    pub bytes: AtomicU64,
    /// Responses that were taken.
    pub taken: AtomicU64,
    /// Responses that were refused.
    pub refused: AtomicU64,
    /// Changes that sources told of.
    pub changes: AtomicU64,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64, more: u64) {
        // It orders nothing.
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

/// What is read and written together.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) world: World,
    /// The number of the last push.
    pub(crate) pushes: u64,
    /// What each of the last pushes touched, oldest first.
    remembered: VecDeque<Arc<Pushed>>,
}

/// What a push is about.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) touched: Touched,
    /// Objects that are other than they were, or that others may be to know now, by kind and name.
    pub(crate) names: Vec<(&'static Kind, Arc<str>)>,
    /// Settings of the mesh have changed, which decide for everybody.
    pub(crate) is_of_all: bool,
}

impl Pushed {
    fn new(touched: Touched, world: &World) -> Self {
        let followers = followers(&touched, world);
        let keys = touched.keys.union(&followers);
        Self {
            names: keys.map(|key| (key.kind, name_of(key).into())).collect(),
            is_of_all: touched.keys.iter().any(|key| key.kind.kind == "ConfigMap"),
            touched,
        }
    }
}

/// What happened since a push.
pub(crate) enum Since {
    /// This, push by push.
    These(Vec<Arc<Pushed>>),
    /// So much that it is forgotten.
    Long,
}

impl State {
    pub(crate) fn since(&self, push: u64) -> Since {
        let missed = usize::try_from(self.pushes.saturating_sub(push)).unwrap_or(usize::MAX);
        match self.remembered.len().checked_sub(missed) {
            Some(first) => Since::These(self.remembered.iter().skip(first).cloned().collect()),
            None => Since::Long,
        }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            pushed: watch::Sender::new(0),
            counts: Counts::default(),
        }
    }
}

impl Hub {
    /// Takes changes for as long as they come, and pushes them once they rest. Nothing is pushed before the source has said of
    /// each of these kinds what there is: to a client that comes back, what is not there yet would look like gone.
    pub async fn serve(
        self: Arc<Self>,
        mut changes: mpsc::Receiver<Change>,
        expected: &[&'static Kind],
    ) {
        let mut touched = Touched::default();
        while let Some(change) = changes.recv().await {
            touched.extend(self.apply(change));
            let until = Instant::now() + AT_MOST;
            loop {
                let quiet = sleep(QUIET);
                tokio::select! {
                    () = quiet => break,
                    next = timeout_at(until, changes.recv()) => match next {
                        Ok(Some(change)) => touched.extend(self.apply(change)),
                        Ok(None) | Err(_) => break,
                    },
                }
            }
            if self.ask(|world| world.has_listed(expected.iter().copied())) {
                self.push(std::mem::take(&mut touched));
            }
        }
    }

    /// Takes one change, which nobody hears of before it is pushed.
    pub fn apply(&self, change: Change) -> Touched {
        Counts::add(&self.counts.changes, 1);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.world.apply(change)
    }

    /// How often everybody was told; none may be served before the first time.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        *self.pushed.borrow()
    }

    /// Tells everybody.
    pub fn push(&self, touched: Touched) {
        if touched.is_empty() && *self.pushed.borrow() > 0 {
            return;
        }
        let pushes = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.pushes += 1;
            if state.remembered.len() == REMEMBERED {
                state.remembered.pop_front();
            }
            let pushed = Pushed::new(touched, &state.world);
            state.remembered.push_back(Arc::new(pushed));
            state.pushes
        };
        self.pushed.send_replace(pushes);
    }

    /// Tells of pushes from now on.
    #[must_use]
    pub fn pushes(&self) -> watch::Receiver<u64> {
        self.pushed.subscribe()
    }

    /// As it is now. Held for a moment only: changes wait for it.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        // A change is applied whole or not at all as far as a reader can see.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks something of the world as it is now.
    pub fn ask<R>(&self, question: impl FnOnce(&World) -> R) -> R {
        question(&self.state().world)
    }
}
