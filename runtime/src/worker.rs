//! A worker thread: accepts connections, adopts snapshots, drains and ends.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use outrigger_core::peer::{ListenerKind, Peer};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_recording::{Joint, Tap};
use tokio::sync::watch;

use crate::busy::keep_awake;
use crate::clock::Clock;
use crate::connect::{Names, Reach};
use crate::drain::{Stage, Stages};
use crate::listen::{Arrival, Bound, Listening, Owner};
use crate::notice::{Notice, Notices};
use crate::shared::{Bells, Reports, Shared};
use crate::sink::Sinks;
use crate::stats::WorkerCounters;
use crate::system::{Accepted, Launch, Listener, Stream, System, Timer};
use crate::traffic;

/// Pauses after a failure to accept; descriptors come back when connections end, not when we ask more often.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a client that has begun to connect may take to be through: several round trips within a cluster. Who closes a
/// listener before that resets clients that believe to be connected.
const HANDSHAKE: Duration = Duration::from_millis(50);

/// Failures to accept are told at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(10);

/// What all workers are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// Counts published snapshots.
    pub(crate) generation: u64,
    /// How far each direction has drained.
    pub(crate) stages: Stages,
    /// End when all connections have, or at this time.
    pub(crate) deadline: Option<Instant>,
}

/// What a worker thread is made from.
pub(crate) struct Plan {
    pub(crate) clock: Clock,
    pub(crate) listening: Vec<Listening>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) settings: WorkerSettings,
    pub(crate) seed: u64,
    pub(crate) busy_poll: Duration,
    pub(crate) own_addrs: Vec<SocketAddr>,
    pub(crate) names: Option<Arc<dyn Names>>,
    pub(crate) tap: Option<Tap>,
    pub(crate) bells: Bells,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) sinks: Option<Arc<dyn Sinks>>,
    pub(crate) notices: Notices,
    pub(crate) orders: watch::Receiver<Orders>,
}

/// A worker thread. Says once whether it works, then returns how many connections were cut off at the end.
pub(crate) fn run<L: Launch>(
    launch: L,
    index: usize,
    plan: Plan,
    ready: &SyncSender<io::Result<()>>,
) -> usize {
    let ended = launch.run(index, |system| serve(system, plan, ready));
    ended.unwrap_or_else(|error| {
        let _ = ready.send(Err(error));
        0
    })
}

