//! The simulation: peers, services and sidecars on one fabric, one happening at a time.

mod meeting;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use outrigger_core::entropy::seed_of_worker;
use outrigger_core::overload::Actions;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::{Address, Snapshot};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::{Worker, WorkerSettings};

use crate::Records;
use crate::beneath::Proved;
use crate::errands::{Errand, Errands};
use crate::event::{Happening, PeerId};
use crate::fabric::{Fabric, Owner};
use crate::network::{End, Travel, Weather, Wire};
use crate::peer::{Action, Arrivals, Event, Peer, Serve};
use crate::seat::Received;
use crate::seats::Seats;
use crate::service::Complaints;
use crate::sidecar::Sidecar;
use crate::thread::Thread;

/// The date on which everything happens: the calendar stands still, so that a simulation tells the same on every day.
const DATE: [u8; 29] = *b"Thu, 01 Jan 2026 00:00:00 GMT";

/// How much later than another one a worker may hear of a new configuration, in microseconds.
const LATE: u64 = 5_000;

/// Which sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidecarId(usize);

/// Where a connection made in the simulation ends.
enum Target {
    Service(Box<dyn Serve>),
    Sidecar(SidecarId, ListenerKind),
}

/// A whole simulated world. The same seed and the same calls give the same run, byte for byte.
pub struct Simulation {
    seed: u64,
    fabric: Fabric,
    seats: Seats,
    errands: Errands,
    sidecars: Vec<Sidecar>,
    threads: Vec<Thread>,
    targets: BTreeMap<String, Target>,
    /// Where clients of an address were to go whom the kernel brings there.
    captured: BTreeMap<String, SocketAddr>,
    /// What only one sidecar reaches.
    beside: BTreeMap<(usize, String), Target>,
    /// Where clients connect who are translated, and where they complain.
    translated: BTreeMap<String, Complaints>,
    arrivals: Vec<Box<dyn Arrivals>>,
    /// What a peer wants to do; empty between two events.
    actions: Vec<Action>,
    signals: Vec<String>,
    is_checked: bool,
    is_apart: bool,
}

