//! One simulated sidecar: a worker, its exchanges and its idle connections, and the loop that every runtime is.
//!
//! No policy lives here. Where a real runtime leaves a choice to the kernel (which ready side comes first, how much one
//! read or write moves, when an idle connection is found dead) the seed makes it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::exchange::{
    Ambient, ConnectFault, ConnectionId, Exchange, Input, Interest, ListenerKind, Output, Peer,
    Side, WaiterId,
};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::Worker;

use crate::Records;
use crate::event::{Dialler, ExchangeId, Happening};
use crate::fabric::Fabric;
use crate::invariants::{self, Watch};
use crate::network::{End, Wire};

/// More inputs than this without waiting mean that an exchange spins.
const MOST_INPUTS_A_ROUND: usize = 1_000_000;

/// The upstream side of an exchange.
#[derive(Clone, Copy, Debug)]
enum Upstream {
    None,
    Dialling(u64),
    Open(Wire, End),
}

/// An exchange and its wires.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) exchange: Exchange,
    downstream: Option<(Wire, End)>,
    upstream: Upstream,
    /// What a reuse turned out to be, to be told as the next input.
    reuse: Option<Input>,
    /// The sidecar drains and the exchange has not been told.
    drain: bool,
    /// It was woken, to be told as an input.
    is_woken: bool,
    interest: Interest,
    seen: invariants::Seen,
}

/// A sidecar.
pub(crate) struct Sidecar {
    number: usize,
    worker: Worker,
    running: BTreeMap<u64, Running>,
    idle: BTreeMap<ConnectionId, (Wire, End)>,
    records: Records,
    /// No new connection is taken.
    pub(crate) draining: bool,
    next: u64,
    dials: u64,
    planned_expiry: Option<Instant>,
    watch: Watch,
    /// Something was done since the last check.
    is_touched: bool,
}

impl Sidecar {
    pub(crate) fn new(number: usize, worker: Worker, records: Records) -> Self {
        let watch = Watch::new(worker.view());
        Self {
            number,
            worker,
            running: BTreeMap::new(),
            idle: BTreeMap::new(),
            records,
            draining: false,
            next: 0,
            dials: 0,
            planned_expiry: None,
            watch,
            is_touched: true,
        }
    }

