//! What the tasks of one worker thread share.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::overload::{Action, Actions};
use outrigger_core::peer::ListenerKind;
use outrigger_core::time::Instant;
use outrigger_recording::Joint;
use tokio::sync::Notify;

use crate::busy::Activity;
use crate::clock::{Clock, http_date};
use crate::connect::Reach;
use crate::counter::Counter;
use crate::drain::{Stage, Stages};
use crate::gate::Gate;
use crate::notice::Notices;
use crate::sink::{Ended, Sink};
use crate::sockets::Traffic;
use crate::stats::{ListenerStats, WorkerCounters};
use crate::system::{System, Timer};

/// By which workers tell each other to look at what they keep: one for each worker.
#[derive(Clone)]
pub(crate) struct Bells {
    pub(crate) all: Arc<[Notify]>,
    pub(crate) own: usize,
}

/// Where a worker tells what happens.
pub(crate) struct Reports {
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) gate: Arc<Gate>,
    /// `None` where nobody asks.
    pub(crate) sink: Option<Box<dyn Sink>>,
    pub(crate) notices: Notices,
}

/// What is counted of a listener by one worker.
pub(crate) type Counted = ListenerStats<Counter>;

/// A place that is or was listened at, as this worker has it.
pub(crate) struct Local {
    counters: Arc<Counted>,
    /// How often it was closed: the connections of so many openings are to end.
    closed: u32,
    /// Nobody is to accept, and nobody is turned away.
    rests: bool,
}

impl Local {
    pub(crate) const fn new(counters: Arc<Counted>) -> Self {
        Self {
            counters,
            closed: 0,
            rests: false,
        }
    }
}

/// One worker thread's common things. Cells, because tasks take turns and nothing here is held across a wait.
pub(crate) struct Shared<S: System> {
    pub(crate) system: S,
    pub(crate) clock: Clock,
    pub(crate) joint: Joint,
    pub(crate) reach: Rc<Reach>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) gate: Arc<Gate>,
    /// What is done because the machine is full.
    relief: Cell<Actions>,
    /// Borrowed for one call of it, which calls nothing back.
    sink: Option<RefCell<Box<dyn Sink>>>,
    pub(crate) notices: Notices,
    stages: Cell<Stages>,
    /// In the order in which they were opened first.
    listeners: RefCell<Vec<Local>>,
    /// Closed places whose connections have not all had their time.
    closing: Cell<usize>,
    pub(crate) activity: Activity,
    /// Told when the last connection ends.
    pub(crate) all_ended: Notify,
    pub(crate) traffic: Traffic<S::Stream>,
    bells: Bells,
    date_of_second: Cell<u64>,
    /// How often what is counted of HTTP/1 and HTTP/2 had changed when it was published last.
    protocol_changes: Cell<u64>,
}

