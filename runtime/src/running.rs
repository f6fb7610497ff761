//! Starting the workers, and the handle by which the program steers them.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use outrigger_core::entropy::seed_of_worker;
use outrigger_core::overload::Actions;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_recording::{Frame, Recorder, Tap};
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::connect::Names;
use crate::drain::{Direction, Stage, Stages};
use crate::gate::Gate;
use crate::handed::{Handed, Handover};
use crate::listen::Listen;
use crate::notice::Notices;
use crate::places::{Located, NotBound, Places};
use crate::shared::Bells;
use crate::sink::Sinks;
use crate::stats::{Stats, WorkerCounters};
use crate::system::Launch;
use crate::worker::{self, Orders, Plan};

/// What to run.
pub struct Config {
    /// Where to listen.
    pub listeners: Vec<Listen>,
    /// How many threads.
    pub workers: NonZeroUsize,
    /// Given to each worker.
    pub settings: WorkerSettings,
    /// Where each worker's random numbers begin; `None` takes one that nobody can guess.
    pub seed: Option<u64>,
    /// For how long after the last event a worker looks again instead of sleeping; zero, and it sleeps at once.
    pub busy_poll: Duration,
    /// Addresses of this program to which no request is forwarded, beside its outbound listeners.
    pub own_addrs: Vec<SocketAddr>,
    /// Listening sockets that come from a process before this one, and that may go to one after it.
    pub handover: Handover,
    /// Who says where names lead that clients give; `None` has the system do that.
    pub names: Option<Arc<dyn Names>>,
    /// The first snapshot.
    pub snapshot: Arc<Snapshot>,
    /// What records the run, if anything does.
    pub recorder: Option<Recorder>,
    /// Who is told of requests that have ended, if anybody is.
    pub sinks: Option<Arc<dyn Sinks>>,
    /// Called on any thread, rarely.
    pub notices: Notices,
}

/// Why the runtime did not start. Nothing is left running.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Bind {
        /// Where.
        place: String,
        /// The system's reason.
        error: io::Error,
    },
    /// A thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { place, error } => {
                write!(f, "cannot listen on {place}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => f.write_str(
                        ": another process listens there, which may be this program: end it first, or start both with the same \
                         `--takeover`",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl From<NotBound> for StartError {
    fn from(NotBound { place, error }: NotBound) -> Self {
        Self::Bind { place, error }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { error, .. } | Self::Thread(error) => Some(error),
        }
    }
}

/// How draining went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Client connections that were still open when the time was up, and were closed.
    pub cut_off: usize,
}

/// The running workers. Dropping it ends them at once, without waiting for them.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    workers: Vec<JoinHandle<usize>>,
    sinks: Option<Arc<dyn Sinks>>,
    recorder: Option<Recorder>,
}

/// Steers and watches the workers from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    clock: Clock,
    places: Arc<Places>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    orders: watch::Sender<Orders>,
    counters: Arc<[Arc<WorkerCounters>]>,
    gate: Arc<Gate>,
    recorder: Option<Recorder>,
}

/// Binds all listeners, then starts the workers, each on a system of its own.
///
/// # Errors
/// A listener cannot be bound, or a thread cannot be started; then nothing runs.
pub fn start<L: Launch>(launch: L, config: Config) -> Result<Running, StartError> {
    let count = config.workers.get();
    let places = Arc::new(Places::open_all(&config.listeners, count, config.handover)?);
    let counters = (0..count).map(|_| Arc::<WorkerCounters>::default());
    let counters = counters.collect();
    let clock = Clock::start(launch.zero());
    let mut running = Running {
        handle: Handle {
            clock,
            places,
            snapshot: Arc::new(ArcSwap::new(config.snapshot)),
            orders: watch::Sender::default(),
            counters,
            gate: Arc::default(),
            recorder: config.recorder.clone(),
        },
        workers: Vec::new(),
        sinks: config.sinks,
        recorder: config.recorder,
    };
    let random = || RandomState::new().hash_one(0);
    let seed = config.seed.unwrap_or_else(random);
    let seed_of = |index| seed_of_worker(seed, index);
    if let Some(mut turn) = running.recorder.as_ref().and_then(Recorder::turn) {
        turn.put(&Frame::Workers {
            settings: Box::new(config.settings),
            seeds: (0..count).map(seed_of).collect(),
        });
    }
    let (ready, is_ready) = sync_channel(count);
    let bells: Arc<[Notify]> = (0..count).map(|_| Notify::new()).collect();
    for index in 0..count {
        let plan = Plan {
            clock,
            places: Arc::clone(&running.handle.places),
            snapshot: Arc::clone(&running.handle.snapshot),
            settings: config.settings,
            seed: seed_of(index),
            busy_poll: config.busy_poll,
            own_addrs: config.own_addrs.clone(),
            names: config.names.clone(),
            tap: (running.recorder.clone()).map(|recorder| Tap::new(recorder, index)),
            bells: Bells {
                all: Arc::clone(&bells),
                own: index,
            },
            counters: Arc::clone(&running.handle.counters[index]),
            gate: Arc::clone(&running.handle.gate),
            sinks: running.sinks.clone(),
            notices: Arc::clone(&config.notices),
            orders: running.handle.orders.subscribe(),
        };
        let (launch, ready) = (launch.clone(), ready.clone());
        let thread = thread::Builder::new().name(format!("worker-{index}"));
        let thread = thread.spawn(move || worker::run(launch, index, plan, &ready));
        running.workers.push(thread.map_err(StartError::Thread)?);
    }
    drop(ready);
    for outcome in is_ready.iter().take(count) {
        outcome.map_err(StartError::Thread)?;
    }
    Ok(running)
}

