//! What the tasks of one worker thread share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use outrigger_core::decision::Record;
use outrigger_core::exchange::{ConnectionId, ListenerKind, WaiterId};
use outrigger_core::time::Instant;
use outrigger_recording::Joint;
use slab::Slab;
use tokio::sync::Notify;

use crate::access_log::{FLUSH_AFTER, LogBuffer, Request};
use crate::busy::Activity;
use crate::clock::{Clock, http_date, since_epoch};
use crate::drain::{Stage, Stages};
use crate::idle::{IdleStore, Upstream};
use crate::notice::{Notice, Notices};
use crate::stats::WorkerCounters;
use crate::system::{System, Timer};

/// How often idle upstream connections are looked at, while there are any and none of them is due earlier.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// By which workers tell each other to look at what they keep: one for each worker.
#[derive(Clone)]
pub(crate) struct Bells {
    pub(crate) all: Arc<[Notify]>,
    pub(crate) own: usize,
}

/// Where a worker tells what happens.
pub(crate) struct Reports {
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) log: Option<LogBuffer>,
    pub(crate) notices: Notices,
}

/// A connection task whose exchange waits for a connection within a limit.
struct Waiter {
    place: usize,
    is_woken: bool,
}

/// One worker thread's common things. Cells, because tasks take turns and nothing here is held across a wait.
pub(crate) struct Shared<S: System> {
    pub(crate) system: S,
    pub(crate) clock: Clock,
    pub(crate) joint: Joint,
    /// To which no request is forwarded: the listeners for outbound requests, and what else the program serves itself.
    pub(crate) ours: Rc<[SocketAddr]>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) log: Option<LogBuffer>,
    pub(crate) notices: Notices,
    stages: Cell<Stages>,
    pub(crate) activity: Activity,
    /// Told when the last connection ends.
    pub(crate) all_ended: Notify,
    idle: RefCell<IdleStore<S::Stream>>,
    /// When idle connections are looked at next, while somebody is about to.
    next_sweep: Cell<Option<Instant>>,
    /// Told when that is to be earlier.
    sweep_earlier: Notify,
    tasks: RefCell<Slab<Option<Waker>>>,
    waiters: RefCell<HashMap<WaiterId, Waiter>>,
    bells: Bells,
    date_of_second: Cell<u64>,
}

impl<S: System> Shared<S> {
    pub(crate) fn new(
        system: S,
        clock: Clock,
        joint: Joint,
        ours: Rc<[SocketAddr]>,
        reports: Reports,
        bells: Bells,
    ) -> Self {
        let Reports {
            counters,
            log,
            notices,
        } = reports;
        Self {
            system,
            clock,
            joint,
            ours,
            counters,
            log,
            notices,
            stages: Cell::default(),
            activity: Activity::default(),
            all_ended: Notify::new(),
            idle: RefCell::default(),
            next_sweep: Cell::new(None),
            sweep_earlier: Notify::new(),
            tasks: RefCell::default(),
            waiters: RefCell::default(),
            bells,
            date_of_second: Cell::new(u64::MAX),
        }
    }

    /// Waits for a while.
    pub(crate) async fn sleep(&self, time: Duration) {
        let mut timer = self.system.timer(self.system.now() + time);
        poll_fn(|cx| timer.poll(cx)).await;
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        self.clock.at(self.system.now())
    }

    /// The time, once for each time a task is woken. Keeps the worker's calendar date at most a second old.
    pub(crate) fn wake(&self) -> Instant {
        const SECOND: u64 = 1_000_000_000;
        let now = self.now();
        self.activity.on_event(now);
        let second = now.as_nanos() / SECOND;
        if self.date_of_second.replace(second) != second {
            self.joint.set_date(http_date());
        }
        now
    }

    /// A connection task begins; it gets a place for its waker.
    pub(crate) fn enter(&self) -> usize {
        self.tasks.borrow_mut().insert(None)
    }

    /// What wakes a connection task when the worker drains.
    pub(crate) fn set_waker(&self, place: usize, waker: &Waker) {
        if let Some(slot) = self.tasks.borrow_mut().get_mut(place) {
            *slot = Some(waker.clone());
        }
    }

    /// A connection task ended.
    pub(crate) fn leave(&self, place: usize) {
        let mut tasks = self.tasks.borrow_mut();
        tasks.try_remove(place);
        if tasks.is_empty() {
            self.all_ended.notify_one();
        }
    }