async fn serve<S: System>(system: S, plan: Plan, ready: &SyncSender<io::Result<()>>) -> usize {
    let mut orders = plan.orders;
    let snapshot = plan.snapshot.load_full();
    plan.counters.revision.set(snapshot.revision);
    let joint = Joint::new(snapshot, plan.settings, plan.seed, plan.tap);
    let sinks = plan.sinks.as_ref();
    let sink = sinks.map(|sinks| sinks.sink(plan.bells.own, plan.listening.len()));
    // What comes in at a place of its own may have been to go there, too.
    let is_outbound = |one: &&Listening| {
        let mut owners = one.owners.iter();
        one.arrival == Arrival::Own || owners.any(|owner| owner.kind == ListenerKind::Outbound)
    };
    let outbound = plan.listening.iter().filter(is_outbound);
    let shared = Rc::new(Shared::new(
        system.clone(),
        plan.clock,
        joint,
        Reach {
            ours: (outbound.filter_map(|one| one.socket.addr().ok()))
                .chain(plan.own_addrs)
                .collect(),
            names: plan.names,
        },
        Reports {
            counters: plan.counters,
            sink,
            notices: plan.notices,
        },
        plan.bells,
    ));
    system.spawn_fair(traffic::run(Rc::clone(&shared)));
    system.spawn(answer_announcements(Rc::clone(&shared)));
    system.spawn(tell_lasting(Rc::clone(&shared)));
    if !plan.busy_poll.is_zero() {
        let shared = Rc::clone(&shared);
        system.spawn(async move {
            let now = || shared.now();
            match keep_awake(&shared.activity, plan.busy_poll, now).await {}
        });
    }
    let mut acceptors = Vec::new();
    for (index, listening) in plan.listening.into_iter().enumerate() {
        match Acceptor::new(Rc::clone(&shared), index, listening) {
            Ok(acceptor) => acceptors.push(Rc::new(acceptor)),
            Err(error) => {
                let _ = ready.send(Err(error));
                return 0;
            }
        }
    }
    let _ = ready.send(Ok(()));
    for acceptor in &acceptors {
        system.spawn(accept_forever(Rc::clone(acceptor)));
    }
    let mut generation = 0;
    loop {
        let latest = *orders.borrow_and_update();
        if generation != latest.generation {
            generation = latest.generation;
            let load = || plan.snapshot.load_full();
            let now = shared.wake();
            shared.turn(now, |turn| {
                turn.tell(|joint| {
                    shared.counters.revision.set(joint.adopt(load, now));
                });
            });
        }
        for acceptor in &acceptors {
            if latest.stages.of(acceptor.kind()) == Stage::Stopped && acceptor.turn_away() {
                system.spawn(stop_soon(Rc::clone(acceptor)));
            }
        }
        shared.drain(latest.stages);
        if let Some(deadline) = latest.deadline {
            all_ended_by(deadline, &shared, &acceptors).await;
            break;
        }
        if system.told(orders.changed()).await.is_err() {
            break;
        }
    }
    shared.flush_sink();
    shared.joint.clients()
}

async fn answer_announcements<S: System>(shared: Rc<Shared<S>>) {
    loop {
        shared.announced().await;
        shared.on_announced();
    }
}

/// Tells of the connections that last, as often as somebody wants to hear of them.
async fn tell_lasting<S: System>(shared: Rc<Shared<S>>) {
    while let Some(wait) = shared.hears_of_lasting() {
        shared.sleep(wait).await;
        shared.tell_lasting();
    }
}

/// Waits until no listener is left and nothing is under way, or until it is time to end.
async fn all_ended_by<S: System>(
    deadline: Instant,
    shared: &Shared<S>,
    acceptors: &[Rc<Acceptor<S>>],
) {
    let mut timer = shared.system.timer(deadline);
    let mut all_ended = pin!(async {
        while shared.is_busy() || acceptors.iter().any(|acceptor| acceptor.is_open()) {
            shared.all_ended.notified().await;
        }
    });
    poll_fn(|cx| match all_ended.as_mut().poll(cx) {
        Poll::Pending => timer.poll(cx),
        Poll::Ready(()) => Poll::Ready(()),
    })
    .await;
}

/// One listener of one worker, and what its accept task needs.
struct Acceptor<S: System> {
    shared: Rc<Shared<S>>,
    index: usize,
    arrival: Arrival,
    /// At least one, of one direction.
    owners: Vec<Owner>,
    /// `None` when it accepts no more.
    listener: RefCell<Option<S::Listener>>,
    /// It will be stopped.
    turns_away: Cell<bool>,
    /// Of the accept task.
    waker: RefCell<Option<Waker>>,
    addr: SocketAddr,
    failures: Cell<u64>,
    told: Cell<Option<Instant>>,
}