impl Running {
    /// What steers the workers.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Drains, waits until all connections have ended or `timeout` has passed, and ends the workers.
    #[must_use]
    pub fn drain(mut self, timeout: Duration) -> Drained {
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now);
        self.end_by(deadline);
        let workers = std::mem::take(&mut self.workers).into_iter();
        // A worker that panicked outside of its connections has none left to count.
        let cut_off = workers.map(|w| w.join().unwrap_or(0)).sum();
        if let Some(sinks) = &self.sinks {
            sinks.finish();
        }
        if let Some(recorder) = &self.recorder {
            recorder.finish();
        }
        Drained { cut_off }
    }

    fn end_by(&self, deadline: Instant) {
        let orders = &self.handle.orders;
        self.handle.places.forget(Direction::All);
        orders.send_modify(|orders| {
            orders.stages.reach(Direction::All, Stage::Stopped);
            orders.deadline = Some(deadline);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.workers.is_empty() {
            self.end_by(Instant::now());
        }
    }
}

impl Handle {
    /// The addresses listened on, with real ports, in the order of the configuration; what is opened later comes last.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let open = self.places.open_ones();
        open.into_iter().map(|one| one.addr).collect()
    }

    /// The same, with whose listener each is.
    #[must_use]
    pub fn located(&self) -> Vec<Located> {
        self.places.open_ones()
    }

    /// Where a listener is.
    #[must_use]
    pub fn local_addr(&self, of: ListenerKind) -> Option<SocketAddr> {
        self.places.find(of)
    }

    /// Listens at one more place, and says where. Tried once: an address in use is not waited for. No other listener is touched.
    ///
    /// # Errors
    /// It cannot be listened on; then nothing has changed.
    pub fn open(&self, listen: &Listen) -> Result<SocketAddr, StartError> {
        let addr = self.places.open(listen)?;
        self.change_places();
        Ok(addr)
    }

    /// Lets nobody in at an address any more. Connections that came in there end as soon as nothing is in flight on them, and those
    /// that have not after `drain` are cut off. Returns at once; false where nobody gets in.
    pub fn close(&self, addr: SocketAddr, drain: Duration) -> bool {
        let now = Instant::now();
        let was_open = self
            .places
            .close(addr, now.checked_add(drain).unwrap_or(now));
        self.change_places();
        was_open
    }

    /// The current snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The time of this runtime.
    #[must_use]
    pub fn now(&self) -> outrigger_core::time::Instant {
        self.clock.now()
    }

    /// Makes a snapshot the current one. Requests in flight keep theirs; later ones use this.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        {
            let turn = self.recorder.as_ref().and_then(Recorder::turn);
            self.snapshot.store(snapshot);
            if let Some(mut turn) = turn {
                turn.put(&Frame::Published);
            }
        }
        self.orders.send_modify(|orders| orders.generation += 1);
    }

    /// Copies of the sockets of every place that is listened at, for the process after this one.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn hand_on(&self) -> io::Result<Vec<Handed>> {
        self.places.hand_on()
    }

    /// Has nobody accept any more at those of these places that are handed on, and waits until no worker does. Nobody is turned
    /// away: who connects waits in the sockets' queues for whoever has them, too. False where a worker does not hear in time; after
    /// that, as after anything that has to be undone, [`wake`](Self::wake).
    #[must_use]
    pub fn rest(&self, places: &[String], timeout: Duration) -> bool {
        self.places.rest(places);
        let change = self.change_places();
        self.places.all_followed(change, timeout)
    }

    /// Where nobody accepts: everywhere at first, where there was a process before this one.
    #[must_use]
    pub fn resting(&self) -> Vec<String> {
        self.places.resting()
    }

    /// Has the workers accept where they rest.
    ///
    /// # Errors
    /// The first place that cannot be listened at; at all others they accept.
    pub fn wake(&self) -> Result<(), StartError> {
        let woken = self.places.wake();
        self.change_places();
        woken.map_err(StartError::from)
    }

    /// The workers look where they are to listen. Which change this is.
    fn change_places(&self) -> u64 {
        self.orders.send_modify(|orders| orders.places += 1);
        self.orders.borrow().places
    }

    /// Lets a direction drain up to a stage. Returns at once.
    pub fn begin_drain(&self, direction: Direction, stage: Stage) {
        if stage == Stage::Stopped {
            self.places.forget(direction);
        }
        self.orders
            .send_if_modified(|orders| orders.stages.reach(direction, stage));
    }

    /// How far inbound listeners have drained.
    #[must_use]
    pub fn inbound_stage(&self) -> Stage {
        self.orders.borrow().stages.inbound
    }

    /// Whether a drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.orders.borrow().stages != Stages::default()
    }

    /// Has this done from now on because the machine is full, or has room again. Returns at once.
    pub fn relieve(&self, actions: Actions) {
        self.orders.send_if_modified(|orders| {
            let before = std::mem::replace(&mut orders.relief, actions);
            before != actions
        });
    }

    /// Whether all workers do what was said last.
    #[must_use]
    pub fn is_relieved(&self) -> bool {
        let actions = u64::from(self.orders.borrow().relief.bits());
        let mut workers = self.counters.iter();
        workers.all(|worker| worker.relief.value() == actions)
    }

    /// How many connections clients may have from now on, with all workers together. More are closed as they come; those that are there
    /// stay.
    pub fn allow_connections(&self, most: u64) {
        self.gate.allow(most);
    }

    /// How many connections clients have.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.gate.open()
    }

    /// How many bytes wait in memory.
    #[must_use]
    pub fn buffered_bytes(&self) -> u64 {
        let workers = self.counters.iter();
        workers.map(|worker| worker.buffers.bytes()).sum()
    }

    /// The counters, added up.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::collect(self.places.stats(), self.counters.iter().map(|c| &**c))
    }
}
