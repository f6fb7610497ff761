//! The simulation: peers, services and sidecars on one fabric, one happening at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_core::exchange::{ConnectFault, ListenerKind};
use outrigger_core::snapshot::{Address, Snapshot};
use outrigger_core::time::Instant;
use outrigger_core::worker::{Worker, WorkerSettings};

use crate::Records;
use crate::event::{Dialler, ExchangeId, Happening, PeerId};
use crate::fabric::{Fabric, Owner};
use crate::invariants;
use crate::network::{End, Travel, Weather, Wire};
use crate::peer::{Accept, Action, Event, Peer, Service};
use crate::seat::Seat;
use crate::sidecar::Sidecar;

/// Which sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidecarId(usize);

/// Where a connection made in the simulation ends.
enum Target {
    Service(Box<dyn Service>),
    Sidecar(SidecarId, ListenerKind),
}

/// A whole simulated world. The same seed and the same calls give the same run, byte for byte.
pub struct Simulation {
    fabric: Fabric,
    seats: Vec<Seat>,
    sidecars: Vec<Sidecar>,
    targets: BTreeMap<String, Target>,
    signals: Vec<String>,
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
        Self {
            fabric: Fabric::new(seed, weather),
            seats: Vec::new(),
            sidecars: Vec::new(),
            targets: BTreeMap::new(),
            signals: Vec::new(),
        }
    }

    /// The time in this world.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.fabric.now
    }

    /// Adds a sidecar. `records` sees every request's record when it ends.
    pub fn sidecar(
        &mut self,
        snapshot: Arc<Snapshot>,
        settings: WorkerSettings,
        records: Records,
    ) -> SidecarId {
        let worker = Worker::new(snapshot, settings, self.fabric.dice.draw());
        let number = self.sidecars.len();
        self.sidecars.push(Sidecar::new(number, worker, records));
        SidecarId(number)
    }

    /// Puts a service at an address, written as an endpoint's address is: `10.0.0.1:8080`, `name:80`, `/socket`.
    pub fn serve(&mut self, address: &str, service: Box<dyn Service>) {
        self.targets
            .insert(address.to_owned(), Target::Service(service));
    }

    /// Puts a listener of a sidecar at an address.
    pub fn expose(&mut self, address: &str, sidecar: SidecarId, listener: ListenerKind) {
        self.targets
            .insert(address.to_owned(), Target::Sidecar(sidecar, listener));
    }

    /// Lets a client connect to an address.
    pub fn connect(&mut self, address: &str, client: Box<dyn Peer>) {
        let id = PeerId(self.seats.len());
        self.seats.push(Seat::new(client));
        // Looked up by its text, so any text will do; clients dial what was exposed.
        self.fabric
            .dial(Dialler::Peer(id), Address::Unix(address.into()));
    }

    /// Gives a sidecar another configuration.
    pub fn adopt(&mut self, sidecar: SidecarId, snapshot: Arc<Snapshot>) {
        let now = self.fabric.now;
        let sidecar = &mut self.sidecars[sidecar.0];
        for id in sidecar.worker.adopt(snapshot, now) {
            sidecar.close_idle(id, &mut self.fabric);
        }
        sidecar.announced(&mut self.fabric);
    }

    /// Lets a sidecar drain: new connections are refused, running exchanges end when they can.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn drain(&mut self, sidecar: SidecarId) -> Result<(), String> {
        self.sidecars[sidecar.0].drain(&mut self.fabric)
    }

    /// Gives a signal to all peers.
    ///
    /// # Errors
    /// A broken invariant.
    pub fn signal(&mut self, name: &str) -> Result<(), String> {
        for id in 0..self.seats.len() {
            self.tell(PeerId(id), Event::Signal(name))?;
        }
        Ok(())
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

    /// Requests in flight, open connections and kept idle ones, over all endpoints of a sidecar's snapshot.
    #[must_use]
    pub fn gauges(&self, sidecar: SidecarId) -> invariants::Gauges {
        invariants::Gauges::of(&self.sidecars[sidecar.0])
    }

    /// How many exchanges a sidecar has.
    #[must_use]
    pub fn exchanges(&self, sidecar: SidecarId) -> usize {
        self.sidecars[sidecar.0].running.len()
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
        self.happen(happening)?;
        for sidecar in &self.sidecars {
            invariants::check(sidecar).map_err(|what| {
                format!(
                    "sidecar {} at {:?}: {what}",
                    sidecar.number, self.fabric.now
                )
            })?;
        }
        Ok(true)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Travel(Travel::Arrive(wire, end, segment)) => {
                if self.fabric.arrive(wire, end, segment) {
                    self.notice(wire, end)?;
                }
            }
            Happening::Travel(Travel::Room(wire, end)) => self.notice(wire, end)?,
            Happening::Dial(dialler, address) => self.meet(dialler, &address)?,
            Happening::Dialled(dialler, result) => self.dialled(dialler, result)?,
            Happening::Woken(id, nap) => {
                if self.seats[id.0].wakes(nap) {
                    self.tell(id, Event::Woken)?;
                }
            }
            Happening::Deadline(id) | Happening::Turn(id) => self.look_again(id)?,
            Happening::Announced => {
                for sidecar in &mut self.sidecars {
                    sidecar.announced(&mut self.fabric);
                }
            }
            Happening::Expire(sidecar) => self.sidecars[sidecar].expire(&mut self.fabric),
        }
        Ok(())
    }

    /// An exchange looks at its deadline by itself, so a late one is harmless.
    fn look_again(&mut self, id: ExchangeId) -> Result<(), String> {
        self.sidecars[id.sidecar].advance(id.number, None, &mut self.fabric)
    }

    /// A dial reaches its target, and the answer goes back.
    fn meet(&mut self, dialler: Dialler, address: &Address) -> Result<(), String> {
        let accept = match self.targets.get_mut(&address.to_string()) {
            None => Err(ConnectFault::Refused),
            Some(Target::Service(service)) => match service.accept() {
                Accept::Peer(peer) => Ok(Some(peer)),
                Accept::Refuse => Err(ConnectFault::Refused),
                Accept::Ignore => return Ok(()),
            },
            Some(Target::Sidecar(id, _)) if self.sidecars[id.0].draining => {
                Err(ConnectFault::Refused)
            }
            Some(Target::Sidecar(..)) => Ok(None),
        };
        let at = self.fabric.hop_from_now();
        let result = match accept {
            Err(fault) => Err(fault),
            Ok(peer) => {
                let wire = self.fabric.network.wire();
                self.accepted(wire, peer, address)?;
                Ok((wire, End::Dialled))
            }
        };
        self.fabric
            .queue
            .push(at, Happening::Dialled(dialler, result));
        Ok(())
    }

    fn accepted(
        &mut self,
        wire: Wire,
        peer: Option<Box<dyn Peer>>,
        address: &Address,
    ) -> Result<(), String> {
        let end = End::Accepted;
        if let Some(peer) = peer {
            let id = PeerId(self.seats.len());
            self.seats.push(Seat::new(peer));
            self.seats[id.0].sit(wire, end);
            self.fabric.own(wire, end, Owner::Peer(id));
            return self.tell(id, Event::Opened);
        }
        let Some(Target::Sidecar(id, listener)) = self.targets.get(&address.to_string()) else {
            return Ok(());
        };
        let (number, listener) = (id.0, *listener);
        let sidecar = &mut self.sidecars[number];
        let exchange = sidecar.accept((wire, end), listener, &mut self.fabric);
        self.fabric.own_exchange(wire, end, exchange);
        sidecar.advance(exchange.number, None, &mut self.fabric)
    }

    fn dialled(
        &mut self,
        dialler: Dialler,
        result: Result<(Wire, End), ConnectFault>,
    ) -> Result<(), String> {
        match dialler {
            Dialler::Peer(id) => {
                let Ok((wire, end)) = result else {
                    return self.tell(id, Event::Refused);
                };
                self.seats[id.0].sit(wire, end);
                self.fabric.own(wire, end, Owner::Peer(id));
                self.tell(id, Event::Opened)?;
                self.notice(wire, end)
            }
            Dialler::Exchange(id, attempt) => {
                if let Ok((wire, end)) = result {
                    self.fabric.own_exchange(wire, end, id);
                }
                let sidecar = &mut self.sidecars[id.sidecar];
                let wanted = sidecar.dialled(id.number, attempt, result, &mut self.fabric)?;
                if let (false, Ok((wire, end))) = (wanted, result) {
                    self.fabric.disown(wire, end);
                    self.fabric.close(wire, end);
                }
                Ok(())
            }
        }
    }

    /// Something changed at an end: its owner looks.
    fn notice(&mut self, wire: Wire, end: End) -> Result<(), String> {
        match self.fabric.owner(wire, end) {
            None => Ok(()),
            Some(Owner::Exchange(id)) => {
                self.sidecars[id.sidecar].advance(id.number, None, &mut self.fabric)
            }
            Some(Owner::Idle(sidecar, id)) => {
                self.sidecars[sidecar].idle_seen(id, &mut self.fabric);
                Ok(())
            }
            Some(Owner::Peer(id)) => self.look(id),
        }
    }

    /// A peer reads what is there.
    fn look(&mut self, id: PeerId) -> Result<(), String> {
        loop {
            self.seats[id.0].flush(&mut self.fabric);
            let seat = &mut self.seats[id.0];
            let Some(seen) = seat.read(&mut self.fabric) else {
                return Ok(());
            };
            self.tell(id, seen.as_event())?;
        }
    }

    fn tell(&mut self, id: PeerId, event: Event<'_>) -> Result<(), String> {
        let mut actions = Vec::new();
        let now = self.fabric.now;
        let was_reading = self.seats[id.0].peer.is_reading();
        self.seats[id.0].peer.on_event(event, now, &mut actions);
        for action in actions {
            match action {
                Action::Signal(name) => self.signals.push(name),
                Action::Sleep(time) => {
                    let nap = self.seats[id.0].next_nap();
                    self.fabric
                        .queue
                        .push(now + time, Happening::Woken(id, nap));
                }
                Action::Send(_) | Action::Shutdown | Action::Close | Action::Reset => {
                    self.seats[id.0].push(action);
                }
            }
        }
        self.seats[id.0].flush(&mut self.fabric);
        if !was_reading && self.seats[id.0].peer.is_reading() {
            return self.look(id);
        }
        Ok(())
    }
}