    /// Looks at everything that must hold between two steps, if anything can have changed in this one.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.is_touched) {
            return Ok(());
        }
        let in_sidecar = |what| format!("sidecar {}: {what}", self.number);
        for (number, running) in &mut self.running {
            let checked = running.seen.check(&running.exchange);
            checked.map_err(|what| in_sidecar(format!("exchange {number}: {what}")))?;
        }
        let exchanges = self.running.values().map(|running| &running.exchange);
        invariants::check_mirrors(exchanges, &self.worker).map_err(in_sidecar)?;
        let running = self.running.len();
        let checked = self.watch.check(self.worker.view(), running);
        checked.map_err(in_sidecar)?;
        let totals = self.watch.totals();
        let (idle, kept) = (self.worker.idle_connections(), self.idle.len());
        if totals.active as usize > running
            || totals.connections as usize > running + kept
            || idle != kept
        {
            let what =
                format!("{totals:?}, {idle} idle ones for {running} exchanges and {kept} kept");
            return Err(in_sidecar(what));
        }
        Ok(())
    }

    /// Says what is left when nobody wants anything any more.
    pub(crate) fn at_rest(&self, now: Instant) -> Result<(), String> {
        let left = self.running.len();
        if left > 0 {
            return Err(format!("{left} exchanges are left"));
        }
        self.watch.at_rest(self.worker.view(), now)
    }

    /// Uses another configuration from the next request on.
    pub(crate) fn adopt(&mut self, snapshot: Arc<Snapshot>, fabric: &mut Fabric) {
        self.is_touched = true;
        let before = Rc::clone(self.worker.view());
        for id in self.worker.adopt(snapshot, fabric.now) {
            self.close_idle(id, fabric);
        }
        self.watch.adopt(&before, self.worker.view());
        self.announced(fabric);
    }

    /// Takes a connection.
    pub(crate) fn accept(
        &mut self,
        wire: (Wire, End),
        listener: ListenerKind,
        fabric: &mut Fabric,
    ) -> ExchangeId {
        let peer = Peer {
            remote: fabric.client_address(),
            local: fabric.listener_address(listener),
            listener,
        };
        self.begin(Exchange::accept(peer, fabric.now, &self.worker), Some(wire))
    }

    fn begin(&mut self, exchange: Exchange, downstream: Option<(Wire, End)>) -> ExchangeId {
        self.next += 1;
        let running = Running {
            drain: self.draining && downstream.is_none(),
            exchange,
            downstream,
            upstream: Upstream::None,
            reuse: None,
            is_woken: false,
            interest: Interest::default(),
            seen: invariants::Seen::default(),
        };
        self.running.insert(self.next, running);
        ExchangeId {
            sidecar: self.number,
            number: self.next,
        }
    }

    /// Tells every exchange to end when nothing is in flight.
    pub(crate) fn drain(&mut self, fabric: &mut Fabric) -> Result<(), String> {
        self.is_touched = true;
        self.draining = true;
        self.worker.drain();
        let numbers: Vec<u64> = self.running.keys().copied().collect();
        for number in numbers {
            if let Some(running) = self.running.get_mut(&number) {
                running.drain = true;
            }
            self.advance(number, None, fabric)?;
        }
        Ok(())
    }

    /// The answer to a dial. `false` when nobody waits for it any more.
    pub(crate) fn dialled(
        &mut self,
        number: u64,
        attempt: u64,
        result: Result<(Wire, End), ConnectFault>,
        fabric: &mut Fabric,
    ) -> Result<bool, String> {
        let Some(running) = self.running.get_mut(&number) else {
            return Ok(false);
        };
        if !matches!(running.upstream, Upstream::Dialling(now) if now == attempt) {
            return Ok(false);
        }
        let input = match result {
            Ok((wire, end)) => {
                running.upstream = Upstream::Open(wire, end);
                Input::Connected
            }
            Err(fault) => {
                running.upstream = Upstream::None;
                Input::ConnectFailed(fault)
            }
        };
        self.advance(number, Some(input), fabric)?;
        Ok(true)
    }

    /// Something was seen on an idle connection: found now, or only when it is reused.
    pub(crate) fn idle_seen(&mut self, id: ConnectionId, fabric: &mut Fabric) {
        self.is_touched = true;
        if fabric.dice.coin() {
            self.worker.forget(id);
            self.close_idle(id, fabric);
        }
    }

    pub(crate) fn close_idle(&mut self, id: ConnectionId, fabric: &mut Fabric) {
        if let Some((wire, end)) = self.idle.remove(&id) {
            fabric.disown(wire, end);
            fabric.close(wire, end);
        }
    }

    pub(crate) fn expire(&mut self, fabric: &mut Fabric) {
        self.is_touched = true;
        self.planned_expiry = None;
        for id in self.worker.expire(fabric.now) {
            self.close_idle(id, fabric);
        }
        self.plan_expiry(fabric);
    }

    fn plan_expiry(&mut self, fabric: &mut Fabric) {
        let next = self.worker.next_expiry();
        if next.is_some() && next != self.planned_expiry {
            self.planned_expiry = next;
            if let Some(at) = next {
                let at = at.max(fabric.now);
                fabric.queue.push(at, Happening::Expire(self.number));
            }
        }
    }

    /// Gives up what others wait for, and wakes who may have something to gain.
    pub(crate) fn announced(&mut self, fabric: &mut Fabric) {
        self.is_touched = true;
        let told = self.worker.on_announced();
        for id in told.close {
            self.close_idle(id, fabric);
        }
        for waiter in told.wake {
            self.wake(waiter, fabric);
        }
        if told.announce {
            fabric.queue.push(fabric.now, Happening::Announced);
        }
    }

    fn wake(&mut self, waiter: WaiterId, fabric: &mut Fabric) {
        let found = self
            .running
            .iter_mut()
            .find(|(_, running)| running.interest.woken == Some(waiter));
        if let Some((number, running)) = found {
            running.is_woken = true;
            let id = ExchangeId {
                sidecar: self.number,
                number: *number,
            };
            fabric.queue.push(fabric.now, Happening::Turn(id));
        }
    }

    /// Feeds what is ready until the exchange waits or is over.
    pub(crate) fn advance(
        &mut self,
        number: u64,
        first: Option<Input>,
        fabric: &mut Fabric,
    ) -> Result<(), String> {
        self.is_touched = true;
        let mut input = first;
        for _ in 0..MOST_INPUTS_A_ROUND {
            if let Some(input) = input.take() {
                let Some(running) = self.running.get_mut(&number) else {
                    return Ok(());
                };
                let ambient = Ambient {
                    now: fabric.now,
                    entropy: fabric.dice.entropy(),
                };
                running
                    .exchange
                    .handle_input(input, ambient, &mut self.worker);
            }
            if !self.perform(number, fabric)? {
                return Ok(());
            }
            input = self.next_input(number, fabric);
            if input.is_none() {
                self.plan_expiry(fabric);
                return Ok(());
            }
        }
        Err(format!(
            "exchange {number} took {MOST_INPUTS_A_ROUND} inputs in one moment"
        ))
    }

    /// Performs outputs up to the wait; `false` when there is no such exchange (any more).
    fn perform(&mut self, number: u64, fabric: &mut Fabric) -> Result<bool, String> {
        let id = ExchangeId {
            sidecar: self.number,
            number,
        };
        loop {
            let Some(running) = self.running.get_mut(&number) else {
                return Ok(false);
            };
            match running.exchange.poll_output() {
                Output::Connect(address) => {
                    self.dials += 1;
                    running.upstream = Upstream::Dialling(self.dials);
                    fabric.dial(Dialler::Exchange(id, self.dials), address);
                }
                Output::Reuse(connection) => {
                    let found = self.idle.remove(&connection).and_then(|(wire, end)| {
                        let sight = fabric.network.sight(wire, end);
                        if sight.unread == 0 && !sight.eof && !sight.broken {
                            fabric.own_exchange(wire, end, id);
                            return Some((wire, end));
                        }
                        fabric.disown(wire, end);
                        fabric.close(wire, end);
                        None
                    });
                    (running.upstream, running.reuse) = match found {
                        Some((wire, end)) => (Upstream::Open(wire, end), Some(Input::Connected)),
                        None => (Upstream::None, Some(Input::Stale)),
                    };
                }
                Output::Keep(connection) => {
                    if let Upstream::Open(wire, end) = running.upstream {
                        running.upstream = Upstream::None;
                        fabric.own_idle(wire, end, self.number, connection);
                        self.idle.insert(connection, (wire, end));
                    }
                }
                Output::Discard(connection) => self.close_idle(connection, fabric),
                Output::Wake(waiter) => self.wake(waiter, fabric),
                Output::Announce => fabric.queue.push(fabric.now, Happening::Announced),
                Output::Close(side) => running.close(side, fabric),
                Output::Reset => {
                    if let Some((wire, end)) = running.downstream.take() {
                        fabric.disown(wire, end);
                        fabric.reset(wire, end);
                    }
                }
                Output::ShutdownWrite(side) => {
                    if let Some((wire, end)) = running.wire(side) {
                        fabric.shut(wire, end);
                    }
                }
                Output::Mirror => {
                    if let Some(copy) = running.exchange.take_mirror() {
                        let id = self.begin(copy, None);
                        self.perform(id.number, fabric)?;
                        fabric.queue.push(fabric.now, Happening::Turn(id));
                    }
                }
                Output::Ended => {
                    let record = running.exchange.record();
                    fabric.digest.record(record);
                    (self.records)(record);
                    invariants::judge(record)?;
                }
                Output::Wait(interest) => {
                    if let Some((at, _)) = interest.deadline
                        && running.interest.deadline != interest.deadline
                    {
                        let at = at.max(fabric.now);
                        fabric.queue.push(at, Happening::Deadline(id));
                    }
                    if running.interest.woken != interest.woken {
                        running.is_woken = false;
                    }
                    running.interest = interest;
                    return Ok(true);
                }
                Output::Done => {
                    running.close(Side::Downstream, fabric);
                    running.close(Side::Upstream, fabric);
                    self.running.remove(&number);
                    self.plan_expiry(fabric);
                    return Ok(false);
                }
            }
        }
    }

    /// One of the inputs that are ready, by the seed; its bytes are moved.
    fn next_input(&mut self, number: u64, fabric: &mut Fabric) -> Option<Input> {
        let running = self.running.get_mut(&number)?;
        if let Some(input) = running.reuse.take() {
            return Some(input);
        }
        if std::mem::take(&mut running.drain) {
            return Some(Input::Drain);
        }
        let interest = running.interest;
        if std::mem::take(&mut running.is_woken) && interest.woken.is_some() {
            return Some(Input::Woken);
        }
        if interest.deadline.is_some_and(|(at, _)| at <= fabric.now) {
            return Some(Input::Deadline);
        }
        let mut ready: [Option<(Side, bool)>; 4] = [None; 4];
        let mut count = 0;
        for (side, read, write) in [
            (
                Side::Downstream,
                interest.read_downstream,
                interest.write_downstream,
            ),
            (
                Side::Upstream,
                interest.read_upstream,
                interest.write_upstream,
            ),
        ] {
            let Some((wire, end)) = running.wire(side) else {
                continue;
            };
            let sight = fabric.network.sight(wire, end);
            if read && (sight.unread > 0 || sight.eof || sight.broken) {
                ready[count] = Some((side, true));
                count += 1;
            }
            if write && !running.exchange.outbox(side).is_empty() {
                if sight.broken || fabric.room(wire, end) > 0 {
                    ready[count] = Some((side, false));
                    count += 1;
                } else {
                    fabric.network.await_room(wire, end);
                }
            }
        }
        let (side, reads) = ready[fabric.dice.below(count as u64) as usize]?;
        let (wire, end) = running.wire(side)?;
        let sight = fabric.network.sight(wire, end);
        if sight.broken {
            return Some(Input::Broken(side));
        }
        if !reads {
            let outbox = running.exchange.outbox(side);
            let front = outbox.front();
            let most = front.len().min(fabric.room(wire, end));
            let count = if fabric.dice.coin() {
                most
            } else {
                fabric.dice.between(1, most as u64) as usize
            };
            let bytes = front[..count].to_vec();
            fabric.send(wire, end, &bytes);
            return Some(Input::Wrote(side, count));
        }
        if sight.unread == 0 {
            return Some(Input::Eof(side));
        }
        let space = running.exchange.space(side, &mut self.worker);
        let most = (space.capacity() - space.len()).min(sight.unread);
        let bytes = fabric.read(wire, end, most);
        space.extend_from_slice(&bytes);
        Some(Input::Read(side, bytes.len()))
    }
}

impl Running {
    fn wire(&self, side: Side) -> Option<(Wire, End)> {
        match (side, self.upstream) {
            (Side::Downstream, _) => self.downstream,
            (Side::Upstream, Upstream::Open(wire, end)) => Some((wire, end)),
            (Side::Upstream, Upstream::None | Upstream::Dialling(_)) => None,
        }
    }

    fn close(&mut self, side: Side, fabric: &mut Fabric) {
        if let Some((wire, end)) = self.wire(side) {
            fabric.disown(wire, end);
            fabric.close(wire, end);
        }
        match side {
            Side::Downstream => self.downstream = None,
            Side::Upstream => self.upstream = Upstream::None,
        }
    }
}
