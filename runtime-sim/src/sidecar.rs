//! One simulated sidecar: a worker, its exchanges and its idle connections. The loop that every runtime is stands in
//! `drive`.
//!
//! No policy lives here. Where a real runtime leaves a choice to the kernel (when an idle connection is found dead) the
//! seed makes it.

mod drive;

use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::entropy::Entropy;
use outrigger_core::exchange::{
    ConnectFault, ConnectionId, Exchange, Input, Interest, ListenerKind, Peer, Side, WaiterId,
};
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::Instant;
use outrigger_core::worker::Worker;

use crate::Records;
use crate::event::{ExchangeId, Happening};
use crate::fabric::Fabric;
use crate::invariants::{self, Watch};
use crate::network::{End, Wire};
use crate::ordered::Ordered;

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
    /// The connection's random number; a copy begins no request.
    entropy: Entropy,
    downstream: Option<(Wire, End)>,
    upstream: Upstream,
    /// The connection of an attempt that was set aside.
    aside: Option<(Wire, End)>,
    /// What a reuse turned out to be, to be told as the next input.
    reuse: Option<Input>,
    /// The sidecar drains and the exchange has not been told.
    drain: bool,
    /// It was woken, to be told as an input.
    is_woken: bool,
    interest: Interest,
    /// When the next look at its deadline is planned: at the deadline, or before one that has moved on since.
    planned: Option<Instant>,
    seen: invariants::Seen,
}

/// A sidecar.
pub(crate) struct Sidecar {
    number: usize,
    seed: u64,
    worker: Worker,
    /// Connections that were accepted.
    accepted: u64,
    /// By number; one that is being driven is not in its place.
    running: Ordered<u64, Option<Box<Running>>>,
    idle: Ordered<ConnectionId, (Wire, End)>,
    /// A connection was kept since idle ones were last looked at.
    has_kept: bool,
    records: Records,
    /// No new connection is taken.
    pub(crate) draining: bool,
    next: u64,
    dials: u64,
    planned_expiry: Option<Instant>,
    /// `None` where nobody checks.
    watch: Option<Watch>,
    /// Something was done since the last check.
    is_touched: bool,
}

impl Sidecar {
    /// `seed` is the one that the worker was made with.
    pub(crate) fn new(number: usize, worker: Worker, seed: u64, records: Records) -> Self {
        Self {
            number,
            seed,
            worker,
            accepted: 0,
            running: Ordered::default(),
            idle: Ordered::default(),
            has_kept: false,
            records,
            draining: false,
            next: 0,
            dials: 0,
            planned_expiry: None,
            watch: None,
            is_touched: true,
        }
    }

    /// From now on counts are watched.
    pub(crate) fn watch(&mut self) {
        self.watch = Some(Watch::new(self.worker.view()));
    }

    /// Looks at everything that must hold between two steps, if anything can have changed in this one.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.is_touched) {
            return Ok(());
        }
        let in_sidecar = |what| format!("sidecar {}: {what}", self.number);
        for (number, running) in self.running.iter_mut() {
            let Some(running) = running else { continue };
            let checked = running.seen.check(&running.exchange);
            checked.map_err(|what| in_sidecar(format!("exchange {number}: {what}")))?;
        }
        let all = self.running.values().flatten();
        let exchanges = all.clone().map(|running| &running.exchange);
        invariants::check_mirrors(exchanges, &self.worker).map_err(in_sidecar)?;
        let aside = all.filter(|running| running.aside.is_some());
        let running = self.running.len() + aside.count();
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        let checked = watch.check(self.worker.view(), running);
        checked.map_err(in_sidecar)?;
        let totals = watch.totals();
        let (idle, kept) = (self.worker.idle_connections(), self.idle.len());
        if totals.active as usize > running
            || totals.connections as usize > running + kept
            || idle != kept
        {
            let what =
                format!("{totals:?}, {idle} idle ones for {running} attempts and {kept} kept");
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
        let held = self.worker.buffered().bytes;
        if held > 0 {
            return Err(format!("{held} bytes are counted as held"));
        }
        let view = self.worker.view();
        match &self.watch {
            Some(watch) => watch.at_rest(view, now),
            None => Watch::new(view).at_rest(view, now),
        }
    }

    /// Uses another configuration from the next request on.
    pub(crate) fn adopt(&mut self, snapshot: Arc<Snapshot>, fabric: &mut Fabric) {
        self.is_touched = true;
        let before = Rc::clone(self.worker.view());
        for id in self.worker.adopt(snapshot, fabric.now) {
            self.close_idle(id, fabric);
        }
        if let Some(watch) = &mut self.watch {
            watch.adopt(&before, self.worker.view());
        }
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
        let exchange = Exchange::accept(peer, fabric.now, &self.worker);
        let entropy = Entropy::of_connection(self.seed, self.accepted);
        self.accepted += 1;
        self.begin(exchange, entropy, Some(wire))
    }

    fn begin(
        &mut self,
        exchange: Exchange,
        entropy: Entropy,
        downstream: Option<(Wire, End)>,
    ) -> ExchangeId {
        self.next += 1;
        let running = Running {
            drain: self.draining && downstream.is_none(),
            exchange,
            entropy,
            downstream,
            upstream: Upstream::None,
            aside: None,
            reuse: None,
            is_woken: false,
            interest: Interest::default(),
            planned: None,
            seen: invariants::Seen::default(),
        };
        self.running.insert(self.next, Some(Box::new(running)));
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
        let numbers: Vec<u64> = self.running.keys().collect();
        for number in numbers {
            if let Some(Some(running)) = self.running.get_mut(number) {
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
        let Some(Some(running)) = self.running.get_mut(number) else {
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
        if let Some((wire, end)) = self.idle.remove(id) {
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
        let Some(at) = self.worker.next_expiry() else {
            return;
        };
        let at = at.max(fabric.now);
        // One that is planned for an earlier moment plans the next one.
        if self.planned_expiry.is_none_or(|planned| at < planned) {
            self.planned_expiry = Some(at);
            fabric.queue.push(at, Happening::Expire(self.number));
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
            fabric
                .queue
                .push(fabric.now, Happening::Announced(self.number));
        }
    }

    fn wake(&mut self, waiter: WaiterId, fabric: &mut Fabric) {
        let found = self
            .running
            .iter_mut()
            .filter_map(|(number, running)| Some((number, running.as_mut()?)))
            .find(|(_, running)| running.waits_as(waiter));
        if let Some((number, running)) = found {
            running.is_woken = true;
            let id = ExchangeId {
                sidecar: self.number,
                number,
            };
            fabric.queue.push(fabric.now, Happening::Turn(id));
        }
    }
}

impl Running {
    fn waits_as(&self, waiter: WaiterId) -> bool {
        self.interest.woken == Some(waiter)
    }

    fn wire(&self, side: Side) -> Option<(Wire, End)> {
        match (side, self.upstream) {
            (Side::Downstream, _) => self.downstream,
            (Side::Upstream, Upstream::Open(wire, end)) => Some((wire, end)),
            (Side::Upstream, Upstream::None | Upstream::Dialling(_)) => None,
            (Side::Aside, _) => self.aside,
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
            Side::Aside => self.aside = None,
        }
    }
}