    /// Tasks that have not ended: connections, and copies for mirrors.
    pub(crate) fn running(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Client connections that have not ended.
    pub(crate) fn clients(&self) -> usize {
        let listeners = self.counters.listeners.iter();
        let open: u64 = listeners.map(|listener| listener.active.value()).sum();
        usize::try_from(open).unwrap_or(usize::MAX)
    }

    /// From the graceful stage on inbound responses say close; every connection whose direction ends them is told to end
    /// as soon as nothing is in flight.
    pub(crate) fn drain(&self, stages: Stages) {
        let before = self.stages.replace(stages);
        if before == stages {
            return;
        }
        if before.inbound == Stage::Serving && stages.inbound != Stage::Serving {
            self.joint.drain();
        }
        for waker in self.tasks.borrow().iter().filter_map(|(_, w)| w.as_ref()) {
            waker.wake_by_ref();
        }
    }

    /// Whether connections of this listener are to end.
    pub(crate) fn ends(&self, listener: ListenerKind) -> bool {
        self.stages.get().ends(listener)
    }

    /// An exchange waits under another id than before, or no longer.
    pub(crate) fn wait(&self, before: Option<WaiterId>, now: Option<WaiterId>, place: usize) {
        if before.is_none() && now.is_none() {
            return;
        }
        let mut waiters = self.waiters.borrow_mut();
        if let Some(id) = before {
            waiters.remove(&id);
        }
        if let Some(id) = now {
            let is_woken = false;
            waiters.insert(id, Waiter { place, is_woken });
        }
    }

    /// Wakes the task whose exchange waits under this id, if it still does.
    pub(crate) fn wake_waiter(&self, id: WaiterId) {
        let mut waiters = self.waiters.borrow_mut();
        let Some(waiter) = waiters.get_mut(&id) else {
            return;
        };
        waiter.is_woken = true;
        if let Some(Some(waker)) = self.tasks.borrow().get(waiter.place) {
            waker.wake_by_ref();
        }
    }

    /// Whether an exchange that waits was woken since it was last asked.
    pub(crate) fn was_woken(&self, id: WaiterId) -> bool {
        let mut waiters = self.waiters.borrow_mut();
        let waiter = waiters.get_mut(&id);
        waiter.is_some_and(|waiter| std::mem::take(&mut waiter.is_woken))
    }

    /// Lets every worker look at what it keeps.
    pub(crate) fn announce(&self) {
        self.bells.all.iter().for_each(Notify::notify_one);
    }

    /// Until somebody announces.
    pub(crate) async fn announced(&self) {
        let bell = &self.bells.all[self.bells.own];
        self.system.told(bell.notified()).await;
    }

    /// Gives up what others wait for, and wakes who may have something to gain.
    pub(crate) fn on_announced(&self) {
        let told = self.joint.on_announced();
        self.close_idle(told.close);
        for waiter in told.wake {
            self.wake_waiter(waiter);
        }
        if told.announce {
            self.announce();
        }
    }

    /// Keeps an upstream connection for later.
    pub(crate) fn keep(self: &Rc<Self>, id: ConnectionId, upstream: Upstream<S::Stream>) {
        self.idle.borrow_mut().keep(id, upstream);
        let Some(planned) = self.next_sweep.get() else {
            self.plan_sweep();
            self.system.spawn(sweep(Rc::clone(self)));
            return;
        };
        if self.joint.next_expiry().is_some_and(|due| due < planned) {
            self.sweep_earlier.notify_one();
        }
    }

    /// A kept connection, if it is still good.
    pub(crate) fn take_idle(&self, id: ConnectionId) -> Option<Upstream<S::Stream>> {
        self.idle.borrow_mut().take(id)
    }

    /// Closes kept connections that core has forgotten.
    pub(crate) fn close_idle(&self, ids: Vec<ConnectionId>) {
        let mut idle = self.idle.borrow_mut();
        for id in ids {
            idle.close(id);
        }
    }

    /// A request ended: it is counted, and logged when there is a log.
    pub(crate) fn on_request_end(
        self: &Rc<Self>,
        listener: usize,
        record: &Record,
        request: impl FnOnce(Duration) -> Request,
        now: Instant,
    ) {
        self.counters.listeners[listener].on_request(
            record.status,
            record.bytes_received,
            record.bytes_sent,
        );
        for mirrored in &record.mirrors {
            self.counters.mirrors.on_fate(mirrored.fate);
        }
        let Some(log) = &self.log else { return };
        let began = since_epoch().saturating_sub(now.since(record.began));
        if log.add(record, &request(began), &self.counters.log_lines_dropped) {
            let shared = Rc::clone(self);
            self.system.spawn(async move {
                shared.sleep(FLUSH_AFTER).await;
                shared.flush_log();
            });
        }
    }

    pub(crate) fn flush_log(&self) {
        if let Some(log) = &self.log {
            log.flush(&self.counters.log_lines_dropped);
        }
    }

    pub(crate) fn on_panic(&self, remote: SocketAddr) {
        self.counters.panics.add(1);
        (self.notices)(Notice::ConnectionPanicked { remote });
    }

    /// Idle connections are looked at when the first of them is due, and once a second for those that their peers closed.
    fn plan_sweep(&self) -> Instant {
        let latest = self.now() + SWEEP_EVERY;
        let planned = self
            .joint
            .next_expiry()
            .map_or(latest, |due| due.min(latest));
        self.next_sweep.set(Some(planned));
        planned
    }

    /// Closes what core no longer wants and what peers have closed; false when nothing is left to look at.
    fn sweep(&self) -> bool {
        let now = self.wake();
        let expired = self.joint.expire(now);
        self.close_idle(expired);
        let mut idle = self.idle.borrow_mut();
        for id in idle.close_ended() {
            self.joint.forget(id);
        }
        self.counters.idle_upstream.set(idle.len() as u64);
        !idle.is_empty()
    }
}

/// Runs while there are idle upstream connections, so that an idle worker never wakes.
async fn sweep<S: System>(shared: Rc<Shared<S>>) {
    /// However the task ends, the next kept connection starts another one.
    struct Sweeping<S: System>(Rc<Shared<S>>);
    impl<S: System> Drop for Sweeping<S> {
        fn drop(&mut self) {
            self.0.next_sweep.set(None);
        }
    }
    let Sweeping(shared) = &Sweeping(shared);
    loop {
        let planned = shared.plan_sweep();
        let mut timer = shared.system.timer(shared.clock.timer(planned));
        let mut earlier = pin!(shared.sweep_earlier.notified());
        poll_fn(|cx| match earlier.as_mut().poll(cx) {
            Poll::Pending => timer.poll(cx),
            Poll::Ready(()) => Poll::Ready(()),
        })
        .await;
        if shared.now() >= planned && !shared.sweep() {
            break;
        }
    }
}
