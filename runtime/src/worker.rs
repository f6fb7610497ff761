//! A worker thread: accepts connections, adopts snapshots, drains and ends.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Poll;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use outrigger_core::overload::Actions;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_recording::{Joint, Tap};
use tokio::sync::watch;

use crate::acceptor::{Acceptor, accept_forever, stop_soon};
use crate::busy::keep_awake;
use crate::clock::Clock;
use crate::connect::{Names, Reach};
use crate::drain::{Stage, Stages};
use crate::gate::Gate;
use crate::notice::{Notice, Notices};
use crate::places::Places;
use crate::shared::{Bells, Reports, Shared};
use crate::sink::Sinks;
use crate::stats::WorkerCounters;
use crate::system::{Launch, System, Timer};
use crate::traffic;

/// What all workers are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// Counts published snapshots.
    pub(crate) generation: u64,
    /// Counts changes of where is listened.
    pub(crate) places: u64,
    /// How far each direction has drained.
    pub(crate) stages: Stages,
    /// What is done because the machine is full.
    pub(crate) relief: Actions,
    /// End when all connections have, or at this time.
    pub(crate) deadline: Option<Instant>,
}

/// What a worker thread is made from.
pub(crate) struct Plan {
    pub(crate) clock: Clock,
    pub(crate) places: Arc<Places>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) settings: WorkerSettings,
    pub(crate) seed: u64,
    pub(crate) busy_poll: Duration,
    pub(crate) own_addrs: Vec<SocketAddr>,
    pub(crate) names: Option<Arc<dyn Names>>,
    pub(crate) tap: Option<Tap>,
    pub(crate) bells: Bells,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) gate: Arc<Gate>,
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
    let sink = sinks.map(|sinks| sinks.sink(plan.bells.own));
    let shared = Rc::new(Shared::new(
        system.clone(),
        plan.clock,
        joint,
        Reach {
            others: plan.own_addrs.into(),
            listening: RefCell::default(),
            names: plan.names,
        },
        Reports {
            counters: plan.counters,
            gate: plan.gate,
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
    let places = plan.places;
    let mut acceptors = Vec::new();
    if let Err((_, error)) = follow(&places, &shared, &mut acceptors).await {
        let _ = ready.send(Err(error));
        return 0;
    }
    let _ = ready.send(Ok(()));
    let (mut generation, mut changes) = (0, 0);
    loop {
        let latest = *orders.borrow_and_update();
        if std::mem::replace(&mut changes, latest.places) != latest.places {
            let followed = follow(&places, &shared, &mut acceptors).await;
            places.on_followed(shared.worker(), latest.places);
            if let Err((listener, error)) = followed {
                let error = error.to_string();
                (shared.notices)(Notice::NotListening { listener, error });
            }
        }
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
        if shared.relieve(latest.relief) {
            acceptors.iter().for_each(|acceptor| acceptor.wake());
        }
        for acceptor in &acceptors {
            let stops = latest.stages.of(acceptor.kind()) == Stage::Stopped;
            if (stops || acceptor.is_closed()) && acceptor.turn_away() {
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

/// Listens where it was opened since the last time, and no more where it rests; what was closed is taken note of.
///
/// # Errors
/// The last place that the system does not let us listen at; all others are listened at.
async fn follow<S: System>(
    places: &Places,
    shared: &Rc<Shared<S>>,
    acceptors: &mut Vec<Rc<Acceptor<S>>>,
) -> Result<(), (SocketAddr, io::Error)> {
    let opened = shared.look_at_places(places);
    for acceptor in acceptors.iter().filter(|acceptor| acceptor.rests()) {
        acceptor.rest().await;
    }
    acceptors.retain(|acceptor| acceptor.is_open());
    let mut outcome = Ok(());
    for opened in opened {
        let addr = opened.addr;
        match Acceptor::new(Rc::clone(shared), opened) {
            Ok(acceptor) => {
                let acceptor = Rc::new(acceptor);
                shared.system.spawn(accept_forever(Rc::clone(&acceptor)));
                acceptors.push(acceptor);
            }
            Err(error) => outcome = Err((addr, error)),
        }
    }
    outcome
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