async fn accept_forever<S: System>(acceptor: Rc<Acceptor<S>>) {
    let mut pause = PAUSE_MIN;
    while let Some(accepted) = poll_fn(|cx| acceptor.poll_accept(cx)).await {
        match accepted {
            Ok((stream, remote)) => {
                pause = PAUSE_MIN;
                acceptor.take(stream, remote);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                acceptor.on_failure(&error, pause);
                acceptor.shared.sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Stops a listener that turns clients away when those who had begun to connect are through.
async fn stop_soon<S: System>(acceptor: Rc<Acceptor<S>>) {
    acceptor.shared.sleep(HANDSHAKE).await;
    acceptor.stop();
}

impl<S: System> Acceptor<S> {
    fn new(shared: Rc<Shared<S>>, index: usize, listening: Listening) -> io::Result<Self> {
        let Listening {
            socket,
            arrival,
            owners,
        } = listening;
        let (listener, addr) = match socket {
            Bound::Tcp(socket) => {
                let listener = shared.system.listen(socket)?;
                let addr = listener.local_addr()?;
                (listener, addr)
            }
            Bound::Unix(socket, addr) => (shared.system.listen_unix(socket)?, addr),
        };
        Ok(Self {
            shared,
            index,
            arrival,
            owners,
            listener: RefCell::new(Some(listener)),
            turns_away: Cell::new(false),
            waker: RefCell::default(),
            addr,
            failures: Cell::new(0),
            told: Cell::new(None),
        })
    }

    /// The next client; `None` when no more are accepted.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Option<Accepted<S::Stream>>> {
        match &*self.listener.borrow() {
            Some(listener) => {
                self.waker
                    .borrow_mut()
                    .get_or_insert_with(|| cx.waker().clone());
                listener.poll_accept(cx).map(Some)
            }
            None => Poll::Ready(None),
        }
    }

    fn is_open(&self) -> bool {
        self.listener.borrow().is_some()
    }

    /// Lets nobody connect any more who has not begun to. False where that has been done.
    fn turn_away(&self) -> bool {
        if self.turns_away.replace(true) {
            return false;
        }
        if let Some(listener) = &*self.listener.borrow() {
            listener.turn_away();
        }
        true
    }

    /// Takes what has already connected to us, which closing would reset, and closes the listener.
    fn stop(&self) {
        let listener = self.listener.take();
        while let Some((stream, remote)) = listener.as_ref().and_then(Listener::take_waiting) {
            self.take(stream, remote);
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        self.shared.all_ended.notify_one();
    }

    fn take(&self, stream: S::Stream, remote: SocketAddr) {
        let local = if self.addr.ip().is_unspecified() {
            stream.local_addr().unwrap_or(self.addr)
        } else {
            self.addr
        };
        // A connection that was meant for us was to go nowhere else.
        let is_elsewhere = |to: &SocketAddr| to.port() != self.addr.port();
        let original = match self.arrival {
            Arrival::Direct => None,
            Arrival::Own => Some(local),
            Arrival::Redirected => stream.original_dst(),
            // What a pod says to itself by way of us comes rewritten in this mode, too.
            Arrival::Transparent => {
                let as_sent = stream.local_addr().filter(is_elsewhere);
                as_sent.or_else(|| stream.original_dst())
            }
        };
        let original = original.filter(|to| self.arrival == Arrival::Own || is_elsewhere(to));
        let Some(owner) = Listening::owner(&self.owners, original) else {
            let counters = &self.shared.counters.listeners[self.index];
            counters.no_filter_chain_match.add(1);
            return;
        };
        let peer = Peer {
            remote,
            local,
            original,
            listener: owner.kind,
        };
        self.shared.accept(self.index, peer, stream);
    }

    /// All that share an address are of one direction, and there is one: an address is listened on for somebody.
    fn kind(&self) -> ListenerKind {
        self.owners[0].kind
    }

    fn on_failure(&self, error: &io::Error, pause: Duration) {
        self.shared.counters.listeners[self.index]
            .accept_errors
            .add(1);
        self.failures.set(self.failures.get() + 1);
        let now = Instant::now();
        if self.told.get().is_some_and(|at| now - at < NOTICE_EVERY) {
            return;
        }
        self.told.set(Some(now));
        (self.shared.notices)(Notice::AcceptFailed {
            listener: self.addr,
            error: error.to_string(),
            count: self.failures.replace(0),
            pause,
        });
    }
}

/// Errors that speak of the connection that was to be accepted, not of us (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}
