//! A worker thread: accepts connections, adopts snapshots, drains and ends.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use outrigger_core::exchange::{ListenerKind, Peer};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::{Worker, WorkerSettings};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::access_log::LogBuffer;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::notice::{Notice, Notices};
use crate::shared::{Bells, Reports, Shared};
use crate::stats::WorkerCounters;
use crate::stream::Stream;

/// Pauses after a failure to accept; descriptors come back when connections end, not when we ask more often.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Failures to accept are told at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(10);

/// What all workers are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// Counts published snapshots.
    pub(crate) generation: u64,
    /// Whether and how to end.
    pub(crate) phase: Phase,
}

/// How a worker's life goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Work.
    #[default]
    Serving,
    /// Accept nothing more, and tell connections to end.
    Draining,
    /// The same, and end when they have, or at this time.
    Ending(Instant),
}

/// What a worker thread is made from.
pub(crate) struct Plan {
    pub(crate) clock: Clock,
    pub(crate) listeners: Vec<(ListenerKind, std::net::TcpListener)>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) settings: WorkerSettings,
    pub(crate) seed: u64,
    pub(crate) bells: Bells,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) log: Option<LogBuffer>,
    pub(crate) notices: Notices,
    pub(crate) orders: watch::Receiver<Orders>,
}

/// The body of a worker thread. Says once whether it works, then returns how many connections were cut off at the end.
pub(crate) fn run(plan: Plan, ready: &SyncSender<io::Result<()>>) -> usize {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("resolver")
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return 0;
        }
    };
    let cut_off = runtime.block_on(serve(plan, ready));
    // A name that is still being resolved is not worth waiting for.
    runtime.shutdown_background();
    cut_off
}

async fn serve(plan: Plan, ready: &SyncSender<io::Result<()>>) -> usize {
    let mut orders = plan.orders;
    let snapshot = plan.snapshot.load_full();
    plan.counters.revision.set(snapshot.revision);
    let worker = Worker::new(snapshot, plan.settings, plan.seed);
    let outbound = plan
        .listeners
        .iter()
        .filter(|(kind, _)| *kind == ListenerKind::Outbound);
    let shared = Rc::new(Shared::new(
        plan.clock,
        worker,
        outbound.filter_map(|(_, l)| l.local_addr().ok()).collect(),
        Reports {
            counters: plan.counters,
            log: plan.log,
            notices: plan.notices,
        },
        plan.seed,
        plan.bells,
    ));
    tokio::task::spawn_local(answer_announcements(Rc::clone(&shared)));
    let mut acceptors = Vec::new();
    let listeners = plan.listeners.into_iter().enumerate();
    for (index, (kind, listener)) in listeners {
        match Acceptor::new(Rc::clone(&shared), index, kind, listener) {
            Ok(acceptor) => acceptors.push(Rc::new(acceptor)),
            Err(error) => {
                let _ = ready.send(Err(error));
                return 0;
            }
        }
    }
    let _ = ready.send(Ok(()));
    let mut accepting: Vec<_> = acceptors.into_iter().map(Accepting::start).collect();
    let mut generation = 0;
    loop {
        let latest = *orders.borrow_and_update();
        if generation != latest.generation {
            generation = latest.generation;
            let snapshot = plan.snapshot.load_full();
            let revision = snapshot.revision;
            let unwanted = shared
                .worker
                .borrow_mut()
                .adopt(snapshot, shared.clock.now());
            shared.close_idle(unwanted);
            shared.on_announced();
            shared.counters.revision.set(revision);
        }
        if latest.phase != Phase::Serving {
            accepting.drain(..).for_each(Accepting::stop);
            shared.drain();
        }
        if let Phase::Ending(deadline) = latest.phase {
            let _ = tokio::time::timeout_at(deadline, all_ended(&shared)).await;
            break;
        }
        if orders.changed().await.is_err() {
            break;
        }
    }
    shared.flush_log();
    shared.clients()
}

async fn answer_announcements(shared: Rc<Shared>) {
    loop {
        shared.announced().await;
        shared.on_announced();
    }
}

async fn all_ended(shared: &Shared) {
    while shared.running() > 0 {
        shared.all_ended.notified().await;
    }
}

/// A listener and the task that accepts from it.
struct Accepting {
    acceptor: Rc<Acceptor>,
    task: JoinHandle<()>,
}

impl Accepting {
    fn start(acceptor: Rc<Acceptor>) -> Self {
        Self {
            task: tokio::task::spawn_local(accept_forever(Rc::clone(&acceptor))),
            acceptor,
        }
    }

    /// Takes what has already connected to us, which closing would reset, and closes the listener.
    fn stop(self) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok((stream, remote))) = self.acceptor.listener.poll_accept(&mut cx) {
            self.acceptor.take(stream, remote);
        }
        self.task.abort();
    }
}

/// One listener of one worker.
struct Acceptor {
    shared: Rc<Shared>,
    index: usize,
    kind: ListenerKind,
    listener: TcpListener,
    addr: SocketAddr,
    failures: Cell<u64>,
    told: Cell<Option<Instant>>,
}

async fn accept_forever(acceptor: Rc<Acceptor>) {
    let mut pause = PAUSE_MIN;
    loop {
        match acceptor.listener.accept().await {
            Ok((stream, remote)) => {
                pause = PAUSE_MIN;
                acceptor.take(stream, remote);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                acceptor.on_failure(&error, pause);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

impl Acceptor {
    fn new(
        shared: Rc<Shared>,
        index: usize,
        kind: ListenerKind,
        listener: std::net::TcpListener,
    ) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener)?;
        Ok(Self {
            shared,
            index,
            kind,
            addr: listener.local_addr()?,
            listener,
            failures: Cell::new(0),
            told: Cell::new(None),
        })
    }

    fn take(&self, stream: TcpStream, remote: SocketAddr) {
        let local = if self.addr.ip().is_unspecified() {
            stream.local_addr().unwrap_or(self.addr)
        } else {
            self.addr
        };
        #[cfg(not(target_os = "linux"))] // Linux hands the listener's setting down.
        let _ = stream.set_nodelay(true);
        let peer = Peer {
            remote,
            local,
            listener: self.kind,
        };
        let shared = Rc::clone(&self.shared);
        tokio::task::spawn_local(Connection::new(
            shared,
            self.index,
            peer,
            Stream::Tcp(stream),
        ));
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