impl core::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Simulation")
            .field("now", &self.fabric.now)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64, weather: Weather) -> Self {
        let errands = Errands::default();
        Self {
            seed,
            fabric: Fabric::new(seed, weather, errands.buffers().clone()),
            seats: Seats::default(),
            errands,
            sidecars: Vec::new(),
            threads: Vec::new(),
            targets: BTreeMap::new(),
            captured: BTreeMap::new(),
            beside: BTreeMap::new(),
            translated: BTreeMap::new(),
            arrivals: Vec::new(),
            actions: Vec::new(),
            signals: Vec::new(),
            is_checked: true,
            is_apart: false,
        }
    }

    /// The same world without a look at the invariants after every step, which costs more than the step where there are
    /// many clusters.
    #[must_use]
    pub const fn without_checks(mut self) -> Self {
        self.is_checked = false;
        self
    }

    /// The same world, whose sidecars share no snapshot: each is a process of its own, and none asks another for a
    /// connection.
    #[must_use]
    pub const fn with_sidecars_apart(mut self) -> Self {
        self.is_apart = true;
        self
    }

    /// The time in this world.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.fabric.now
    }

    /// A number that stands for everything that happened so far, byte for byte.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.fabric.digest.value()
    }

    /// Adds a sidecar. `records` sees every request's record when it ends, and the snapshot that it stands in.
    pub fn sidecar(
        &mut self,
        snapshot: Arc<Snapshot>,
        settings: WorkerSettings,
        records: Records,
    ) -> SidecarId {
        self.sidecar_of(snapshot, settings, vec![records])
    }

    /// Adds a sidecar of several workers, one for each of those who see records: each is a thread with its own connections,
    /// over which those that come are spread, and all share the snapshot and what it counts.
    pub fn sidecar_of(
        &mut self,
        snapshot: Arc<Snapshot>,
        settings: WorkerSettings,
        records: Vec<Records>,
    ) -> SidecarId {
        let (number, first) = (self.sidecars.len(), self.threads.len());
        for records in records {
            let at = self.threads.len();
            let seed = seed_of_worker(self.seed, at);
            let mut worker = Worker::new(Arc::clone(&snapshot), settings, seed);
            worker.set_date(DATE);
            self.threads
                .push(Thread::new((number, at), worker, seed, records));
        }
        let threads = first..self.threads.len();
        self.sidecars
            .push(Sidecar::new(threads, snapshot, self.is_checked));
        SidecarId(number)
    }

    /// Puts a service at an address, written as an endpoint's address is: `10.0.0.1:8080`, `name:80`, `/socket`.
    pub fn serve(&mut self, address: &str, service: Box<dyn Serve>) {
        self.targets
            .insert(address.to_owned(), Target::Service(service));
    }

    /// Puts a service at an address that is one sidecar's alone, as the application beside it has on its loopback: for this
    /// sidecar it goes before what is there for all.
    pub fn serve_beside(&mut self, sidecar: SidecarId, address: &str, service: Box<dyn Serve>) {
        self.beside
            .insert((sidecar.0, address.to_owned()), Target::Service(service));
    }

    /// Gives a sidecar what it shows where TLS is spoken, and whom it believes.
    pub fn prove(&mut self, sidecar: SidecarId, proved: Proved) {
        for thread in &mut self.threads[self.sidecars[sidecar.0].threads.clone()] {
            thread.proved = proved.clone();
        }
    }

    /// Puts a listener of a sidecar at an address.
    pub fn expose(&mut self, address: &str, sidecar: SidecarId, listener: ListenerKind) {
        self.targets
            .insert(address.to_owned(), Target::Sidecar(sidecar, listener));
    }

    /// The same for clients who connect to another address, from which the kernel brings them to the sidecar.
    pub fn capture(
        &mut self,
        address: &str,
        sidecar: SidecarId,
        listener: ListenerKind,
        to: SocketAddr,
    ) {
        self.expose(address, sidecar, listener);
        self.captured.insert(address.to_owned(), to);
    }

    /// The same for clients who are translated: whoever connects to this address speaks HTTP/2.
    pub fn expose_in_http2(
        &mut self,
        address: &str,
        sidecar: SidecarId,
        listener: ListenerKind,
        complaints: &Complaints,
    ) {
        self.expose(address, sidecar, listener);
        self.translated
            .insert(address.to_owned(), Complaints::clone(complaints));
    }

    /// Lets a client connect to an address.
    pub fn connect(&mut self, address: &str, client: Box<dyn Peer>) {
        // Looked up by its text, so any text will do; clients dial what was exposed.
        self.seat_and_dial(Address::Unix(address.into()), client);
    }

    /// Where peers of this world leave errands.
    #[must_use]
    pub const fn errands(&self) -> &Errands {
        &self.errands
    }

    /// Lets clients come by themselves.
    pub fn let_arrive(&mut self, arrivals: Box<dyn Arrivals>) {
        self.arrivals.push(arrivals);
        self.plan_arrival(self.arrivals.len() - 1);
    }

    /// Gives a sidecar another configuration. Of several workers each hears of it on its own, and takes what is newest then.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn adopt(&mut self, sidecar: SidecarId, snapshot: Arc<Snapshot>) -> Result<(), String> {
        let of = &mut self.sidecars[sidecar.0];
        of.published = snapshot;
        if of.threads.len() == 1 {
            return of.adopt(of.threads.start, &mut self.threads, &mut self.fabric);
        }
        for thread in of.threads.clone() {
            let at = self.fabric.now + Duration::from_micros(self.fabric.dice.below(LATE));
            let happening = Happening::Published(sidecar.0, thread);
            self.fabric.queue.push(at, happening);
        }
        Ok(())
    }

    /// Has a sidecar do this as on a machine that is full. Whoever connects to it still gets in.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn relieve(&mut self, sidecar: SidecarId, actions: Actions) -> Result<(), String> {
        let mut threads = self.threads[self.sidecars[sidecar.0].threads.clone()].iter_mut();
        threads.try_for_each(|thread| thread.relieve(actions, &mut self.fabric))
    }

    /// Lets a sidecar drain: new connections are refused, running exchanges end when they can.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn drain(&mut self, sidecar: SidecarId) -> Result<(), String> {
        let of = &mut self.sidecars[sidecar.0];
        of.is_draining = true;
        let mut threads = self.threads[of.threads.clone()].iter_mut();
        threads.try_for_each(|thread| thread.drain(&mut self.fabric))
    }

    /// Gives a signal to all peers.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn signal(&mut self, name: &str) -> Result<(), String> {
        for id in self.seats.all() {
            self.tell(id, Event::Signal(name))?;
        }
        self.run_errands()
    }

    /// Signals that peers gave since the last call. They are not passed on by themselves.
    pub fn take_signals(&mut self) -> Vec<String> {
        std::mem::take(&mut self.signals)
    }

    /// When the next thing happens; `None` at rest.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.fabric.queue.next_at()
    }

    /// Says what a sidecar still holds when nobody is left who wants anything from it: a request, a connection, a count, an
    /// ejection that should be over. Call it when clients have left and idle connections have ended.
    ///
    /// # Errors
    /// What is left.
    pub fn at_rest(&self, sidecar: SidecarId) -> Result<(), String> {
        self.sidecars[sidecar.0].at_rest(&self.threads, self.fabric.now)
    }

    /// Runs until nothing is left to happen or the time is `until`; signals are passed on to all peers.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn run(&mut self, until: Instant) -> Result<(), String> {
        while self.next_at().is_some_and(|at| at <= until) {
            self.step()?;
            for name in self.take_signals() {
                self.signal(&name)?;
            }
        }
        Ok(())
    }

    /// Lets the next thing happen and checks every invariant; `false` at rest.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn step(&mut self) -> Result<bool, String> {
        let Some((at, happening)) = self.fabric.queue.pop() else {
            return Ok(false);
        };
        self.fabric.now = self.fabric.now.max(at);
        self.fabric.digest.happening(self.fabric.now, &happening);
        let happened = self.happen(happening).and_then(|()| self.run_errands());
        let kept = |()| match self.is_checked {
            true => {
                let mut sidecars = self.sidecars.iter_mut();
                sidecars.try_for_each(|sidecar| sidecar.check(&mut self.threads))
            }
            false => Ok(()),
        };
        let now = self.fabric.now;
        happened
            .and_then(kept)
            .map_err(|what| format!("at {now:?}: {what}"))?;
        Ok(true)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Travel(Travel::Arrive(wire, end, segment)) => {
                if self.fabric.arrive(wire, end, segment) {
                    self.notice(wire, end)?;
                }
            }
            Happening::Travel(Travel::Room(wire, end)) => {
                if self.fabric.network.room_arrives(wire, end) {
                    self.notice(wire, end)?;
                }
            }
            Happening::Dial(dialler, address) => self.meet(dialler, &address)?,
            Happening::Dialled(dialler, result) => self.dialled(dialler, result)?,
            Happening::Woken(id, nap) => {
                if self.seats.get(id).is_some_and(|seat| seat.wakes(nap)) {
                    self.tell(id, Event::Woken)?;
                }
            }
            Happening::Return(id) => self.come_back(id),
            Happening::Arrive(number) => {
                self.arrivals[number].arrive(self.fabric.now, &self.errands);
                self.plan_arrival(number);
            }
            Happening::Announced(thread) => {
                let hear = match self.is_apart {
                    true => self.sidecars[self.threads[thread].of()].threads.clone(),
                    false => 0..self.threads.len(),
                };
                for thread in &mut self.threads[hear] {
                    thread.announced(&mut self.fabric)?;
                }
            }
            Happening::Look(thread) => self.threads[thread].on_time(&mut self.fabric)?,
            Happening::Published(sidecar, thread) => {
                let of = &mut self.sidecars[sidecar];
                of.adopt(thread, &mut self.threads, &mut self.fabric)?;
            }
        }
        Ok(())
    }

    /// Something changed at an end: its owner looks.
    fn notice(&mut self, wire: Wire, end: End) -> Result<(), String> {
        match self.fabric.owner(wire, end) {
            None => Ok(()),
            Some(Owner::Thread(thread, id)) => self.threads[thread].notice(id, &mut self.fabric),
            Some(Owner::Peer(id)) => self.look(id),
        }
    }

    /// A peer reads what is there.
    fn look(&mut self, id: PeerId) -> Result<(), String> {
        loop {
            self.flush(id);
            let seat = self.seats.get(id);
            let Some(seen) = seat.and_then(|seat| seat.read(&mut self.fabric)) else {
                return Ok(());
            };
            self.tell(id, seen.as_event())?;
            if let Received::Bytes(bytes) = seen {
                self.errands.buffers().give(bytes);
            }
        }
    }

    fn tell(&mut self, id: PeerId, event: Event<'_>) -> Result<(), String> {
        let Some(seat) = self.seats.get(id) else {
            return Ok(());
        };
        let mut actions = std::mem::take(&mut self.actions);
        let now = self.fabric.now;
        let was_reading = seat.peer.is_reading();
        seat.peer.on_event(event, now, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Signal(name) => self.signals.push(name),
                Action::Sleep(time) => {
                    let nap = seat.next_nap();
                    self.fabric
                        .queue
                        .push(now + time, Happening::Woken(id, nap));
                }
                Action::Send(_) | Action::Shutdown | Action::Close | Action::Reset => {
                    seat.push(action);
                }
            }
        }
        self.actions = actions;
        let reads_again = !was_reading && seat.peer.is_reading();
        self.flush(id);
        if reads_again {
            return self.look(id);
        }
        Ok(())
    }

    /// Lets a peer do what it wants, as far as its window allows, and asks one that is done whether it returns.
    fn flush(&mut self, id: PeerId) {
        let Some(seat) = self.seats.get(id) else {
            return;
        };
        seat.flush(&mut self.fabric);
        if let Some(time) = seat.returns_after() {
            let at = self.fabric.now + time;
            self.fabric.queue.push(at, Happening::Return(id));
        } else if seat.is_given_up() {
            self.seats.give_up(id);
        }
    }

    /// Does what peers asked for, and what comes of that.
    fn run_errands(&mut self) -> Result<(), String> {
        while let Some(errand) = self.errands.next() {
            match errand {
                Errand::Ring(id) => self.tell(id, Event::Woken)?,
                Errand::Connect(address, peer) => {
                    self.seat_and_dial(Address::Unix(address.as_ref().into()), peer);
                }
            }
        }
        Ok(())
    }
}