impl<S: System> Shared<S> {
    pub(crate) fn new(
        system: S,
        clock: Clock,
        joint: Joint,
        reach: Reach,
        reports: Reports,
        bells: Bells,
    ) -> Self {
        let Reports {
            counters,
            gate,
            sink,
            notices,
        } = reports;
        Self {
            system,
            clock,
            joint,
            reach: Rc::new(reach),
            counters,
            gate,
            relief: Cell::default(),
            sink: sink.map(RefCell::new),
            notices,
            stages: Cell::default(),
            listeners: RefCell::default(),
            closing: Cell::default(),
            activity: Activity::default(),
            all_ended: Notify::new(),
            traffic: Traffic::default(),
            bells,
            date_of_second: Cell::new(u64::MAX),
            protocol_changes: Cell::default(),
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

    /// The time, once for each turn. Keeps the worker's calendar date at most a second old.
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

    /// Whether a client is connected or a copy is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.joint.clients() > 0 || self.joint.mirrors_under_way() > 0
    }

    /// From the graceful stage on inbound responses say close; every connection whose direction ends them is told to end
    /// as soon as nothing is in flight.
    pub(crate) fn drain(self: &Rc<Self>, stages: Stages) {
        let before = self.stages.replace(stages);
        if before == stages {
            return;
        }
        if before.inbound == Stage::Serving && stages.inbound != Stage::Serving {
            self.joint.drain();
        }
        for inbound in [false, true] {
            let listener = match inbound {
                true => ListenerKind::Inbound(0),
                false => ListenerKind::Outbound,
            };
            if stages.ends(listener) && !before.ends(listener) {
                let now = self.wake();
                self.turn(now, |turn| {
                    turn.tell(|joint| joint.hurry_copies(inbound, now));
                });
            }
        }
        self.look_at_clients();
    }

    /// This is done from now on because the machine is full, or has room again. Whether that is news.
    pub(crate) fn relieve(self: &Rc<Self>, actions: Actions) -> bool {
        if self.relief.replace(actions) == actions {
            return false;
        }
        let now = self.wake();
        self.turn(now, |turn| turn.tell(|joint| joint.relieve(actions, now)));
        // Nothing more is counted once it is over.
        self.counters.shed.set(self.joint.shed());
        self.counters.relief.set(actions.bits().into());
        true
    }

    /// Whether this is done.
    pub(crate) fn does(&self, action: Action) -> bool {
        self.relief.get().has(action)
    }

    /// Whether connections of some listener are to end.
    pub(crate) fn ends_some(&self) -> bool {
        self.stages.get() != Stages::default() || self.closing.get() > 0
    }

    /// Whether connections of this kind are to end, and of a place that was opened so often when they came.
    pub(crate) fn ends(&self, kind: ListenerKind, at: usize, opened: u32) -> bool {
        self.stages.get().ends(kind) || self.is_closed(at, opened)
    }

    /// Whether a place was closed since it was opened so often.
    pub(crate) fn is_closed(&self, at: usize, opened: u32) -> bool {
        let listeners = self.listeners.borrow();
        listeners
            .get(at)
            .is_some_and(|local| opened <= local.closed)
    }

    /// Whether nobody is to accept at a place for now.
    pub(crate) fn rests(&self, at: usize) -> bool {
        self.listeners.borrow()[at].rests
    }

    /// A place was closed so often by now, and rests or not. Whether it was closed is news.
    pub(crate) fn note(
        &self,
        at: usize,
        make: impl FnOnce() -> Local,
        (closed, rests): (u32, bool),
    ) -> bool {
        let mut listeners = self.listeners.borrow_mut();
        if at == listeners.len() {
            listeners.push(make());
        }
        listeners[at].rests = rests;
        let is_news = closed > listeners[at].closed;
        if is_news {
            listeners[at].closed = closed;
            self.closing.set(self.closing.get() + 1);
        }
        is_news
    }

    /// The connections of a closed place have all had their time.
    pub(crate) fn has_closed(&self) {
        self.closing.set(self.closing.get() - 1);
    }

    /// Counts at a listener.
    pub(crate) fn at_listener(&self, at: usize, count: impl FnOnce(&Counted)) {
        if let Some(local) = self.listeners.borrow().get(at) {
            count(&local.counters);
        }
    }

    /// Which of the workers this is.
    pub(crate) const fn worker(&self) -> usize {
        self.bells.own
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

    /// Gives up what others wait for, and lets those try again who may have something to gain.
    pub(crate) fn on_announced(self: &Rc<Self>) {
        let now = self.wake();
        self.turn(now, |turn| turn.tell(|joint| joint.on_announced(now)));
    }

    /// Counts what a turn may have changed.
    pub(crate) fn count(&self) {
        let Self {
            joint, counters, ..
        } = self;
        counters.buffers.set(joint.buffered());
        if let Some((http1, http2)) = joint.protocols(&self.protocol_changes) {
            counters.http1.set(&http1);
            counters.http2.set(&http2);
        }
        if self.relief.get() != Actions::default() {
            counters.shed.set(joint.shed());
        }
        counters.idle_upstream.set(joint.idle_connections() as u64);
        counters.mirrors.set(joint.mirrors_under_way() as u64);
        if self.ends_some() && !self.is_busy() {
            self.all_ended.notify_one();
        }
    }

    /// Whether our own addresses on connections to endpoints are asked for.
    pub(crate) fn wants_local_addresses(&self) -> bool {
        let sink = self.sink.as_ref();
        sink.is_some_and(|sink| sink.borrow().wants_local_addresses())
    }

    /// Whether somebody wants to hear of requests.
    pub(crate) const fn tells_requests(&self) -> bool {
        self.sink.is_some()
    }

    /// A request ended: whoever wants to hear of it does.
    pub(crate) fn on_request_end(self: &Rc<Self>, ended: &Ended<'_>) {
        let Some(sink) = &self.sink else { return };
        if let Some(wait) = sink.borrow_mut().on_end(ended) {
            let shared = Rc::clone(self);
            self.system.spawn(async move {
                shared.sleep(wait).await;
                shared.flush_sink();
            });
        }
    }

    /// How long to wait until somebody wants to hear of the connections that last; `None` where nobody does.
    pub(crate) fn hears_of_lasting(&self) -> Option<Duration> {
        let sink = self.sink.as_ref()?;
        let snapshot = self.joint.snapshot();
        sink.borrow().hears_of_lasting(&snapshot)
    }

    /// A connection goes on: whoever wants to hear of it does.
    pub(crate) fn on_lasting(&self, lasting: &Ended<'_>) {
        if let Some(sink) = &self.sink {
            sink.borrow_mut().on_lasting(lasting);
        }
    }

    pub(crate) fn flush_sink(&self) {
        if let Some(sink) = &self.sink {
            sink.borrow_mut().flush();
        }
    }
}
